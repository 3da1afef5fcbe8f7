"""Fetches snapshots in a thread and hands them to the app, one immutable message a tick."""

from __future__ import annotations

import threading
import time
from typing import Protocol

from textual.message import Message
from textual.message_pump import MessagePump

from brefine.errors import BrefineError
from brefine.run.snapshot import PhaseSnapshot


class SnapshotSource(Protocol):
    """Where snapshots come from: `run.store.PhaseStore`, or memory in tests."""

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

    The next snapshot is fetched only after the last one was shown (`shown`), so that a slow terminal is never flooded.
    """

    def __init__(self, source: SnapshotSource, target: MessagePump, poll_s: float) -> None:
        self._source = source
        self._target = target
        self._poll_s = poll_s
        self._closed = threading.Event()
        self._shown = threading.Event()

    def run(self) -> None:
        """Works until `close`; for a thread of its own."""
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

    def shown(self) -> None:
        """Says that the last message was dealt with."""
        self._shown.set()

    def close(self) -> None:
        """Ends `run` at once."""
        self._closed.set()
        self._shown.set()
