"""The interface between a supervisor and an executor, the same whether processes run here or as jobs elsewhere.

A supervisor gives *orders* and gets *work*: something that waits or runs, writes the files of the phase directory, and ends.
The command is the same everywhere, such as `python -m brefine.train RUN_DIR`; the executor finds out how it is going.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from brefine.identity import ProcessIdentity
from brefine.run.supervision import Ended, Tell


@dataclass(frozen=True, slots=True)
class Order:
    """One process to run.

    Attributes:
        name: the model or the stage; a phase has only one work of a name at a time.
        again: the command if a scheduler starts the same job again; None = the same command.
        holds: descriptors, of a lock, that the process keeps open if it runs on this machine.
        divisible: whether the command takes `--part K/N`, with which it does a share of the work, for a later call to complete.
    """

    name: str
    command: tuple[str, ...]
    log: Path
    again: tuple[str, ...] | None = None
    divisible: bool = False
    holds: tuple[int, ...] = ()


class Work(Protocol):
    """A process, here or elsewhere."""

    @property
    def process(self) -> ProcessIdentity | None:
        """The process, if it runs on this machine; else None."""

    def wrote(self, writer: ProcessIdentity) -> bool:
        """Whether this work is the writer of a status."""

    def waits(self) -> bool:
        """Whether it has not begun yet, so that its silence means nothing."""

    def ended(self) -> Ended | None:
        """How it ended; None until it has."""

    def stop(self, *, by_force: bool) -> None:
        """Asks it to checkpoint and end, or ends it."""


class Billing(Protocol):
    """What the phase has cost.

    Attributes:
        problem: why the ledger cannot be written.
    """

    problem: str | None

    def tick(self, *, force: bool = False) -> None:
        """Writes down what is owed by now, if that is due."""

    def spent_usd(self) -> float: ...


class Finder(Protocol):
    """What is needed of an executor to stop a phase.

    Attributes:
        poll_s: seconds to leave between two looks.
    """

    poll_s: float

    def find(self, name: str, *, log: Path, process: ProcessIdentity | None) -> Work | None:
        """The work that was started earlier under this name and has not ended; `process` is it by the files of the phase."""


class Executor(Finder, Protocol):
    """Runs what a phase needs.

    Attributes:
        price_goes_on: whether the machine still costs money after its last process has ended.
    """

    price_goes_on: bool

    def start(self, order: Order) -> Work: ...

    def billing(self) -> Billing: ...

    def news(self) -> Sequence[Tell]:
        """What has happened since the last call that the person should know."""
