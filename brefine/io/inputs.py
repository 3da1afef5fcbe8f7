"""Files that a person names to be read: regular files, and pipes such as a shell makes of `<(…)`, but none that nobody fills."""

from __future__ import annotations

import errno
import os
import select
import stat
from pathlib import Path
from typing import Final

_WRITER_S: Final = 2.0
"""How long a pipe may have no writer: whoever starts one beside brefine needs a moment."""


def read_input(path: Path, most_bytes: int) -> bytes:
    """The content of a file or of a pipe, up to this many bytes.

    Raises:
        OSError: it is missing or cannot be read, or it is a pipe to which nobody writes, which would be waited for for ever.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        first = _first_byte(descriptor, path) if stat.S_ISFIFO(os.fstat(descriptor).st_mode) else b""
        os.set_blocking(descriptor, True)
        return first + file.read(most_bytes - len(first))


def _first_byte(descriptor: int, path: Path) -> bytes:
    """What a pipe holds, at most one byte of it; none if its writer takes its time."""
    filled = select.poll()
    filled.register(descriptor, select.POLLIN)
    filled.poll(1e3 * _WRITER_S)
    try:
        first = os.read(descriptor, 1)
    except BlockingIOError:  # there is a writer
        return b""
    if not first and not filled.poll(0):  # no writer has been there and closed it
        raise OSError(errno.EINVAL, "it is a pipe to which nobody writes", str(path))
    return first
