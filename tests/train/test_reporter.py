"""What a trainer says of its speed, its end, and its figures."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from brefine.phasedir import RunDir, RunState, RunStatus, Tag, Validation
from brefine.train.checkpoint import TrainingState
from brefine.train.device import Device
from brefine.train.optim import WeightAverage
from brefine.train.reporter import Plan, Reporter
from brefine.train.step import Taken
from tests.train.test_loop import scalars

PLAN = Plan(n_steps=200, steps_per_epoch=50, batch_size=8)
MEASURED = Validation(
    step=100, epoch=2, loss=1.5, mae_ms=80.0, median_ms=60.0, within_50ms=0.125, within_100ms=0.25, within_200ms=0.5
)


class Clock:
    """Two clocks that go on when they are told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._now_s = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self._now_s)
        monkeypatch.setattr(time, "time", lambda: 1.8e9 + self._now_s)

    def passes(self, seconds: float) -> None:
        self._now_s += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path / "mlp")


@pytest.fixture
def report(run: RunDir, clock: Clock) -> Callable[..., Reporter]:
    """Makes a reporter of a training that goes on at a step."""

    def make(*, start_step: int = 0, every_s: float = 2.0) -> Reporter:
        device = Device(torch.device("cpu"), torch.float32, "CPU")
        return Reporter(run, "mlp", PLAN, device, every_s=every_s, start_step=start_step)

    return make


def state_at(step: int) -> TrainingState:
    model = nn.Linear(1, 1)
    return TrainingState(model, WeightAverage(model, 0.9), torch.optim.AdamW(model.parameters()), step=step)


def test_speed_and_end_are_told_from_the_steps_of_this_process(
    run: RunDir, clock: Clock, report: Callable[..., Reporter]
) -> None:
    """Ten steps of eight examples in five seconds, whatever was trained before it; the ninety that are left take 45 s."""
    with report(start_step=100) as reporter:
        clock.passes(5.0)
        reporter.write(RunState.RUNNING, state_at(110))
    status = RunStatus.read(run.status)
    assert (status.steps_per_s, status.examples_per_s, status.eta_s) == pytest.approx((2.0, 16.0, 45.0))
    assert (status.step, status.n_steps, status.epoch, status.n_epochs) == (110, 200, 2, 4)


def test_a_training_without_a_step_tells_no_speed(run: RunDir, clock: Clock, report: Callable[..., Reporter]) -> None:
    """A validation may come first, and takes its time."""
    with report(start_step=100) as reporter:
        clock.passes(5.0)
        reporter.write(RunState.RUNNING, state_at(100))
    status = RunStatus.read(run.status)
    assert (status.steps_per_s, status.examples_per_s, status.eta_s) == (None, None, None)


def test_a_sign_of_life_moves_the_heartbeat_when_it_is_due(run: RunDir, clock: Clock, report: Callable[..., Reporter]) -> None:
    """Not before, so that a validation of many batches does not write as many files."""
    state, beats = state_at(0), []
    with report(every_s=2.0) as reporter:
        reporter.write(RunState.RUNNING, state)
        for _ in range(4):
            clock.passes(1.0)
            reporter.alive(state)
            beats.append(RunStatus.read(run.status).heartbeat_unix_s - 1.8e9)
    assert beats == [1000.0, 1002.0, 1002.0, 1004.0]


def test_a_step_is_a_sign_of_life(run: RunDir, clock: Clock, report: Callable[..., Reporter]) -> None:
    """Whoever takes steps writes his status when it is due, without a validation."""
    taken = [Taken(step, rate=0.25, loss=9.0, norm=0.75, sound=True) for step in range(2)]
    with report(every_s=2.0) as reporter:
        clock.passes(1.0)
        reporter.stepped(state_at(1), taken[0])
        assert not run.status.exists()
        clock.passes(1.0)
        reporter.stepped(state_at(2), taken[1])
    assert RunStatus.read(run.status).step == 2


