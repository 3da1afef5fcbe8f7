"""What refinement could win at most, from reference and hypothesis alone, before anything is trained or rented.

Every matched boundary is moved a part of the way to its reference partner (25, 50, 75, 100 %) and the result is scored. That is
no ceiling: ends without a partner (of false or merged turns, or further off than W) can move as well. So two more figures are
given (`brefine.core.movement`): a DER that is reached by moving any end as far as a refiner may, and one below which no such
movement gets. The gain of adding missed turns and dropping false ones is measured on top of moving the matched boundaries.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np

from brefine.core.bootstrap import Interval, bootstrap_improvement
from brefine.core.boundaries import Shift, apply_shifts
from brefine.core.boundary_error import BoundaryErrors
from brefine.core.der import COLLARS_S, DerParts, score_der_at
from brefine.core.figures import exact_percent, percent
from brefine.core.gate import CriterionId, Thresholds
from brefine.core.matching import WINDOW_S, BoundaryMatch, map_speakers, match_boundaries
from brefine.core.movement import move_any_end, unmovable_errors_s
from brefine.core.turns import Diarization, Regions, Turn

REDUCTIONS = (0.25, 0.5, 0.75, 1.0)
_NO_ERROR_MS = 1e-3
"""Turns are written to the microsecond, so a smaller mean error counts as none."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """What is done to the hypothesis: matched boundaries move by `reduction`, missed turns are added, false ones dropped.

    With `any_end`, every end moves by at most `RecordingHeadroom.shift_s` to where it helps, if that is better than the matched
    boundaries' movement.
    """

    reduction: float = 0.0
    add: bool = False
    drop: bool = False
    any_end: bool = False

    @property
    def name(self) -> str:
        parts = [name for name, done in (("move", self.reduction > 0), ("add", self.add), ("drop", self.drop)) if done]
        return "+".join(parts) or "nothing"


NOTHING = Remedy()
PERFECT = Remedy(1.0)
"""The matched boundaries put where the reference has them, and nothing else."""
ANY_END = Remedy(1.0, any_end=True)
_MOVES = (NOTHING, *(Remedy(reduction) for reduction in REDUCTIONS))
_OPERATIONS = (PERFECT, Remedy(1.0, add=True), Remedy(1.0, drop=True), Remedy(1.0, add=True, drop=True))
_REMEDIES = (*_MOVES, *_OPERATIONS[1:])


@dataclass(frozen=True, slots=True, eq=False)
class RecordingHeadroom:
    """One recording: its boundary errors, its scores after each remedy at each collar, and the least that movement leaves."""

    errors: BoundaryErrors
    scores: dict[tuple[Remedy, float], DerParts]
    shift_s: float
    """How far ends may move in a remedy with `any_end`."""
    least_s: dict[float, float]
    """Seconds of error at each collar that no such movement undercuts."""


@dataclass(frozen=True, slots=True, eq=False)
class Headroom:
    """The headroom of a corpus.

    Raises:
        ValueError: there are no recordings.
    """

    recordings: tuple[RecordingHeadroom, ...]

    def __post_init__(self) -> None:
        if not self.recordings:
            raise ValueError("headroom needs recordings")

    def parts(self, remedy: Remedy, collar_s: float) -> DerParts:
        """The corpus's score after a remedy."""
        return sum((recording.scores[remedy, collar_s] for recording in self.recordings), DerParts())

    def relative(self, remedy: Remedy, collar_s: float) -> float:
        """Relative improvement of the DER, 1 − after/before; 0 where nothing was wrong."""
        before = self.parts(NOTHING, collar_s).der
        return 1.0 - self.parts(remedy, collar_s).der / before if before > 0.0 else 0.0

    def least_der(self, collar_s: float) -> float:
        """No movement of ends by at most `shift_s` gives a lower DER."""
        left_s = sum(recording.least_s[collar_s] for recording in self.recordings)
        return DerParts(self.parts(NOTHING, collar_s).reference_speech_s, missed_s=left_s).der

    def most_relative(self, collar_s: float) -> float:
        """No movement of ends by at most `shift_s` improves the DER by more."""
        before = self.parts(NOTHING, collar_s).der
        return 1.0 - self.least_der(collar_s) / before if before > 0.0 else 0.0

    def interval(self, remedy: Remedy, collar_s: float) -> Interval | None:
        """The 95 % interval of `relative`; None if nothing was wrong, or only in too few recordings, or if it has no bounds."""
        sides = [[recording.scores[which, collar_s].error_s for which in (NOTHING, remedy)] for recording in self.recordings]
        return bootstrap_improvement(np.array(sides))

    @property
    def shift_s(self) -> float:
        """How far ends may move in a remedy with `any_end`."""
        return self.recordings[0].shift_s

    def boundary(self) -> dict[str, Any]:
        """The boundary figures before refinement."""
        return BoundaryErrors.joined(recording.errors for recording in self.recordings).figures()

    def figures(self, thresholds: Thresholds) -> dict[str, Any]:
        """What `brefine headroom --json` prints; rates as fractions, `relative` positive = better."""
        return {
            "recordings": len(self.recordings),
            "der": self.parts(NOTHING, 0.0).der,
            "oracle_der": self.parts(PERFECT, 0.0).der,
            "relative": self.relative(PERFECT, 0.0),
            "interval": self.interval(PERFECT, 0.0),
            "at": [
                {"reduction": remedy.reduction, "collar_s": collar_s, **self._scored(remedy, collar_s)}
                for collar_s in COLLARS_S
                for remedy in _MOVES
            ],
            "movement": [
                {
                    "collar_s": collar_s,
                    "shift_s": self.shift_s,
                    **self._scored(ANY_END, collar_s),
                    "interval": self.interval(ANY_END, collar_s),
                    "least_der": self.least_der(collar_s),
                    "most_relative": self.most_relative(collar_s),
                }
                for collar_s in COLLARS_S
            ],
            "parts": [{"collar_s": collar_s, **self._split(collar_s)} for collar_s in COLLARS_S],
            "operations": [
                {"operation": remedy.name, "collar_s": collar_s, **self._scored(remedy, collar_s)}
                for collar_s in COLLARS_S
                for remedy in _OPERATIONS
            ],
            "boundary": self.boundary(),
            "criteria": [
                {"id": str(reach.id), "reachable": reach.reachable, "reach": str(reach.found), "why": reach.why}
                for reach in reachable(self, thresholds)
            ],
        }

    def _scored(self, remedy: Remedy, collar_s: float) -> dict[str, float]:
        return {"der": self.parts(remedy, collar_s).der, "relative": self.relative(remedy, collar_s)}

    def _split(self, collar_s: float) -> dict[str, float]:
        """The DER as a sum: what the matched boundaries' movement takes away, and what it leaves."""
        before, left = self.parts(NOTHING, collar_s), self.parts(PERFECT, collar_s)
        speech_s = before.reference_speech_s or 1.0
        return {
            "boundary": before.der - left.der,
            "missed": left.missed_s / speech_s,
            "false_alarm": left.false_alarm_s / speech_s,
            "confusion": left.confusion_s / speech_s,
        }


class Found(StrEnum):
    """Whether a criterion is known to be within reach."""

    WITHIN = "within"
    OUT = "out"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Reach:
    """Whether a criterion of the gate could be met by a refiner that moves boundaries, and why (not)."""

    id: CriterionId
    found: Found
    why: str

    @property
    def reachable(self) -> bool:
        """Whether it is known to be within reach."""
        return self.found is Found.WITHIN


def measure_headroom(
    reference: Diarization,
    hypothesis: Diarization,
    *,
    regions_s: Regions | None = None,
    window_s: float = WINDOW_S,
    shift_s: float | None = None,
    collar_s: float = 0.0,
) -> RecordingHeadroom:
    """Applies every remedy to one recording and scores it, at `COLLARS_S` and at one collar more.

    Args:
        window_s: W, within which boundaries are matched.
        shift_s: how far ends may move in a remedy with `any_end`; None = W.
        collar_s: that of the gate, for which `reachable` says what can be met.
    """
    shift_s = window_s if shift_s is None else shift_s
    collars_s = tuple(sorted({*COLLARS_S, collar_s}))
    match = match_boundaries(reference, hypothesis, window_s=window_s, regions_s=regions_s)
    speaker_map = map_speakers(reference, hypothesis)
    moved = {reduction: _moved(reference, hypothesis, match, reduction) for reduction in REDUCTIONS} | {0.0: hypothesis}
    scores: dict[tuple[Remedy, float], DerParts] = {}
    for remedy in _REMEDIES:
        refined = _added_and_dropped(reference, moved[remedy.reduction], speaker_map, remedy)
        for at_s, parts in zip(collars_s, score_der_at(collars_s, reference, refined, regions_s=regions_s), strict=True):
            scores[remedy, at_s] = parts
    freely = score_der_at(collars_s, reference, move_any_end(reference, hypothesis, window_s=shift_s), regions_s=regions_s)
    for at_s, parts in zip(collars_s, freely, strict=True):
        known = (scores[NOTHING, at_s], scores[PERFECT, at_s], parts)
        scores[ANY_END, at_s] = min(known, key=lambda score: score.error_s)
    least_s = unmovable_errors_s(collars_s, reference, hypothesis, regions_s=regions_s, window_s=shift_s)
    return RecordingHeadroom(BoundaryErrors.of(match), scores, shift_s, dict(zip(collars_s, least_s, strict=True)))


def oracle_refine(reference: Diarization, hypothesis: Diarization, *, window_s: float = WINDOW_S) -> Diarization:
    """Puts every matched boundary of the hypothesis where its reference partner is."""
    return _moved(reference, hypothesis, match_boundaries(reference, hypothesis, window_s=window_s), reduction=1.0)


def reachable(headroom: Headroom, thresholds: Thresholds) -> tuple[Reach, ...]:
    """For each criterion of the gate, whether movement can meet it, and how much of it is needed.

    A DER is out of reach only if no movement of ends by at most `shift_s` can give it, and within reach only if one is known that
    does. On fewer recordings than the gate demands, everything is unknown.
    """
    found = [_reach_mae(headroom, thresholds), _reach_der(headroom, thresholds), _reach_target(headroom, thresholds)]
    n_recordings = sum(one.scores[NOTHING, 0.0].reference_speech_s > 0.0 for one in headroom.recordings)
    if n_recordings < thresholds.n_demanded:
        few = f"the gate demands {thresholds.n_demanded} recordings, these are {n_recordings}"
        found = [replace(reach, found=Found.UNKNOWN, why=f"{few}; {reach.why}") for reach in found]
    return (*found, Reach(CriterionId.GO_ON, Found.WITHIN, "a person decides"))


def _reach_mae(headroom: Headroom, thresholds: Thresholds) -> Reach:
    figures = BoundaryErrors.joined(recording.errors for recording in headroom.recordings).without_cuts().figures()
    mae_ms, recall = figures["mae_ms"], figures["recall"] or 0.0
    where = f"at W = {figures['window_s']:g} s, {percent(recall, 0)} of the reference boundaries matched"
    if mae_ms is None or recall < thresholds.min_recall:
        why = f"too few boundaries have a partner ({where}); {exact_percent(thresholds.min_recall)} is demanded"
        return Reach(CriterionId.MAE, Found.OUT, why)
    figure = f"{mae_ms:.0f} ms {where}"
    if mae_ms < _NO_ERROR_MS:
        return Reach(CriterionId.MAE, Found.OUT, f"{figure}: nothing to lessen, and the gate demands less than before")
    if mae_ms < thresholds.mae_ms:
        return Reach(CriterionId.MAE, Found.WITHIN, f"{figure}: small enough already, refinement need but lessen it")
    needed = 1.0 - thresholds.mae_ms / mae_ms
    return Reach(CriterionId.MAE, Found.WITHIN, f"{figure}: errors must shrink by {percent(needed, 0)}")


def _reach_der(headroom: Headroom, thresholds: Thresholds) -> Reach:
    collar_s = _nearest_collar_s(headroom, thresholds)
    at, demanded = f"at collar {collar_s:g} s", f"more than {exact_percent(thresholds.der_relative)} is demanded"
    moving = f"moving ends by up to {headroom.shift_s:g} s"
    won, most = headroom.relative(ANY_END, collar_s), headroom.most_relative(collar_s)
    if most <= thresholds.der_relative:
        return Reach(CriterionId.DER, Found.OUT, f"{moving} can win no more than {percent(most)} of the DER {at}; {demanded}")
    figure = f"{moving} can win {percent(won)} of the DER {at}, and no more than {percent(most)}"
    if won <= thresholds.der_relative:
        return Reach(CriterionId.DER, Found.UNKNOWN, f"{figure}; {demanded}")
    interval = headroom.interval(ANY_END, collar_s)
    if interval is None or not interval.low > 0.0:
        return Reach(CriterionId.DER, Found.UNKNOWN, f"{figure}, but that may be chance")
    gains = np.maximum.accumulate([headroom.relative(remedy, collar_s) for remedy in _MOVES])
    if gains[-1] <= thresholds.der_relative:
        why = f"{figure}; the matched boundaries alone win {percent(gains[-1])}, so others have to move as well"
        return Reach(CriterionId.DER, Found.WITHIN, why)
    needed = float(np.interp(thresholds.der_relative, gains, [remedy.reduction for remedy in _MOVES]))
    enough = f"enough if their errors shrink by about {percent(needed, 0)}"
    why = f"{figure}; the matched boundaries alone win {percent(gains[-1])}, {enough}"
    return Reach(CriterionId.DER, Found.WITHIN, why)


