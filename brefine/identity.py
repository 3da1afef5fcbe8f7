"""Which process wrote this: pid, start time and boot id together, since a pid alone is reused."""

from __future__ import annotations

import socket
import uuid
from functools import cache
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict

_START_TOLERANCE_S = 1.0
"""psutil derives start times from a clock that may be stepped by NTP."""


class ProcessIdentity(BaseModel):
    """One process of one boot of one machine."""

    model_config = ConfigDict(frozen=True)

    pid: int
    started_unix_s: float
    boot_id: str
    host: str


def own_identity() -> ProcessIdentity:
    """The identity of the calling process."""
    return identity_of(psutil.Process().pid)


def identity_of(pid: int) -> ProcessIdentity:
    """The identity of a running process.

    Raises:
        psutil.NoSuchProcess: there is none with that pid.
    """
    return ProcessIdentity(
        pid=pid, started_unix_s=psutil.Process(pid).create_time(), boot_id=boot_id(), host=socket.gethostname()
    )


def is_alive(identity: ProcessIdentity) -> bool:
    """Whether that very process still runs on this machine; a zombie does not run."""
    if identity.boot_id != boot_id():
        return False
    try:
        process = psutil.Process(identity.pid)
        same = abs(process.create_time() - identity.started_unix_s) <= _START_TOLERANCE_S
        return bool(same and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@cache
def boot_id() -> str:
    """Names this boot of this machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{uuid.getnode()}-{round(psutil.boot_time())}"))
