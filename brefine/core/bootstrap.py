"""How sure a figure is: percentile intervals from resampling whole recordings.

Boundaries of one recording share its speakers, noise and annotator, so recordings are drawn, not boundaries. Before and after
are drawn together ("paired"): what makes a recording hard does not blur the difference. Seeded, hence reproducible.

A recording that adds nothing to a figure (no error, no boundary) says nothing about it and is not counted. Fewer than five that
count give no interval: whatever is drawn from three or four recordings holds the truth too seldom.

Source: Bisani and Ney, "Bootstrap estimates for confidence intervals in ASR performance evaluation", ICASSP 2004.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

N_RESAMPLES = 2000
LEVEL = 0.95
LEAST_RECORDINGS = 5
"""Fewer recordings than this give no interval."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a figure probably lies."""

    low: float
    high: float


def paired_bootstrap(
    parts: NDArray[np.float64],
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    n_resamples: int = N_RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> Interval | None:
    """The interval of a statistic of summed parts; None where fewer than `LEAST_RECORDINGS` have any part that is not 0.

    Args:
        parts: shape (n_recordings, k), what is summed over recordings: for a relative DER change the error seconds before,
            those after; for an MAE the sum of absolute errors and their number.
        statistic: maps sums of shape (n_resamples, k) to values of shape (n_resamples,), for instance
            `lambda sums: 1 - sums[:, 1] / sums[:, 0]`. Resamples in which it is not a number do not count; infinite ones do, so
            that a bound may be infinite.

    Raises:
        ValueError: the statistic is never a number.
    """
    counted = np.asarray(parts, dtype=np.float64)
    counted = counted[np.any(counted != 0.0, axis=1)]
    if len(counted) < LEAST_RECORDINGS:
        return None
    counts = _counts(len(counted), n_resamples, seed)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = statistic(counts.astype(np.float64) @ counted)
    return _interval(values, level)


def bootstrap_improvement(errors: NDArray[np.float64]) -> Interval | None:
    """The interval of the relative improvement 1 − after/before of summed errors.

    None where too few recordings have any error, and where it has no bounds: nothing was wrong before, or nothing in so many
    resamples that their −∞ reaches the interval.

    Args:
        errors: shape (n_recordings, 2), before and after.
    """
    if not np.any(errors[:, 0] > 0.0):
        return None
    interval = paired_bootstrap(errors, lambda sums: 1.0 - sums[:, 1] / sums[:, 0])
    return interval if interval is not None and np.isfinite(interval.low) else None


def bootstrap_quantile(values: Sequence[NDArray[np.float64]], quantile: float) -> Interval | None:
    """The interval of a quantile (0.5 = median) over the values of all recordings, one array a recording.

    None where fewer than `LEAST_RECORDINGS` have any value.
    """
    counted = [np.asarray(own, dtype=np.float64) for own in values if len(own)]
    if len(counted) < LEAST_RECORDINGS:
        return None
    joined = np.concatenate(counted)
    order = np.argsort(joined, kind="stable")
    recording = np.repeat(np.arange(len(counted)), [len(own) for own in counted])[order]
    found = np.empty(N_RESAMPLES)
    for resample, drawn in enumerate(_counts(len(counted), N_RESAMPLES, seed=0)):
        heights = np.cumsum(drawn[recording])
        found[resample] = joined[order[np.searchsorted(heights, quantile * heights[-1])]]
    return _interval(found, LEVEL)


def _counts(n_recordings: int, n_resamples: int, seed: int) -> NDArray[np.int64]:
    """How often each resample holds each recording, shape (n_resamples, n_recordings)."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(n_recordings, np.full(n_recordings, 1.0 / n_recordings), size=n_resamples)


def _interval(values: NDArray[np.float64], level: float) -> Interval:
    known = values[~np.isnan(values)]
    if not len(known):
        raise ValueError("the statistic is not a number in any resample")
    return Interval(_bound(known, (1.0 - level) / 2, "lower"), _bound(known, (1.0 + level) / 2, "higher"))


def _bound(known: NDArray[np.float64], quantile: float, outer: Literal["lower", "higher"]) -> float:
    """Interpolated between its two neighbours, unless one of them is infinite: then the outer one."""
    with np.errstate(invalid="ignore"):
        bound = float(np.quantile(known, quantile))
    return bound if np.isfinite(bound) else float(np.quantile(known, quantile, method=outer))
