"""Which boundaries move: the rules between a refiner's proposals and valid turns."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brefine.config import RefineConfig
from brefine.core.boundaries import Shift, Side, boundaries_of
from brefine.core.turns import Diarization, Turn
from brefine.evaluate.movable import movable
from brefine.evaluate.moves import Reason, Refinement, decide_moves

DURATION_S = 30.0


def talk(*turns: tuple[float, float, str]) -> Diarization:
    return Diarization("talk", tuple(Turn(*turn) for turn in turns))


def proposed(hypothesis: Diarization, *shifts: tuple[int, Side, float, float], **options: float) -> Refinement:
    """Decides on proposals (turn, side, shift in seconds, confidence)."""
    return decide_moves(hypothesis, [Shift(*shift) for shift in shifts], duration_s=DURATION_S, config=RefineConfig(**options))


def outcomes(refinement: Refinement) -> list[tuple[float, Reason]]:
    return [(round(move.refined_s, 6), move.reason) for move in refinement.moves]


def test_a_confident_boundary_moves_and_an_unsure_one_stays() -> None:
    """The confidence gate holds each boundary by itself."""
    refinement = proposed(talk((5.0, 8.0, "A")), (0, Side.ONSET, -0.2, 0.9), (0, Side.OFFSET, 0.3, 0.4), min_confidence=0.5)
    assert outcomes(refinement) == [(4.8, Reason.MOVED), (8.0, Reason.UNSURE)]
    assert refinement.refined.turns == (Turn(4.8, 8.0, "A"),)
    assert refinement.n_moved == 1


def test_a_move_is_no_longer_than_the_limit() -> None:
    """A proposal beyond the limit moves as far as the limit, in its direction."""
    refinement = proposed(talk((5.0, 8.0, "A")), (0, Side.ONSET, -0.9, 0.9), (0, Side.OFFSET, 0.9, 0.9), max_shift_s=0.25)
    assert outcomes(refinement) == [(4.75, Reason.LIMITED), (8.25, Reason.LIMITED)]


def test_equal_turns_move_alike_and_say_the_same() -> None:
    """The copy of a turn is told of as the turn, not as one within which its speaker goes on."""
    refinement = proposed(talk((5.0, 8.0, "A"), (5.0, 8.0, "A")), (0, Side.ONSET, 0.2, 0.9), (0, Side.OFFSET, 0.3, 0.9))
    once = [(5.2, Reason.MOVED), (8.3, Reason.MOVED)]
    assert outcomes(refinement) == [*once, *once]
    assert [move.confidence for move in refinement.moves] == [0.9] * 4


def test_an_end_at_which_the_speaker_goes_on_says_so() -> None:
    """Its own reason; limit and gate hold for it, too, and his next turn is as far as he can go."""
    hypothesis = talk((5.0, 8.0, "A"), (8.5, 12.0, "A"))
    wish = Shift(0, Side.OFFSET, 0.4, 0.1, goes_on=True)

    def outcome(**options: float) -> tuple[float, Reason]:
        return outcomes(decide_moves(hypothesis, [wish], duration_s=DURATION_S, config=RefineConfig(**options)))[1]

    assert outcome() == (8.4, Reason.WENT_ON)
    assert outcome(max_shift_s=0.25) == (8.25, Reason.LIMITED)
    assert outcome(min_confidence=0.5) == (8.0, Reason.UNSURE)
    further = [Shift(0, Side.OFFSET, 0.9, 0.1, goes_on=True)]
    moved = decide_moves(hypothesis, further, duration_s=DURATION_S, config=RefineConfig())
    assert outcomes(moved)[1] == (8.5, Reason.WENT_ON)
    touching = talk((5.0, 8.0, "A"), (8.0, 12.0, "A"), (7.0, 9.0, "B"))
    held = decide_moves(touching, further, duration_s=DURATION_S, config=RefineConfig()).moves[1]
    assert (held.moved, held.reason) == (False, Reason.GAVE_WAY)


def test_both_sides_of_a_change_move_together() -> None:
    """An offset that touches another speaker's onset and is proposed to move like it: both do, and the report says why."""
    hypothesis = talk((2.0, 5.0, "A"), (5.0, 9.0, "B"))
    refinement = proposed(hypothesis, (0, Side.OFFSET, 0.115, 0.9), (1, Side.ONSET, 0.115, 0.3))
    assert outcomes(refinement)[1:3] == [(5.115, Reason.WITH_PARTNER)] * 2


def test_an_unsure_side_follows_its_sure_partner() -> None:
    """Where both are to move alike, the confidence of one side is enough for both."""
    hypothesis = talk((2.0, 5.0, "A"), (5.01, 9.0, "B"))
    refinement = proposed(hypothesis, (0, Side.OFFSET, 0.1, 0.8), (1, Side.ONSET, 0.1, 0.1), min_confidence=0.5)
    assert outcomes(refinement)[1:3] == [(5.1, Reason.WITH_PARTNER), (5.11, Reason.WITH_PARTNER)]


def test_an_end_that_was_not_asked_about_takes_no_partner_away() -> None:
    """Of two offsets at an onset one is within its speaker's own speech: the other one is the side of the change."""
    hypothesis = talk((2.0, 5.0, "A"), (3.0, 5.0, "C"), (5.0, 9.0, "B"), (5.1, 7.0, "A"))
    refinement = proposed(hypothesis, (1, Side.OFFSET, 0.1, 0.8), (2, Side.ONSET, 0.1, 0.1), min_confidence=0.5)
    assert [outcomes(refinement)[place] for place in (3, 4)] == [(5.1, Reason.WITH_PARTNER)] * 2


