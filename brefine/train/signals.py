"""SIGTERM and SIGINT: the first asks for a checkpoint and a clean end, the second ends at once.

SIGUSR2 asks for a checkpoint and a clean end, too, however often it comes: a scheduler sends it ahead of a time limit or a
preemption to every process of a job, and the process that started the trainer passes it on once more.
"""

from __future__ import annotations

import os
import signal
from types import FrameType

_AT_ONCE = 130


class StopSignal:
    """Whether the person, the supervisor or the machine has asked this process to stop."""

    def __init__(self) -> None:
        self.requested = False

    def listen(self) -> None:
        """Takes over these signals for the rest of the process."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._hear)
        signal.signal(signal.SIGUSR2, self._hear_in_time)

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        if self.requested:
            os._exit(_AT_ONCE)
        self.requested = True

    def _hear_in_time(self, _number: int, _frame: FrameType | None) -> None:
        self.requested = True
