"""The files of a kind in a folder, without what systems leave beside them: the `._talk.rttm` of macOS holds no turns."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path


def files_of(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """The files of a folder with one of the suffixes, in lower or upper case; sorted, none of a folder that is not there.

    Args:
        suffixes: in lower case, with their dots.
    """
    there = folder.iterdir() if folder.is_dir() else ()
    found = [path for path in there if path.suffix.lower() in suffixes and not path.name.startswith(".")]
    return sorted(path for path in found if not path.is_dir())
