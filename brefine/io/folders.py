"""The files of a kind in a folder, without those that systems leave beside them, such as the `._talk.rttm` of macOS.

Also makes missing folders, except those that may only have been moved, and finds homes.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection
from pathlib import Path
from typing import Final

from brefine.errors import ConfigError

GONE: Final = "the folder is not there any more: was it moved?"
_NEVER_MADE: Final[set[Path]] = set()


def files_of(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """The files of a folder with one of the suffixes, in lower or upper case; sorted; none if the folder is missing.

    Pipes and devices, which could block or never end, are left out. A link that leads nowhere is kept, for its reader to report.

    Args:
        suffixes: in lower case, with their dots.
    """
    there = folder.iterdir() if folder.is_dir() else ()
    found = [path for path in there if path.suffix.lower() in suffixes and not path.name.startswith(".")]
    return sorted(path for path in found if path.is_file() or not path.exists())


def from_home(path: str) -> Path:
    """The path with `~` or `~NAME` expanded; left as it is, as a shell does, if there is no such user."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 (Path.expanduser ends in a RuntimeError there)


def real_path(path: Path) -> Path:
    """The absolute path without links, as far as they lead anywhere."""
    return Path(os.path.realpath(path))  # not Path.resolve, which ends in a RuntimeError if links lead in a circle


def state_folder(*, setting: str = "XDG_STATE_HOME") -> Path:
    """Where brefine keeps a user's files that outlive a phase: `$XDG_STATE_HOME/brefine`, or `~/.local/state/brefine`.

    Args:
        setting: what else can name the folder, for the hint.

    Raises:
        ConfigError: neither the environment nor the system knows the user's home, as may happen in a container.
    """
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    try:
        return Path(state).expanduser() / "brefine"
    except RuntimeError:
        raise ConfigError(
            "the home folder cannot be determined", where=state, hint=f"set {setting} to a folder, or set HOME"
        ) from None


def never_make_anew(folder: Path) -> None:
    """From now on `make_folder` of this process makes what is missing below this folder, but never the folder itself.

    If it was moved while processes work in it, they would make it again under its old name and write where nobody looks.
    """
    _NEVER_MADE.add(folder)


def make_folder(folder: Path) -> None:
    """Makes a folder, and those above it, where they are missing.

    Raises:
        FileNotFoundError: one of them is gone, and `never_make_anew` was called for it.
        OSError: one cannot be made.
    """
    homes = (one for one in _NEVER_MADE if folder.is_relative_to(one))
    home = max(homes, key=lambda one: len(one.parts), default=None)  # the innermost, as one may lie in another
    if home is None:
        folder.mkdir(parents=True, exist_ok=True)
        return
    if is_gone(home):
        raise FileNotFoundError(errno.ENOENT, GONE, str(home))
    names = folder.relative_to(home).parts
    for n in range(1, len(names) + 1):  # one by one, so that a home that is moved meanwhile does not come back
        home.joinpath(*names[:n]).mkdir(exist_ok=True)


def is_gone(folder: Path) -> bool:
    """Whether nothing of that name exists; False if the disk cannot say."""
    try:
        folder.stat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False
