"""Who looked at the gate's recordings before: notes for whoever reads a verdict.

An interval tells how sure a figure is. It allows neither for a choice of the best of several refiners, nor for recordings or
labels that were chosen once figures had been seen. So every look at the gate split stands in the phase's `looks.jsonl`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from brefine.errors import FormatError, printable
from brefine.phasedir import EvaluationReport, IntegrationReport, Look, LookedAt, LookRecord, PhaseDir
from brefine.run.gate_evidence import some_of


def notes_on_looks(phase: PhaseDir, report: IntegrationReport | None) -> Iterator[str]:
    """Whether several refiners were scored on these recordings, and what was changed after one had been.

    Args:
        report: the integration that is judged; without one there is nothing to choose for.
    """
    found: list[Look] = []
    for path in phase.gate_evaluations():
        try:
            found += EvaluationReport.read(path).looks
        except FormatError as error:
            yield f"{path.relative_to(phase.path)}: {error.what}; it cannot be told what was scored on the gate split"
    records = phase.read_looks()
    found += [] if report is None else report.looks
    looks = {look.refiner: look for look in (*found, *(record.look for record in records))}
    if len(looks) > 1:
        models = ", ".join(look.model for look in looks.values())
        yield f"{len(looks)} refiners were scored on the gate split ({models}); no interval allows for a choice among them"
    if report is None:
        return
    gate = _Gate(report)
    gate.compare(records)
    yield from gate.changes()


class _Gate:
    """The recordings of an integration, and what was changed of them after earlier looks.

    They are found again by their audio, whatever they are called; where no digest of it is told, by name and duration.
    """

    def __init__(self, report: IntegrationReport) -> None:
        self._looked_at_unix_s = report.unix_s
        self._by_audio = {one.audio_sha256: one for one in report.looked_at if one.audio_sha256 is not None}
        self._by_name = {(one.name, one.duration_s): one for one in report.looked_at}
        self._references, self._hypotheses, self._missing = set[str](), set[str](), set[str]()

    def find(self, other: LookedAt) -> LookedAt | None:
        """The same recording among these."""
        if other.audio_sha256 in self._by_audio:
            return self._by_audio[other.audio_sha256]
        found = self._by_name.get((other.name, other.duration_s))
        return found if found is not None and None in (found.audio_sha256, other.audio_sha256) else None

    def has_any(self, others: Iterable[LookedAt]) -> bool:
        return any(self.find(one) is not None for one in others)

    def compare(self, records: Iterable[LookRecord]) -> None:
        """Takes earlier looks at any of these recordings into account; others, and later ones, say nothing."""
        for record in records:
            if record.look.unix_s < self._looked_at_unix_s and self.has_any(record.recordings):
                for then in record.recordings:
                    self._compare(then, self.find(then))

    def _compare(self, then: LookedAt, now: LookedAt | None) -> None:
        if now is None:
            self._missing.add(printable(then.name))
            return
        if now.reference_sha256 != then.reference_sha256:
            self._references.add(now.name)
        if now.hypothesis_sha256 != then.hypothesis_sha256:
            self._hypotheses.add(now.name)

    def changes(self) -> Iterator[str]:
        """What differs from what earlier looks were at, in words."""
        for names, words in (
            (self._references, "references of gate recordings were changed after a refiner had been scored on them"),
            (self._hypotheses, "hypotheses of gate recordings are others than a refiner had been scored on before"),
            (self._missing, "recordings are no longer in the gate split after a refiner had been scored on them"),
        ):
            if names:
                yield f"{words}: {some_of(sorted(names))}"
