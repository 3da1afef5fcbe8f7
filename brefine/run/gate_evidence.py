"""What gate 4 rests on: the integration's figures, and whether they still belong to what lies on disk.

The figures were measured by another process, perhaps weeks ago. Since then somebody may have trained further, diarized again,
chosen another model, prepared another corpus, or edited a file. Whatever no longer fits is a fault, and a fault leaves the gate
open. Digests find changes, and the turns are scored again. There is no protection against somebody who forges turns, digests and
seals together.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from brefine.config import PhaseConfig, prepared_corpus_path
from brefine.core.bootstrap import Interval
from brefine.core.boundaries import BoundaryKind
from brefine.core.der import DerParts, score_der
from brefine.core.figures import percent, some_of
from brefine.core.gate import Evidence, Measured
from brefine.core.headroom import oracle_refine
from brefine.core.kinship import notes_on_names
from brefine.core.matching import match_boundaries
from brefine.core.movement import unmovable_errors_s
from brefine.errors import FormatError, printable
from brefine.io.atomic import digest_of_files
from brefine.io.rttm import read_recording
from brefine.phasedir import (
    CheckpointCard,
    CorpusManifest,
    DerComparison,
    EvaluationReport,
    IntegrationReport,
    PhaseDir,
    SelectionRecord,
    corrected_labels,
)
from brefine.run.decide import no_better_than_start

_SAME_DER = 1e-5
"""DERs that differ by no more are the same: turns are written to the microsecond."""
_NO_ERROR_S = 1e-6
"""A smaller error time is none, for the same reason."""
_SAME_TIME_S = 5e-4
"""Boundaries that differ by less are the same: some tools write milliseconds."""
_TELLING_SHARE = 0.25
"""So many matched boundaries seldom equal the reference's to the millisecond by chance: for VBx on VoxConverse dev, 0.4 % do."""
_NEAR_S, _MOST_NEAR = 0.06, 4
"""A recording's equal boundaries count only if there are more than `_MOST_NEAR` of them per boundary that is off by up to
`_NEAR_S`. For if both files are on a time grid, many boundaries of a good system equal the reference's, but it misses others by a
step or two: per equal boundary there is one near boundary with steps of 20 ms (a mean error of 15 ms; references of VoxConverse
dev, put on a grid of 40 ms), and a third of one with 40 ms. Somebody who corrects a hypothesis changes what is far off and leaves
the rest as it is."""


@dataclass(frozen=True, slots=True)
class GateFiles:
    """The files that the gate judges, as far as they exist and are sound.

    Attributes:
        selection: None if no model was chosen.
        report: the integration of the selected model; that of another model proves nothing about it.
        problem: why there is no report, if there should be one.
    """

    selection: SelectionRecord | None = None
    report: IntegrationReport | None = None
    problem: str | None = None

    @classmethod
    def of(cls, phase: PhaseDir) -> GateFiles:
        try:
            selection = SelectionRecord.read_if_there(phase.selection)
        except FormatError as error:
            return cls(problem=f"{phase.selection.name}: {error.what}; select again")
        try:
            report = IntegrationReport.read_if_there(phase.integration)
        except FormatError as error:
            return cls(selection, problem=f"{phase.integration.name}: {error.what}; integrate again")
        if report is not None and selection is not None and selection.model != report.model:
            problem = f"{selection.model} is selected, {report.model} was integrated; integrate again"
            return cls(selection, problem=problem)
        return cls(selection, report)


@dataclass(frozen=True, slots=True)
class GateAudio:
    """How the audio behind the gate compares with what was prepared, as far as the corpus has digests of it.

    Attributes:
        changed: recordings whose audio has changed.
        gone: recordings whose audio is missing.
        unreadable: recordings whose audio exists but cannot be read, so that it cannot be compared.
        n_without_digest: number of recordings for which the corpus has no digest.
    """

    changed: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    n_without_digest: int = 0

    @classmethod
    def of(cls, config: PhaseConfig, manifest: CorpusManifest | None) -> GateAudio:
        """Compares the audio, reading, which takes minutes, only files whose size or modification time has changed."""
        corpus, gate = prepared_corpus_path(config), [] if manifest is None else manifest.gate
        changed, gone, unreadable = list[str](), list[str](), list[str]()
        for one in gate:
            if one.audio_file is None:
                continue
            is_changed = one.audio_file.is_changed(corpus / one.audio)
            if is_changed:
                changed.append(one.name)
            elif is_changed is None:
                (gone if _is_gone(corpus / one.audio) else unreadable).append(one.name)
        n_without_digest = sum(one.audio_file is None for one in gate)
        return cls(tuple(changed), tuple(gone), tuple(unreadable), n_without_digest)

    def faults(self) -> Iterator[str]:
        if self.changed:
            yield (
                f"the audio of gate recordings was changed after the corpus had been prepared ({some_of(self.changed)}); prepare "
                f"it again, then integrate again"
            )

    def notes(self) -> Iterator[str]:
        """Notes on audio that cannot be compared; its turns can still be scored."""
        if self.gone:
            yield f"the audio of gate recordings is no longer there ({some_of(self.gone)}), so it cannot be checked"
        if self.unreadable:
            yield f"the audio of gate recordings cannot be read ({some_of(self.unreadable)}), so it cannot be checked"
        if self.n_without_digest:
            yield "an earlier version prepared the corpus and kept no digest of its audio, so the audio cannot be checked"


