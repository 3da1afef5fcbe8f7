"""Selection: the rule, and its reason in words."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brefine.core.bootstrap import Interval
from brefine.core.selection import Candidate, select

TRANSFORMER = Candidate("transformer", 300.0, Interval(290.0, 312.0), 271.0, unrefined_ms=420.0)
MLP = Candidate("mlp", 310.0, Interval(299.0, 322.0), 13169.0, unrefined_ms=420.0)
CONTRASTIVE = Candidate("contrastive", 330.0, Interval(318.0, 341.0), 451.0, unrefined_ms=420.0)


def test_within_the_best_interval_the_faster_model_is_taken() -> None:
    """310 ms lies within [290, 312] of the best, and is fifty times faster."""
    ranking = select([CONTRASTIVE, MLP, TRANSFORMER])
    assert ranking.recommended == "mlp"
    assert [candidate.model for candidate in ranking.candidates] == ["transformer", "mlp", "contrastive"]
    assert "within transformer's interval (300 ms [290, 312])" in ranking.reason


def test_outside_the_interval_the_better_model_is_taken() -> None:
    """However slow it is."""
    ranking = select([TRANSFORMER, CONTRASTIVE])
    assert ranking.recommended == "transformer"
    assert "contrastive with 330 ms, lies outside its interval" in ranking.reason


def test_the_best_may_also_be_the_fastest() -> None:
    """Then the reason says both."""
    fast = Candidate("transformer", 300.0, Interval(290.0, 320.0), 99999.0)
    assert select([fast, MLP]).recommended == "transformer"
    assert "fastest of the 2 models" in select([fast, MLP]).reason


@pytest.mark.parametrize(
    ("mlp_per_s", "taken", "reason"),
    [
        (509.0, "mlp", "mlp is the fastest of 2 models that are as good as the best"),
        (
            400.0,
            "transformer",
            "and is at 250 boundaries/s about as fast as mlp, the fastest of the 2 models that are as good",
        ),
        (187.0, "transformer", "and is the fastest of the 2 models that are as good (250 boundaries/s)"),
    ],
)
def test_speeds_that_differ_by_less_than_twice_choose_no_worse_model(mlp_per_s: float, taken: str, reason: str) -> None:
    """A busy machine measures less; of models that are about as fast the better one is taken, whichever was disturbed."""
    ranking = select([replace(TRANSFORMER, boundaries_per_s=250.0), replace(MLP, boundaries_per_s=mlp_per_s)])
    assert ranking.recommended == taken
    assert reason in ranking.reason


def test_the_better_of_the_fast_ones_is_taken() -> None:
    """The best is slow; of two others that are as good, one is somewhat faster and the other better."""
    other = replace(MLP, model="contrastive", capped_mean_ms=305.0, boundaries_per_s=9000.0)
    ranking = select([TRANSFORMER, MLP, other])
    assert ranking.recommended == "contrastive"
    assert ranking.reason.startswith(
        "contrastive is about as fast as the fastest of 3 models that are as good as the best (mlp, 13169 boundaries/s), and "
        "better: its capped mean of 305 ms lies within"
    )


def _by_recording(model: str, extra_ms: tuple[float, ...], per_s: float) -> Candidate:
    """Ten boundaries in each recording, hard (900 ms each) and easy (100 ms) in turn; `extra_ms` more in one each."""
    sums = {f"r{place}": (10, 1000.0 * (9 if place % 2 else 1) + 10 * more) for place, more in enumerate(extra_ms)}
    mean_ms = sum(total for _, total in sums.values()) / (10 * len(sums))
    return Candidate(model, mean_ms, Interval(mean_ms - 200.0, mean_ms + 200.0), per_s, capped_sum_ms=sums)


def test_what_makes_a_recording_hard_for_all_models_hides_no_difference() -> None:
    """Always 10 to 14 ms worse is worse, though both lie deep within each other's interval and the worse one is faster."""
    best = _by_recording("contrastive", (0.0,) * 10, 500.0)
    worse = _by_recording("mlp", (10.0, 14.0) * 5, 1000.0)
    ranking = select([worse, best])
    assert ranking.recommended == "contrastive"
    assert "mlp with 512 ms, is 12 ms [10, 14] more on the same recordings" in ranking.reason


def test_a_difference_that_may_be_chance_leaves_the_choice_to_speed() -> None:
    """12 ms worse on average, better in four recordings of ten: the interval of the difference reaches 0."""
    best = _by_recording("contrastive", (0.0,) * 10, 500.0)
    other = _by_recording("mlp", (60.0, -40.0, 50.0, -30.0, 40.0, -20.0, 30.0, -10.0, 30.0, 10.0), 1000.0)
    ranking = select([best, other])
    assert ranking.recommended == "mlp"
    assert "its capped mean of 512 ms is 12 ms [-" in ranking.reason


def test_models_of_different_boundaries_are_compared_by_the_interval() -> None:
    """An older evaluation, or one of other recordings, cannot be paired: the winner's own interval decides, as it says."""
    best = _by_recording("contrastive", (0.0,) * 10, 500.0)
    other = _by_recording("mlp", (12.0,) * 12, 1000.0)
    ranking = select([best, other])
    assert ranking.recommended == "mlp"
    assert "lies within contrastive's interval" in ranking.reason


def test_models_without_figures_come_last_and_are_never_taken() -> None:
    """A model whose evaluation failed is listed, not chosen, however fast."""
    broken = Candidate("mlp", None, None, 99999.0)
    ranking = select([broken, TRANSFORMER])
    assert ranking.recommended == "transformer"
    assert ranking.candidates[-1] is broken
    assert "only model with figures" in ranking.reason
    with pytest.raises(ValueError, match="no candidate"):
        select([broken])


def test_few_recordings_leave_the_choice_to_the_figure() -> None:
    """From four recordings nobody can tell whether a model is as good: the least mean is taken, and the reason says how."""
    best = replace(_by_recording("contrastive", (0.0,) * 4, 500.0), interval_ms=None)
    other = replace(_by_recording("mlp", (10.0,) * 4, 1000.0), interval_ms=None)
    ranking = select([other, best])
    assert ranking.recommended == "contrastive"
    assert ranking.reason.endswith("mlp with 510 ms, is 10 ms more, but without an interval")


def test_a_winner_that_improves_nothing_is_called_so() -> None:
    """The best of the bad is not praised."""
    useless = Candidate("mlp", 430.0, None, 10.0, unrefined_ms=420.0)
    assert "no better than moving nothing (420 ms)" in select([useless]).reason


@given(st.permutations([TRANSFORMER, MLP, CONTRASTIVE]))
def test_order_does_not_matter(candidates: list[Candidate]) -> None:
    """The same candidates give the same ranking."""
    assert select(candidates) == select([TRANSFORMER, MLP, CONTRASTIVE])
