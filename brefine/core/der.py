"""Diarization error rate and Jaccard error rate, exact to the floating-point second: no frames, no rounding.

Conventions:
    Every speaker's time counts: where two speak at once there are two speaker seconds. With n_ref(t) and n_hyp(t) speakers
    talking at time t, and n_correct(t) of them the same people under the optimal speaker map,

        missed      = ∫ max(0, n_ref − n_hyp) dt
        false alarm = ∫ max(0, n_hyp − n_ref) dt
        confusion   = ∫ min(n_ref, n_hyp) − n_correct dt
        DER         = (missed + false alarm + confusion) / ∫ n_ref dt

    `collar_s` is the no-score zone on *each side* of a reference boundary, as in NIST's md-eval, dscore and spy-der; what
    pyannote.metrics calls `collar` is twice that. Overlapped speech is scored unless said otherwise. A speaker's touching or
    overlapping turns are one stretch of speech. The speaker map is found on the scored regions including their collars, as in
    md-eval and spy-der, so it does not depend on the collar; pyannote.metrics leaves the collars out, and now and then maps two
    short speakers differently (one of VoxConverse's 216 development recordings at 0.25 s).

References:
    NIST, "The 2009 (RT-09) Rich Transcription Meeting Recognition Evaluation Plan", section 6 (DER, collar).
    Ryant et al., "Second DIHARD Challenge Evaluation Plan" (2019), section 4 (JER), as computed by dscore.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brefine.core.matching import assign_speakers
from brefine.core.speech import Speech, overlap_matrix_s
from brefine.core.turns import Diarization, Regions

COLLARS_S = (0.0, 0.25)
"""Collars at which a DER is always reported, beside any that is asked for."""
_NOTHING_S = np.empty((0, 2))


@dataclass(frozen=True, slots=True)
class DerParts:
    """What a diarization error rate is made of, in speaker seconds; `a + b` scores two recordings as one."""

    reference_speech_s: float = 0.0
    missed_s: float = 0.0
    false_alarm_s: float = 0.0
    confusion_s: float = 0.0

    def __add__(self, other: DerParts) -> DerParts:
        return DerParts(
            self.reference_speech_s + other.reference_speech_s,
            self.missed_s + other.missed_s,
            self.false_alarm_s + other.false_alarm_s,
            self.confusion_s + other.confusion_s,
        )

    @property
    def error_s(self) -> float:
        return self.missed_s + self.false_alarm_s + self.confusion_s

    @property
    def der(self) -> float:
        """The rate as a fraction; may exceed 1. Without reference speech, 0 if nothing is wrong, else 1."""
        if self.reference_speech_s <= 0.0:
            return float(self.error_s > 0.0)
        return self.error_s / self.reference_speech_s


@dataclass(frozen=True, slots=True)
class JerParts:
    """What a Jaccard error rate is made of; `a + b` scores two recordings as one."""

    n_speakers: int = 0
    """Reference speakers, each weighing the same."""
    error: float = 0.0
    """Sum of their error rates."""

    def __add__(self, other: JerParts) -> JerParts:
        return JerParts(self.n_speakers + other.n_speakers, self.error + other.error)

    @property
    def jer(self) -> float:
        """The rate as a fraction in 0–1; 0 without reference speakers."""
        return self.error / self.n_speakers if self.n_speakers else 0.0


def score_der(
    reference: Diarization,
    hypothesis: Diarization,
    *,
    regions_s: Regions | None = None,
    collar_s: float = 0.0,
    skip_overlap: bool = False,
) -> DerParts:
    """Scores one recording.

    Args:
        regions_s: what is scored, as in a UEM; None = everything.
        collar_s: no-score zone on each side of every reference boundary.
        skip_overlap: leave out the time in which several reference speakers speak at once.

    Raises:
        ValueError: the collar is negative, or a region ends before it starts.
    """
    return score_der_at((collar_s,), reference, hypothesis, regions_s=regions_s, skip_overlap=skip_overlap)[0]


def score_der_at(
    collars_s: Sequence[float],
    reference: Diarization,
    hypothesis: Diarization,
    *,
    regions_s: Regions | None = None,
    skip_overlap: bool = False,
) -> tuple[DerParts, ...]:
    """Scores one recording at several collars, which share one speaker map; see `score_der`."""
    if not all(collar_s >= 0.0 for collar_s in collars_s):
        raise ValueError(f"a collar cannot be negative, got {collars_s}")
    spoken = Speech.of(reference), Speech.of(hypothesis)
    in_regions = _as_scored(spoken, regions_s)
    overlap_s = overlap_matrix_s(*in_regions)
    speaker_map = assign_speakers(overlap_s)
    scores: list[DerParts] = []
    for collar_s in collars_s:
        unscored_s = _unscored_s(spoken[0], collar_s, skip_overlap)
        if len(unscored_s):
            ours, theirs = _as_scored(spoken, regions_s, unscored_s)
            scores.append(_score(ours, theirs, overlap_matrix_s(ours, theirs), speaker_map))
        else:
            scores.append(_score(*in_regions, overlap_s, speaker_map))
    return tuple(scores)


def least_errors_s(
    collars_s: Sequence[float],
    reference: Diarization,
    core: Diarization,
    reach: Diarization,
    *,
    regions_s: Regions | None = None,
) -> tuple[float, ...]:
    """Lower bounds on the error seconds at each collar of hypotheses whose speakers speak in all of `core` and only in `reach`.

    Such a hypothesis has n_hyp ≥ n_core, and under any speaker map no pair shares more speech than it does in `reach`, so

        missed + false alarm + confusion = ∫ max(n_ref, n_hyp) − n_correct dt
                                         ≥ ∫ max(n_ref, n_core) dt − the heaviest assignment of common speech in `reach`.

    Args: as `score_der_at`.
    """
    spoken, kept, reached = Speech.of(reference), Speech.of(core), Speech.of(reach)
    least: list[float] = []
    for collar_s in collars_s:
        unscored_s = _unscored_s(spoken, collar_s, skip_overlap=False)
        lengths_s, n_ref, n_core = _speaker_counts(*_as_scored((spoken, kept), regions_s, unscored_s))
        common_s = overlap_matrix_s(*_as_scored((spoken, reached), regions_s, unscored_s))
        correct_s = sum(common_s[row, column] for row, column in assign_speakers(common_s))
        least.append(max(0.0, float(lengths_s @ np.maximum(n_ref, n_core) - correct_s)))
    return tuple(least)


def score_jer(reference: Diarization, hypothesis: Diarization, *, regions_s: Regions | None = None) -> JerParts:
    """Scores one recording; every reference speaker's error is 1 − |R ∩ H| / |R ∪ H| with his partner H, or 1 without one.

    The partners are those that minimise the sum of these errors, as in dscore (pyannote.metrics maps by common speech and
    may report slightly more). There is no collar.
    """
    ours, theirs = _as_scored((Speech.of(reference), Speech.of(hypothesis)), regions_s)
    overlap_s = overlap_matrix_s(ours, theirs)
    union_s = ours.by_speaker_s()[:, None] + theirs.by_speaker_s()[None, :] - overlap_s
    jaccard = np.divide(overlap_s, union_s, out=np.zeros_like(overlap_s), where=union_s > 0.0)
    n_speakers = int(np.count_nonzero(ours.by_speaker_s()))
    matched = sum(jaccard[row, column] for row, column in assign_speakers(jaccard))
    return JerParts(n_speakers, float(max(0.0, n_speakers - matched)))


def _score(reference: Speech, hypothesis: Speech, overlap_s: NDArray[np.float64], speaker_map: list[tuple[int, int]]) -> DerParts:
    lengths_s, n_ref, n_hyp = _speaker_counts(reference, hypothesis)
    correct_s = sum(overlap_s[row, column] for row, column in speaker_map)
    return DerParts(
        reference_speech_s=reference.total_s,
        missed_s=float(lengths_s @ np.maximum(n_ref - n_hyp, 0)),
        false_alarm_s=float(lengths_s @ np.maximum(n_hyp - n_ref, 0)),
        # A sum of rounded terms may leave −1e-12 where nothing was confused.
        confusion_s=max(0.0, float(lengths_s @ np.minimum(n_ref, n_hyp) - correct_s)),
    )


def _speaker_counts(reference: Speech, hypothesis: Speech) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Lengths of the stretches of constant activity, and how many speakers talk in each; shapes (n,)."""
    times_s = np.concatenate([reference.onset_s, reference.offset_s, hypothesis.onset_s, hypothesis.offset_s])
    n_own, n_other = len(reference.onset_s), len(hypothesis.onset_s)
    steps_ref = np.repeat([1, -1, 0], [n_own, n_own, 2 * n_other])
    steps_hyp = np.repeat([0, 1, -1], [2 * n_own, n_other, n_other])
    order = np.argsort(times_s, kind="stable")
    return np.diff(times_s[order]), np.cumsum(steps_ref[order])[:-1], np.cumsum(steps_hyp[order])[:-1]


