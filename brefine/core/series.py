"""Curves as they are drawn: fewer points, which hide nothing, and a smooth trend."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Buckets:
    """A curve in n equal parts of its x axis; all arrays have shape (n,).

    Attributes:
        x: the middle of each bucket.
        low: least finite value in it; not-a-number where there is none.
        high: greatest finite value in it; not-a-number where there is none.
        nonfinite: whether it holds values that are not finite.
    """

    x: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    nonfinite: NDArray[np.bool_]


def downsample_minmax(
    x: NDArray[np.float64] | NDArray[np.int64],
    y: NDArray[np.float64],
    n_buckets: int,
    *,
    x_range: tuple[float, float] | None = None,
) -> Buckets:
    """Reduces a curve to the extremes of each bucket, so that no peak is lost and NaN and Inf are marked, not hidden.

    Args:
        x: shape (n_points,), finite, in any order.
        y: shape (n_points,).
        x_range: the visible part; points outside are left out. None = all points.

    Raises:
        ValueError: there are no buckets, or x and y differ in length.
    """
    if n_buckets < 1:
        raise ValueError(f"a curve needs at least one bucket, got {n_buckets}")
    if len(x) != len(y):
        raise ValueError(f"x and y must be equally long, got {len(x)} and {len(y)}")
    points, values = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    start, end = x_range if x_range is not None else (points.min(), points.max()) if len(points) else (0.0, 1.0)
    visible = (points >= start) & (points <= end)
    points, values = points[visible], values[visible]
    width = (end - start) / n_buckets
    place = np.zeros(len(points), dtype=np.int64)
    if width > 0.0:
        place = np.clip(((points - start) / width).astype(np.int64), 0, n_buckets - 1)
    finite = np.isfinite(values)
    low, high = np.full(n_buckets, np.inf), np.full(n_buckets, -np.inf)
    np.minimum.at(low, place[finite], values[finite])
    np.maximum.at(high, place[finite], values[finite])
    empty = low > high
    low[empty] = high[empty] = np.nan
    nonfinite = np.zeros(n_buckets, dtype=np.bool_)
    nonfinite[place[~finite]] = True
    middles = np.asarray(start + width * (np.arange(n_buckets) + 0.5), dtype=np.float64)
    return Buckets(middles, low, high, nonfinite)


LARGEST: Final = 1e300
"""Larger values are drawn at the edge, since differences of theirs may be infinite."""
_LEAST_SPAN: Final = 1e-300


def widened(low: float, high: float) -> tuple[float, float]:
    """A range of an axis with two different ends and a finite length, so that places on it can be computed.

    A single value becomes a range of one unit or, if floats are coarser than that, up to the next float.
    """
    low, high = (min(max(end, -LARGEST), LARGEST) for end in (low, high))
    if high - low > _LEAST_SPAN:
        return low, high
    return low, max(low + 1.0, math.nextafter(low, math.inf))


def smooth(values: NDArray[np.float64], weight: float) -> NDArray[np.float64]:
    """Exponential mean as TensorBoard draws it: `weight` (0 to below 1) of the past, corrected for the start.

    Values that are not finite stay where they are and do not enter the mean.

    Raises:
        ValueError: the weight is not in [0, 1).
    """
    if not 0.0 <= weight < 1.0:
        raise ValueError(f"the smoothing weight must lie in [0, 1), got {weight}")
    smoothed = np.array(values, dtype=np.float64)
    finite = np.isfinite(smoothed)
    mean, share = 0.0, 0.0  # share: how much of the mean is made of values, 1 − weightⁿ after n of them
    means: list[float] = []
    for value in smoothed[finite].tolist():  # plain floats: several times faster than array elements
        mean = weight * mean + (1.0 - weight) * value
        share = weight * share + (1.0 - weight)
        means.append(mean / share)
    smoothed[finite] = means
    return smoothed
