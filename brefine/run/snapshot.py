"""What a phase looks like at one moment: the only thing that screens, `--json` and plain lines ever render.

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
    """Where a phase stands on its road, derived from its files."""

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
"""States in which something goes on without the person."""


class ShownState(StrEnum):
    """What a person is shown of a run: the trainer's own word, corrected by what the reader sees."""

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
    """One scalar of one run, in order of step. Not-a-number and infinity are kept, so that they can be shown.

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
    """None before the trainer's first word, and for foreign folders of event files."""
    curves: Mapping[str, Curve]
    """Tag → curve."""
    log_tail: tuple[str, ...]
    """Last lines of train.log, without control characters."""
    restarts: int = 0
    """How often the supervisor has started it again after a crash."""
    job: JobRecord | None = None
    """On a cluster, what the scheduler said of it last."""

    def newest(self, tag: str) -> float | None:
        """The newest value of a curve, finite or not; while there is none, what the trainer said of it last."""
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
        """The best validation by the trainer's own word; of a training that writes none, the least finite one of the curve."""
        if self.status is not None and self.status.best is not None:
            return self.status.best.mae_ms
        curve = self.curves.get(Tag.VALIDATION_MAE_MS)
        finite = curve.values[np.isfinite(curve.values)] if curve is not None else np.zeros(0)
        return float(finite.min()) if len(finite) else None

    @property
    def step(self) -> int | None:
        """The step by the trainer's own word; of a training that writes none, the last one of its curves."""
        if self.status is not None:
            return self.status.step
        return max((int(curve.steps[-1]) for curve in self.curves.values() if len(curve.steps)), default=None)

    @property
    def eta_s(self) -> float | None:
        """Of a training that is under way; one that has stopped has none, whatever it last said."""
        under_way = self.state in (ShownState.STARTING, ShownState.RUNNING, ShownState.STALLED)
        return self.status.eta_s if self.status is not None and under_way else None


@dataclass(frozen=True, slots=True)
class GpuView:
    """One GPU. None where the driver does not tell (MIG reports no utilisation)."""

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
    """CPU, memory and disk of the machine that is watched from."""

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
    """By this phase so far: wall time of the machine × price."""
    remaining_usd: float
    """Left of the total, over all phases in the ledger."""
    projected_usd: float | None
    """This phase's spending at its ETA; None while there is no ETA."""
    cap_usd: float | None
    total_usd: float
    guarded: bool = True
    """False while the phase works without a supervisor, or with one that hangs, so that nobody stops it at its cap."""
    terminate: str | None = None
    """The command that ends the rented machine."""
    idle_s: float | None = None
    """How long the machine has been rented without work since the phase ended; None on another machine, and while it works for
    this phase, or for another that the ledger or the phase's folder knows."""


@dataclass(frozen=True, slots=True)
class SupervisorView:
    alive: bool
    pid: int | None
    heartbeat_unix_s: float | None
    error: str | None
    silent_s: float | None = None
    """For how long its process has lived without a sign of life; None while it works."""


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
    """Since the integration that `gate` judges somebody has changed references, hypotheses or refined turns of the gate split."""
    foreign: bool = False
    """A folder of event files that brefine did not write: runs, curves and alerts are all there is."""
    starting: frozenset[Stage] = frozenset()
    """Stages whose process was started by hand and has not said its first word, which takes it a few seconds."""
    problems: tuple[str, ...] = ()
    """Files that cannot be read, or by the supervisor written, in words; the figures beside them are the last known ones."""

    @property
    def standing_selection(self) -> SelectionRecord | None:
        """The choice, where no model was evaluated after it; otherwise a new one is to be made."""
        return self.selection if self.selection is not None and self.selection.knew(self.evaluations.values()) else None

    @property
    def took_s(self) -> dict[Stage, float]:
        """What each station took so far, in their order.

        Training takes the time between preparation and evaluation, including a night for which it was stopped, but not the time
        after the trainers' last words: evaluating again days later adds no days of training.
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
        """The gate's record, where it judges what is evaluated, selected and integrated now; an earlier one is history.

        So is one whose turns were changed since: the gate would leave it open.
        """
        if self.gate is None or self.turns_changed:
            return None
        return self.gate if self.gate.judges(self.selection, self.integration, self.evaluations) else None