def test_a_change_of_which_neither_side_is_sure_stays() -> None:
    """The confidence gate holds both."""
    hypothesis = talk((2.0, 5.0, "A"), (5.0, 9.0, "B"))
    refinement = proposed(hypothesis, (0, Side.OFFSET, 0.1, 0.4), (1, Side.ONSET, 0.1, 0.1), min_confidence=0.5)
    assert outcomes(refinement)[1:3] == [(5.0, Reason.UNSURE)] * 2


def test_sides_that_are_to_part_open_a_gap() -> None:
    """Proposals that differ say that there is a pause between the speakers; each side then needs its own confidence."""
    hypothesis = talk((2.0, 5.0, "A"), (5.0, 9.0, "B"))
    apart = (0, Side.OFFSET, -0.3, 0.9), (1, Side.ONSET, 0.2, 0.4)
    assert outcomes(proposed(hypothesis, *apart))[1:3] == [(4.7, Reason.MOVED), (5.2, Reason.MOVED)]
    gated = proposed(hypothesis, *apart, min_confidence=0.5)
    assert outcomes(gated)[1:3] == [(4.7, Reason.MOVED), (5.0, Reason.UNSURE)]


def test_a_gap_is_no_change_that_touches() -> None:
    """Across a pause between speakers each side goes its own way."""
    hypothesis = talk((2.0, 5.0, "A"), (5.3, 9.0, "B"))
    refinement = proposed(hypothesis, (0, Side.OFFSET, 0.1, 0.9), (1, Side.ONSET, -0.05, 0.9))
    assert outcomes(refinement)[1:3] == [(5.1, Reason.MOVED), (5.25, Reason.MOVED)]


@pytest.mark.parametrize("onset_s", [3.9, 4.0, 4.01, 4.02, 4.2])
def test_ends_within_the_speakers_own_speech_and_at_the_cut_stay(onset_s: float) -> None:
    """Where the same speaker goes on, or the recording was cut, there is no boundary to find: the refiner is not asked."""
    hypothesis = talk((0.0, 4.0, "A"), (onset_s, 9.0, "A"))
    assert [boundary.time_s for boundary in movable(hypothesis, DURATION_S)] == [9.0]
    reasons = [reason for _, reason in outcomes(proposed(hypothesis))]
    assert reasons == [Reason.CUT, Reason.OWN_SPEECH, Reason.OWN_SPEECH, Reason.UNSURE]


def test_a_real_pause_is_asked_about() -> None:
    """From a fifth of a second on a gap in a speaker's speech is one that labels have, too."""
    hypothesis = talk((0.0, 4.0, "A"), (4.21, 9.0, "A"))
    assert [boundary.time_s for boundary in movable(hypothesis, DURATION_S)] == [4.0, 4.21, 9.0]


def test_a_turn_gives_way_to_its_speakers_next_turn() -> None:
    """Two ends of one speaker that run into each other meet, and the report says so."""
    hypothesis = talk((2.0, 5.0, "A"), (5.4, 9.0, "A"))
    refinement = proposed(hypothesis, (0, Side.OFFSET, 0.5, 0.9), (1, Side.ONSET, -0.3, 0.9))
    (first_s, first), (second_s, second) = outcomes(refinement)[1:3]
    assert first_s == second_s == pytest.approx(5.3)
    assert (first, second) == (Reason.GAVE_WAY, Reason.GAVE_WAY)


@st.composite
def proposals(draw: st.DrawFn) -> tuple[Diarization, list[Shift]]:
    ends = draw(st.lists(st.tuples(st.floats(0.0, 28.0), st.floats(0.05, 6.0), st.sampled_from("ABC")), max_size=12))
    hypothesis = Diarization(
        "talk", tuple(Turn(onset_s, min(onset_s + length_s, DURATION_S), who) for onset_s, length_s, who in ends)
    )
    hypothesis = hypothesis.unioned()
    keys = [(b.turn_index, b.side) for b in boundaries_of(hypothesis)]
    chosen = draw(st.lists(st.sampled_from(keys), unique=True)) if keys else []
    return hypothesis, [Shift(index, side, draw(st.floats(-3.0, 3.0)), draw(st.floats(0.0, 1.0))) for index, side in chosen]


@settings(max_examples=150, deadline=None)
@given(proposals(), st.floats(0.0, 1.0), st.floats(0.05, 2.0))
def test_whatever_is_proposed_turns_stay_valid(
    drawn: tuple[Diarization, list[Shift]], min_confidence: float, max_shift_s: float
) -> None:
    """No turn inverts, leaves the audio, meets its own speaker, or moves further than the limit; none is lost."""
    hypothesis, shifts = drawn
    config = RefineConfig(min_confidence=min_confidence, max_shift_s=max_shift_s)
    refinement = decide_moves(hypothesis, shifts, duration_s=DURATION_S, config=config)
    refined = refinement.refined  # Turn itself refuses inverted turns
    assert len(refined.turns) == len(hypothesis.turns)
    assert refined.end_s <= DURATION_S
    assert all(abs(move.shift_s) <= max_shift_s + 1e-9 for move in refinement.moves)
    for speaker in refined.speakers:
        own = refined.of(speaker)
        assert all(a.offset_s <= b.onset_s + 1e-9 for a, b in pairwise(own))


def test_without_proposals_nothing_moves() -> None:
    """A model that knows nothing changes nothing."""
    hypothesis = talk((1.0, 2.0, "A"), (1.5, 4.0, "B"), (4.0, 6.0, "A"))
    refinement = proposed(hypothesis)
    assert refinement.refined == hypothesis
    assert np.array_equal(refinement.ends_s, [(turn.onset_s, turn.offset_s) for turn in hypothesis.turns])
