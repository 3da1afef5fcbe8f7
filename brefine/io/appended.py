"""A file of lines that others append to, read a piece at a time."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from brefine.io.atomic import open_no_link


class AppendedLines:
    """Follows one file; a torn last line waits until it is whole.

    Args:
        opened: opens the file; the default reads nothing through a symbolic link.
    """

    def __init__(self, path: Path, *, opened: Callable[[Path], BinaryIO] = open_no_link) -> None:
        self._path = path
        self._opened = opened
        self._offset = 0
        self._inode: int | None = None

    def fresh(self) -> tuple[bool, list[bytes]]:
        """Whether the file was started again, so its earlier lines no longer count; and the new lines.

        Empty lines are left out. A file that is missing or cannot be read counts as not started again, without new lines.
        """
        try:
            with self._opened(self._path) as file:
                found = os.fstat(file.fileno())
                anew = found.st_ino != self._inode or found.st_size < self._offset
                start = 0 if anew else self._offset
                file.seek(start)
                content = file.read()
        except OSError:
            return False, []
        whole = content[: content.rfind(b"\n") + 1]
        self._inode, self._offset = found.st_ino, start + len(whole)
        return anew, [line for line in whole.splitlines() if line.strip()]
