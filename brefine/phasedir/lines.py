"""Files with one document per line, to which writers append. Lines that cannot be read are counted and can be reported."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic, TypeVar

from brefine.io.atomic import open_no_link
from brefine.phasedir.document import Document

_MOST_BYTES: Final = 16 << 20
_Line = TypeVar("_Line")
_Other = TypeVar("_Other")
_Kind = TypeVar("_Kind", bound=Document)


@dataclass(frozen=True, slots=True)
class Lines(Generic[_Line]):
    """The lines of a file as they were read.

    Attributes:
        name: of the file.
        entries: oldest first; None is a line that cannot be read: torn, damaged, or of another schema.
        problem: why the file cannot be read, or only its end; None if all of it was read, or if there is no file.
        unknown: information that is missing from readable lines, in words; None if nothing is.
    """

    name: str
    entries: tuple[_Line | None, ...] = ()
    problem: str | None = None
    unknown: str | None = None

    @property
    def readable(self) -> list[_Line]:
        return [entry for entry in self.entries if entry is not None]

    @property
    def after_loss(self) -> list[_Line]:
        """The lines behind the last one that cannot be read, so nothing that was lost is newer."""
        places = [place for place, entry in enumerate(self.entries) if entry is None]
        return [entry for entry in self.entries[places[-1] + 1 if places else 0 :] if entry is not None]

    @property
    def loss(self) -> str | None:
        """What the file has lost, in words; None if nothing."""
        n_lost = self.entries.count(None)
        lost = f"{n_lost} line{'s' if n_lost > 1 else ''} of {self.name} cannot be read" if n_lost else None
        return "; ".join(filter(None, (self.problem, lost, self.unknown))) or None

    def map(self, change: Callable[[_Line], _Other], unknown: str | None) -> Lines[_Other]:
        """The same lines with each readable one changed; `unknown` says what information is missing from them."""
        return Lines(self.name, tuple(None if entry is None else change(entry) for entry in self.entries), self.problem, unknown)


def read_lines(path: Path, kind: type[_Kind]) -> Lines[_Kind]:
    """Reads the file, or, beyond 16 MiB, only its end, where the newest lines are. A symbolic link is not followed."""
    try:
        with open_no_link(path) as file:
            begin = max(0, file.seek(0, os.SEEK_END) - _MOST_BYTES)
            file.seek(begin)
            lines = file.read(_MOST_BYTES).splitlines()
    except FileNotFoundError:
        return Lines(path.name)
    except OSError as error:
        return Lines(path.name, problem=f"{path.name} cannot be read ({error.strerror})")
    whole = lines[1:] if begin else lines
    problem = f"{path.name} is larger than {_MOST_BYTES} bytes, so only its end is read" if begin else None
    return Lines(path.name, tuple(kind.parse_line(line, path) for line in whole if line.strip()), problem)
