"""Who looked at the gate's recordings before: notes for whoever reads a verdict.

An interval says how certain a figure is. It does not allow for choosing the best of several refiners, nor for recordings or
labels that were chosen after figures had been seen. So every look at the gate split is kept in the phase's `looks.jsonl`, and
the looks of the other phases in the same folder are read as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from brefine.core.figures import some_of
from brefine.errors import FormatError, printable
from brefine.phasedir import EvaluationReport, IntegrationReport, Look, LookedAt, LookRecord, PhaseDir, phases_beside


def notes_on_looks(phase: PhaseDir, report: IntegrationReport | None) -> Iterator[str]:
    """Notes on several refiners being scored on these recordings, here or in other phases, and on changes after such a look.

    Args:
        report: the integration that is judged; without one, only the refiners that were scored in this phase are counted.
    """
    found: list[Look] = []
    for path in phase.gate_evaluations():
        try:
            found += EvaluationReport.read(path).looks
        except FormatError as error:
            yield f"{path.relative_to(phase.path)}: {error.what}; what was scored on the gate split is not known"
    lines = phase.look_lines()
    records = lines.readable
    if lines.loss is not None:
        yield f"{lines.loss}; not every look at the gate split is known"
    found += [] if report is None else report.looks
    looks = {look.refiner: look for look in (*found, *(record.look for record in records))}
    if len(looks) > 1:
        models = ", ".join(_times(model, n) for model, n in Counter(look.model for look in looks.values()).items())
        yield f"{len(looks)} refiners were scored on the gate split ({models}); no interval allows for a choice among them"
    if report is None:
        return
    own = {record.look.refiner for record in records}
    if report.looked_at and report.looks[-1].refiner not in own and lines.loss is None:
        yield f"{phase.looks.name} is missing or damaged; earlier looks at the gate split are not known"
    gate, others, unknown = _Gate(report), list[str](), set[str]()
    gate.compare(records)
    for other in phases_beside(phase):
        name = printable(other.path.name)
        elsewhere = other.look_lines()
        if elsewhere.loss is not None:
            unknown.add(name)
        try:
            same = _looks_of(other, elsewhere.readable, report, gate)
        except FormatError:
            unknown.add(name)
            continue
        gate.compare(same)
        if {record.look.refiner for record in same} - looks.keys():
            others.append(name)
    if others:
        yield (
            f"this is one of {1 + len(others)} phases whose refiners were scored on these recordings (also {some_of(others)}); "
            f"no interval allows for a choice among them"
        )
    if unknown:
        yield f"not all that was scored in other phases is known ({some_of(sorted(unknown))})"
    yield from gate.changes()


def _times(model: str, n: int) -> str:
    """`mlp`, `mlp twice`, `mlp 3 times`."""
    return model + {1: "", 2: " twice"}.get(n, f" {n} times")


def _looks_of(other: PhaseDir, records: list[LookRecord], report: IntegrationReport, gate: _Gate) -> list[LookRecord]:
    """The looks of another phase at recordings of this report; for a phase of an earlier version, at the same corpus.

    Args:
        records: the looks in its looks.jsonl.

    Raises:
        FormatError: its integration is damaged, and nothing else lists the recordings of its looks.
    """
    if any(record.recordings for record in records):
        return [record for record in records if gate.has_any(record.recordings)]
    told = IntegrationReport.read_if_there(other.integration)
    if told is None or not (gate.has_any(told.looked_at) or told.corpus_sha256 == report.corpus_sha256):
        return []
    return [LookRecord(look, told.looked_at) for look in told.looks]


class _Gate:
    """The recordings of an integration, and how they have changed since earlier looks.

    Recordings are found by the digest of their audio, whatever they are called. They are found by name and duration if a digest
    is missing, or if the reference is the same, since a file may have been converted.
    """

    def __init__(self, report: IntegrationReport) -> None:
        self._looked_at_unix_s = report.unix_s
        self._by_audio = {one.audio_sha256: one for one in report.looked_at if one.audio_sha256 is not None}
        self._by_name = {(one.name, one.duration_s): one for one in report.looked_at}
        self._audio, self._references, self._hypotheses, self._missing = set[str](), set[str](), set[str](), set[str]()

    def find(self, other: LookedAt) -> LookedAt | None:
        """The recording of the integration that is the same as `other`; None if none is."""
        if other.audio_sha256 in self._by_audio:
            return self._by_audio[other.audio_sha256]
        found = self._by_name.get((other.name, other.duration_s))
        if found is None or None in (found.audio_sha256, other.audio_sha256):
            return found
        return found if found.reference_sha256 == other.reference_sha256 else None

    def has_any(self, others: Iterable[LookedAt]) -> bool:
        return any(self.find(one) is not None for one in others)

    def compare(self, records: Iterable[LookRecord]) -> None:
        """Takes into account those looks that were at any of these recordings and earlier than the integration."""
        for record in records:
            if record.look.unix_s < self._looked_at_unix_s and self.has_any(record.recordings):
                for then in record.recordings:
                    self._compare(then, self.find(then))

    def _compare(self, then: LookedAt, now: LookedAt | None) -> None:
        if now is None:
            self._missing.add(printable(then.name))
            return
        if now.audio_sha256 != then.audio_sha256 and None not in (now.audio_sha256, then.audio_sha256):
            self._audio.add(now.name)
        if now.reference_sha256 != then.reference_sha256:
            self._references.add(now.name)
        if now.hypothesis_sha256 != then.hypothesis_sha256:
            self._hypotheses.add(now.name)

    def changes(self) -> Iterator[str]:
        """What has changed since earlier looks, in words."""
        for names, words in (
            (self._audio, "the audio of gate recordings has changed since a refiner was scored on them"),
            (
                self._references,
                "references of gate recordings, or what of them is scored, have changed since a refiner was scored on them",
            ),
            (self._hypotheses, "hypotheses of gate recordings have changed since a refiner was scored on them"),
            (self._missing, "recordings have left the gate split since a refiner was scored on them"),
        ):
            if names:
                yield f"{words}: {some_of(sorted(names))}"
