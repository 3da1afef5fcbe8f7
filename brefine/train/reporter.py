"""A trainer's reports: TensorBoard scalars, status.json, and lines in the log.

Training scalars are written at steps that depend on the recipe alone, so a resumed run writes the same series as an
uninterrupted one. Status and heartbeat go by the clock.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Self

from brefine.config import ModelName
from brefine.identity import own_identity
from brefine.io.folders import is_gone
from brefine.phasedir import RunDir, RunState, RunStatus, Tag, Validation
from brefine.train.checkpoint import TrainingState
from brefine.train.device import Device
from brefine.train.events import EventWriter
from brefine.train.step import Taken

_SCALARS = 500
"""Points of a training curve: more than a screen has columns, few enough to cost nothing."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long a training is."""

    n_steps: int
    steps_per_epoch: int
    batch_size: int
    stagger: int = 0
    """Steps between the end of an epoch and its validation, so that trainings on one machine do not all validate at once."""

    @property
    def n_epochs(self) -> int:
        return self.n_steps // self.steps_per_epoch

    def epoch(self, step: int) -> int:
        """Whole epochs before `step`."""
        return step // self.steps_per_epoch

    def validates(self, step: int) -> bool:
        """Whether a validation follows the first `step` steps: one for each epoch, the last at the end."""
        on_time = step >= self.steps_per_epoch and (step - self.stagger) % self.steps_per_epoch == 0
        return on_time or step == self.n_steps


class Reporter:
    """Writes a training's reports. As a context it closes the event file.

    Args:
        every_s: seconds between two status files.
        start_step: voids events after it, which a killed process has left.
    """

    def __init__(self, run: RunDir, model: ModelName, plan: Plan, device: Device, *, every_s: float, start_step: int = 0) -> None:
        self._run, self._model, self._plan, self._device, self._every_s = run, model, plan, device, every_s
        self._process = own_identity()
        self._started_unix_s = time.time()
        self._start_step = self._counted_step = start_step
        self._begun_s = self._counted_s = self._written_s = time.monotonic()
        self._examples_per_s: float | None = None
        self._loss: float | None = None
        self._unrefined_mae_ms: float | None = None
        self._message: str | None = None
        self._nonfinite_batch: list[str] = []
        self._scalar_every = max(1, plan.n_steps // _SCALARS)
        self._events = EventWriter(run.path, start_step=start_step)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        self._events.__exit__(*error)

    def started(self, state: TrainingState, *, unrefined_mae_ms: float | None) -> None:
        """The training begins, or goes on, at `state.step`."""
        self._unrefined_mae_ms = unrefined_mae_ms
        if unrefined_mae_ms is not None and state.step == 0:
            self._events.scalars({Tag.UNREFINED_MAE_MS: unrefined_mae_ms}, state.step)
        word = f"from step {state.step:,}" if state.step else f"{self._plan.n_steps:,} steps"
        print(f"{self._model} on {self._device.name}: {word}, batches of {self._plan.batch_size}", flush=True)
        self._running(state)

    def stepped(self, state: TrainingState, taken: Taken) -> None:
        """A step is done; scalars and status are written when they are due."""
        step = taken.step + 1
        if step % self._scalar_every == 0 or self._plan.validates(step):
            self._loss = state.loss_sum / state.n_losses if state.n_losses else None
            state.loss_sum, state.n_losses = 0.0, 0
            self._count(step)
            scalars: dict[str, float | None] = {
                Tag.LOSS: self._loss,
                Tag.LEARNING_RATE: taken.rate,
                Tag.GRADIENT_NORM: taken.norm,
                Tag.EPOCH: step / self._plan.steps_per_epoch,
                Tag.EXAMPLES_PER_S: self._examples_per_s,
                Tag.DEVICE_MEMORY_BYTES: self._device.memory_bytes,
            }
            self._events.scalars(scalars, step)
        self.alive(state)

    def alive(self, state: TrainingState) -> None:
        """A sign of life between steps."""
        if time.monotonic() - self._written_s >= self._every_s:
            self._running(state)

    def validated(self, state: TrainingState, validation: Validation) -> None:
        self._events.scalars(
            {
                Tag.VALIDATION_LOSS: validation.loss,
                Tag.VALIDATION_MAE_MS: validation.mae_ms,
                Tag.VALIDATION_MEDIAN_MS: validation.median_ms,
                Tag.WITHIN_50MS: validation.within_50ms,
                Tag.WITHIN_100MS: validation.within_100ms,
                Tag.WITHIN_200MS: validation.within_200ms,
            },
            state.step,
        )
        if validation.mae_ms is not None and validation.within_100ms is not None:
            figures = f"MAE {validation.mae_ms:.1f} ms, {100 * validation.within_100ms:.0f} % within 100 ms"
        else:
            figures = "nothing to validate on"
        best = " (best so far)" if validation == state.best else ""
        loss = "–" if self._loss is None else f"{self._loss:.3f}"
        print(f"epoch {validation.epoch}/{self._plan.n_epochs}: loss {loss}, validation {figures}{best}", flush=True)
        self._running(state)

    def flush(self) -> None:
        """Waits until the curves are with the operating system, so that no checkpoint is ahead of them."""
        self._events.flush()

    def nonfinite(self, state: TrainingState, taken: Taken, *, message: str, batch: list[str]) -> None:
        """Reports what was caught, in the curves and in words. Infinity and not-a-number are written as they are."""
        self._events.scalars({Tag.LOSS: taken.loss, Tag.GRADIENT_NORM: taken.norm}, taken.step + 1)
        self._events.text(Tag.NONFINITE, f"{message}: {'; '.join(batch)}", taken.step + 1)
        self._message, self._nonfinite_batch = message, batch
        print(message, flush=True)
        self._running(state)

    def write(self, run_state: RunState, state: TrainingState) -> None:
        """Replaces status.json."""
        self._count(state.step)
        self._written_s = time.monotonic()
        done, elapsed_s = state.step - self._start_step, self._written_s - self._begun_s
        steps_per_s = done / elapsed_s if done > 0 and elapsed_s > 0.0 else None
        n_left = 0 if run_state is RunState.FINISHED else self._plan.n_steps - state.step  # patience may end it earlier
        RunStatus(
            model=self._model,
            state=run_state,
            process=self._process,
            step=state.step,
            n_steps=self._plan.n_steps,
            epoch=self._plan.epoch(state.step),
            n_epochs=self._plan.n_epochs,
            started_unix_s=self._started_unix_s,
            heartbeat_unix_s=time.time(),
            device=self._device.name,
            loss=self._loss,
            examples_per_s=self._examples_per_s,
            steps_per_s=steps_per_s,
            eta_s=None if steps_per_s is None else n_left / steps_per_s,
            unrefined_mae_ms=self._unrefined_mae_ms,
            last=state.last,
            best=state.best,
            n_nonfinite=state.n_nonfinite,
            message=self._message,
            nonfinite_batch=self._nonfinite_batch,
        ).write(self._run.status)

    def _running(self, state: TrainingState) -> None:
        """Replaces status.json, which the next call replaces again: so a disk that refuses it does not end the training."""
        try:
            self.write(RunState.RUNNING, state)
        except OSError:
            if is_gone(self._run.path.parent):  # moved: any further training would be lost
                raise

    def _count(self, step: int) -> None:
        """Renews the examples per second, over at least half a second."""
        now_s = time.monotonic()
        if step > self._counted_step and now_s - self._counted_s >= 0.5:
            self._examples_per_s = (step - self._counted_step) * self._plan.batch_size / (now_s - self._counted_s)
            self._counted_step, self._counted_s = step, now_s