def evidence_of(
    phase: PhaseDir,
    config: PhaseConfig,
    files: GateFiles,
    manifest: CorpusManifest | None,
    audio: GateAudio,
    faults: Sequence[str] = (),
) -> Evidence | None:
    """The figures of the integration with these faults and all others that are found; None if there are no figures.

    Args:
        manifest: of the recipe's prepared corpus; None if there is none that can be read.
    """
    report = files.report
    if report is None:
        return None
    corpus = prepared_corpus_path(config)
    comparison = report.comparison
    at_collar = [item for item in report.der if math.isclose(item.collar_s, config.gate.der_collar_s)]
    der = next(iter(at_collar or report.der), None)
    found = Evidence(
        simulated=report.evidence == "simulated" or _is_simulated(config, manifest),
        recordings=tuple(item.recording for item in report.recordings),
        trained_on=frozenset(report.trained_on),
        diarizer_trained_on=frozenset(_trained_on(config, manifest).values()),
        mae_ms=Measured(comparison.before.mae_ms, comparison.after.mae_ms, _interval(comparison.intervals.get("mae_ms"))),
        mae_change_ms=_interval(comparison.intervals.get("mae_change_ms")),
        counts_cuts=comparison.counts_cuts,
        recall=comparison.before.recall,
        window_s=comparison.before.window_s,
        der=_measured(der),
        der_after=None if der is None else _interval(der.after_interval),
        collar_s=config.gate.der_collar_s if der is None else der.collar_s,
        shift_s=config.refine.max_shift_s,
        faults=(
            *faults,
            *_faults_of_corpus(phase, report, corpus, manifest),
            *faults_of_labels(config, manifest),
            *audio.faults(),
            *_faults_of_weights(phase, report, files.selection),
        ),
    )
    if manifest is None or der is None or found.faults:
        return found
    return _scored_again(found, der, phase, corpus, manifest, window_s=config.gate.window_s)


def _measured(der: DerComparison | None) -> Measured:
    return Measured(None, None, None) if der is None else Measured(der.before.der, der.after.der, _interval(der.interval))


def _interval(bounds: tuple[float, float] | None) -> Interval | None:
    return None if bounds is None else Interval(*bounds)


def _is_simulated(config: PhaseConfig, manifest: CorpusManifest | None) -> bool:
    """Whether the evidence is simulated, whatever the report says: if brefine made any audio or drew any hypothesis's errors."""
    made = [] if manifest is None else [one for one in manifest.gate if one.simulated or one.replayed]
    return config.corpus.kind == "simulated" or config.hypothesis.source == "replayed" or bool(made)


def _faults_of_corpus(phase: PhaseDir, report: IntegrationReport, corpus: Path, manifest: CorpusManifest | None) -> Iterator[str]:
    if manifest is None:
        yield "the prepared corpus is no longer there, so nothing can be checked"
        return
    if report.alike is not None and report.alike != manifest.alike:
        yield "the corpus no longer names the same recordings as sounding alike as it did at the integration; integrate again"
    if manifest.fingerprint() != report.corpus_sha256:
        yield "the corpus is no longer the one that was integrated on; integrate again"
    elif digest_of_files(phase.gate_turns(corpus, manifest)) != report.turns_sha256:
        yield "references, hypotheses or refined turns were changed after the integration; integrate again"
    then = {one.name: one.audio_sha256 for one in report.looked_at}
    exchanged = [one.name for one in manifest.gate if one.has_other_digest(then.get(one.name))]
    if exchanged:
        yield f"the audio of gate recordings is not what was integrated on ({some_of(exchanged)}); integrate again"
    if report.trained_corpus_sha256 is None:
        yield "the weights do not say what they were trained on"
    elif report.trained_corpus_sha256 != report.corpus_sha256:
        yield "the weights were trained on another corpus, or its splits were changed after the training"


