"""Bootstrap intervals: coverage, pairing, reproducibility."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm, t

from brefine.core.bootstrap import Interval, _tail, bootstrap_improvement, bootstrap_quantile, bootstrap_ratio, paired_bootstrap


def mean(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    return sums[:, 0] / sums[:, 1]


def relative(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1.0 - sums[:, 1] / sums[:, 0]


def test_the_interval_of_a_mean_is_the_textbook_one() -> None:
    """For many recordings of equal length it is mean ± 1.96 standard errors."""
    values = np.random.default_rng(1).normal(10.0, 2.0, 400)
    interval = paired_bootstrap(np.stack([values, np.ones(400)], axis=1), mean)
    half = 1.96 * values.std() / 20
    assert interval is not None
    assert interval.low == pytest.approx(values.mean() - half, abs=0.03)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.03)


@pytest.mark.parametrize("n_recordings", [10, 20])
def test_the_interval_of_few_recordings_is_as_wide_as_students(n_recordings: int) -> None:
    """The spread of few recordings is itself not known well: mean ± t standard errors, with n − 1 degrees of freedom."""
    values = np.random.default_rng(7).normal(10.0, 2.0, n_recordings)
    interval = paired_bootstrap(np.stack([values, np.ones(n_recordings)], axis=1), mean)
    assert interval is not None
    half = float(t.ppf(0.975, n_recordings - 1)) * values.std(ddof=1) / n_recordings**0.5
    assert interval.high - interval.low == pytest.approx(2 * half, rel=0.05)


def test_it_covers_the_truth_of_few_uneven_recordings() -> None:
    """Recordings of which a few hold most errors, as in corpora: about nine of ten; the plain quantiles held it in eight."""
    rng = np.random.default_rng(9)
    n_held = 0
    for _ in range(100):
        before = rng.lognormal(0.0, 1.0, 5)
        interval = bootstrap_improvement(np.column_stack([before, before * rng.gamma(16.0, 0.9 / 16.0, 5)]))
        n_held += interval is not None and interval.low <= 0.1 <= interval.high
    assert n_held >= 87


def test_it_covers_the_truth_about_as_often_as_it_says() -> None:
    """Ninety-five of a hundred samples, give or take what chance allows."""
    rng = np.random.default_rng(2)
    intervals = [paired_bootstrap(np.stack([rng.normal(0.0, 1.0, 50), np.ones(50)], axis=1), mean) for _ in range(100)]
    assert 0.88 <= sum(one is not None and one.low <= 0.0 <= one.high for one in intervals) / 100 <= 0.99


def test_pairing_removes_what_both_sides_share() -> None:
    """A steady gain of 10 % is seen through recordings whose errors differ a hundredfold."""
    before = np.exp(np.random.default_rng(3).normal(0.0, 2.0, 30))
    interval = paired_bootstrap(np.stack([before, 0.9 * before], axis=1), relative)
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((0.1, 0.1))


def test_the_same_parts_give_the_same_interval() -> None:
    """A verdict can be computed again."""
    parts = np.random.default_rng(4).uniform(1.0, 2.0, (20, 2))
    assert paired_bootstrap(parts, relative) == paired_bootstrap(parts, relative)


@pytest.mark.parametrize("n_recordings", [0, 1, 4])
def test_few_recordings_give_no_interval(n_recordings: int) -> None:
    """Nothing can be learned about spread from one recording, too little from four."""
    parts = np.random.default_rng(5).uniform(1.0, 2.0, (n_recordings, 2))
    assert paired_bootstrap(parts, relative) is None
    assert bootstrap_improvement(parts) is None
    assert bootstrap_quantile(list(parts), 0.5) is None


def test_recordings_that_add_nothing_are_not_counted() -> None:
    """Three with errors among twenty are three, and those without any change nothing in the interval of five."""
    parts = np.random.default_rng(5).uniform(1.0, 2.0, (5, 2))
    nothing = np.zeros((17, 2))
    assert bootstrap_improvement(np.concatenate([parts[:3], nothing])) is None
    assert bootstrap_improvement(np.concatenate([parts, nothing])) == bootstrap_improvement(parts)
    assert bootstrap_quantile([*parts, *nothing[:, :0]], 0.5) == bootstrap_quantile(list(parts), 0.5)


def test_the_median_of_equal_recordings() -> None:
    """Each recording weighs by its boundaries; identical recordings leave no doubt."""
    assert bootstrap_quantile([np.array([1.0, 2.0, 3.0])] * 5, 0.5) == Interval(2.0, 2.0)


@pytest.mark.parametrize(("values", "quantile"), [([1.0, 2.0], 0.5), ([0.0, 1.0, 5.0, 7.0], 0.5), ([0.0, 1.0, 5.0, 7.0], 0.75)])
def test_a_quantile_lies_between_values_as_numpy_has_it(values: list[float], quantile: float) -> None:
    """The median of 1 and 2 is 1.5, here as in the figure beside it: whatever is drawn of recordings that are all alike."""
    drawn = float(np.quantile(np.repeat(values, 20), quantile))
    assert drawn not in values
    assert bootstrap_quantile([np.array(values)] * 20, quantile) == Interval(drawn, drawn)


def test_the_interval_of_a_median_holds_it() -> None:
    """Recordings without any boundary do not disturb."""
    rng = np.random.default_rng(6)
    recordings = [rng.exponential(1.0, rng.integers(0, 30)) for _ in range(40)]
    interval = bootstrap_quantile(recordings, 0.5)
    assert interval is not None
    assert interval.low <= float(np.median(np.concatenate(recordings))) <= interval.high
    assert 0.0 < interval.high - interval.low < 0.5


def test_an_infinite_resample_counts() -> None:
    """Where a diarizer errs in one recording of twenty, a third of the resamples have errors after it and none before: −∞."""
    before = np.array([10.0] + [0.0] * 19)
    after = np.array([5.0] + [0.15] * 19)
    interval = paired_bootstrap(np.column_stack([before, after]), relative)
    assert interval is not None
    assert interval.low == -np.inf
    assert 0.0 < interval.high < 1.0
    assert bootstrap_improvement(np.column_stack([before, after])) is None


def test_a_rate_without_bounds_has_no_interval() -> None:
    """Where one recording of twenty has speech and all have errors, a third of the resamples divide by nothing."""
    parts = np.column_stack([np.ones(20), [30.0] + [0.0] * 19])
    assert bootstrap_ratio(parts) is None
    parts[:, 1] = 30.0
    assert bootstrap_ratio(parts) == Interval(1 / 30, 1 / 30)


def test_an_improvement_has_an_interval_where_resamples_have_errors() -> None:
    """Those with nothing wrong before or after say nothing; where nothing was wrong at all there is no improvement."""
    parts = np.array([[2.0, 1.0]] * 10 + [[0.0, 0.0]] * 10)
    assert bootstrap_improvement(parts) == Interval(0.5, 0.5)
    assert bootstrap_improvement(np.array([[0.0, 1.0]] * 3)) is None


def test_a_statistic_without_values_is_refused() -> None:
    """A statistic that never is a number."""
    with pytest.raises(ValueError, match="not a number"):
        paired_bootstrap(np.ones((5, 2)), lambda sums: np.full(len(sums), np.nan))


@pytest.mark.parametrize("n_recordings", [5, 20])
def test_the_tail_is_that_of_student_with_one_degree_less(n_recordings: int) -> None:
    """Against the definition, and the figures of the docstring."""
    quantile = float(t.ppf(0.975, n_recordings - 1)) * (n_recordings / (n_recordings - 1)) ** 0.5
    assert _tail(n_recordings) == pytest.approx(float(norm.sf(quantile)))
    assert _tail(n_recordings) == pytest.approx({5: 0.001, 20: 0.016}[n_recordings], abs=5e-4)


@pytest.mark.parametrize("infinite", [-np.inf, np.inf])
def test_a_bound_between_a_number_and_none_is_the_outer_one(infinite: float) -> None:
    """The fifty outermost resamples are infinite and the next is not; the bound lies between them."""

    def statistic(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(np.arange(len(sums)) < 50, infinite, 1.0)

    interval = paired_bootstrap(np.ones((20, 1)), statistic)
    assert interval == (Interval(-np.inf, 1.0) if infinite < 0.0 else Interval(1.0, np.inf))


def test_the_interval_of_a_median_is_expanded_as_others_are() -> None:
    """Of ten recordings it reaches as far out as the quantiles that `_tail` tells, not the plain ones."""
    rng = np.random.default_rng(8)
    recordings = rng.normal(rng.normal(size=(10, 1)), 1.0, (10, 20))
    medians = np.median(recordings[rng.integers(0, 10, (4000, 10))].reshape(4000, -1), axis=1)
    plain, expanded = (np.quantile(medians, [tail, 1.0 - tail]) for tail in (0.025, _tail(10)))
    interval = bootstrap_quantile(list(recordings), 0.5)
    assert interval is not None
    width = interval.high - interval.low
    assert width == pytest.approx(np.ptp(expanded), rel=0.05)
    assert width > 1.1 * np.ptp(plain)
