"""Ends of turns: their kinds, and moving them without harm."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brefine.core.boundaries import (
    BoundaryKind,
    Shift,
    Side,
    apply_shifts,
    boundaries_of,
    ends_of_speech,
    moved_ends_s,
    touching_changes,
)
from brefine.core.turns import Diarization, Turn
from tests.core.strategies import diarization, diarizations

DURATION_S = 100.0


def test_boundaries_are_listed_turn_by_turn_onset_first() -> None:
    """Turn i has its boundaries at 2i and 2i + 1."""
    boundaries = boundaries_of(diarization((5.0, 6.0, "B"), (1.0, 2.0, "A")))
    assert [(b.time_s, b.side, b.speaker, b.turn_index) for b in boundaries] == [
        (1.0, Side.ONSET, "A", 0),
        (2.0, Side.OFFSET, "A", 0),
        (5.0, Side.ONSET, "B", 1),
        (6.0, Side.OFFSET, "B", 1),
    ]


def test_kinds_of_a_hand_made_conversation() -> None:
    """Pause, change, overlap and edge are told apart as the enum's docstring says."""
    spoken = diarization((0.0, 2.0, "A"), (3.0, 5.0, "A"), (4.5, 8.0, "B"), (8.0, 9.0, "C"), (14.0, 20.0, "C"))
    kinds = [b.kind for b in boundaries_of(spoken, extent_s=(0.0, 20.0))]
    pause, change, overlap, edge = BoundaryKind.PAUSE, BoundaryKind.CHANGE, BoundaryKind.OVERLAP, BoundaryKind.EDGE
    assert kinds == [edge, pause, pause, overlap, overlap, change, change, pause, pause, edge]


def test_who_starts_at_the_very_end_speaks_next() -> None:
    """Not who starts after that; and backwards in time likewise."""
    boundaries = boundaries_of(diarization((1.0, 3.0, "A"), (3.0, 4.0, "B"), (4.0, 6.0, "A"), (7.0, 8.0, "B")))
    assert [end.kind for end in boundaries if end.time_s in (3.0, 4.0)] == ["change"] * 4


def test_changes_touch_where_another_speaker_starts_within_80_ms() -> None:
    """A gap and the same speaker going on make no change; the nearest ends find each other, whoever comes first."""
    spoken = diarization(
        (1.0, 5.01, "A"),
        (3.0, 5.0, "C"),
        (5.0, 9.0, "B"),
        (5.09, 8.0, "D"),
        (9.0, 9.5, "B"),
        (9.081, 12.0, "A"),
        (11.92, 14.0, "B"),
    )
    boundaries = boundaries_of(spoken)
    found = [(boundaries[offset], boundaries[onset]) for offset, onset in touching_changes(boundaries)]
    assert [(end.time_s, end.speaker, start.time_s, start.speaker) for end, start in found] == [
        (5.01, "A", 5.09, "D"),
        (5.0, "C", 5.0, "B"),
        (12.0, "A", 11.92, "B"),
    ]
    assert touching_changes(()) == ()


def test_ends_inside_own_speech_are_no_ends_of_speech() -> None:
    """Touching, nested and overlapping turns of one speaker have one onset and one offset."""
    spoken = diarization((1.0, 2.0, "A"), (2.0, 6.0, "A"), (3.0, 4.0, "A"), (5.0, 7.0, "A"), (9.0, 10.0, "A"))
    assert [b.time_s for b in ends_of_speech(spoken)] == [1.0, 7.0, 9.0, 10.0]
    assert ends_of_speech(spoken)[1].turn_index == 3


def test_turns_a_bridge_apart_are_one_stretch_of_speech() -> None:
    """To its whole length; and what lies within 50 ms of the recording's end, as of its start, is an edge."""
    spoken = diarization((0.04, 2.0, "A"), (2.2, 3.0, "A"), (3.25, 9.96, "A"))
    ends = ends_of_speech(spoken, extent_s=(0.0, 10.0), bridged_s=0.2)
    assert [(end.time_s, end.kind) for end in ends] == [(0.04, "edge"), (3.0, "pause"), (3.25, "pause"), (9.96, "edge")]


@given(diarizations())
def test_ends_of_speech_are_the_boundaries_of_the_union(spoken: Diarization) -> None:
    """Leaving out inner ends gives the same times as merging the turns first."""
    ours = sorted((b.time_s, b.side, b.speaker) for b in ends_of_speech(spoken))
    assert ours == sorted((b.time_s, b.side, b.speaker) for b in boundaries_of(spoken.unioned()))


def test_a_shift_moves_one_end_by_its_amount() -> None:
    """Positive is later."""
    moved = apply_shifts(diarization((1.0, 2.0, "A")), [Shift(0, Side.OFFSET, 0.5, 1.0)], duration_s=DURATION_S)
    assert moved.turns == (Turn(1.0, 2.5, "A"),)


