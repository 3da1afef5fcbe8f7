"""`brefine integrate`: the chosen model behind the diarizer on the gate split, and what that does to DER and JER.

All recordings are heard before any boundary is moved, since together they show how far their system's boundaries are off. What
the model says of each is kept beside the refined RTTMs, so that an interrupted integration goes on where it was. A key of the
audio, the hypothesis, the weights and the version of the code decides whether it is still valid.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock

import numpy as np

from brefine.config import PhaseConfig
from brefine.core.bootstrap import bootstrap_improvement, bootstrap_ratio
from brefine.core.boundaries import ends_of_speech, inside
from brefine.core.der import COLLARS_S, DerParts, JerParts, score_der, score_jer
from brefine.core.turns import Diarization, leaves_out
from brefine.evaluate.hearing import hear_kept
from brefine.evaluate.moves import HeardRecording, fit_prior, refine_heard
from brefine.evaluate.recordings import GivenRecording, GivenSplit
from brefine.evaluate.score import ScoredRecording, compare
from brefine.io.atomic import digest_of_files
from brefine.io.rttm import write_rttm
from brefine.models.error_prior import ErrorPrior
from brefine.models.weights import Refiner
from brefine.phasedir import DerComparison, DerFigures, IntegrationReport, Look, PhaseDir, RecordingChange, Scored

_Scoring = tuple[float, bool]
_MAX_WORKERS = 4


@dataclass(frozen=True, slots=True, eq=False)
class IntegratedRecording:
    """One recording's errors before and after; (collar, whether overlap is left out) → parts."""

    scored: ScoredRecording
    der_before: dict[_Scoring, DerParts]
    der_after: dict[_Scoring, DerParts]
    jer_before: JerParts
    jer_after: JerParts


def integrate(
    refiner: Refiner,
    split: GivenSplit,
    config: PhaseConfig,
    phase: PhaseDir,
    *,
    report: Callable[[int], None] = lambda done: None,
) -> IntegrationReport:
    """Refines the split into `integration/<recording>.rttm` and scores it; recordings that were heard before are not heard again.

    Several recordings are worked on at once: while one waits for the model, others are read.

    Args:
        report: called with the number of recordings heard; hearing is the slow part.
    """
    report(0)
    n_heard, counting = 0, Lock()

    def hear(given: GivenRecording) -> HeardRecording:
        nonlocal n_heard
        heard = hear_kept(_kept(phase, given), refiner, split, given)
        with counting:  # so that the reported number never goes back
            n_heard += 1
            report(n_heard)
        return heard

    with ThreadPoolExecutor(min(_MAX_WORKERS, os.cpu_count() or 1)) as pool:
        heard = list(pool.map(hear, split.recordings))
        prior = fit_prior(heard)
        found = list(pool.map(lambda given, one: _integrate(refiner, given, one, prior, config, phase), split.recordings, heard))
    look = Look(
        model=refiner.card.model,
        weights_sha256=refiner.card.weights_sha256,
        refine=config.refine.model_dump(mode="json"),
        unix_s=time.time(),
    )
    looked_at = split.looked_at()
    phase.record_look(look, looked_at)
    return IntegrationReport(
        model=refiner.card.model,
        weights_sha256=look.weights_sha256,
        refine=look.refine,
        trained_corpus_sha256=refiner.card.corpus_sha256,
        corpus_sha256=split.manifest.fingerprint(),
        turns_sha256=digest_of_files(phase.gate_turns(split.folder, split.manifest)),
        looks=[*_earlier_looks(phase, look), look],
        looked_at=looked_at,
        alike=split.manifest.alike,
        split="gate",
        evidence=split.manifest.evidence,
        hypothesis_source=split.manifest.hypothesis_source,
        n_recordings=len(found),
        recordings=[_change(one) for one in found],
        trained_on=split.seen,
        comparison=compare([one.scored for one in found]),
        der=[_compare_der(found, (collar_s, False)) for collar_s in _collars_s(config)],
        der_without_overlap=[_compare_der(found, (collar_s, True)) for collar_s in _collars_s(config)],
        jer_before=sum((one.jer_before for one in found), JerParts()).jer,
        jer_after=sum((one.jer_after for one in found), JerParts()).jer,
        # both sides have the same number of speakers, which cancels
        jer_interval=bootstrap_improvement(np.array([[one.jer_before.error, one.jer_after.error] for one in found])),
        n_boundaries=sum(len(one.scored.refinement.moves) for one in found),
        n_moved=sum(one.scored.refinement.n_moved for one in found),
        scored=_scored(split.recordings, found),
        unix_s=look.unix_s,
        phase=phase.launched_as(),
    )


