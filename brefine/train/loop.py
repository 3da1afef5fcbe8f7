"""The training loop, the same for all three models, and what it does with numbers that are none."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from brefine.config import ModelName, PhaseConfig, TrainConfig
from brefine.data.batches import Batch
from brefine.errors import CheckpointError, RunError
from brefine.models.heads import target_distribution
from brefine.models.weights import save_weights
from brefine.phasedir import RunDir, RunState
from brefine.train.checkpoint import Checkpoints, TrainingState
from brefine.train.device import Device
from brefine.train.losses import refiner_loss
from brefine.train.optim import learning_rate
from brefine.train.reporter import Plan, Reporter
from brefine.train.signals import StopSignal
from brefine.train.validation import ValidationSet

_EXPLODING = 1000.0
"""Gradient norms above this many times the clipping norm say that something broke, not that a batch was hard."""


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
    write_weights: Callable[..., object] = save_weights


def train(training: Training, state: TrainingState, reporter: Reporter, stop: StopSignal) -> RunState:
    """Trains from `state.step` to the end, or to the next step after a stop signal, and says how it ended.

    Raises:
        RunError: too many steps were not finite, or the policy is to stop at the first.
    """
    plan, settings = training.plan, training.settings
    sigma_frames = settings.label_sigma_s / training.config.features.hop_s
    while state.step < plan.n_steps and not out_of_patience(state, settings):
        batch = training.batches.at(state.step)
        with training.device.autocast():
            output = state.model(batch.features_BTF)
        target_BK = target_distribution(batch.offset_frames_B, output.logits_BK.shape[1] - 1, sigma_frames)
        loss = refiner_loss(output, target_BK, batch.offset_frames_B)
        torch.autograd.backward(loss)
        norm = clip_grad_norm_(state.model.parameters(), settings.clip_norm, foreach=True)
        loss_value, norm_value = _numbers(loss, norm)  # the only wait for the device in a step
        rate = learning_rate(state.step, plan.n_steps, settings) * state.rate_scale

        if math.isfinite(loss_value) and norm_value <= _EXPLODING * settings.clip_norm:
            _set_rate(state.optimizer, rate)
            state.optimizer.step()
            state.average.update(state.step)
            state.loss_sum, state.n_losses = state.loss_sum + loss_value, state.n_losses + 1
        else:
            _handle_nonfinite(training, state, reporter, loss=loss_value, norm=norm_value)
        state.optimizer.zero_grad(set_to_none=True)
        state.step += 1
        reporter.stepped(state, rate=rate, norm=norm_value)

        if state.step % plan.steps_per_epoch == 0:
            validate(training, state, reporter)
            save(training, state, reporter)
        if stop.requested and state.step < plan.n_steps:
            save(training, state, reporter)
            return RunState.STOPPED
    return RunState.FINISHED


def out_of_patience(state: TrainingState, settings: TrainConfig) -> bool:
    """Whether the best validation lies so far behind that the training ends; a function of what a checkpoint holds."""
    if settings.patience is None or state.last is None or state.best is None:
        return False
    return state.last.epoch - state.best.epoch >= settings.patience


def validate(training: Training, state: TrainingState, reporter: Reporter) -> None:
    """Measures the averaged weights, and keeps them where they are the best so far."""
    weights = state.average.state_dict()
    state.last, prior = training.validation.measure(
        state.model,
        weights,
        step=state.step,
        epoch=training.plan.epoch(state.step),
        on_batch=lambda: reporter.alive(state),
    )
    found_ms, best_ms = state.last.mae_ms, None if state.best is None else state.best.mae_ms
    if best_ms is None or (found_ms is not None and found_ms < best_ms):
        state.best = state.last
        _save_weights(training, state, "best", prior)
    _save_weights(training, state, "last", prior)
    reporter.validated(state, state.last)


def save(training: Training, state: TrainingState, reporter: Reporter) -> None:
    """Makes this step the one from which a killed training goes on."""
    reporter.flush()
    training.checkpoints.save(state)


def _save_weights(training: Training, state: TrainingState, name: Literal["last", "best"], prior: dict[str, float]) -> None:
    training.write_weights(
        training.run.weights(name),
        training.model,
        state.average.state_dict(),
        training.config.features,
        training.config.examples,
        validation=state.last,
        prior=prior,
    )


def _handle_nonfinite(training: Training, state: TrainingState, reporter: Reporter, *, loss: float, norm: float) -> None:
    """Says what happened and to which examples, then follows the policy. The optimiser has not seen the gradient.

    A rollback takes back weights and optimiser, and halves the learning rate; the step counter goes on, so that the
    curves stay functions of the step and the broken batch does not come again at once.

    Raises:
        RunError: see `train`.
    """
    state.n_nonfinite += 1
    exploding = math.isfinite(loss) and math.isfinite(norm)
    what = "non-finite gradient" if math.isfinite(loss) else "non-finite loss"
    if exploding:
        what = f"exploding gradient (norm {norm:.3g})"
    members = training.batches.members(state.step)
    batch = [f"{training.recordings[recording]} at {time_s:.2f} s" for recording, time_s in members]
    where = f"step {state.step:,}, batch of {', '.join(batch[:3])}" + (f" and {len(batch) - 3} more" if len(batch) > 3 else "")
    policy = training.settings.nonfinite
    done = f"skipped {where}"
    if policy == "rollback":
        done = f"{_roll_back(training, state)} at {where}"
    reporter.nonfinite(state, loss=loss, norm=norm, message=f"{done} ({what})", batch=batch)
    if policy == "stop" or state.n_nonfinite > training.settings.max_nonfinite:
        raise RunError(
            f"{what} at {where}",
            where=training.run.path,
            hint='look at that batch; a smaller learning rate (--set train.lr=…) or nonfinite = "rollback" may help',
        )


def _roll_back(training: Training, state: TrainingState) -> str:
    try:
        packed, _refused = training.checkpoints.load()
    except CheckpointError:
        packed = None
    state.rate_scale *= 0.5
    if packed is None:
        return "no checkpoint to roll back to: skipped, learning rate halved,"
    state.unpack_weights(packed)
    return f"rolled back to step {packed['step']:,}, learning rate halved,"


def _numbers(*tensors: Tensor) -> list[float]:
    numbers: list[float] = torch.stack([tensor.detach().float() for tensor in tensors]).tolist()
    return numbers


def _set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate
