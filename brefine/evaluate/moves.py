"""Which boundaries move, how far, and why: from a refiner's proposals to turns that are still valid.

The rules, in this order: ends within the speaker's own speech and ends made by the cut of the recording stay; proposals without
enough confidence stay, but if the two sides of a change are proposed to move alike (`models.decisions`), one with enough takes
the other along; no move is longer than the limit; and no turn inverts, meets its speaker's next turn or leaves the audio
(`core.boundaries.moved_ends_s`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from brefine.config import RefineConfig
from brefine.core.boundaries import (
    Boundary,
    BoundaryKind,
    Shift,
    Side,
    boundaries_of,
    first_equal,
    moved_ends_s,
    touching_changes,
)
from brefine.core.turns import Diarization, Turn
from brefine.evaluate.movable import movable
from brefine.models.error_prior import ErrorPrior, fit
from brefine.models.reading import Reading
from brefine.models.weights import Refiner

_STILL_S = 0.0005


class Reason(StrEnum):
    """Why a boundary is where it is now."""

    MOVED = "moved"
    WENT_ON = "moved, since the speaker is heard to go on"
    WITH_PARTNER = "moved with the other side of the change"
    LIMITED = "moved as far as the limit"
    GAVE_WAY = "gave way to a neighbouring turn or the end of the audio"
    UNMOVED = "already in its place"
    UNSURE = "not confident enough"
    OWN_SPEECH = "the same speaker goes on"
    CUT = "made by the cut of the recording"
    BEYOND = "behind the end of the audio"


@dataclass(frozen=True, slots=True)
class Move:
    """What happened to one boundary."""

    boundary: Boundary
    refined_s: float
    proposed_s: float | None
    """Where the refiner would have put it; None if it was not asked."""
    confidence: float
    spread_s: float | None
    """How far off that place may be; None if the refiner was not asked, or if the end goes on."""
    reason: Reason

    @property
    def shift_s(self) -> float:
        return self.refined_s - self.boundary.time_s

    @property
    def moved(self) -> bool:
        return abs(self.shift_s) >= _STILL_S


@dataclass(frozen=True, slots=True, eq=False)
class Refinement:
    """One recording, refined.

    Attributes:
        hypothesis: what was refined, clipped to the audio.
        ends_s: onset and offset of each turn of `hypothesis` now, shape (n_turns, 2), seconds.
        moves: one for each boundary, in the order of `boundaries_of(hypothesis)`.
        audio: the file, as it was given to `RefinedPipeline`; None if turns were refined in another way.
    """

    hypothesis: Diarization
    ends_s: NDArray[np.float64]
    moves: tuple[Move, ...]
    audio: Path | None = None

    @property
    def refined(self) -> Diarization:
        turns = [
            Turn(float(onset_s), float(offset_s), turn.speaker)
            for turn, (onset_s, offset_s) in zip(self.hypothesis.turns, self.ends_s, strict=True)
        ]
        return Diarization(self.hypothesis.recording, tuple(turns))

    @property
    def n_moved(self) -> int:
        return sum(move.moved for move in self.moves)

    def move_of(self, boundary: Boundary) -> Move:
        """What happened to a boundary of `hypothesis`."""
        return self.moves[2 * boundary.turn_index + (boundary.side is Side.OFFSET)]


@dataclass(frozen=True, slots=True, eq=False)
class HeardRecording:
    """One recording after the model has looked at it.

    Attributes:
        hypothesis: what is refined, clipped to the audio.
        boundaries: those that may move.
        reading: of `boundaries`; None if there are none.
    """

    hypothesis: Diarization
    duration_s: float
    boundaries: tuple[Boundary, ...]
    reading: Reading | None


def hear_recording(
    refiner: Refiner, log_mel_NM: NDArray[np.floating], hypothesis: Diarization, *, duration_s: float
) -> HeardRecording:
    """What the model says of every boundary of a recording that may move at all; the frames are not needed afterwards."""
    hypothesis = hypothesis.clipped(0.0, duration_s)
    boundaries = movable(hypothesis, duration_s)
    return HeardRecording(
        hypothesis, duration_s, boundaries, refiner.read(log_mel_NM, hypothesis, boundaries) if boundaries else None
    )


def fit_prior(heard: Sequence[HeardRecording]) -> ErrorPrior:
    """The prior over a system's errors by its hypotheses; no labels are needed."""
    readings = [one.reading for one in heard if one.reading is not None]
    return fit(Reading.joined(readings)) if readings else ErrorPrior()


