"""What a supervisor asks of an executor, and what it gets: one small interface, whether processes run here or as jobs elsewhere.

A supervisor gives *orders* and gets *work*: something that waits or runs, writes the files of the phase directory, and ends.
What the work does is the same everywhere, `python -m brefine.train RUN_DIR`; where it stands, the executor finds out.
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
