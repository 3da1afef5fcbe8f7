"""How sure a figure is: percentile intervals from resampling whole recordings.

Boundaries of one recording share its speakers, noise and annotator, so recordings are drawn, not boundaries. Before and after
are drawn together ("paired"): what makes a recording hard does not blur the difference. Seeded, hence reproducible.

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


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a figure probably lies; from a single recording it is a point and says nothing."""

    low: float
    high: float


def paired_bootstrap(
    parts: NDArray[np.float64],
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    n_resamples: int = N_RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> Interval:
    """The interval of a statistic of summed parts.

    Args:
        parts: shape (n_recordings, k), what is summed over recordings: for a relative DER change the error seconds before,
            those after; for an MAE the sum of absolute errors and their number.
        statistic: maps sums of shape (n_resamples, k) to values of shape (n_resamples,), for instance
            `lambda sums: 1 - sums[:, 1] / sums[:, 0]`. Resamples in which it is not a number do not count; infinite ones do, so
            that a bound may be infinite.

    Raises:
        ValueError: there are no recordings, or the statistic is never a number.
    """
    counts = _counts(len(parts), n_resamples, seed)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = statistic(counts.astype(np.float64) @ np.asarray(parts, dtype=np.float64))
    return _interval(values, level)


def bootstrap_improvement(errors: NDArray[np.float64]) -> Interval | None:
    """The interval of the relative improvement 1 − after/before of summed errors.

    None where it has no bounds: nothing was wrong before, or nothing in so many resamples that their −∞ reaches the interval.

    Args:
        errors: shape (n_recordings, 2), before and after.
    """
    if not np.any(errors[:, 0] > 0.0):
        return None
    interval = paired_bootstrap(errors, lambda sums: 1.0 - sums[:, 1] / sums[:, 0])
    return interval if np.isfinite(interval.low) else None


def bootstrap_quantile(values: Sequence[NDArray[np.float64]], quantile: float) -> Interval:
    """The interval of a quantile (0.5 = median) over the values of all recordings, one array a recording.

    Raises:
        ValueError: there are no recordings, or no values.
    """
    counts = _counts(len(values), N_RESAMPLES, seed=0)
    joined = np.concatenate([np.asarray(own, dtype=np.float64) for own in values])
    order = np.argsort(joined, kind="stable")
    recording = np.repeat(np.arange(len(values)), [len(own) for own in values])[order]
    found = np.full(N_RESAMPLES, np.nan)
    for resample, drawn in enumerate(counts):
        heights = np.cumsum(drawn[recording])
        if len(heights) and heights[-1] > 0:
            found[resample] = joined[order[np.searchsorted(heights, quantile * heights[-1])]]
    return _interval(found, LEVEL)


def _counts(n_recordings: int, n_resamples: int, seed: int) -> NDArray[np.int64]:
    """How often each resample holds each recording, shape (n_resamples, n_recordings)."""
    if n_recordings < 1:
        raise ValueError("a bootstrap needs recordings")
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
