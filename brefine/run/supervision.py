"""What a supervisor knows, what can happen to it, and what it can do: the words of `transitions.advance`.

All times are seconds of a monotonic clock, so a stepped wall clock neither stalls a training nor wakes one.
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
    """A trainer, as its supervisor sees it."""

    WAITING = "waiting"
    RUNNING = "running"
    STOPPING = "stopping"
    PAUSED = "paused"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"


NOT_STARTED = -1000
"""The exit code of a process that could not be started: no signal has this number."""
AT_REST = (Standing.FINISHED, Standing.STOPPED, Standing.FAILED)


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of one phase; see `config.SupervisorConfig` and `config.BudgetConfig`."""

    models: tuple[ModelName, ...]
    max_restarts: int
    restart_backoff_s: float
    stall_after_s: float
    stop_grace_s: float
    """A process that was asked to stop and has not after this long is ended by force, and so on until it is gone."""
    cap_usd: float | None = None
    left_usd: float | None = None
    """What was left before the phase, whose tiers are told where there is no cap; None = nothing costs money."""


@dataclass(frozen=True, slots=True)
class Trainer:
    """What is known of one model's training.

    Attributes:
        start_at_s: when a WAITING one is started.
        resume: whether it goes on from its checkpoint.
        learned: whether it has left weights that can be judged.
        then: what a STOPPING one becomes when its process has ended.
        starts: how often this supervisor has started it; no wish sets it back, so alerts of two starts are told apart by it.
        since_s: since when it is STOPPING, or when it was last ended by force.
        beat: its last sign of life, as a mark that changes; None before the first.
        beat_s: when that mark was seen to change.
        stalled: whether its silence was told.
        n_nonfinite: non-finite steps that were told.
        least_loss: the least training loss it has shown.
        diverging: whether it is told to run away from what it had learned.
        fastest_per_s: the most examples a second it has shown.
        slow_since_s: since when it is far below that; None while it is not.
        slow: whether its slowness was told.
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
    """Set when the whole phase is to stop; the outcome when all processes have ended."""
    outcome: Outcome | None = None
    error: str | None = None
    stage_restarts: int = 0
    stage_starts_at_s: float | None = None
    stage_asked_s: float | None = None
    """When the stage's process was asked to stop, or was last ended by force."""
    stage_beat: float | None = None
    """The last sign of life of the stage's process, as a mark that changes; None while none is at work."""
    stage_beat_s: float = 0.0
    """When that mark was seen to change."""
    stage_stalled: bool = False
    """Whether its silence was told."""
    told_tiers: int = 0
    told_disk: AlertLevel | None = None
    """The worst that was told of the disk since it last had room."""
    n_disk_relieved: int = 0
    """How often it had room again after that, so that alerts of two shortages are told apart by it."""


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
    """The supervisor has started, in a new phase or in one that was left."""

    now_s: float
    prepared: bool = False
    found: Mapping[ModelName, Found] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ended:
    """A process has ended.

    Attributes:
        code: its exit code, negative for a signal; None where the process was adopted and nobody can know.
        cause: what its words or the kernel's say beyond the code.
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
    """A trainer's process has ended; `state` is what it wrote of itself last."""

    now_s: float
    model: ModelName
    how: Ended
    state: RunState | None = None
    step: int | None = None
    resumable: bool = False
    learned: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """A person asked for something; no model = all of the phase."""

    now_s: float
    action: Wish
    model: ModelName | None = None


@dataclass(frozen=True, slots=True)
class Sign:
    """What a trainer's status says: a mark that changes while it lives, its non-finite steps, and how it learns."""

    beat: float
    n_nonfinite: int = 0
    step: int | None = None
    message: str | None = None
    loss: float | None = None
    mae_ms: float | None = None
    """Of the newest validation."""
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
    """A mark that changes while a stage's process gives signs of life; 0 before its first word; None where none works."""


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
    """Its process runs already, started by a supervisor that is no more."""

    model: ModelName


@dataclass(frozen=True, slots=True)
class StopTrainer:
    model: ModelName
    by_force: bool = False


@dataclass(frozen=True, slots=True)
class Tell:
    """Raise an alert; `key` makes its id, so that one cause is told once."""

    kind: AlertKind
    level: AlertLevel
    text: str
    key: str
    model: ModelName | None = None
    step: int | None = None


Action = StartStage | StopStage | StartTrainer | AdoptTrainer | StopTrainer | Tell
