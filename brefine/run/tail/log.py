"""The last lines of a growing log, safe to show on a terminal."""

from __future__ import annotations

import os
import re
from collections import deque
from pathlib import Path
from typing import BinaryIO, Final

from brefine.io.atomic import open_no_link

_CHUNK_BYTES: Final = 256 << 10
_LONGEST_LINE: Final = 2000
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")


class LogTail:
    """Follows one log. A file that was replaced or cut is read again; only its last part is ever read."""

    def __init__(self, path: Path, *, n_lines: int = 200) -> None:
        self._path = path
        self._lines: deque[str] = deque(maxlen=n_lines)
        self._inode: int | None = None
        self._offset = 0
        self._rest = b""

    def poll(self) -> tuple[str, ...]:
        """Reads what is new, at most the last 256 KiB of it, and returns the last lines."""
        try:
            with open_no_link(self._path) as file:
                self._read(file)
        except OSError:  # not there yet, or not readable: the lines so far are kept
            pass
        rest = clean_line(self._rest.decode("utf-8", errors="replace"))
        shown = tuple(self._lines)
        return (*shown, rest) if rest else shown

    def _read(self, file: BinaryIO) -> None:
        found = os.fstat(file.fileno())
        if found.st_ino != self._inode or found.st_size < self._offset:
            self._inode, self._offset, self._rest = found.st_ino, 0, b""
            self._lines.clear()
        if found.st_size == self._offset:
            return
        start = max(self._offset, found.st_size - _CHUNK_BYTES)
        if start > self._offset:
            self._rest = b""  # the jump lands inside a line, whose rest is not worth showing
        file.seek(start)
        content = self._rest + file.read(found.st_size - start)
        *whole, rest = content.split(b"\n")
        if start > self._offset and whole:
            whole = whole[1:]
        self._lines.extend(clean_line(line.decode("utf-8", errors="replace")) for line in whole)
        self._rest = rest[-_CHUNK_BYTES:]
        self._offset = found.st_size


def clean_line(text: str) -> str:
    """One line without escape sequences, control and direction characters; of an overwritten line, the last text."""
    text = text[-_LONGEST_LINE * 4 :].rstrip("\r\n")
    text = text.rsplit("\r", 1)[-1]
    shown = _ESCAPE.sub("", text).replace("\t", "    ")[:_LONGEST_LINE]
    return shown if shown.isprintable() else "".join(one for one in shown if one.isprintable())
