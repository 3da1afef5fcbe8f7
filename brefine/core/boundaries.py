"""The ends of turns, and moving them.

Boundaries are numbered: turn i of a diarization has its onset at 2·i and its offset at 2·i + 1 of `boundaries_of`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from brefine.core.turns import Diarization, Regions, Turn

EDGE_S = 0.05
"""A boundary this close to an end of the recording, or of what is annotated, was made by the cut, not by the speaker."""
TOUCHING_S = 0.08
"""An offset and another speaker's onset at most this far apart are the two sides of one change: some systems leave a few frames
between them, or let them overlap by a few."""


MIN_TURN_S = 0.02
"""No turn is made shorter than this."""


class Side(StrEnum):
    """Which end of a turn."""

    ONSET = "onset"
    OFFSET = "offset"


class BoundaryKind(StrEnum):
    """What happens at a boundary, seen from the diarization it belongs to.

    EDGE: within 50 ms of the start or end of the recording (or excerpt).
    OVERLAP: somebody else speaks before and after it.
    CHANGE: seen outwards from the turn, somebody else speaks next, after any silence.
    PAUSE: the same speaker speaks next, or nobody.

    Silence within a speaker's speech is called a pause and silence between speakers a gap, as in Heldner and Edlund, "Pauses,
    gaps and overlaps in conversations", Journal of Phonetics 38 (2010).
    """

    PAUSE = "pause"
    CHANGE = "change"
    OVERLAP = "overlap"
    EDGE = "edge"


_KINDS = tuple(BoundaryKind)
_PAUSE, _CHANGE, _OVERLAP, _EDGE = range(len(_KINDS))


@dataclass(frozen=True, slots=True)
class Boundary:
    """One end of one turn.

    `turn_index` is the turn's place in `Diarization.turns`, so that a boundary can be found again after scoring or moving.
    """

    time_s: float
    side: Side
    speaker: str
    turn_index: int
    kind: BoundaryKind


@dataclass(frozen=True, slots=True)
class Shift:
    """A proposed move of one boundary: refined − hypothesis in seconds, positive = later; confidence in 0–1.

    `goes_on`: no place is known for this end, but its speaker is heard beyond it. `spread_s`: how far off the shift may well be,
    as one standard deviation if errors are normal; None if unknown.
    """

    turn_index: int
    side: Side
    shift_s: float
    confidence: float
    goes_on: bool = False
    spread_s: float | None = None


def boundaries_of(diarization: Diarization, *, extent_s: tuple[float, float] | None = None) -> tuple[Boundary, ...]:
    """Lists both ends of every turn, turn by turn, onset before offset.

    Args:
        extent_s: start and end of the recording or excerpt; None = it starts at 0 and its end is not known.
    """
    kinds = _kinds(diarization, (0.0, np.inf) if extent_s is None else extent_s)
    boundaries: list[Boundary] = []
    for index, turn in enumerate(diarization.turns):
        boundaries.append(Boundary(turn.onset_s, Side.ONSET, turn.speaker, index, kinds[2 * index]))
        boundaries.append(Boundary(turn.offset_s, Side.OFFSET, turn.speaker, index, kinds[2 * index + 1]))
    return tuple(boundaries)


def ends_of_speech(
    diarization: Diarization, *, extent_s: tuple[float, float] | None = None, bridged_s: float = 0.0
) -> tuple[Boundary, ...]:
    """The boundaries at which a speaker really starts or stops, in the order of `boundaries_of`.

    Ends at which his own speech goes on, because another of his turns touches or overlaps this one, are left out. Only ends of
    speech are scored, so a diarizer gains and loses nothing by cutting a turn in two.

    Args:
        bridged_s: turns of one speaker that are at most this far apart count as touching.
    """
    latest: dict[str, tuple[float, int]] = {}  # speaker → end of his stretch of speech so far, and the turn that ends it
    onsets: set[int] = set()
    offsets: set[int] = set()
    for index, turn in enumerate(diarization.turns):
        end_s, ending = latest.get(turn.speaker, (-1.0, -1))
        if turn.onset_s > end_s + bridged_s:
            onsets.add(index)
        elif turn.offset_s > end_s:
            offsets.discard(ending)
        else:
            continue
        offsets.add(index)
        latest[turn.speaker] = (turn.offset_s, index)
    return tuple(
        boundary
        for boundary in boundaries_of(diarization, extent_s=extent_s)
        if boundary.turn_index in (onsets if boundary.side is Side.ONSET else offsets)
    )


def inside(boundaries: Sequence[Boundary], regions_s: Regions) -> NDArray[np.bool_]:
    """Which boundaries lie in the regions or on their edges; shape (n_boundaries,)."""
    times_s = np.array([boundary.time_s for boundary in boundaries], dtype=np.float64)
    found = np.zeros(len(times_s), dtype=np.bool_)
    for start_s, end_s in regions_s:
        found |= (times_s >= start_s) & (times_s <= end_s)
    return found


def touching_changes(boundaries: Sequence[Boundary]) -> tuple[tuple[int, int], ...]:
    """Where one speaker stops and another starts at once: the places in `boundaries` of each such offset and its onset.

    The two are at most `TOUCHING_S` apart. Each belongs to one change only; the nearest are paired first.
    """
    onsets = sorted((place for place, b in enumerate(boundaries) if b.side is Side.ONSET), key=lambda p: boundaries[p].time_s)
    onset_s = np.array([boundaries[place].time_s for place in onsets])
    reach_s = TOUCHING_S + 1e-9
    near: list[tuple[float, int, int]] = []
    for offset, boundary in enumerate(boundaries):
        if boundary.side is Side.OFFSET:
            first, last = np.searchsorted(onset_s, [boundary.time_s - reach_s, boundary.time_s + reach_s])
            others = [place for place in onsets[first:last] if boundaries[place].speaker != boundary.speaker]
            near += [(abs(boundaries[onset].time_s - boundary.time_s), offset, onset) for onset in others]
    taken: set[int] = set()
    changes: list[tuple[int, int]] = []
    for _, offset, onset in sorted(near):
        if taken.isdisjoint((offset, onset)):
            taken |= {offset, onset}
            changes.append((offset, onset))
    return tuple(sorted(changes))


def apply_shifts(diarization: Diarization, shifts: Sequence[Shift], *, duration_s: float) -> Diarization:
    """Moves boundaries as far as proposed, or less if a turn would invert, meet its neighbour or leave the recording.

    See `moved_ends_s`; turns that begin after `duration_s` are dropped.
    """
    ends_s = moved_ends_s(diarization, shifts, duration_s=duration_s)
    return Diarization(
        diarization.recording,
        tuple(
            Turn(float(onset_s), float(offset_s), turn.speaker)
            for turn, (onset_s, offset_s) in zip(diarization.turns, ends_s, strict=True)
            if offset_s > onset_s
        ),
    )


def moved_ends_s(diarization: Diarization, shifts: Sequence[Shift], *, duration_s: float) -> NDArray[np.float64]:
    """Where `apply_shifts` puts the ends of every turn.

    A boundary moves by between none and all of its shift, never the other way and never further. No turn gets shorter than
    `MIN_TURN_S` (or than it was); no two turns of one speaker that were apart overlap; no end leaves [0, `duration_s`]. If two
    ends of one speaker run into each other, they meet half-way between their proposals. If turns of one speaker overlap already,
    only the ends of their union move, and inwards at most to the next end within it. Equal turns move as one, by the shifts of
    the first.

    Args:
        shifts: at most one for each boundary; boundaries without one stay.
        duration_s: length of the recording; ends that lie beyond it are cut to it first.

    Returns:
        Shape (n_turns, 2), seconds, in the order of `diarization.turns`: raveled, it runs parallel to `boundaries_of`.

    Raises:
        ValueError: a shift is not finite, names no turn, or names a boundary twice.
    """
    ends_s = np.array([(turn.onset_s, turn.offset_s) for turn in diarization.turns], dtype=np.float64).reshape(-1, 2)
    ends_s = np.minimum(ends_s, duration_s)
    wishes_s = np.clip(ends_s + _shifts_of(diarization, shifts), 0.0, duration_s)
    first = first_equal(diarization)
    for indices in _by_speaker(diarization).values():
        chain, gaps_s, movable = _chain(ends_s, [index for index in indices if first[index] == index])
        old_s = ends_s.ravel()[chain]
        ends_s.ravel()[chain] = _yielded(old_s, np.where(movable, wishes_s.ravel()[chain], old_s), gaps_s)
    return ends_s[first]


def first_equal(diarization: Diarization) -> list[int]:
    """For each turn, the place of the first turn equal to it, usually its own; an RTTM may hold a line twice."""
    places: dict[Turn, int] = {}
    return [places.setdefault(turn, index) for index, turn in enumerate(diarization.turns)]


def _shifts_of(diarization: Diarization, shifts: Sequence[Shift]) -> NDArray[np.float64]:
    found: dict[tuple[int, int], float] = {}
    for shift in shifts:
        place = (shift.turn_index, 0 if shift.side is Side.ONSET else 1)
        if not 0 <= shift.turn_index < len(diarization.turns):
            raise ValueError(f"there is no turn {shift.turn_index} in a diarization of {len(diarization.turns)} turns")
        if not math.isfinite(shift.shift_s):
            raise ValueError(f"the shift of the {shift.side} of turn {shift.turn_index} is {shift.shift_s}")
        if place in found:
            raise ValueError(f"the {shift.side} of turn {shift.turn_index} has two shifts")
        found[place] = shift.shift_s
    table_s = np.zeros((len(diarization.turns), 2))
    if found:
        table_s[tuple(np.array(list(found)).T)] = list(found.values())
    return table_s


def _by_speaker(diarization: Diarization) -> dict[str, list[int]]:
    indices: dict[str, list[int]] = {}
    for index, turn in enumerate(diarization.turns):
        indices.setdefault(turn.speaker, []).append(index)
    return indices


def _chain(ends_s: NDArray[np.float64], indices: list[int]) -> tuple[list[int], NDArray[np.float64], NDArray[np.bool_]]:
    """One speaker's boundaries in time order, as places in the raveled ends.

    Of overlapping turns it holds only the ends of their union, which may move, and the nearest ends within it, which stay.

    Returns:
        The places; the distance to be kept before each next one, shape (n − 1,); and which may move, shape (n,).
    """
    chain: list[int] = []
    least_s: list[float] = []
    movable: list[bool] = []
    for own in _unions(ends_s, indices):
        first, last = own[0], max(own, key=lambda index: ends_s[index, 1])
        if len(own) == 1:
            chain += [2 * first, 2 * first + 1]
            least_s += [MIN_TURN_S, 0.0]
            movable += [True, True]
            continue
        second, last_but_one = own[1], max((index for index in own if index != last), key=lambda index: ends_s[index, 1])
        onset_s, offset_s = ends_s[second, 0], ends_s[last_but_one, 1]
        # what is left of the first and of the last turn once their outer ends have reached the nearest ends within
        kept_s = min(ends_s[first, 1], offset_s) - onset_s, offset_s - max(ends_s[last, 0], onset_s)
        chain += [2 * first, 2 * second, 2 * last_but_one + 1, 2 * last + 1]
        least_s += [max(0.0, MIN_TURN_S - kept_s[0]), 0.0, max(0.0, MIN_TURN_S - kept_s[1]), 0.0]
        movable += [True, False, False, True]
    gaps_s = np.minimum(least_s[:-1], np.diff(ends_s.ravel()[chain]))
    return chain, gaps_s, np.array(movable)


def _unions(ends_s: NDArray[np.float64], indices: list[int]) -> list[list[int]]:
    """One speaker's turns in order of onset, in groups that overlap without a break."""
    unions: list[list[int]] = []
    end_s = -math.inf
    for index in indices:
        if ends_s[index, 0] < end_s:
            unions[-1].append(index)
        else:
            unions.append([index])
        end_s = max(end_s, float(ends_s[index, 1]))
    return unions


