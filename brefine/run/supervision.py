"""What a supervisor knows, what can happen to it, and what it can do: the types that `transitions.advance` works with.

All times are seconds of a monotonic clock, so setting the wall clock neither stalls a training nor wakes one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from brefine.config import ModelName
from brefine.phasedir import AlertKind, AlertLevel, RunState, Stage, Wish

Outcome = Literal["finished", "failed", "stopped", "budget"]


class Standing(StrEnum):
    """The state of a trainer, as its supervisor sees it."""

    WAITING = "waiting"
    RUNNING = "running"
    STOPPING = "stopping"
    PAUSED = "paused"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"


NOT_STARTED = -1000
"""The exit code that stands for a process that could not be started: no signal has this number."""
AT_REST = (Standing.FINISHED, Standing.STOPPED, Standing.FAILED)


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of one phase; see `config.SupervisorConfig` and `config.BudgetConfig`."""

    models: tuple[ModelName, ...]
    max_restarts: int
    restart_backoff_s: float
    stall_after_s: float
    stop_grace_s: float
    """A process that has not ended this long after it was asked to is ended by force, again and again until it is gone."""
    cap_usd: float | None = None
    left_usd: float | None = None
    """Money that was left before the phase; without a cap, its tiers are reported. None = nothing costs money."""


@dataclass(frozen=True, slots=True)
class Trainer:
    """What is known of one model's training.

    Attributes:
        start_at_s: when a WAITING one is started.
        resume: whether it goes on from its checkpoint.
        learned: whether it has left weights that can be judged.
        then: what a STOPPING one becomes when its process has ended.
        starts: how often this supervisor has started it. No request resets it, so it distinguishes the alerts of two starts.
        since_s: since when it is STOPPING, or when it was last ended by force.
        beat: its last sign of life, as a value that changes; None before the first.
        beat_s: when that value was seen to change.
        stalled: whether its silence was reported.
        n_nonfinite: number of non-finite steps that were reported.
        least_loss: the least training loss that it has reported.
        diverging: whether it was reported to diverge from what it had learned.
        fastest_per_s: the most examples a second that it has reported.
        slow_since_s: since when it has been far below that; None while it is not.
        slow: whether its slowness was reported.
    """

    model: ModelName
    standing: Standing = Standing.WAITING
    start_at_s: float = 0.0
    resume: bool = False
    learned: bool = False
    then: Standing = Standing.STOPPED
    since_s: float = 0.0
    restarts: int = 0
    starts: int = 0
    beat: float | None = None
    beat_s: float = 0.0
    stalled: bool = False
    n_nonfinite: int = 0
    least_loss: float | None = None
    diverging: bool = False
    fastest_per_s: float = 0.0
    slow_since_s: float | None = None
    slow: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """Everything the supervisor knows."""

    stage: Stage = Stage.PREPARE
    trainers: Mapping[ModelName, Trainer] = field(default_factory=dict)
    ending: Outcome | None = None
    """Set if the whole phase is to stop: its outcome, once all processes have ended."""
    outcome: Outcome | None = None
    error: str | None = None
    stage_restarts: int = 0
    stage_starts_at_s: float | None = None
    stage_asked_s: float | None = None
    """When the stage's process was asked to stop, or was last ended by force."""
    stage_beat: float | None = None
    """The last sign of life of the stage's process, as a value that changes; None while none is at work."""
    stage_beat_s: float = 0.0
    """When that value was seen to change."""
    stage_stalled: bool = False
    """Whether its silence was reported."""
    told_tiers: int = 0
    told_disk: AlertLevel | None = None
    """The worst level at which the disk was reported since it last had room."""
    n_disk_relieved: int = 0
    """How often it had room again after a report; distinguishes the alerts of two shortages."""


# --- what happens -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Found:
    """A training as a new supervisor finds it."""

    alive: bool = False
    state: RunState | None = None
    resumable: bool = False
    learned: bool = False


@dataclass(frozen=True, slots=True)
class Began:
    """The supervisor has started, in a new phase or in one that an earlier supervisor has left."""

    now_s: float
    prepared: bool = False
    found: Mapping[ModelName, Found] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ended:
    """A process has ended.

    Attributes:
        code: its exit code, negative for a signal; None for an adopted process, whose code cannot be known.
        cause: what its last words or the kernel say beyond the code.
        text: its last words.
    """

    code: int | None
    cause: Literal["out-of-memory", "disk-full", "cancelled"] | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class StageEnded:
    now_s: float
    stage: Stage
    how: Ended


@dataclass(frozen=True, slots=True)
class TrainerEnded:
    """A trainer's process has ended; `state` is that of its last status."""

    now_s: float
    model: ModelName
    how: Ended
    state: RunState | None = None
    step: int | None = None
    resumable: bool = False
    learned: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """A person has asked for something; no model = for the whole phase."""

    now_s: float
    action: Wish
    model: ModelName | None = None


@dataclass(frozen=True, slots=True)
class Sign:
    """What a trainer's status says: a value that changes while it lives, its non-finite steps, and how it learns."""

    beat: float
    n_nonfinite: int = 0
    step: int | None = None
    message: str | None = None
    loss: float | None = None
    mae_ms: float | None = None
    """MAE of the newest validation."""
    best_mae_ms: float | None = None
    examples_per_s: float | None = None


@dataclass(frozen=True, slots=True)
class Ticked:
    """Time has passed."""

    now_s: float
    signs: Mapping[ModelName, Sign] = field(default_factory=dict)
    spent_usd: float = 0.0
    disk_free_bytes: int | None = None
    stage_beat: float | None = None
    """A value that changes while a stage's process gives signs of life; 0 before its first report; None if none is at work."""


Event = Began | StageEnded | TrainerEnded | Asked | Ticked


# --- what to do ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StartStage:
    stage: Stage
    models: tuple[ModelName, ...] = ()


@dataclass(frozen=True, slots=True)
class StopStage:
    by_force: bool = False


@dataclass(frozen=True, slots=True)
class StartTrainer:
    model: ModelName
    resume: bool


@dataclass(frozen=True, slots=True)
class AdoptTrainer:
    """Take over a process that runs already, started by a supervisor that is gone."""

    model: ModelName


@dataclass(frozen=True, slots=True)
class StopTrainer:
    model: ModelName
    by_force: bool = False


@dataclass(frozen=True, slots=True)
class Tell:
    """Raise an alert; `key` is part of its id, so that each cause is reported once."""

    kind: AlertKind
    level: AlertLevel
    text: str
    key: str
    model: ModelName | None = None
    step: int | None = None


Action = StartStage | StopStage | StartTrainer | AdoptTrainer | StopTrainer | Tell
