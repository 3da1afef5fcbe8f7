"""Where the processes of a phase run: on this machine, or as jobs of a scheduler. One small interface, two implementations.

A supervisor gives *orders* and gets *work*: something that waits or runs, writes the files of the phase directory, and ends.
What the work does is the same everywhere, `python -m brefine.train RUN_DIR`; where it stands, the executor finds out.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from brefine.config import PhaseConfig
from brefine.identity import ProcessIdentity, is_alive
from brefine.phasedir import PhaseDir, SupervisorState
from brefine.run.children import Adopted, Child
from brefine.run.gpu import find_gpus
from brefine.run.meter import Meter
from brefine.run.oom import OomKills
from brefine.run.placement import trainer_environments
from brefine.run.supervision import Ended, Tell
from brefine.run.workers import left_at_work_until_unix_s


@dataclass(frozen=True, slots=True)
class Order:
    """One process to run.

    Attributes:
        name: the model or the stage; a phase has one work of a name at a time.
        again: the command where a scheduler starts the same job again; None = the same.
        holds: descriptors that the process keeps open, where it runs on this machine: a lock's.
        divisible: whether the command takes `--part K/N`, with which it does a share of its work for a later whole.
    """

    name: str
    command: tuple[str, ...]
    log: Path
    again: tuple[str, ...] | None = None
    divisible: bool = False
    holds: tuple[int, ...] = ()


class Work(Protocol):
    """A process somewhere."""

    @property
    def process(self) -> ProcessIdentity | None:
        """Which it is, where it runs on this machine."""

    def wrote(self, writer: ProcessIdentity) -> bool:
        """Whether this work is the writer of a status."""

    def waits(self) -> bool:
        """Whether it has not begun, so that its silence means nothing."""

    def ended(self) -> Ended | None:
        """How it ended; None before that."""

    def stop(self, *, by_force: bool) -> None:
        """Asks it to checkpoint and end, or ends it."""


class Billing(Protocol):
    """What the phase has cost.

    Attributes:
        problem: why the ledger cannot be written.
    """

    problem: str | None

    def tick(self, *, force: bool = False) -> None:
        """Writes down what is owed by now, when it is due."""

    def spent_usd(self) -> float: ...


class Finder(Protocol):
    """What is needed of an executor to stop a phase.

    Attributes:
        poll_s: seconds between two looks that it bears well.
    """

    poll_s: float

    def find(self, name: str, *, log: Path, process: ProcessIdentity | None) -> Work | None:
        """What an earlier supervisor has started under this name and has not ended: `process`, by the files of the phase."""


class Executor(Finder, Protocol):
    """Runs what a phase needs.

    Attributes:
        price_goes_on: whether the machine costs money after its last process has ended.
    """

    price_goes_on: bool

    def start(self, order: Order) -> Work: ...

    def billing(self) -> Billing: ...

    def news(self) -> Sequence[Tell]:
        """What the person should know of since the last call."""


class ThisMachine:
    """Finds processes here; no recipe is needed for that."""

    poll_s = 0.1

    def __init__(self) -> None:
        self._oom_kills = OomKills()

    def find(self, name: str, *, log: Path, process: ProcessIdentity | None) -> Work | None:
        if process is None or not is_alive(process):
            return None
        return Adopted(process, log=log, oom_kills=self._oom_kills)


class LocalExecutor(ThisMachine):
    """This machine: each order becomes a process in a session of its own."""

    price_goes_on = True

    def __init__(self, phase: PhaseDir, config: PhaseConfig) -> None:
        super().__init__()
        self._phase = phase
        self._budget = config.budget
        self._environments = trainer_environments(
            tuple(config.models), threads=config.train.threads, base=os.environ, gpus=find_gpus()
        )

    def start(self, order: Order) -> Work:
        environment = self._environments.get(order.name, {**os.environ, "PYTHONUNBUFFERED": "1"})
        return Child(order.command, log=order.log, environment=environment, oom_kills=self._oom_kills, holds=order.holds)

    def billing(self) -> Billing:
        earlier = SupervisorState.read_if_sound(self._phase.supervisor)
        left_until_unix_s = left_at_work_until_unix_s(self._phase, earlier, time.time())
        return Meter(self._budget, self._phase.path, left_until_unix_s=left_until_unix_s)

    def news(self) -> Sequence[Tell]:
        return ()


def executor_of(phase: PhaseDir, config: PhaseConfig) -> Executor:
    """The executor that the phase's recipe names."""
    if config.executor.kind == "slurm":
        from brefine.run.slurm import SlurmExecutor  # its package is loaded only where it is used

        return SlurmExecutor(phase, config)
    return LocalExecutor(phase, config)