def _unscored_s(reference: Speech, collar_s: float, skip_overlap: bool) -> NDArray[np.float64]:
    """Collars and, if asked for, overlaps as (start, end) rows; they may overlap."""
    zones = [_NOTHING_S]
    if collar_s > 0.0:
        ends_s = np.concatenate([reference.onset_s, reference.offset_s])
        zones.append(np.stack([ends_s - collar_s, ends_s + collar_s], axis=1))
    if skip_overlap:
        times_s = np.concatenate([reference.onset_s, reference.offset_s])
        order = np.argsort(times_s, kind="stable")
        several = np.cumsum(np.repeat([1, -1], len(reference.onset_s))[order])[:-1] > 1
        zones.append(np.stack([times_s[order][:-1][several], times_s[order][1:][several]], axis=1))
    return np.concatenate(zones)


def _as_scored(
    spoken: tuple[Speech, Speech], regions_s: Regions | None, unscored_s: NDArray[np.float64] = _NOTHING_S
) -> tuple[Speech, Speech]:
    """Both sides' speech on a clock that runs only inside the regions and outside the unscored zones.

    On that clock, unscored time has no length: scoring the result scores the regions alone, and no turn has to be cut in pieces.
    """
    if regions_s is None and not len(unscored_s):
        return spoken
    if regions_s is None:
        regions_s = [(0.0, max([0.0, *spoken[0].offset_s, *spoken[1].offset_s]))]
    regions = np.array(list(regions_s) or [(0.0, 0.0)], dtype=np.float64)
    if np.any(~(regions[:, 1] >= regions[:, 0])):
        raise ValueError(f"a scored region ends before it starts: {regions_s}")
    # Every region and zone opens at an even place and closes at the next odd one.
    times_s = np.concatenate([regions.ravel(), unscored_s.ravel()])
    steps = np.tile([1, -1], len(times_s) // 2)
    of_region = np.arange(len(times_s)) < regions.size
    order = np.argsort(times_s, kind="stable")
    n_regions, n_zones = np.cumsum((steps * of_region)[order]), np.cumsum((steps * ~of_region)[order])
    runs = (n_regions > 0) & (n_zones == 0)
    clock_s = np.concatenate([[0.0], np.cumsum(np.where(runs[:-1], np.diff(times_s[order]), 0.0))])
    return _read_on(spoken[0], times_s[order], clock_s), _read_on(spoken[1], times_s[order], clock_s)


def _read_on(speech: Speech, times_s: NDArray[np.float64], clock_s: NDArray[np.float64]) -> Speech:
    """Speech by another clock, which shows `clock_s` at the sorted `times_s`; stretches that have no length by it are dropped."""
    onset_s = np.interp(speech.onset_s, times_s, clock_s)
    offset_s = np.interp(speech.offset_s, times_s, clock_s)
    kept = offset_s > onset_s
    return Speech(speech.speakers, speech.speaker[kept], onset_s[kept], offset_s[kept])
