"""The state of a phase at one moment: the only thing that screens, `--json` and plain lines render.

A snapshot is immutable and complete. `run.store` makes one per tick from files; nothing here reads a file or a clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from brefine.phasedir import (
    Alert,
    EvaluationReport,
    GateRecord,
    IntegrationReport,
    JobRecord,
    Progress,
    RunStatus,
    SelectionRecord,
    Stage,
    Tag,
)


class PhaseState(StrEnum):
    """How far a phase is, derived from its files."""

    PREPARING = "preparing"
    TRAINING = "training"
    EVALUATING = "evaluating"
    TO_SELECT = "to select"
    TO_INTEGRATE = "to integrate"
    INTEGRATING = "integrating"
    TO_DECIDE = "to decide"
    DECIDED = "decided"
    STOPPED = "stopped"
    FAILED = "failed"


WORKING: Final = (PhaseState.PREPARING, PhaseState.TRAINING, PhaseState.EVALUATING, PhaseState.INTEGRATING)
"""States in which processes work without the person."""


class ShownState(StrEnum):
    """A run's state as a person is shown it: the trainer's own status, corrected by what the reader sees."""

    PENDING = "pending"
    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    FINISHED = "finished"
    FAILED = "failed"
    NONFINITE = "nonfinite"
    STALLED = "stalled"
    LOST = "lost"


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """One scalar of one run, ordered by step. Not-a-number and infinity are kept, so that they can be shown.

    Attributes:
        steps: shape (n,), optimiser steps, rising.
        values: shape (n,).
        unix_s: shape (n,), when each value was written.
    """

    tag: str
    steps: NDArray[np.int64]
    values: NDArray[np.float64]
    unix_s: NDArray[np.float64]

    @property
    def last(self) -> float | None:
        """The newest value, finite or not."""
        return float(self.values[-1]) if len(self.values) else None


@dataclass(frozen=True, slots=True, eq=False)
class RunView:
    """One training."""

    name: str
    state: ShownState
    status: RunStatus | None
    """None before the trainer's first status, and for foreign folders of event files."""
    curves: Mapping[str, Curve]
    """Tag → curve."""
    log_tail: tuple[str, ...]
    """Last lines of train.log, without control characters."""
    restarts: int = 0
    """How often the supervisor has started it again after a crash."""
    job: JobRecord | None = None
    """On a cluster, what the scheduler last said about it."""

    def newest(self, tag: str) -> float | None:
        """The newest value of a curve, finite or not; if there is none, the value in the trainer's last status."""
        curve, status = self.curves.get(tag), self.status
        if status is None or (curve is not None and curve.last is not None):
            return None if curve is None else curve.last
        last = status.last
        told = {
            Tag.LOSS.value: status.loss,
            Tag.VALIDATION_MAE_MS.value: None if last is None else last.mae_ms,
            Tag.WITHIN_100MS.value: None if last is None else last.within_100ms,
        }
        return told.get(tag)

    @property
    def best_mae_ms(self) -> float | None:
        """The best validation by the trainer's status; for a training that writes none, the least finite one of the curve."""
        if self.status is not None and self.status.best is not None:
            return self.status.best.mae_ms
        curve = self.curves.get(Tag.VALIDATION_MAE_MS)
        finite = curve.values[np.isfinite(curve.values)] if curve is not None else np.zeros(0)
        return float(finite.min()) if len(finite) else None

    @property
    def step(self) -> int | None:
        """The step by the trainer's status; for a training that writes none, the last step of its curves."""
        if self.status is not None:
            return self.status.step
        return max((int(curve.steps[-1]) for curve in self.curves.values() if len(curve.steps)), default=None)

    @property
    def eta_s(self) -> float | None:
        """Seconds until a training that is under way ends; None for one that has stopped, whatever its status says."""
        under_way = self.state in (ShownState.STARTING, ShownState.RUNNING, ShownState.STALLED)
        return self.status.eta_s if self.status is not None and under_way else None


@dataclass(frozen=True, slots=True)
class GpuView:
    """One GPU. Figures that the driver does not report are None (under MIG, utilisation)."""

    index: int
    name: str
    utilisation: float | None
    """0–1."""
    memory_used_bytes: int | None
    memory_total_bytes: int | None
    power_w: float | None
    temperature_c: float | None


