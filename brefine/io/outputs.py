"""Checks of output files before anything is computed: what they must not replace, and whether they can be written."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from brefine.errors import BrefineError
from brefine.io.atomic import is_special
from brefine.io.folders import real_path


def refuse_replacing(
    read: Iterable[Path],
    written: Sequence[Path],
    kind: str,
    is_of_kind: Callable[[Path], bool],
    *,
    option: str = "-o",
    beside: Iterable[Path] = (),
) -> None:
    """Refuses outputs that would destroy an input or a file that is not a `kind`; files of that kind may be replaced.

    Args:
        option: names the outputs on the command line.
        beside: other files that the same command writes.

    Raises:
        BrefineError: an output is an input, another output, a folder, a device, something else that is not empty, or cannot be
            written.
    """
    inputs, others = ({real_path(path) for path in paths} for paths in (read, beside))
    another = f"give another {option}"
    for path in written:
        if real_path(path) in inputs:
            raise BrefineError("the output would replace the input", where=path, hint=another)
        if real_path(path) in others:
            raise BrefineError("two outputs would go to the same file", where=path, hint=another)
        if path.is_dir():
            raise BrefineError("the output is a folder", where=path, expected="a file", hint=f"give a file as {option}")
        if path.is_file() and path.stat().st_size > 0 and not is_of_kind(path):
            raise BrefineError(
                f"the output exists and is no {kind}; it is left alone", where=path, hint=f"{another}, or remove it first"
            )
    refuse_unwritable(written, option=option)


def refuse_unwritable(written: Iterable[Path], *, option: str = "-o", hint: str | None = None) -> None:
    """Refuses outputs, files or folders, that could not be written in the end; folders on the way to them may be missing.

    Args:
        option: names the outputs on the command line.
        hint: what to do if nothing can be written there; by default, to give another `option`.

    Raises:
        BrefineError: an output is a device, a pipe or a socket, has a file in place of a parent folder, or cannot be written.
    """
    another = hint or f"give another {option}"
    tried: set[Path] = set()
    for path in written:
        if is_special(path) or (path.exists() and not path.is_file() and not path.is_dir()):
            raise BrefineError("the output is not a regular file; it is left alone", where=path, hint=f"give a file as {option}")
        folder = next(place for place in (path, *path.parents) if os.path.lexists(place) and (place != path or place.is_dir()))
        if folder in tried:
            continue
        tried.add(folder)
        if not folder.is_dir():
            got = "a file" if folder.exists() else "a link that leads nowhere"
            raise BrefineError("a folder to write into is needed here", where=folder, expected="a folder", got=got, hint=another)
        try:
            with tempfile.TemporaryFile(dir=folder):  # permissions alone say little to root
                pass
        except OSError as error:
            raise BrefineError(f"the output cannot be written: {error.strerror}", where=path, hint=another) from None


def begins_with(path: Path, words: str) -> bool:
    """Whether a file begins with these words: enough to tell brefine's own files from others."""
    beginning = words.encode()
    with path.open("rb") as file:
        return file.read(len(beginning)) == beginning


def is_page(path: Path) -> bool:
    """Whether a file is an HTML page."""
    return begins_with(path, "<!doctype html>")
