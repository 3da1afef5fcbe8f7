"""One supervisor a phase: a lock that the kernel takes back when its holder dies."""

from __future__ import annotations

import fcntl
import os
import time
from types import TracebackType
from typing import Final, Self

from brefine.errors import FormatError, ProcessError
from brefine.identity import boot_id, is_alive
from brefine.phasedir import PhaseDir, SupervisorState

_ELSEWHERE_S: Final = 60.0
"""A supervisor on another machine (a shared disk) counts as alive when its heartbeat is younger than this."""


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
    if found is None or found.state != "running":
        return False
    return is_alive(found.process) or _is_supervised_elsewhere(phase)


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
    if found is None or found.state != "running" or found.process.boot_id == boot_id():
        return False
    return abs(time.time() - found.heartbeat_unix_s) < _ELSEWHERE_S


def _read(phase: PhaseDir) -> SupervisorState | None:
    try:
        return SupervisorState.read_if_there(phase.supervisor)
    except FormatError:
        return None
