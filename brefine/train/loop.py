"""The training loop, the same for all three models, and what it does about numbers that are not finite."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from brefine.config import ModelName, PhaseConfig, TrainConfig
from brefine.core.figures import some_of
from brefine.data.batches import Batch
from brefine.errors import CheckpointError, RunError
from brefine.models.weights import save_weights
from brefine.phasedir import RunDir, RunState
from brefine.train.checkpoint import Checkpoints, TrainingState
from brefine.train.device import Device
from brefine.train.optim import learning_rate
from brefine.train.reporter import Plan, Reporter
from brefine.train.signals import StopSignal
from brefine.train.step import Stepper, Taken
from brefine.train.validation import ValidationSet


class Batches(Protocol):
    """Batches, each a pure function of its step."""

    def at(self, step: int) -> Batch: ...

    def members(self, step: int) -> list[tuple[int, float]]: ...


@dataclass(frozen=True, slots=True)
class Training:
    """One training: everything that does not change from step to step."""

    run: RunDir
    model: ModelName
    config: PhaseConfig
    settings: TrainConfig
    plan: Plan
    device: Device
    batches: Batches
    validation: ValidationSet
    checkpoints: Checkpoints
    recordings: tuple[str, ...]
    """Names of the training recordings, for messages."""
    trained_errors: dict[str, float] = field(default_factory=dict)
    """The distribution of the training errors, for the model's card; see `models.reading.describe_training`."""
    write_weights: Callable[..., object] = save_weights


def train(training: Training, state: TrainingState, reporter: Reporter, stop: StopSignal) -> RunState:
    """Trains from `state.step` to the end, or to the next step after a stop signal, and says how it ended.

    Raises:
        RunError: too many steps were not finite, or the policy is to stop at the first.
    """
    plan, settings = training.plan, training.settings
    sigma_frames = settings.label_sigma_s / training.config.features.hop_s
    if settings.start != "random" and state.last is None:  # the weights that it begins with may stay the best
        validate(training, state, reporter)
        save(training, state, reporter)
    stepper = Stepper(state, training.device, settings, sigma_frames=sigma_frames)
    while state.step < plan.n_steps and not out_of_patience(state, settings):
        rate = learning_rate(state.step, plan.n_steps, settings) * state.rate_scale
        stepper.take(training.batches.at(state.step), step=state.step, rate=rate)
        state.step += 1
        validates, stops = plan.validates(state.step), stop.requested and state.step < plan.n_steps
        if not (stepper.full or validates or stops):
            continue

        for taken in stepper.read():  # the only wait for the device
            state.step = taken.step + 1
            taken_back = False
            if taken.sound:
                state.loss_sum, state.n_losses = state.loss_sum + taken.loss, state.n_losses + 1
            else:
                taken_back = _handle_nonfinite(training, state, reporter, taken)
                stepper.renew()  # a rollback gave the optimiser other tensors
            reporter.stepped(state, taken)
            if taken_back:
                break  # further steps were taken with weights that are gone, so they are taken again
        if plan.validates(state.step):
            validate(training, state, reporter)
            save(training, state, reporter)
        if stops:
            save(training, state, reporter)
            return RunState.STOPPED
    return RunState.FINISHED


def out_of_patience(state: TrainingState, settings: TrainConfig) -> bool:
    """Whether the best validation is so long ago that the training ends; a function of what a checkpoint holds."""
    if settings.patience is None or state.last is None or state.best is None:
        return False
    return state.last.epoch - state.best.epoch >= settings.patience


def validate(training: Training, state: TrainingState, reporter: Reporter) -> None:
    """Measures the averaged weights, and keeps them if they are the best so far."""
    weights = state.average.state_dict()
    state.last = training.validation.measure(
        state.model,
        weights,
        step=state.step,
        epoch=training.plan.epoch(state.step),
        on_batch=lambda: reporter.alive(state),
    )
    found_ms, best_ms = state.last.mae_ms, None if state.best is None else state.best.mae_ms
    if best_ms is None or (found_ms is not None and found_ms < best_ms):
        state.best = state.last
        _save_weights(training, state, "best")
    _save_weights(training, state, "last")
    reporter.validated(state, state.last)


def save(training: Training, state: TrainingState, reporter: Reporter) -> None:
    """Makes this step the one from which a killed training goes on."""
    reporter.flush()
    training.checkpoints.save(state)


def _save_weights(training: Training, state: TrainingState, name: Literal["last", "best"]) -> None:
    training.write_weights(
        training.run.weights(name),
        training.model,
        state.average.state_dict(),
        training.config.features,
        training.config.examples,
        validation=state.last,
        prior=training.trained_errors,
    )


def _handle_nonfinite(training: Training, state: TrainingState, reporter: Reporter, taken: Taken) -> bool:
    """Says what happened and to which examples, then follows the policy. The optimiser has not seen the gradient.

    A rollback restores weights and optimiser, and halves the learning rate. The step counter goes on from the broken step, so
    that the curves stay functions of the step and the broken batch does not come again at once. Before the first checkpoint there
    is nothing to restore: the step is skipped, and the rate is halved for later steps. Checkpoints that cannot be used are named.

    Returns:
        whether weights were restored.

    Raises:
        RunError: see `train`.
    """
    state.n_nonfinite += 1
    what = "non-finite gradient" if math.isfinite(taken.loss) else "non-finite loss"
    if math.isfinite(taken.loss) and math.isfinite(taken.norm):
        what = f"exploding gradient (norm {taken.norm:.3g})"
    members = training.batches.members(taken.step)
    batch = [f"{training.recordings[recording]} at {time_s:.2f} s" for recording, time_s in members]
    where = f"step {taken.step + 1:,}, batch of {some_of(batch, 3)}"
    policy = training.settings.nonfinite
    packed, done, unused = None, f"skipped {where}", ""
    if policy == "rollback":
        packed, refused = _roll_back(training, state)
        none = "no checkpoint can be used" if refused else "no checkpoint to roll back to"
        back = f"{none}: skipped" if packed is None else f"rolled back to step {packed['step']:,}"
        done, unused = f"{back}, learning rate halved, at {where}", "".join(f"; {problem}" for problem in refused)
    reporter.nonfinite(state, taken, message=f"{done} ({what}){unused}", batch=batch)
    if policy == "stop" or state.n_nonfinite > training.settings.max_nonfinite:
        other = "" if policy == "rollback" else ' or nonfinite = "rollback"'
        raise RunError(
            f"{what} at {where}",
            where=training.run.path,
            hint=f"look at that batch; a smaller learning rate (--set train.lr=…){other} may help",
        )
    return packed is not None


def _roll_back(training: Training, state: TrainingState) -> tuple[dict[str, Any] | None, list[str]]:
    """Halves the learning rate, and returns the restored state, with a word on each checkpoint that was refused.

    The state is None if there is no checkpoint to restore.
    """
    try:
        packed, refused = training.checkpoints.load()
    except CheckpointError as error:
        packed, refused = None, list(error.problems)
    state.rate_scale *= 0.5
    if packed is not None:
        state.unpack_weights(packed)
    return packed, refused
