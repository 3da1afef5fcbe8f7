"""Frames: conversions agree with one another."""

from __future__ import annotations

import pytest

from brefine.core.frames import FrameGrid, n_window_frames

GRID = FrameGrid(16000, 0.01)


def test_only_whole_frames_count() -> None:
    """1,599 samples of 16 kHz hold nine whole hops of 10 ms."""
    assert GRID.hop_samples == GRID.samples_of(0.01) == 160
    assert (GRID.n_frames(1599), GRID.n_frames(1600)) == (9, 10)


@pytest.mark.parametrize(("rate_hz", "hop_s"), [(16000, 0.00001), (16000, 0.0123), (11025, 0.01), (0, 0.01)])
def test_hops_are_whole_samples(rate_hz: int, hop_s: float) -> None:
    """Anything else would drift."""
    with pytest.raises(ValueError, match="whole number"):
        FrameGrid(rate_hz, hop_s)


def test_windows_are_even_so_that_the_boundary_lies_between_two_frames() -> None:
    """1.28 s on each side at 10 ms are 256 frames."""
    assert n_window_frames(1.28, 0.01) == 256
    assert n_window_frames(2.0, 0.01) == 400