def test_a_disk_that_refuses_a_word_does_not_end_the_training(
    run: RunDir, report: Callable[..., Reporter], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one is tried when it is due; the last one is not lost in silence."""
    write, refused = RunStatus.write, []

    def refuse(status: RunStatus, path: Path) -> None:
        refused.append(status.state)
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    with report(every_s=2.0) as reporter:
        monkeypatch.setattr(RunStatus, "write", refuse)
        reporter.started(state_at(0), unrefined_mae_ms=None)
        clock.passes(3.0)
        reporter.alive(state_at(10))
        reporter.alive(state_at(11))
        reporter.validated(state_at(12), MEASURED)
        assert refused == [RunState.RUNNING] * 3
        with pytest.raises(OSError, match=os.strerror(errno.EIO)):
            reporter.write(RunState.FINISHED, state_at(200))
        monkeypatch.setattr(RunStatus, "write", write)
        clock.passes(3.0)
        reporter.alive(state_at(20))
    assert RunStatus.read(run.status).step == 20


def test_each_figure_of_a_validation_has_its_own_curve(run: RunDir, report: Callable[..., Reporter]) -> None:
    """And all of them reach the status as they are."""
    state = state_at(100)
    state.last = state.best = MEASURED
    with report(start_step=99) as reporter:
        reporter.validated(state, MEASURED)
    assert RunStatus.read(run.status).last == MEASURED
    for tag, value in (
        (Tag.VALIDATION_LOSS, 1.5),
        (Tag.VALIDATION_MAE_MS, 80.0),
        (Tag.VALIDATION_MEDIAN_MS, 60.0),
        (Tag.WITHIN_50MS, 0.125),
        (Tag.WITHIN_100MS, 0.25),
        (Tag.WITHIN_200MS, 0.5),
    ):
        assert scalars(run, tag) == [(100, value)]


def test_the_log_has_a_line_a_validation(report: Callable[..., Reporter], capsys: pytest.CaptureFixture[str]) -> None:
    """With the loss of the last point, where there is one, and a word where it is the best; or that there was nothing."""
    state = state_at(100)
    state.best, state.loss_sum, state.n_losses = MEASURED, 3.0, 2
    nothing = MEASURED.model_copy(update={"mae_ms": None, "within_100ms": None})
    with report() as reporter:
        reporter.validated(state, MEASURED)
        reporter.stepped(state, Taken(99, rate=0.25, loss=9.0, norm=0.75, sound=True))
        for measured in (MEASURED.model_copy(update={"mae_ms": 90.0}), nothing):
            reporter.validated(state, measured)
    assert capsys.readouterr().out.splitlines() == [
        "epoch 2/4: loss –, validation MAE 80.0 ms, 25 % within 100 ms (best so far)",
        "epoch 2/4: loss 1.500, validation MAE 90.0 ms, 25 % within 100 ms",
        "epoch 2/4: loss 1.500, validation nothing to validate on",
    ]


def test_each_figure_of_a_step_has_its_own_curve(run: RunDir, report: Callable[..., Reporter]) -> None:
    """The loss is the mean since the last point; epochs are counted in parts."""
    state = state_at(25)
    state.loss_sum, state.n_losses = 3.0, 2
    with report(start_step=24) as reporter:
        reporter.stepped(state, Taken(24, rate=0.25, loss=9.0, norm=0.75, sound=True))
    for tag, value in ((Tag.LOSS, 1.5), (Tag.LEARNING_RATE, 0.25), (Tag.GRADIENT_NORM, 0.75), (Tag.EPOCH, 0.5)):
        assert scalars(run, tag) == [(25, value)]
    assert (state.loss_sum, state.n_losses) == (0.0, 0)


def test_what_no_refiner_does_is_one_point_of_the_curves(run: RunDir, report: Callable[..., Reporter]) -> None:
    """At the start; a training that goes on tells it in its status alone."""
    for step in (0, 100):
        with report(start_step=step) as reporter:
            reporter.started(state_at(step), unrefined_mae_ms=96.0)
        assert RunStatus.read(run.status).unrefined_mae_ms == 96.0
    assert scalars(run, Tag.UNREFINED_MAE_MS) == [(0, 96.0)]
