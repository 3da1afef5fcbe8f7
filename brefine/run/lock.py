"""One supervisor a phase, one writer of its gate: locks that the kernel takes back when their holder dies."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from brefine.errors import FormatError, ProcessError
from brefine.identity import ProcessIdentity, boot_id, is_alive
from brefine.phasedir import PhaseDir, SupervisorState

_ELSEWHERE_S: Final = 60.0
"""A process on another machine (a shared disk) counts as alive when its heartbeat is younger than this."""


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Waits until nobody else, neither process nor thread, holds the lock of this file, and keeps it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


class PhaseLock:
    """Held by the phase's supervisor as long as it lives.

    Raises:
        ProcessError: on entering, when another supervisor has the phase.
    """

    def __init__(self, phase: PhaseDir) -> None:
        self._phase = phase
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        self._descriptor = os.open(self._phase.path / "supervisor.lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._release()
            raise refusal(self._phase) from None
        if _is_supervised_elsewhere(self._phase):
            self._release()
            raise refusal(self._phase)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._release()

    def _release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def is_supervised(phase: PhaseDir) -> bool:
    """Whether a supervisor has the phase now."""
    found = _read(phase)
    return found is not None and is_at_work(found)


def is_at_work(supervisor: SupervisorState) -> bool:
    """Whether that supervisor lives: its process here, or a fresh heartbeat on another machine that shares the disk."""
    return supervisor.state == "running" and (is_alive(supervisor.process) or _is_elsewhere(supervisor))


def works_elsewhere(process: ProcessIdentity, heartbeat_unix_s: float, now_unix_s: float) -> bool:
    """Whether a process of another machine has given a sign of life lately; nobody here can see more of it."""
    return process.boot_id != boot_id() and abs(now_unix_s - heartbeat_unix_s) < _ELSEWHERE_S


def refusal(phase: PhaseDir) -> ProcessError:
    """What is said to a second supervisor."""
    found = _read(phase)
    holder = "another process" if found is None else f"process {found.process.pid} on {found.process.host}"
    return ProcessError(
        "this phase is supervised already",
        where=phase.path,
        got=holder,
        hint=f"watch it: brefine watch {phase.path.name}; or stop it: brefine stop {phase.path.name}",
    )


def _is_supervised_elsewhere(phase: PhaseDir) -> bool:
    found = _read(phase)
    return found is not None and found.state == "running" and _is_elsewhere(found)


def _is_elsewhere(supervisor: SupervisorState) -> bool:
    return works_elsewhere(supervisor.process, supervisor.heartbeat_unix_s, time.time())


def _read(phase: PhaseDir) -> SupervisorState | None:
    try:
        return SupervisorState.read_if_there(phase.supervisor)
    except FormatError:
        return None