def _yielded(old_s: NDArray[np.float64], wishes_s: NDArray[np.float64], gaps_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shortens wishes until each is at least `gaps_s` before the next one.

    Every pair is `gaps_s` apart before moving, so a pair can only come too close if the left one moves right or the right one
    moves left. First, pairs that approach each other are made to meet. A shortened right-mover may then be in the way of a
    right-mover behind it, which one pass from the right mends; a pass from the left does the same for left-movers. No pass undoes
    another, because shortening a wish only makes room for those that come towards it.
    """
    new_s = wishes_s.copy()
    right, left = new_s > old_s, new_s < old_s
    for i in np.flatnonzero(right[:-1] & left[1:]):
        if new_s[i] + gaps_s[i] > new_s[i + 1]:
            middle_s = 0.5 * (new_s[i] + new_s[i + 1] - gaps_s[i])
            new_s[i] = np.clip(middle_s, old_s[i], old_s[i + 1] - gaps_s[i])
            new_s[i + 1] = new_s[i] + gaps_s[i]
    for i in np.flatnonzero(right[:-1])[::-1]:
        new_s[i] = max(old_s[i], min(new_s[i], new_s[i + 1] - gaps_s[i]))
    for i in np.flatnonzero(left[1:]) + 1:
        new_s[i] = min(old_s[i], max(new_s[i], new_s[i - 1] + gaps_s[i - 1]))
    return new_s


def _kinds(diarization: Diarization, extent_s: tuple[float, float]) -> list[BoundaryKind]:
    """The kind of every boundary, in the order of `boundaries_of`."""
    if not diarization.turns:
        return []
    numbers = {speaker: number for number, speaker in enumerate(diarization.speakers)}
    ends_s = np.array([(turn.onset_s, turn.offset_s) for turn in diarization.turns])
    speaker = np.array([numbers[turn.speaker] for turn in diarization.turns])
    others_speak = _others_speak(diarization, ends_s, speaker, numbers)
    codes = np.full(ends_s.shape, _PAUSE)
    for column in (0, 1):
        # Backwards in time an onset is an offset: one search serves both sides.
        sign = 1.0 if column == 1 else -1.0
        codes[_others_next(sign * ends_s[:, 1 - column], speaker, sign * ends_s[:, column]), column] = _CHANGE
    codes[others_speak] = _OVERLAP
    codes[(ends_s <= extent_s[0] + EDGE_S) | (ends_s >= extent_s[1] - EDGE_S)] = _EDGE
    return [_KINDS[code] for code in codes.ravel()]


def _others_speak(
    diarization: Diarization, ends_s: NDArray[np.float64], speaker: NDArray[np.int64], numbers: dict[str, int]
) -> NDArray[np.bool_]:
    """Whether somebody else speaks both before and after each end; shape (n_turns, 2)."""
    turns = diarization.unioned().turns
    speech_s = np.array([(turn.onset_s, turn.offset_s) for turn in turns])
    # All speakers one after the other on one axis: one search finds for every end whether its own speaker speaks there.
    lane_s = diarization.end_s + 1.0
    lanes_s = lane_s * np.array([numbers[turn.speaker] for turn in turns])
    own = _n_speaking(speech_s + lanes_s[:, None], ends_s + lane_s * speaker[:, None])
    others: NDArray[np.bool_] = _n_speaking(speech_s, ends_s) > own
    return others


def _n_speaking(speech_s: NDArray[np.float64], times_s: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many stretches of speech, shape (n, 2), hold each time strictly inside."""
    started = np.searchsorted(np.sort(speech_s[:, 0]), times_s, side="left")
    ended = np.searchsorted(np.sort(speech_s[:, 1]), times_s, side="right")
    return (started - ended).astype(np.int64)


def _others_next(starts_s: NDArray[np.float64], speaker: NDArray[np.int64], times_s: NDArray[np.float64]) -> NDArray[np.bool_]:
    """For each turn i, whether the next start at or after `times_s[i]` is somebody else's; all of shape (n_turns,)."""
    order = np.argsort(starts_s, kind="stable")
    place = np.searchsorted(starts_s[order], times_s, side="left")
    next_speaker: NDArray[np.int64] = np.append(speaker[order], -1)[place]
    others: NDArray[np.bool_] = (next_speaker != speaker) & (next_speaker >= 0)
    return others
