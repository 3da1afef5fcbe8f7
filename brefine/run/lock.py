"""One supervisor a phase: its lock here, its heartbeat on another machine that shares the disk."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from brefine.errors import ProcessError
from brefine.identity import ProcessIdentity, boot_id, is_alive
from brefine.io.lock import held
from brefine.phasedir import PhaseDir, SupervisorState

_ELSEWHERE_S: Final = 60.0
"""A process on another machine (a shared disk) counts as alive when its heartbeat is younger than this."""


@contextmanager
def phase_lock(phase: PhaseDir) -> Iterator[None]:
    """Held by the phase's supervisor as long as it lives.

    Raises:
        ProcessError: another supervisor has the phase.
    """
    with held(phase.path / "supervisor.lock", wait=False) as lock:
        if lock is None or _is_supervised_elsewhere(phase):
            raise refusal(phase)
        yield


def is_supervised(phase: PhaseDir) -> bool:
    """Whether a supervisor has the phase now."""
    found = SupervisorState.read_if_sound(phase.supervisor)
    return found is not None and is_at_work(found)


def is_at_work(supervisor: SupervisorState) -> bool:
    """Whether that supervisor lives: its process here, or a fresh heartbeat on another machine that shares the disk."""
    return supervisor.state == "running" and (is_alive(supervisor.process) or _is_elsewhere(supervisor))


def works_elsewhere(process: ProcessIdentity, heartbeat_unix_s: float, now_unix_s: float) -> bool:
    """Whether a process of another machine has given a sign of life lately; nobody here can see more of it."""
    return process.boot_id != boot_id() and abs(now_unix_s - heartbeat_unix_s) < _ELSEWHERE_S


def refusal(phase: PhaseDir) -> ProcessError:
    """What is said to a second supervisor."""
    found = SupervisorState.read_if_sound(phase.supervisor)
    holder = "another process" if found is None else f"process {found.process.pid} on {found.process.host}"
    return ProcessError(
        "this phase is supervised already",
        where=phase.path,
        got=holder,
        hint=f"watch it: brefine watch {phase.argument}; or stop it: brefine stop {phase.argument}",
    )


def _is_supervised_elsewhere(phase: PhaseDir) -> bool:
    found = SupervisorState.read_if_sound(phase.supervisor)
    return found is not None and found.state == "running" and _is_elsewhere(found)


def _is_elsewhere(supervisor: SupervisorState) -> bool:
    return works_elsewhere(supervisor.process, supervisor.heartbeat_unix_s, time.time())
