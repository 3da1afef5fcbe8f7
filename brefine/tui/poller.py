"""Fetches snapshots in a thread and hands them to the app, one immutable message a tick."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

from textual.driver import Driver
from textual.message import Message
from textual.message_pump import MessagePump

from brefine.errors import BrefineError
from brefine.run.snapshot import PhaseSnapshot

_LOOK_AGAIN_S = 0.05
"""Seconds between two looks at whether the terminal has caught up."""


class SnapshotSource(Protocol):
    """A source of snapshots: `run.store.PhaseStore`, or one in memory in tests."""

    def snapshot(self) -> PhaseSnapshot:
        """The phase as it is now; called from one thread at a time.

        Raises:
            BrefineError: the phase cannot be read at present.
        """
        ...


class SnapshotArrived(Message):
    """A tick's snapshot."""

    def __init__(self, snapshot: PhaseSnapshot) -> None:
        self.snapshot = snapshot
        super().__init__()


class SnapshotFailed(Message):
    """A tick on which the phase could not be read; the next tick tries again."""

    def __init__(self, error: BrefineError | OSError) -> None:
        self.error = error
        super().__init__()


class Poller:
    """Polls a source until it is closed.

    The next snapshot is fetched only after the last one was drawn (`shown`) and handed to the terminal. So a slow terminal is
    never flooded, and the reaction to a key waits behind one frame, not behind a queue of them.

    Args:
        source: gives snapshots.
        target: gets the messages.
        poll_s: seconds between two snapshots, at least.
        handed_over: says whether everything that was drawn has reached the terminal, see `nothing_waits`; called in the poller's
            thread.
    """

    def __init__(self, source: SnapshotSource, target: MessagePump, poll_s: float, handed_over: Callable[[], bool]) -> None:
        self._source = source
        self._target = target
        self._poll_s = poll_s
        self._handed_over = handed_over
        self._closed = threading.Event()
        self._shown = threading.Event()

    def run(self) -> None:
        """Polls until `close`; to be run in a thread of its own."""
        while not self._closed.is_set():
            started_s = time.monotonic()
            self._shown.clear()
            try:
                message: Message = SnapshotArrived(self._source.snapshot())
            except (BrefineError, OSError) as error:
                message = SnapshotFailed(error)
            if self._closed.is_set() or not self._target.post_message(message):
                return
            self._shown.wait()
            self._closed.wait(max(0.0, self._poll_s - (time.monotonic() - started_s)))
            while not self._handed_over() and not self._closed.wait(_LOOK_AGAIN_S):
                pass

    def shown(self) -> None:
        """Tells the poller that the last message was handled."""
        self._shown.set()

    def close(self) -> None:
        """Ends `run` at once."""
        self._closed.set()
        self._shown.set()


def nothing_waits(driver: Driver | None) -> bool:
    """Whether the driver has passed everything on to the terminal.

    Textual shows this only in the queue of its writer thread; drivers without one (in memory, for a browser) write at once.
    """
    queue = getattr(getattr(driver, "_writer_thread", None), "_queue", None)
    return queue is None or bool(queue.empty())