def faults_of_labels(config: PhaseConfig, manifest: CorpusManifest | None) -> Iterator[str]:
    """Faults: labels that have changed since the corpus was prepared. Hypotheses of a newer diarizer need a new phase."""
    corrected = [] if manifest is None else corrected_labels(manifest, config)
    if corrected:
        diarized = any("hypothesis/" in name and name.endswith(".rttm") for name in corrected)
        yield (
            f"labels were changed after the corpus had been prepared ({some_of(corrected)}); prepare it again, then integrate "
            f"again; if they are labels of training recordings, train again first"
            + ("; a new version of the diarizer is a new phase, with its RTTMs in another folder" if diarized else "")
        )


def _is_gone(path: Path) -> bool:
    """Whether there is no such file; a file in a folder that may not be entered is not gone."""
    try:
        return not path.is_file()
    except OSError:
        return False


def _trained_on(config: PhaseConfig, manifest: CorpusManifest | None) -> dict[str, str]:
    """Name in the recipe's list of what the diarizer was trained on → its recording: `talk`, also for a file `talk.wav`."""
    known = _recordings(manifest)
    stems = {name: name.rpartition(".")[0] for name in config.gate.diarizer_trained_on}
    return {name: stem if name not in known and stem in known else name for name, stem in stems.items()}


def _recordings(manifest: CorpusManifest | None) -> frozenset[str]:
    return frozenset() if manifest is None else frozenset(one.name for own in manifest.splits.values() for one in own)


def notes_on_corpus(config: PhaseConfig, manifest: CorpusManifest | None) -> Iterator[str]:
    """Notes on gate recordings that sound like others or are declared different from them, on speakers' names that prove nothing,
    and on names in the recipe that exclude nothing.

    The pairs and the local names are read from the recipe, since the name of the corpus's folder depends on them.
    """
    if manifest is None:
        return
    yield from map(printable, manifest.alike)
    behind = {one.name for one in manifest.gate}
    for pair in config.corpus.known_to_differ:
        if not behind.isdisjoint(pair):
            yield f"corpus.known_to_differ lets {printable(' and '.join(pair))} through, however alike they sound"
    trained = (who for split in ("train", "validation") for one in manifest.splits.get(split, []) for who in one.speakers)
    speakers = (who for one in manifest.gate for who in one.speakers)
    yield from map(printable, notes_on_names(trained, speakers, config.corpus.local_speaker_names))
    recordings = _recordings(manifest)
    strangers = [name for name, recording in _trained_on(config, manifest).items() if recording not in recordings]
    if strangers:
        yield f"gate.diarizer_trained_on names recordings that are in no split: {printable(some_of(strangers))}"


def notes_on_hypotheses(evidence: Evidence | None) -> Iterator[str]:
    """Notes on hypotheses that equal the references, and on references that seem to be corrected hypotheses.

    Where nothing was corrected there is no error to reduce, so every figure looks better than it is.
    """
    if evidence is None:
        return
    if evidence.equal:
        names, n = printable(some_of(sorted(evidence.equal))), len(set(evidence.recordings))
        yield f"the hypothesis equals the reference in {len(evidence.equal)} of {n} recordings behind the gate: {names}"
    n_same, n_matched = evidence.same_boundaries
    if n_matched and n_same / n_matched >= _TELLING_SHARE:
        yield (
            f"{'elsewhere ' if evidence.equal else ''}{percent(n_same / n_matched, 0)} of the matched boundaries behind the gate "
            f"are the reference's to the millisecond, as where hypotheses were corrected to make references"
        )


def notes_on_weights(phase: PhaseDir, config: PhaseConfig, report: IntegrationReport | None) -> Iterator[str]:
    """Notes on what the integrated model had learnt before the phase, and on whether it has learnt anything in it."""
    if report is not None and config.train_of(report.model).start == "shipped":
        yield (
            f"{report.model} began with the weights that ship with brefine: the voices and recordings on their card "
            f"(brefine/weights/MODEL_CARD.md) count as trained on, too"
        )
        card = CheckpointCard.read_if_sound(phase.run(report.model).card("best"))
        if card is not None and card.is_its_start:
            yield no_better_than_start(report.model)


