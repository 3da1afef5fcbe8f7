"""Which process wrote this: pid, start time and boot id together, since a pid alone is reused."""

from __future__ import annotations

import socket
import uuid
from functools import cache
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict, Field

_START_TOLERANCE_S = 1.0
"""psutil derives start times from a clock that may be stepped by NTP."""


class ProcessIdentity(BaseModel):
    """One process of one boot of one machine."""

    model_config = ConfigDict(frozen=True)

    pid: int = Field(ge=1)
    """Never 0 or less, which `kill` takes for a whole group of processes and psutil refuses."""
    started_unix_s: float
    boot_id: str
    host: str
    start_ticks: int | None = None
    """Start in clock ticks since the boot, if the system says it; unlike a time, it does not move when the clock is set."""


def own_identity() -> ProcessIdentity:
    """The identity of the calling process."""
    return identity_of(psutil.Process().pid)


def identity_of(pid: int) -> ProcessIdentity:
    """The identity of a running process.

    Raises:
        psutil.NoSuchProcess: no process has that pid.
    """
    return ProcessIdentity(
        pid=pid,
        started_unix_s=psutil.Process(pid).create_time(),
        boot_id=boot_id(),
        host=socket.gethostname(),
        start_ticks=_start_ticks(pid),
    )


def is_alive(identity: ProcessIdentity) -> bool:
    """Whether that very process still runs on this machine; a zombie does not run."""
    if identity.boot_id != boot_id():
        return False
    try:
        zombie = psutil.Process(identity.pid).status() == psutil.STATUS_ZOMBIE
        return not zombie and is_same(identity, identity_of(identity.pid))
    except psutil.NoSuchProcess:
        return False


def is_same(one: ProcessIdentity, other: ProcessIdentity) -> bool:
    """Whether two identities name one process of one boot."""
    if one.pid != other.pid or one.boot_id != other.boot_id:
        return False
    if one.start_ticks is not None and other.start_ticks is not None:
        return one.start_ticks == other.start_ticks
    return abs(one.started_unix_s - other.started_unix_s) <= _START_TOLERANCE_S


def _start_ticks(pid: int) -> int | None:
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
        return int(after_name.split()[19])  # field 22 of proc(5); the name before it may hold anything
    except (OSError, ValueError, IndexError):
        return None


@cache
def boot_id() -> str:
    """Names this boot of this machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{uuid.getnode()}-{round(psutil.boot_time())}"))
