"""How sure a figure is: expanded percentile intervals from resampling whole recordings.

Boundaries of one recording share its speakers, noise and annotator, so recordings are drawn, not boundaries. Before and after
are drawn together ("paired"): what makes a recording hard does not blur the difference. Seeded, hence reproducible.

With few recordings, the plain quantiles of the resamples lie too close together, so quantiles further out are taken (see
`_tail`). The table shows how often an interval of 95 % then holds the true change of the DER, and how often the gate's criterion
`der` (more than 10 % better, interval above 0) is met if nothing or 20 % is really won; 1,000 simulated corpora for each of six
kinds of gain and spread, durations and DERs lognormal:

    recordings                                  3     4     5     8    12    20    24
    held, plain quantiles                     .74   .78   .82   .86   .87   .90   .90
    held, expanded                            .74   .87   .92   .93   .92   .93   .93
    met where nothing is won, plain           .10   .10   .09   .06   .06   .04   .03
    met where nothing is won, expanded        .10   .07   .04   .04   .05   .03   .03
    met where 20 % is won, plain              .56   .62   .65   .68   .72   .81   .84
    met where 20 % is won, expanded           .56   .50   .50   .57   .68   .79   .82

So the intervals aim at 95 %, and uneven recordings leave .93 of it. Real recordings are more uneven: the logarithm of VBx's error
seconds on the 216 recordings of VoxConverse dev (collar 0, overlap scored) has a standard deviation of 1.4. In the next table,
recordings are drawn from these, and after/before of each recording is lognormal with a mean of 1 (nothing is won) or 0.8, its
logarithm with a standard deviation of .3 or .5; expanded, 4,000 corpora each, seed 0:

    recordings                                    5     8    12    20    24    40
    held, .3                                    .90   .91   .92   .92   .93   .93
    held, .5                                    .88   .89   .90   .90   .91   .91
    low bound above the truth, .3               .08   .07   .06   .06   .05   .05
    low bound above the truth, .5               .11   .09   .09   .08   .08   .07
    met where nothing is won, .3                .07   .06   .06   .06   .05   .05
    met where nothing is won, .5                .11   .09   .09   .08   .08   .07
    met where 20 % is won, .3                   .41   .48   .59   .72   .77   .89
    met where 20 % is won, .5                   .29   .33   .38   .45   .49   .59

If durations spread lognormally by 2, DERs by 1 and after/before by .8, .85 of the intervals hold the truth and .14 meet the
criterion where nothing is won, with five recordings as with forty. Intervals that miss are mostly too good: the rare recording
that loses much is seldom among few. So the gate says if one recording has more than a third of the errors or of the speech. Of an
MAE's intervals, .89 hold the truth with five recordings and .90 to .92 with twelve and more (boundaries a recording lognormal by
.8 to 1.5, their MAEs by .5; 2,000 corpora each).

No other method is better throughout (1,000 corpora each): BCa holds the truth less often everywhere; a jackknife t and a
bootstrap t of the logarithm of after/before hold it up to .02 more often on VoxConverse's recordings, up to .05 less often on
very uneven ones, and meet the criterion less often where 20 % is won: .40 and .34 with 20 recordings and a spread of .5, where
these intervals meet it .46.

A recording that adds nothing to a figure (no error, no boundary) says nothing about it and is not counted. With fewer than five
that count there is no interval: any that is drawn from three or four recordings holds the truth too seldom.

Sources: Bisani and Ney, "Bootstrap estimates for confidence intervals in ASR performance evaluation", ICASSP 2004; Hesterberg,
"What teachers should know about the bootstrap", The American Statistician 69, 2015.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

_LEVEL = 0.95
LEAST_RECORDINGS = 5
"""Fewer recordings than this give no interval."""
_N_BEYOND = 50
_MOST_RESAMPLES = 10_000
_SEED = 0


class Interval(NamedTuple):
    """Where a figure probably lies."""

    low: float
    high: float


def paired_bootstrap(
    parts: NDArray[np.float64],
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]],
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
    tail = _tail(len(counted))
    counts = _counts(len(counted), _n_resamples(tail))
    with np.errstate(divide="ignore", invalid="ignore"):
        values = statistic(counts.astype(np.float64) @ counted)
    return _interval(values, tail)


def bootstrap_ratio(parts: NDArray[np.float64]) -> Interval | None:
    """The interval of the ratio of two sums, first by second; None if too few recordings have any part, or if it has no bounds.

    Args:
        parts: shape (n_recordings, 2): for a DER the error seconds and those of reference speech.
    """
    return _bounded(paired_bootstrap(parts, lambda sums: sums[:, 0] / sums[:, 1]))


def bootstrap_improvement(errors: NDArray[np.float64]) -> Interval | None:
    """The interval of the relative improvement 1 − after/before of summed errors.

    None if too few recordings have any error, or if the interval has no bounds: nothing was wrong before, or nothing in so many
    resamples that their −∞ reaches the interval.

    Args:
        errors: shape (n_recordings, 2), before and after.
    """
    if not np.any(errors[:, 0] > 0.0):
        return None
    return _bounded(paired_bootstrap(errors, lambda sums: 1.0 - sums[:, 1] / sums[:, 0]))


def bootstrap_quantile(values: Sequence[NDArray[np.float64]], quantile: float) -> Interval | None:
    """The interval of a quantile (0.5 = median) over the values of all recordings, one array a recording; interpolated between
    two values as `np.quantile` does.

    None where fewer than `LEAST_RECORDINGS` have any value.
    """
    counted = [np.asarray(own, dtype=np.float64) for own in values if len(own)]
    if len(counted) < LEAST_RECORDINGS:
        return None
    joined = np.concatenate(counted)
    order = np.argsort(joined, kind="stable")
    joined = joined[order]
    recording = np.repeat(np.arange(len(counted)), [len(own) for own in counted])[order]
    tail = _tail(len(counted))
    found = np.empty(_n_resamples(tail))
    for resample, drawn in enumerate(_counts(len(counted), len(found))):
        heights = np.cumsum(drawn[recording])
        share, place = math.modf(quantile * (heights[-1] - 1))
        below, above = joined[np.searchsorted(heights, [place, min(place + 1, heights[-1] - 1)], side="right")]
        found[resample] = below + share * (above - below)
    return _interval(found, tail)


def _bounded(interval: Interval | None) -> Interval | None:
    return interval if interval is not None and np.isfinite(interval).all() else None


def _tail(n_recordings: int) -> float:
    """Share of the resamples beyond each bound: Φ(−√(n / (n − 1)) · t), with t the quantile (1 + `_LEVEL`) / 2 of Student's t.

    √(n / (n − 1)) makes up for resamples that spread by n instead of n − 1, t with n − 1 degrees of freedom for a spread that is
    estimated itself. For many recordings it is 0.025, for 20 of them 0.016, for five 0.001.

    Source: Hesterberg 2015, "expanded percentile interval".
    """
    from scipy.special import ndtr, stdtrit  # takes a third of a second to import: not before it is needed

    t = stdtrit(n_recordings - 1, (1.0 + _LEVEL) / 2)
    return float(ndtr(-math.sqrt(n_recordings / (n_recordings - 1)) * t))


def _n_resamples(tail: float) -> int:
    """Enough to leave 50 beyond each bound, up to a limit."""
    return min(_MOST_RESAMPLES, math.ceil(_N_BEYOND / tail))


def _counts(n_recordings: int, n_resamples: int) -> NDArray[np.int64]:
    """How often each resample holds each recording, shape (n_resamples, n_recordings)."""
    rng = np.random.default_rng(_SEED)
    return rng.multinomial(n_recordings, np.full(n_recordings, 1.0 / n_recordings), size=n_resamples)


def _interval(values: NDArray[np.float64], tail: float) -> Interval:
    known = values[~np.isnan(values)]
    if not len(known):
        raise ValueError("the statistic is not a number in any resample")
    return Interval(_bound(known, tail, "lower"), _bound(known, 1.0 - tail, "higher"))


def _bound(known: NDArray[np.float64], quantile: float, outer: Literal["lower", "higher"]) -> float:
    """Interpolated between its two neighbours, unless one of them is infinite: then the outer one."""
    with np.errstate(invalid="ignore"):
        bound = float(np.quantile(known, quantile))
    return bound if np.isfinite(bound) else float(np.quantile(known, quantile, method=outer))
