"""File locks, which the kernel releases when their holder dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from brefine.io.folders import make_folder


@contextmanager
def held(path: Path, *, wait: bool = True) -> Iterator[int | None]:
    """Holds the lock of this file; meanwhile no other process or thread can have it.

    Yields its descriptor; a child process that inherits it goes on holding the lock, which the kernel releases when the last
    process with the descriptor has ended. Yields None if somebody else has the lock and `wait` is False.

    Raises:
        OSError: the file cannot be made, or its disk does not support locks.
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
