"""One supervisor per phase: known by its lock on this machine, by its heartbeat on another machine that shares the disk."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from brefine.errors import ProcessError
from brefine.identity import ProcessIdentity, boot_id, is_alive, is_same, own_identity
from brefine.io.folders import never_make_anew
from brefine.io.lock import held
from brefine.phasedir import LockHolder, PhaseDir, SupervisorState
from brefine.run.control import pending_requests
from brefine.run.pulse import Pulse

READY: Final = "ready"
"""What a supervisor answers to its starter when it has taken the phase; otherwise it answers why it has not."""
_ELSEWHERE_S: Final = 60.0
"""A process on another machine (a shared disk) counts as alive when its heartbeat is younger than this."""


@contextmanager
def phase_lock(phase: PhaseDir) -> Iterator[tuple[Path, ...]]:
    """Held by the phase's supervisor as long as it lives. The file names it, since supervisor.json may be missing or damaged.

    Yields:
        the requests that waited before the file named this supervisor; later requests are meant for it.

    Raises:
        ProcessError: another supervisor has the phase.
        OSError: the lock cannot be taken, or the disk has no room for the name.
    """
    never_make_anew(phase.path)
    with held(phase.supervisor_lock, wait=False) as lock:
        if lock is None or _is_supervised_elsewhere(phase):
            raise refusal(phase)
        waiting = tuple(path for path, _ in pending_requests(phase))
        try:
            _write_name(lock, own_identity())
        except OSError as error:
            error.filename = str(phase.supervisor_lock)
            raise
        try:
            yield waiting
        finally:
            with contextlib.suppress(OSError):  # the file then names a process that is gone
                os.ftruncate(lock, 0)


def sign(lock: int, process: ProcessIdentity) -> None:
    """Writes the holder into a lock's file. On a full disk nothing is written, and only the lock itself shows that it is held.

    Args:
        lock: the lock's descriptor, as `held` gives it.
    """
    with contextlib.suppress(OSError):
        _write_name(lock, process)


def _write_name(lock: int, process: ProcessIdentity) -> None:
    """Writes in place, since a new file of the same name would be another lock."""
    name = json.dumps(LockHolder(process=process).to_json()).encode("utf-8")
    os.pwrite(lock, name, 0)
    os.ftruncate(lock, len(name))


def holder(path: Path) -> ProcessIdentity | None:
    """The living process on this machine that has signed a lock. The lock is not tried: that would hinder whoever takes it."""
    found = LockHolder.read_if_sound(path)
    return found.process if found is not None and is_alive(found.process) else None


def supervising(phase: PhaseDir, word: SupervisorState | None) -> ProcessIdentity | None:
    """The process that supervises the phase now; None if none does.

    Args:
        word: what is known of supervisor.json. If that is damaged, old, or cannot be written, the lock decides, on this machine.
    """
    if word is not None and is_at_work(word):
        return word.process
    found = holder(phase.supervisor_lock)
    has_ended = found is not None and word is not None and is_same(found, word.process)  # it has said that it ended
    return None if has_ended else found


def supervisor_of(phase: PhaseDir) -> ProcessIdentity | None:
    """The process that supervises the phase now, from its files; see `supervising`."""
    return supervising(phase, SupervisorState.read_if_sound(phase.supervisor))


def is_supervised(phase: PhaseDir) -> bool:
    """Whether a supervisor has the phase now."""
    return supervisor_of(phase) is not None


def is_at_work(supervisor: SupervisorState) -> bool:
    """Whether that supervisor lives: by its process here, or by a fresh heartbeat on another machine that shares the disk."""
    return supervisor.state == "running" and (is_alive(supervisor.process) or _is_elsewhere(supervisor))


def works_elsewhere(process: ProcessIdentity, heartbeat_unix_s: float, now_unix_s: float) -> bool:
    """Whether a process on another machine has given a sign of life lately, which is all that can be seen from here."""
    return process.boot_id != boot_id() and abs(now_unix_s - heartbeat_unix_s) < _ELSEWHERE_S


def silence_s(phase: PhaseDir) -> float | None:
    """For how long the phase's supervisor has lived without a sign of life; None if it works, or if that is unknown."""
    word = SupervisorState.read_if_sound(phase.supervisor)
    return Pulse().silence_s(word, supervising(phase, word), time.time())


def refusal(phase: PhaseDir) -> ProcessError:
    """The error for a second supervisor."""
    found = supervisor_of(phase)
    silent_s = silence_s(phase)
    silent = "" if silent_s is None else f", without a sign of life for {silent_s:,.0f} s"
    return ProcessError(
        "this phase is supervised already",
        where=phase.path,
        got="another process" if found is None else f"process {found.pid} on {found.host}{silent}",
        hint=f"watch it: brefine watch {phase.argument}; or stop it: brefine stop {phase.argument}",
    )


def _is_supervised_elsewhere(phase: PhaseDir) -> bool:
    found = SupervisorState.read_if_sound(phase.supervisor)
    return found is not None and found.state == "running" and _is_elsewhere(found)


def _is_elsewhere(supervisor: SupervisorState) -> bool:
    return works_elsewhere(supervisor.process, supervisor.heartbeat_unix_s, time.time())