def _faults_of_weights(phase: PhaseDir, report: IntegrationReport, selection: SelectionRecord | None) -> Iterator[str]:
    if selection is None:
        yield "no model was selected on the validation split"
        return
    try:
        card = CheckpointCard.read_if_there(phase.run(report.model).card("best"))
        evaluated = EvaluationReport.read_if_there(phase.evaluation(report.model, "validation"))
    except FormatError as error:
        yield f"{error.what} ({error.where})"
        return
    yield from _faults_of_origin(phase, report, selection, evaluated)
    if card is None or card.weights_sha256 != report.weights_sha256:
        yield f"the best checkpoint of {report.model} is not the one that was integrated; integrate again"
    if evaluated is None or evaluated.weights_sha256 != report.weights_sha256:
        yield f"{report.model} was integrated with other weights than those it was selected with; evaluate and select again"
    elif evaluated.refine != report.refine:
        yield f"{report.model} was integrated with another [refine] than it was selected with; evaluate and select again"
    elif not selection.knew([evaluated]):
        yield f"{report.model} was evaluated again after it was selected; select again"


def _faults_of_origin(
    phase: PhaseDir, report: IntegrationReport, selection: SelectionRecord, evaluated: EvaluationReport | None
) -> Iterator[str]:
    """Faults: files that another phase has written. Files of earlier versions do not say which phase wrote them, and without a
    manifest this phase's own name is unknown; then nothing is a fault."""
    own = phase.launched_as()
    found = (("evaluation", evaluated, "evaluate"), ("selection", selection, "select"), ("integration", report, "integrate"))
    for what, document, cure in found:
        if document is not None and own is not None and document.phase not in (None, own):
            yield f"the {what} was written in another phase ({document.phase}); {cure} again"


def _scored_again(
    found: Evidence, told: DerComparison, phase: PhaseDir, corpus: Path, manifest: CorpusManifest, *, window_s: float
) -> Evidence:
    """The evidence with what scoring the gate split's turns again shows: whether they give the reported DERs, and more."""
    parts, n_same, n_matched = [DerParts() for _ in range(4)], 0, 0
    silent, unmatched, faultless, equal = set[str](), set[str](), set[str](), set[str]()
    for one in manifest.gate:
        reference, hypothesis = one.turns(corpus)
        refined = read_recording(phase.refined / f"{one.name}.rttm", one.name)
        answers = (hypothesis, refined, oracle_refine(reference, hypothesis, window_s=window_s))
        own = [score_der(reference, answer, regions_s=one.regions_s, collar_s=found.collar_s) for answer in answers]
        (least_s,) = unmovable_errors_s((found.collar_s,), reference, hypothesis, regions_s=one.regions_s, window_s=found.shift_s)
        own.append(DerParts(own[0].reference_speech_s, missed_s=least_s))
        parts = [whole + part for whole, part in zip(parts, own, strict=True)]
        match = match_boundaries(reference, hypothesis, window_s=window_s, regions_s=one.regions_s)
        if own[0].reference_speech_s <= 0.0:
            silent.add(one.name)
        errors_s = match.error_s[[match.reference[here].kind is not BoundaryKind.EDGE for here, _ in match.pairs]]
        is_same = abs(errors_s) < _SAME_TIME_S
        if not len(errors_s):
            unmatched.add(one.name)
        elif is_same.all() and len(match.pairs) == len(match.reference) == len(match.hypothesis):
            equal.add(one.name)
        else:
            n_near = int((abs(errors_s) <= _NEAR_S).sum() - is_same.sum())
            n_same += int(is_same.sum()) if is_same.sum() > _MOST_NEAR * n_near else 0
            n_matched += len(errors_s)
        if max(own[0].error_s, own[1].error_s) < _NO_ERROR_S:
            faultless.add(one.name)
    before, after, oracle, least = (part.der for part in parts)
    return replace(
        found,
        faults=tuple(_faults_of_scores(before, after, told)),
        oracle_der=oracle,
        least_der=least,
        silent=frozenset(silent),
        unmatched=frozenset(unmatched),
        faultless=frozenset(faultless),
        equal=frozenset(equal),
        same_boundaries=(n_same, n_matched),
    )


def _faults_of_scores(before: float, after: float, told: DerComparison) -> Iterator[str]:
    pairs = ((before, told.before.der), (after, told.after.der))
    if not all(math.isclose(found, der, abs_tol=_SAME_DER) for found, der in pairs):
        yield (
            f"scored again, the turns give a DER of {percent(before, 2)} → {percent(after, 2)}, the integration told "
            f"{percent(told.before.der, 2)} → {percent(told.after.der, 2)}"
        )