def test_ends_that_run_into_each_other_meet_half_way() -> None:
    """Neither end is moved beyond its proposal, and the turns touch."""
    spoken = diarization((1.0, 2.0, "A"), (3.0, 4.0, "A"))
    shifts = [Shift(0, Side.OFFSET, 0.9, 1.0), Shift(1, Side.ONSET, -0.5, 1.0)]
    first, second = apply_shifts(spoken, shifts, duration_s=DURATION_S).turns
    assert first.offset_s == second.onset_s == pytest.approx(2.7)


def test_a_boundary_stops_at_one_that_does_not_move() -> None:
    """A neighbour without a shift is a wall."""
    spoken = diarization((1.0, 2.0, "A"), (3.0, 4.0, "A"))
    assert apply_shifts(spoken, [Shift(0, Side.OFFSET, 5.0, 1.0)], duration_s=DURATION_S).turns[0].offset_s == 3.0


def test_the_ends_of_overlapping_turns_of_one_speaker_move() -> None:
    """His speech starts and stops at the ends of their union; these move, inwards to the next end within at most."""
    overlapping = diarization((1.0, 3.0, "A"), (2.5, 5.0, "A"), (7.0, 9.0, "A"), (7.5, 8.0, "A"))
    shifts = [Shift(0, Side.ONSET, -0.3, 1.0), Shift(1, Side.OFFSET, 0.4, 1.0), Shift(2, Side.ONSET, 0.8, 1.0)]
    moved = apply_shifts(overlapping, shifts, duration_s=DURATION_S)
    assert moved == diarization((0.7, 3.0, "A"), (2.5, 5.4, "A"), (7.5, 9.0, "A"), (7.5, 8.0, "A"))


def test_equal_turns_move_as_one() -> None:
    """One that stands twice in a file moves inwards and outwards like one that stands there once."""
    spoken = diarization((1.0, 3.0, "A"), (1.0, 3.0, "A"), (5.0, 7.0, "A"), (5.0, 7.0, "A"), (5.0, 7.0, "B"))
    shifts = [Shift(0, Side.ONSET, 0.5, 1.0), Shift(0, Side.OFFSET, 0.4, 1.0), Shift(2, Side.ONSET, -0.3, 1.0)]
    moved = apply_shifts(spoken, shifts, duration_s=DURATION_S)
    assert moved == diarization((1.5, 3.4, "A"), (1.5, 3.4, "A"), (4.7, 7.0, "A"), (4.7, 7.0, "A"), (5.0, 7.0, "B"))


def test_ends_beyond_the_recording_are_cut_to_it() -> None:
    """Diarizers write turns that run past the audio; a turn wholly beyond it is dropped."""
    moved = apply_shifts(diarization((1.0, 12.0, "A"), (11.0, 12.0, "B")), [], duration_s=10.0)
    assert moved.turns == (Turn(1.0, 10.0, "A"),)


@pytest.mark.parametrize(
    "shifts",
    [
        [Shift(1, Side.ONSET, 0.1, 1.0)],
        [Shift(0, Side.ONSET, float("nan"), 1.0)],
        [Shift(0, Side.ONSET, 0.1, 1.0), Shift(0, Side.ONSET, 0.1, 1.0)],
    ],
    ids=["no such turn", "not finite", "twice"],
)
def test_impossible_shifts_are_refused(shifts: list[Shift]) -> None:
    """A caller's bug is a ValueError."""
    with pytest.raises(ValueError, match="turn"):
        apply_shifts(diarization((1.0, 2.0, "A")), shifts, duration_s=DURATION_S)


@given(diarizations())
def test_no_shifts_change_nothing(spoken: Diarization) -> None:
    """Zero shifts are the identity, whatever the turns look like."""
    assert apply_shifts(spoken, [], duration_s=1e6) == spoken


@given(diarizations(), st.data())
def test_moved_turns_keep_order_distance_and_length(spoken: Diarization, data: st.DataObject) -> None:
    """No turn inverts or gets too short, none newly overlaps its own speaker, none leaves the recording, none moves too far."""
    duration_s = max(spoken.end_s, 1.0)
    shifts = [
        Shift(index, side, data.draw(st.floats(-3.0, 3.0)), 1.0)
        for index in range(len(spoken.turns))
        for side in Side
        if data.draw(st.booleans())
    ]
    ends_s = moved_ends_s(spoken, shifts, duration_s=duration_s)
    proposed = {(shift.turn_index, shift.side): shift.shift_s for shift in shifts}
    for index, turn in enumerate(spoken.turns):
        onset_s, offset_s = ends_s[index]
        assert 0.0 <= onset_s < offset_s <= duration_s
        assert offset_s - onset_s >= min(0.02, turn.duration_s) - 1e-9
        for side, moved_s in ((Side.ONSET, onset_s - turn.onset_s), (Side.OFFSET, offset_s - turn.offset_s)):
            wish_s = proposed.get((spoken.turns.index(turn), side), 0.0)
            assert min(wish_s, 0.0) - 1e-12 <= moved_s <= max(wish_s, 0.0) + 1e-12
    for i, first in enumerate(spoken.turns):
        for j, second in enumerate(spoken.turns):
            if first.speaker == second.speaker and first.offset_s <= second.onset_s:
                assert ends_s[i, 1] <= ends_s[j, 0]