def _collars_s(config: PhaseConfig) -> list[float]:
    return sorted({*COLLARS_S, config.gate.der_collar_s})


def _earlier_looks(phase: PhaseDir, look: Look) -> list[Look]:
    """Looks at the gate split with other weights or settings, from the report that is about to be replaced."""
    before = IntegrationReport.read_if_sound(phase.integration)
    looks = [] if before is None else before.looks
    return [one for one in looks if one.refiner != look.refiner]


def integrate_part(refiner: Refiner, split: GivenSplit, phase: PhaseDir, *, index: int, n_parts: int) -> None:
    """Hears every `n_parts`th recording from `index` on, which a later `integrate` of the whole finds kept."""
    for recording in split.recordings[index::n_parts]:
        hear_kept(_kept(phase, recording), refiner, split, recording)


def _kept(phase: PhaseDir, given: GivenRecording) -> Path:
    return phase.refined / f"{given.name}.reading.safetensors"


def _integrate(
    refiner: Refiner, given: GivenRecording, heard: HeardRecording, prior: ErrorPrior, config: PhaseConfig, phase: PhaseDir
) -> IntegratedRecording:
    refinement = refine_heard(refiner, heard, prior, config=config.refine)
    refined = refinement.refined
    write_rttm(phase.refined / f"{given.name}.rttm", refined)
    regions_s = given.regions_s

    def der(diarization: Diarization) -> dict[_Scoring, DerParts]:
        return {
            (collar_s, skip_overlap): score_der(
                given.reference, diarization, regions_s=regions_s, collar_s=collar_s, skip_overlap=skip_overlap
            )
            for collar_s in _collars_s(config)
            for skip_overlap in (False, True)
        }

    return IntegratedRecording(
        ScoredRecording.of(given.reference, refinement, regions_s=regions_s, window_s=config.gate.window_s),
        der(given.hypothesis),
        der(refined),
        score_jer(given.reference, given.hypothesis, regions_s=regions_s),
        score_jer(given.reference, refined, regions_s=regions_s),
    )


def _change(one: IntegratedRecording) -> RecordingChange:
    before, after = one.scored.before.figures(), one.scored.after.figures()
    return RecordingChange(
        recording=one.scored.recording,
        der_before=one.der_before[0.0, False].der,
        der_after=one.der_after[0.0, False].der,
        jer_before=one.jer_before.jer,
        jer_after=one.jer_after.jer,
        mae_before_ms=before["mae_ms"],
        mae_after_ms=after["mae_ms"],
        error_before_s=one.der_before[0.0, False].error_s,
        reference_speech_s=one.der_before[0.0, False].reference_speech_s,
    )


def _scored(given: Sequence[GivenRecording], found: Sequence[IntegratedRecording]) -> Scored:
    moved: list[bool] = []
    for own, one in zip(given, found, strict=True):
        moves = one.scored.refinement.moves
        scored = inside([move.boundary for move in moves], own.regions_s)
        moved += [move.moved for move, is_scored in zip(moves, scored, strict=True) if is_scored]
    return Scored(
        audio_s=sum(own.duration_s for own in given),
        scored_s=sum(max(0.0, min(end_s, own.duration_s) - start_s) for own in given for start_s, end_s in own.regions_s),
        n_boundaries=len(moved),
        n_moved=sum(moved),
        n_limited=sum(leaves_out(own.regions_s, own.duration_s) for own in given),
        n_left_out=sum(int((~inside(ends_of_speech(own.reference), own.regions_s)).sum()) for own in given),
    )


def _compare_der(found: Sequence[IntegratedRecording], scoring: _Scoring) -> DerComparison:
    collar_s, _ = scoring
    before = sum((one.der_before[scoring] for one in found), DerParts())
    after = sum((one.der_after[scoring] for one in found), DerParts())
    errors_s = np.array([[one.der_before[scoring].error_s, one.der_after[scoring].error_s] for one in found])
    if before.error_s > 0.0:
        # before and after have the same denominator, the reference speech, which cancels
        relative, bounds = 1.0 - after.error_s / before.error_s, bootstrap_improvement(errors_s)
    else:
        relative, bounds = 0.0, None
    speech_s = [one.der_after[scoring].reference_speech_s for one in found]
    return DerComparison(
        collar_s=collar_s,
        before=_der_figures(before, collar_s),
        after=_der_figures(after, collar_s),
        relative=relative,
        interval=bounds,
        after_interval=bootstrap_ratio(np.column_stack([errors_s[:, 1], speech_s])),
    )


def _der_figures(parts: DerParts, collar_s: float) -> DerFigures:
    return DerFigures(collar_s=collar_s, der=parts.der, **asdict(parts))
