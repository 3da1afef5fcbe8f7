"""JSON documents that are read again only when they have changed."""

from __future__ import annotations

from pathlib import Path
from typing import Generic, TypeVar

from brefine.errors import FormatError
from brefine.phasedir import Document

D = TypeVar("D", bound=Document)


class WatchedDocument(Generic[D]):
    """One file: its newest readable content, and what is wrong with it at present."""

    def __init__(self, path: Path, kind: type[D]) -> None:
        self._path = path
        self._kind = kind
        self._stamp: tuple[int, int, int] | None = None
        self._content: D | None = None
        self.problem: str | None = None

    def read(self) -> D | None:
        """The content; None if there is no file. If the file cannot be read, its last readable content."""
        try:
            found = self._path.stat()
            stamp = (found.st_ino, found.st_mtime_ns, found.st_size)
            if stamp != self._stamp:
                self._content = self._kind.read(self._path)
                self._stamp, self.problem = stamp, None
        except FileNotFoundError:
            self._stamp, self._content, self.problem = None, None, None
        except FormatError as error:
            self._stamp, self.problem = stamp, str(error)
        except OSError as error:
            self._stamp = None  # so it is read again as soon as that works, even if it has not changed
            self.problem = f"{self._path}: cannot be read: {error.strerror}"
        return self._content
