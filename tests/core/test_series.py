"""Curves for eyes: peaks and not-a-numbers survive, trends are honest, ETAs follow the recent pace."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brefine.core.series import downsample_minmax, smooth


def test_a_single_peak_and_a_single_nan_survive() -> None:
    """One bad step among ten thousand is still to be seen in 80 columns."""
    values = np.ones(10_000)
    values[1234], values[5678], values[9999] = 50.0, np.nan, -np.inf
    buckets = downsample_minmax(np.arange(10_000), values, 80)
    assert np.nanmax(buckets.high) == 50.0
    assert buckets.nonfinite.sum() == 2
    assert buckets.nonfinite[[45, 79]].all()


def test_a_bucket_of_nans_alone_is_empty_and_marked() -> None:
    """It has no extremes and says why."""
    buckets = downsample_minmax(np.array([0, 1]), np.array([np.nan, 2.0]), 2)
    assert np.isnan(buckets.low[0])
    assert buckets.nonfinite.tolist() == [True, False]
    assert buckets.high[1] == 2.0


def test_only_the_visible_range_is_drawn() -> None:
    """A zoomed chart is not scaled by what is outside."""
    buckets = downsample_minmax(np.arange(10), np.arange(10.0), 4, x_range=(2.0, 5.0))
    assert (np.nanmin(buckets.low), np.nanmax(buckets.high)) == (2.0, 5.0)
    assert buckets.x == pytest.approx([2.375, 3.125, 3.875, 4.625])


@given(st.lists(st.tuples(st.integers(0, 1000), st.floats()), max_size=50), st.integers(1, 30))
def test_nothing_is_hidden(points: list[tuple[int, float]], n_buckets: int) -> None:
    """Extremes and the presence of non-finite values are those of all points, whatever they are."""
    x, y = np.array([x for x, _ in points]), np.array([y for _, y in points])
    buckets = downsample_minmax(x, y, n_buckets)
    finite = y[np.isfinite(y)] if len(y) else y
    assert len(buckets.low) == n_buckets
    assert bool(buckets.nonfinite.any()) == (len(finite) < len(y))
    if len(finite):
        assert np.nanmin(buckets.low) == finite.min()
        assert np.nanmax(buckets.high) == finite.max()
    else:
        assert np.isnan(buckets.low).all()


def test_impossible_curves_are_refused() -> None:
    """No buckets, unequal lengths, a weight of one."""
    with pytest.raises(ValueError, match="bucket"):
        downsample_minmax(np.arange(2), np.arange(2.0), 0)
    with pytest.raises(ValueError, match="equally long"):
        downsample_minmax(np.arange(3), np.arange(2.0), 1)
    with pytest.raises(ValueError, match="weight"):
        smooth(np.arange(2.0), 1.0)


def test_smoothing_starts_at_the_first_value_and_skips_nan() -> None:
    """By hand with weight ½: 4, (4 + 2·8)/3, then (4 + 2·8 + 4·2)/7 after a gap that stays a gap."""
    smoothed = smooth(np.array([4.0, 8.0, np.nan, 2.0]), 0.5)
    assert smoothed[[0, 1, 3]] == pytest.approx([4.0, 20 / 3, 28 / 7])
    assert np.isnan(smoothed[2])


def test_no_weight_changes_nothing() -> None:
    """Smoothing can be switched off."""
    assert smooth(np.array([1.0, 5.0]), 0.0).tolist() == [1.0, 5.0]
