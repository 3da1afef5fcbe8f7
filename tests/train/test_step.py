"""One optimiser step and its guard."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from brefine.config import PhaseConfig, TrainConfig
from brefine.data.batches import Batch
from brefine.phasedir import RunDir
from brefine.train.checkpoint import TrainingState
from brefine.train.loop import Training
from brefine.train.setup import build_training
from brefine.train.step import Stepper, Taken

MakeRun = Callable[..., tuple[RunDir, PhaseConfig]]
on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")


def build(make_run: MakeRun, name: str = "phase", **train: object) -> tuple[Training, TrainingState]:
    run, config = make_run(name, train=train)
    return build_training(run, "mlp", config, resume=False)


def stepper_of(training: Training, state: TrainingState) -> Stepper:
    return Stepper(state, training.device, training.settings, sigma_frames=2.0)


def take(
    stepper: Stepper, training: Training, steps: range, change: Callable[[Batch, int], Batch] = lambda b, _: b
) -> list[Taken]:
    taken = []
    for step in steps:
        stepper.take(change(training.batches.at(step), step), step=step, rate=1e-3)
        if stepper.full:
            taken += stepper.read()
    return taken + stepper.read()


def everything(state: TrainingState) -> list[torch.Tensor]:
    moments = [value for moment in state.optimizer.state.values() for value in moment.values()]
    return [each.detach().clone() for each in (*state.model.parameters(), *state.average.state_dict().values(), *moments)]


@pytest.mark.parametrize(
    ("factor", "place"),  # a loud input breaks nothing: the model's normalisation bears it
    [(math.nan, "input"), (math.inf, "input"), (math.nan, "gradient"), (math.inf, "gradient"), (1e9, "gradient")],
)
def test_a_broken_step_leaves_weights_moments_and_average_alone(make_run: MakeRun, factor: float, place: str) -> None:
    """Not a number, infinite, or a gradient that explodes: the optimiser follows none of them, and the next step is sound."""
    training, state = build(make_run)
    stepper = stepper_of(training, state)
    first = take(stepper, training, range(1))
    assert first[0].sound
    before = everything(state)
    scaled = next(state.model.parameters()).register_hook(lambda gradient: gradient * (factor if place == "gradient" else 1.0))
    broken = take(
        stepper,
        training,
        range(1, 2),
        lambda batch, _: batch._replace(features_BTF=batch.features_BTF * (factor if place == "input" else 1.0)),
    )
    scaled.remove()
    assert not broken[0].sound
    assert all(torch.equal(*pair) for pair in zip(before, everything(state), strict=True))
    assert take(stepper, training, range(2, 3))[0].sound
    assert not all(torch.equal(*pair) for pair in zip(before, everything(state), strict=True))


def test_the_rate_of_each_step_is_its_own(make_run: MakeRun) -> None:
    """At a rate of nought no weight moves, whatever the rate before was."""
    training, state = build(make_run, weight_decay=0.0)
    stepper = stepper_of(training, state)
    take(stepper, training, range(1))
    before = [parameter.detach().clone() for parameter in state.model.parameters()]
    stepper.take(training.batches.at(1), step=1, rate=0.0)
    assert stepper.read()[0].rate == 0.0
    assert all(torch.equal(*pair) for pair in zip(before, state.model.parameters(), strict=True))


def test_a_large_gradient_is_scaled_down_to_the_clipping_norm(make_run: MakeRun) -> None:
    """The optimiser sees it scaled, the curve as it was; a small one stays as it is."""
    training, state = build(make_run)
    found = take_at_rest(training, state, clip_norm=1e6)
    assert gradients_norm(state) == pytest.approx(found.norm, rel=1e-4)
    clipped = take_at_rest(training, state, clip_norm=found.norm / 4)
    assert clipped.norm == pytest.approx(found.norm, rel=1e-4)
    assert gradients_norm(state) == pytest.approx(found.norm / 4, rel=1e-4)


@pytest.mark.parametrize(("factor", "sound"), [(990.0, True), (1010.0, False)])
def test_a_gradient_explodes_beyond_a_thousand_clipping_norms(make_run: MakeRun, factor: float, sound: bool) -> None:
    """Up to there a batch may be hard."""
    training, state = build(make_run)
    norm = take_at_rest(training, state, clip_norm=1e6).norm
    assert take_at_rest(training, state, clip_norm=norm / factor).sound == sound


def test_each_step_has_its_own_gradient(make_run: MakeRun) -> None:
    """That of the step before is not added to it."""
    training, state = build(make_run)
    norms = [take_at_rest(training, state, clip_norm=1e6).norm for _ in range(3)]
    assert norms == pytest.approx([norms[0]] * 3, rel=1e-4)


@pytest.mark.parametrize(("step", "pull"), [(0, 0.9), (30, 0.225), (100_000, 0.01)])
def test_the_average_goes_towards_the_weights_by_the_age_of_the_training(make_run: MakeRun, step: int, pull: float) -> None:
    """Nine tenths of the way after the first step, at last what `ema_decay` leaves."""
    training, state = build(make_run, ema_decay=0.99)
    before = [average.clone() for average in state.average.state_dict().values()]
    stepper = stepper_of(training, state)
    stepper.take(training.batches.at(0), step=step, rate=0.1)
    assert stepper.read()[0].sound
    after = state.average.state_dict().values()
    for start, average, weight in zip(before, after, state.model.parameters(), strict=True):
        torch.testing.assert_close(average, start + pull * (weight.detach() - start), rtol=1e-4, atol=1e-6)


def take_at_rest(training: Training, state: TrainingState, *, clip_norm: float) -> Taken:
    """Takes the first step with another clipping norm, at a rate of nought: the weights stay, however often it is taken."""
    settings = training.settings.model_copy(update={"clip_norm": clip_norm})
    stepper = Stepper(state, training.device, settings, sigma_frames=2.0)
    stepper.take(training.batches.at(0), step=0, rate=0.0)
    return stepper.read()[0]


def gradients_norm(state: TrainingState) -> float:
    return float(torch.linalg.vector_norm(torch.cat([parameter.grad.flatten() for parameter in state.model.parameters()])))


@on_a_gpu
def test_a_recorded_step_does_what_single_launches_do(make_run: MakeRun) -> None:
    """The same losses and weights over more steps than are read at once, with a broken one among them and a renewal after it."""

    def poison(batch: Batch, step: int) -> Batch:
        return batch._replace(features_BTF=batch.features_BTF * math.nan) if step == 5 else batch

    found = {}
    for capture in ("auto", "off"):
        training, state = build(make_run, capture, capture=capture)
        stepper = stepper_of(training, state)
        taken = take(stepper, training, range(20), poison)
        stepper.renew()
        taken += take(stepper, training, range(20, 24))
        found[capture] = taken, everything(state)
        assert [each.sound for each in taken] == [step != 5 for step in range(24)]
        assert (stepper._graph is not None) == (capture == "auto")
    for own, other in zip(*(taken for taken, _ in found.values()), strict=True):
        assert own.loss == pytest.approx(other.loss, rel=1e-3, nan_ok=True)
    for own, other in zip(*(tensors for _, tensors in found.values()), strict=True):
        torch.testing.assert_close(own, other, rtol=1e-2, atol=1e-4)


@on_a_gpu
def test_a_recording_begins_without_learning(make_run: MakeRun) -> None:
    """The steps that warm up leave the weights as they were: at a rate of nought a whole first step does."""
    training, state = build(make_run, weight_decay=0.0)
    before = [parameter.detach().clone() for parameter in state.model.parameters()]
    stepper = stepper_of(training, state)
    stepper.take(training.batches.at(0), step=0, rate=0.0)
    assert stepper.read()[0].sound
    assert all(torch.equal(*pair) for pair in zip(before, state.model.parameters(), strict=True))


def test_without_a_gpu_nothing_is_recorded(make_run: MakeRun) -> None:
    """`capture = "auto"` is the default everywhere."""
    assert TrainConfig().capture == "auto"
    training, state = build(make_run)
    if training.device.device.type == "cuda":
        pytest.skip("there is a GPU here")
    stepper = stepper_of(training, state)
    take(stepper, training, range(2))
    assert stepper._graph is None
