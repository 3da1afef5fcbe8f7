"""Movement of any end by at most W: what can be had, by brute force, and what nothing undercuts."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from brefine.core.boundaries import Shift, Side, apply_shifts
from brefine.core.der import COLLARS_S, score_der, score_der_at
from brefine.core.matching import map_speakers
from brefine.core.movement import move_any_end, unmovable_errors_s
from brefine.core.turns import Diarization, Turn
from tests.core.strategies import diarization, diarizations

_WINDOWS_S = st.sampled_from([0.1, 0.5, 1.0, 3.0])
_REGIONS_S = st.sampled_from([None, [(2.0, 9.0), (11.0, 15.5)]])


def test_an_end_without_a_partner_moves_as_well() -> None:
    """1.5 s short with W = 1 s: one move leaves half a second, and less cannot be left."""
    reference, hypothesis = diarization((0.0, 10.0, "A")), diarization((0.0, 8.5, "x"))
    assert move_any_end(reference, hypothesis).turns == (Turn(0.0, 9.5, "x"),)
    assert unmovable_errors_s((0.0,), reference, hypothesis) == pytest.approx((0.5,))


def test_ends_that_meet_are_placed_together() -> None:
    """A pause that is none closes, a false turn shrinks to nothing much, and a turn out of place goes as far as it may."""
    reference = diarization((0.0, 10.0, "A"), (20.0, 24.0, "A"))
    hypothesis = diarization((0.0, 4.4, "x"), (5.6, 10.0, "x"), (14.0, 15.0, "x"), (22.0, 26.0, "x"))
    moved = move_any_end(reference, hypothesis)
    assert score_der(reference, moved).error_s == pytest.approx(0.02 + 1.0 + 1.0)
    assert (moved.turns[0].offset_s, moved.turns[3]) == (pytest.approx(moved.turns[1].onset_s), Turn(21.0, 25.0, "x"))


def test_a_speaker_without_a_partner_becomes_as_quiet_as_he_can() -> None:
    """Both of his ends go inwards by W = 1 s, though somebody speaks all around him."""
    reference, hypothesis = diarization((0.0, 10.0, "A")), diarization((0.0, 10.0, "x"), (3.0, 6.0, "y"))
    assert move_any_end(reference, hypothesis).of("y") == (Turn(4.0, 5.0, "y"),)


def test_a_reference_speaker_who_overlaps_himself_speaks_once() -> None:
    """A turn inside another one of his, as annotators leave them, draws no end to it."""
    reference, hypothesis = diarization((0.0, 10.0, "A"), (2.0, 3.0, "A")), diarization((0.0, 9.5, "x"))
    assert move_any_end(reference, hypothesis).turns == (Turn(0.0, 10.0, "x"),)


def test_of_a_false_turn_all_but_a_window_at_each_end_is_left() -> None:
    """Whoever asks what refinement can win at most is not promised that it takes away ten seconds that nobody said."""
    reference, hypothesis = diarization((0.0, 10.0, "A")), diarization((0.0, 10.0, "x"), (20.0, 30.0, "x"))
    assert unmovable_errors_s((0.0,), reference, hypothesis) == pytest.approx((8.0,))


@given(diarizations(), diarizations(), st.data(), _WINDOWS_S, _REGIONS_S)
def test_no_movement_undercuts_the_least_error(
    reference: Diarization,
    hypothesis: Diarization,
    data: st.DataObject,
    window_s: float,
    regions_s: list[tuple[float, float]] | None,
) -> None:
    """However ends are shifted by at most W, at any collar, in any regions, with speakers mapped anew."""
    n_ends = 2 * len(hypothesis.turns)
    shares = data.draw(st.lists(st.integers(-4, 4), min_size=n_ends, max_size=n_ends))
    sides = (Side.ONSET, Side.OFFSET)
    shifts = [Shift(place // 2, sides[place % 2], window_s * share / 4, 1.0) for place, share in enumerate(shares)]
    refined = apply_shifts(hypothesis, shifts, duration_s=25.0)
    least_s = unmovable_errors_s(COLLARS_S, reference, hypothesis, regions_s=regions_s, window_s=window_s)
    for answer in (refined, move_any_end(reference, hypothesis, window_s=window_s)):
        scores = score_der_at(COLLARS_S, reference, answer, regions_s=regions_s)
        assert all(score.error_s >= left_s - 1e-6 for score, left_s in zip(scores, least_s, strict=True))


@given(diarizations(), diarizations(), _WINDOWS_S)
def test_no_end_moves_further_than_the_window(reference: Diarization, hypothesis: Diarization, window_s: float) -> None:
    """And no turn is lost, though speakers are many and ends in each other's way."""
    hypothesis = hypothesis.unioned()
    moved = move_any_end(reference, hypothesis, window_s=window_s)
    for speaker in hypothesis.speakers:
        for before, after in zip(hypothesis.of(speaker), moved.of(speaker), strict=True):
            assert abs(after.onset_s - before.onset_s) <= window_s + 1e-9
            assert abs(after.offset_s - before.offset_s) <= window_s + 1e-9


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.integers(0, 30), min_size=6, max_size=6, unique=True).map(sorted),
    st.lists(st.integers(0, 30), min_size=4, max_size=4, unique=True).map(sorted),
)
def test_of_one_speaker_the_ends_are_placed_best(spoken: list[int], heard: list[int]) -> None:
    """Every way to put four ends on a grid of 0.1 s, W = 0.3 s: none leaves less, but for the 20 ms that a turn keeps."""
    reference = diarization(*((0.1 * spoken[i], 0.1 * spoken[i + 1], "A") for i in (0, 2, 4)))
    hypothesis = diarization(*((0.1 * heard[i], 0.1 * heard[i + 1], "A") for i in (0, 2)))
    assume(map_speakers(reference, hypothesis))
    last = round(10 * max(reference.end_s, hypothesis.end_s))
    ways = product(*(range(max(0, end - 3), min(last, end + 3) + 1) for end in heard))
    least_s = min(
        score_der(reference, diarization((0.1 * a, 0.1 * b, "A"), (0.1 * c, 0.1 * d, "A"))).error_s
        for a, b, c, d in ways
        if a < b <= c < d
    )
    assert score_der(reference, move_any_end(reference, hypothesis, window_s=0.3)).error_s <= least_s + 2 * 0.02 + 1e-6