@dataclass(frozen=True, slots=True)
class HostView:
    """CPU, memory and disk of the machine on which the reader runs."""

    cpu_utilisation: float
    """0–1 over all cores."""
    n_cores: int
    memory_used_bytes: int
    memory_total_bytes: int
    disk_free_bytes: int


@dataclass(frozen=True, slots=True)
class BudgetView:
    """Money: what the machine costs, what this phase has spent, and where that leads."""

    price_usd_per_hour: float
    priced_on: str | None
    spent_usd: float
    """Spent by this phase so far: wall time of the machine × price."""
    remaining_usd: float
    """What all phases in the ledger have left of the total."""
    projected_usd: float | None
    """This phase's spending at its ETA; None while there is no ETA."""
    cap_usd: float | None
    total_usd: float
    guarded: bool = True
    """False while the phase works without a supervisor, or with one that hangs, so that nobody stops it at its cap."""
    terminate: str | None = None
    """The command that ends the rented machine."""
    idle_s: float | None = None
    """How long the machine has been rented without work since the phase ended; None on another machine, and while the machine
    works for this phase, or for another one that is known from the ledger or the phase's folder."""


@dataclass(frozen=True, slots=True)
class SupervisorView:
    alive: bool
    pid: int | None
    heartbeat_unix_s: float | None
    error: str | None
    silent_s: float | None = None
    """For how long its process has given no sign of life; None while it works."""


@dataclass(frozen=True, slots=True, eq=False)
class PhaseSnapshot:
    """Everything that is known of one phase at `unix_s`."""

    unix_s: float
    path: Path
    name: str
    title: str
    """`VoxConverse dev→test`, `simulated conversations`."""
    simulated: bool
    state: PhaseState
    started_unix_s: float | None
    eta_s: float | None
    """Until the trainings end."""
    supervisor: SupervisorView
    runs: tuple[RunView, ...]
    progress: Mapping[Stage, Progress]
    alerts: tuple[Alert, ...]
    """Oldest first."""
    gpus: tuple[GpuView, ...]
    gpu_note: str | None
    """Why there are no GPU figures: `no GPU: no NVIDIA driver`."""
    host: HostView
    budget: BudgetView
    gate_mae_ms: float
    """The gate's target, drawn in the chart."""
    evaluations: Mapping[str, EvaluationReport]
    """Model → its report on the validation split."""
    selection: SelectionRecord | None
    integration: IntegrationReport | None
    gate: GateRecord | None
    turns_changed: bool = False
    """Whether references, hypotheses or refined turns of the gate split have changed since the integration that `gate` judges."""
    foreign: bool = False
    """Whether this is a folder of event files that brefine did not write: it has only runs, curves and alerts."""
    starting: frozenset[Stage] = frozenset()
    """Stages that a person has started and whose process has not yet reported, which takes it a few seconds."""
    problems: tuple[str, ...] = ()
    """Files that cannot be read, or that the supervisor cannot write, in words; their figures here are the last known ones."""

    @property
    def standing_selection(self) -> SelectionRecord | None:
        """The choice, if no model was evaluated after it; else None, since a new choice must be made."""
        return self.selection if self.selection is not None and self.selection.knew(self.evaluations.values()) else None

    @property
    def took_s(self) -> dict[Stage, float]:
        """Seconds that each stage has taken so far, in the order of the stages.

        Training is the time between preparation and evaluation, including a night for which it was stopped. It ends with the
        trainers' last status, so evaluating again days later does not add days of training.
        """
        took = {stage: told.unix_s - told.started_unix_s for stage, told in self.progress.items()}
        if Stage.PREPARE in took and Stage.EVALUATE in took:
            evaluated_unix_s = self.progress[Stage.EVALUATE].started_unix_s
            spoke_unix_s = (run.status.heartbeat_unix_s for run in self.runs if run.status is not None)
            trained_unix_s = min(evaluated_unix_s, max(spoke_unix_s, default=evaluated_unix_s))
            took[Stage.TRAIN] = trained_unix_s - self.progress[Stage.PREPARE].unix_s
        return {stage: took[stage] for stage in Stage if stage in took}

    @property
    def standing_gate(self) -> GateRecord | None:
        """The gate's record, if it judges what is evaluated, selected and integrated now; else None.

        None, too, if the turns were changed since, because the gate would then leave the verdict open.
        """
        if self.gate is None or self.turns_changed:
            return None
        return self.gate if self.gate.judges(self.selection, self.integration, self.evaluations) else None