def refine_heard(refiner: Refiner, heard: HeardRecording, prior: ErrorPrior, *, config: RefineConfig) -> Refinement:
    """Moves the boundaries of a recording that was heard."""
    proposals = [] if heard.reading is None else refiner.propose(heard.reading, heard.boundaries, prior)
    return decide_moves(heard.hypothesis, proposals, duration_s=heard.duration_s, config=config)


def decide_moves(hypothesis: Diarization, proposals: Sequence[Shift], *, duration_s: float, config: RefineConfig) -> Refinement:
    """Turns proposals into moves; see the module for the order of the rules.

    Args:
        hypothesis: lies within [0, `duration_s`].
        proposals: at most one a boundary; a boundary without one stays.
    """
    boundaries = boundaries_of(hypothesis, extent_s=(0.0, duration_s))
    asked_of = {(boundary.turn_index, boundary.side) for boundary in movable(hypothesis, duration_s)}
    proposed = {(shift.turn_index, shift.side): shift for shift in proposals}
    wishes = {
        (shift.turn_index, shift.side): (shift, Reason.WENT_ON if shift.goes_on else Reason.MOVED)
        for shift in proposals
        if shift.confidence >= config.min_confidence
    }
    _pair_changes(boundaries, wishes, proposed)
    for key, (shift, _) in wishes.items():
        if abs(shift.shift_s) > config.max_shift_s:
            limited = replace(shift, shift_s=float(np.copysign(config.max_shift_s, shift.shift_s)))
            wishes[key] = (limited, Reason.LIMITED)
    ends_s = moved_ends_s(hypothesis, [shift for shift, _ in wishes.values()], duration_s=duration_s)
    moves = []
    first = first_equal(hypothesis)
    for boundary, refined_s in zip(boundaries, ends_s.ravel().tolist(), strict=True):
        key = (first[boundary.turn_index], boundary.side)
        wish = wishes.get(key)
        if wish is not None:
            reason = _outcome(refined_s - boundary.time_s, *wish)
        elif boundary.kind is BoundaryKind.EDGE:
            reason = Reason.CUT
        elif key not in asked_of:
            reason = Reason.OWN_SPEECH
        else:
            reason = Reason.UNSURE
        asked = proposed.get(key)
        if asked is None:
            moves.append(Move(boundary, refined_s, None, 0.0, None, reason))
        else:
            proposed_s = boundary.time_s + asked.shift_s
            moves.append(Move(boundary, refined_s, proposed_s, asked.confidence, asked.spread_s, reason))
    return Refinement(hypothesis, ends_s, tuple(moves))


_Key = tuple[int, Side]


def _pair_changes(boundaries: Sequence[Boundary], wishes: dict[_Key, tuple[Shift, Reason]], proposed: dict[_Key, Shift]) -> None:
    """Keeps sides of a change together that are proposed to move alike: if one is confident enough, both move."""
    asked = [boundary for boundary in boundaries if (boundary.turn_index, boundary.side) in proposed]
    for places in touching_changes(asked):
        sides = [(asked[place].turn_index, asked[place].side) for place in places]
        alike = abs(proposed[sides[0]].shift_s - proposed[sides[1]].shift_s) < _STILL_S
        if alike and any(side in wishes for side in sides):
            for side in sides:
                wishes[side] = (proposed[side], Reason.WITH_PARTNER)


def _outcome(moved_s: float, shift: Shift, reason: Reason) -> Reason:
    if reason is Reason.WENT_ON and abs(moved_s) >= _STILL_S:  # even if it met the speaker's own next turn
        return reason
    if abs(moved_s - shift.shift_s) >= _STILL_S:
        return Reason.GAVE_WAY
    if abs(moved_s) < _STILL_S:
        return Reason.UNMOVED
    return reason