def _reach_target(headroom: Headroom, thresholds: Thresholds) -> Reach:
    collar_s = _nearest_collar_s(headroom, thresholds)
    now, matched, moved = (headroom.parts(remedy, collar_s).der for remedy in (NOTHING, PERFECT, ANY_END))
    least = headroom.least_der(collar_s)
    figure = (
        f"{percent(now, 2)} now, {percent(matched, 2)} with the matched boundaries put right, "
        f"{percent(moved, 2)} with any end moved by up to {headroom.shift_s:g} s, "
        f"which cannot give less than {percent(least, 2)}, at collar {collar_s:g} s"
    )
    if moved < thresholds.der_target:
        return Reach(CriterionId.DER_TARGET, Found.WITHIN, figure)
    both = headroom.parts(_OPERATIONS[-1], collar_s).der
    why = f"{figure}; the matched boundaries put right, missed turns added and false ones dropped would give {percent(both, 2)}"
    return Reach(CriterionId.DER_TARGET, Found.OUT if least >= thresholds.der_target else Found.UNKNOWN, why)


def _nearest_collar_s(headroom: Headroom, thresholds: Thresholds) -> float:
    """The measured collar that is nearest to the gate's."""
    return min(headroom.recordings[0].least_s, key=lambda collar_s: abs(collar_s - thresholds.der_collar_s))


# --- remedies ----------------------------------------------------------------------------------------------------------


def _moved(reference: Diarization, hypothesis: Diarization, match: BoundaryMatch, reduction: float) -> Diarization:
    shifts = [
        Shift(match.hypothesis[there].turn_index, match.hypothesis[there].side, -reduction * float(error_s), 1.0)
        for (_, there), error_s in zip(match.pairs, match.error_s, strict=True)
    ]
    return apply_shifts(hypothesis, shifts, duration_s=max(reference.end_s, hypothesis.end_s))


def _added_and_dropped(
    reference: Diarization, hypothesis: Diarization, speaker_map: dict[str, str], remedy: Remedy
) -> Diarization:
    if not (remedy.add or remedy.drop):
        return hypothesis
    theirs_of = {ours: theirs for theirs, ours in speaker_map.items()}
    missed = _alone(reference, hypothesis, theirs_of) if remedy.add else ()
    false = set(_alone(hypothesis, reference, speaker_map)) if remedy.drop else set()
    kept = [turn for turn in hypothesis.turns if turn not in false]
    # A speaker whom the hypothesis lacks gets a name that nobody in it can have: it holds a blank, as no RTTM name does.
    added = [Turn(turn.onset_s, turn.offset_s, theirs_of.get(turn.speaker, f"added {turn.speaker}")) for turn in missed]
    return Diarization(hypothesis.recording, (*kept, *added))


def _alone(spoken: Diarization, other: Diarization, partner_of: dict[str, str]) -> tuple[Turn, ...]:
    """Turns during which the speaker's partner on the other side says nothing at all, or whose speaker has no partner."""
    ends_s: dict[str | None, tuple[list[float], list[float]]] = {}
    for turn in other.turns:
        onsets_s, offsets_s = ends_s.setdefault(turn.speaker, ([], []))
        onsets_s.append(turn.onset_s)
        insort(offsets_s, turn.offset_s)  # in order already, except for nested turns
    alone: list[Turn] = []
    for turn in spoken.turns:
        onsets_s, offsets_s = ends_s.get(partner_of.get(turn.speaker), ([], []))
        n_started, n_ended = bisect_left(onsets_s, turn.offset_s), bisect_right(offsets_s, turn.onset_s)
        if n_started == n_ended:
            alone.append(turn)
    return tuple(alone)
