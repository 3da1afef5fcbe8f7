"""Which frames tell what is ordinary for a frame."""

from __future__ import annotations

import numpy as np
import pytest

from brefine.data.nearby import pieces

HOP_S = 0.1


def spoken(n_frames: int, *turns: tuple[int, int]) -> np.ndarray:
    """Two speakers, who take turns, from frame to frame."""
    active_SN = np.zeros((2, n_frames), np.bool_)
    for place, (start, end) in enumerate(turns):
        active_SN[place % 2, start:end] = True
    return active_SN


@pytest.mark.parametrize("n_frames", [1, 700, 1200])
def test_up_to_two_minutes_are_one_piece(n_frames: int) -> None:
    """Everything tells of everything, as in the conversations of a training."""
    (one,) = pieces(spoken(n_frames, (0, n_frames)), HOP_S)
    assert (one.own, one.around) == (slice(0, n_frames), slice(0, n_frames))
    assert one.near_P.all()


@pytest.mark.parametrize("n_frames", [1201, 1800, 3000, 36_000])
def test_longer_ones_are_gone_through_by_the_minute(n_frames: int) -> None:
    """Each frame belongs to one piece, which lies in the middle of its two minutes, or at an end of the recording near theirs."""
    found = pieces(spoken(n_frames, (0, n_frames)), HOP_S)
    assert [one.own.start for one in found] == [0, *(one.own.stop for one in found[:-1])]
    assert found[-1].own.stop == n_frames
    for one in found:
        assert 400 <= one.own.stop - one.own.start <= 601
        assert one.around.stop - one.around.start == 1200
        assert one.around.start <= one.own.start < one.own.stop <= one.around.stop
        before, behind = one.own.start - one.around.start, one.around.stop - one.own.stop
        assert abs(before - behind) <= 1 or 0 in (one.around.start, n_frames - one.around.stop)


def test_only_what_is_near_a_turn_counts() -> None:
    """Three seconds on each side; silence beyond belongs to a piece and tells nothing, however long it is."""
    (one,) = pieces(spoken(9000, (5000, 5300), (5340, 5350), (5600, 5610)), HOP_S)
    assert one.own == slice(0, 9000)
    assert np.flatnonzero(one.near_P).tolist() == [*range(4970, 5380), *range(5570, 5640)]


def test_of_a_few_words_half_a_minute_counts() -> None:
    """Twice, four times as far as else; of a recording that is shorter all of it."""
    (one,) = pieces(spoken(9000, (5000, 5010)), HOP_S)
    assert np.flatnonzero(one.near_P).tolist() == [*range(4760, 5250)]
    (short,) = pieces(spoken(280, (100, 105)), HOP_S)
    assert short.near_P.all()


def test_a_silence_in_the_middle_is_leapt_over() -> None:
    """The two minutes around a piece are those in which somebody is near a turn: an hour's break ends no conversation."""
    found = pieces(spoken(38_000, (0, 1000), (37_000, 38_000)), HOP_S)
    assert found[0].own.start == 0
    assert found[-1].own.stop == 38_000
    assert all(one.near_P.sum() == 1200 for one in found)
    assert max(one.around.stop - one.around.start for one in found) > 36_000


def test_where_nobody_speaks_all_counts() -> None:
    """Also of no speakers at all."""
    for active_SN in (spoken(5000), np.zeros((0, 5000), np.bool_)):
        found = pieces(active_SN, HOP_S)
        assert len(found) == 9
        assert all(one.near_P.all() for one in found)
