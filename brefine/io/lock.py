"""Locks of files, which the kernel takes back when their holder dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from brefine.io.folders import make_folder


@contextmanager
def held(path: Path, *, wait: bool = True) -> Iterator[int | None]:
    """Holds the lock of this file: nobody else has it meanwhile, neither process nor thread.

    Yields its descriptor, with which a process that is started goes on holding it: the kernel takes the lock back when the last
    one that has the descriptor has ended. None where somebody else has the lock and `wait` is not wanted.

    Raises:
        OSError: the file cannot be made, or its disk knows no locks.
    """
    make_folder(path.parent)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    lock: int | None = descriptor
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            lock = None
        yield lock
    finally:
        os.close(descriptor)
