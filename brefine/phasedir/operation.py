"""What the launcher, the supervisor, cluster jobs and stage processes write about their own work."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from brefine.config import ModelName
from brefine.identity import ProcessIdentity
from brefine.phasedir.document import Document, SealedDocument, UnixTime


class Stage(StrEnum):
    """The stages of a phase, in order. Training and the person's decisions have files of their own."""

    PREPARE = "prepare"
    TRAIN = "train"
    EVALUATE = "evaluate"
    INTEGRATE = "integrate"


class Manifest(SealedDocument):
    """What was started, by whom, from which code and data. Written once."""

    phase: str
    created_unix_s: UnixTime
    argv: list[str]
    git_commit: str | None
    git_dirty: bool | None
    versions: dict[str, str]
    """Package → version, of brefine and of the packages that affect its results."""
    seed: int
    models: list[ModelName]
    corpus: str
    """The prepared corpus folder, absolute."""
    price_usd_per_hour: float
    priced_on: str | None
    gate: dict[str, Any]
    """The recipe's [gate] at the launch: the thresholds as agreed before any figures were known."""


class SupervisorState(Document):
    """What the supervisor says about itself; readers find out from `process` and `heartbeat_unix_s` whether it is alive."""

    process: ProcessIdentity
    stage: Stage
    state: Literal["running", "finished", "failed", "stopped", "budget"]
    started_unix_s: UnixTime
    heartbeat_unix_s: UnixTime
    restarts: dict[str, int] = {}
    """Model → how often its trainer was restarted."""
    paused: list[ModelName] = []
    """Models that the person has paused: their trainers wrote a checkpoint and ended, until they are resumed."""
    ended: dict[str, Literal["stopped", "failed"]] = {}
    """Models whose training is stopped or given up: a trainer that was killed could not say so itself."""
    processes: dict[str, ProcessIdentity] = {}
    """Model or stage → the process that works on it on this machine, noted at its start: its own first status takes seconds."""
    error: str | None = None
    undelivered: str | None = None
    """Where alerts do not arrive, of the places that the recipe sends them to, in words; None if they all arrive."""


class LockHolder(Document):
    """Who holds a lock, written into its file by the holder: the lock itself only says that it is held."""

    process: ProcessIdentity


AlertKind = Literal[
    "nonfinite", "corrupt-events", "stalled", "crashed", "lost", "out-of-memory", "diverging", "slow", "disk-full", "budget",
    "idle-burn", "requeued", "cancelled", "scheduler",
]  # fmt: skip
AlertLevel = Literal["info", "warning", "error"]


class Alert(Document):
    """One line of alerts.jsonl. `id` is stable, so that each cause is reported only once."""

    id: str
    level: AlertLevel
    kind: AlertKind
    model: str | None = None
    step: int | None = None
    text: str
    unix_s: UnixTime


Wish = Literal["stop", "pause", "resume", "restart"]


class ControlRequest(Document):
    """A request by the person: a file in control/, which the supervisor deletes when it has acted on it."""

    action: Wish
    model: ModelName | None = None
    """None = all models."""
    unix_s: UnixTime


class JobRecord(Document):
    """A cluster job as its scheduler sees it; written by the process that submitted it, as long as that process lives."""

    name: str
    """The model or the stage."""
    job_id: str
    state: str
    """The scheduler's own word: PENDING, RUNNING, COMPLETED, TIMEOUT, …"""
    waits: bool
    is_over: bool
    reason: str | None = None
    """Why it is waiting or has ended, in the scheduler's words: Resources, Priority, …"""
    node: str | None = None
    price_usd_per_hour: float = 0.0
    """Price of its allocation."""
    unix_s: UnixTime


class JobWord(Document):
    """What the node says about the command that it runs for a job."""

    job_id: str
    restarts: int
    """How often the scheduler had started this job before."""
    process: ProcessIdentity
    code: int | None = None
    """The command's exit code, negative for a signal; None while it runs."""
    asked: Literal["time limit", "terminate"] | None = None
    """What the scheduler's last signal to it meant."""
    unix_s: UnixTime


class Progress(Document):
    """How far a stage is. The last one that is written has `state` finished or failed."""

    stage: Stage
    state: Literal["running", "finished", "failed"]
    step: str
    """What is being done, for people: `simulating conversations`."""
    done: int
    total: int
    started_unix_s: UnixTime
    unix_s: UnixTime
    process: ProcessIdentity
    error: str | None = None
