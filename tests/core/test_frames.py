"""Frames: conversions agree with one another."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brefine.core.frames import FrameGrid

GRID = FrameGrid(16000, 0.01)


@given(st.integers(0, 10_000_000))
def test_a_frame_starts_where_it_covers(frame: int) -> None:
    """Onset and middle of frame f lie in frame f, for hours of audio."""
    assert GRID.frame_of(GRID.onset_s_of(frame)) == frame
    assert GRID.frame_of(GRID.centre_s_of(frame)) == frame


@given(st.integers(0, 10_000_000))
def test_samples_survive_the_way_to_seconds_and_back(sample: int) -> None:
    """No sample is lost to rounding."""
    assert GRID.samples_of(GRID.time_s_of(sample)) == sample


def test_only_whole_frames_count() -> None:
    """1,599 samples of 16 kHz hold nine whole hops of 10 ms."""
    assert (GRID.n_frames(1599), GRID.n_frames(1600)) == (9, 10)
    assert GRID.centre_s_of(0) == pytest.approx(0.005)


@pytest.mark.parametrize(("rate_hz", "hop_s"), [(16000, 0.00001), (11025, 0.01), (0, 0.01)])
def test_hops_are_whole_samples(rate_hz: int, hop_s: float) -> None:
    """Anything else would drift."""
    with pytest.raises(ValueError, match="whole number"):
        FrameGrid(rate_hz, hop_s)
