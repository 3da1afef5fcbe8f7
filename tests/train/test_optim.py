"""Schedules as functions of the step."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
import torch
from torch import nn

from brefine.config import TrainConfig
from brefine.train.optim import WeightAverage, average_decay, build_optimizer, learning_rate

SETTINGS = TrainConfig(lr=1e-3, warmup_fraction=0.1)


def test_the_learning_rate_rises_then_falls_to_a_hundredth() -> None:
    """Highest right after the warm-up, never zero, never above the configured rate."""
    rates = [learning_rate(step, 100, SETTINGS) for step in range(100)]
    assert rates.index(max(rates)) == 10
    assert max(rates) == pytest.approx(1e-3)
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert learning_rate(100, 100, SETTINGS) == pytest.approx(1e-5)
    assert learning_rate(0, 100, TrainConfig(lr=1.0, warmup_fraction=0.0)) == pytest.approx(1.0)


def test_the_first_step_of_a_warm_up_learns_already() -> None:
    """At a rate of nought it would be lost; each step of the ten adds an eleventh."""
    assert rates_at(range(11), SETTINGS) == pytest.approx([1e-3 * (step + 1) / 11 for step in range(11)])


def test_young_averages_forget_faster() -> None:
    """The decay grows from a tenth to the configured one."""
    assert average_decay(0, 0.999) == pytest.approx(0.1)
    assert average_decay(100_000, 0.999) == 0.999
    assert average_decay(5, 0.0) == 0.0


def test_the_average_follows_the_weights() -> None:
    """avg ← d·avg + (1 − d)·weight; without decay it is the weight itself."""
    model = nn.Linear(2, 1)
    start = model.weight.detach().clone()
    average, none = WeightAverage(model, 0.5), WeightAverage(model, 0.0)
    with torch.no_grad():
        model.weight += 1.0
    average.update(torch.tensor(average.pull(1000)))
    none.update(torch.tensor(none.pull(1000)))
    torch.testing.assert_close(average.state_dict()["weight"], start + 0.5)
    torch.testing.assert_close(none.state_dict()["weight"], start + 1.0)


def test_only_matrices_decay() -> None:
    """Biases, norms and the frames' prior are no complexity to be punished."""
    groups = build_optimizer(nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3)), SETTINGS).param_groups
    assert [(group["weight_decay"], len(group["params"])) for group in groups] == [(0.01, 1), (0.0, 3)]


def test_the_moments_forget_within_ten_and_a_hundred_steps() -> None:
    """A first gradient of one leaves a tenth of itself in the mean, and a hundredth of its square."""
    model = nn.Linear(2, 1)
    optimizer = build_optimizer(model, SETTINGS)
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    moments = optimizer.state[model.weight]
    torch.testing.assert_close(moments["exp_avg"], torch.full((1, 2), 0.1))
    torch.testing.assert_close(moments["exp_avg_sq"], torch.full((1, 2), 0.01))


def test_every_schedule_starts_at_the_highest_rate_and_is_a_function_of_the_step() -> None:
    """The line is half-way down in the middle; the cosine has fallen less before it, and more behind it; `constant` stays."""
    linear, cosine, constant = (
        rates_at((0, 25, 50, 75, 100), TrainConfig(lr=1.0, warmup_fraction=0.0, schedule=name))
        for name in ("linear", "cosine", "constant")
    )
    assert linear == pytest.approx([1.0, 0.7525, 0.505, 0.2575, 0.01])
    assert cosine == pytest.approx([1.0, 0.855018, 0.505, 0.154982, 0.01], abs=1e-6)
    assert constant == [1.0] * 5


def rates_at(steps: Iterable[int], settings: TrainConfig) -> list[float]:
    return [learning_rate(step, 100, settings) for step in steps]
