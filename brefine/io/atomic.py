"""Files that are either whole or absent: temporary file, fsync, rename."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import secrets
import stat
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

from brefine.errors import FormatError
from brefine.io.folders import make_folder
from brefine.io.jsontext import parse_json

_TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}\.tmp")
_LEFT_AFTER_S = 600.0
"""A temporary file that is older was left by a writer that has died."""
_MOST_JSON_BYTES = 64 << 20


def write_bytes_atomic(path: Path, content: bytes) -> None:
    """Replaces `path` by `content`; a reader, or a crash at any moment, sees the old file or the new one.

    Raises:
        OSError: it cannot be written, or a device, a pipe or a socket lies there.
    """
    if is_special(path):
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    make_folder(path.parent)
    try:
        _replace(path, content)
    except OSError as error:
        error.filename = str(path)  # not the temporary one, which means nothing to a user
        raise
    _fsync_folder(path.parent)


def is_special(path: Path) -> bool:
    """Whether a device, a pipe or a socket lies there, or a link in /dev, which leads to one: a rename would destroy it."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return False
    if stat.S_ISLNK(mode):
        return path.parent.resolve() == Path("/dev")
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)  # less the umask, which `mkstemp` ignores
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def remove_leftovers(folder: Path) -> None:
    """Removes the temporary files of `write_bytes_atomic` that killed writers have left under a folder.

    Nothing reads them, but they fill a disk. Younger ones stay: their writer may still be alive.
    """
    # Not `rglob`, which raises if a folder vanishes meanwhile.
    for place, _, names in os.walk(folder):
        for name in filter(_TEMPORARY.fullmatch, names):
            with contextlib.suppress(OSError):
                path = Path(place) / name
                found = path.lstat()
                if stat.S_ISREG(found.st_mode) and time.time() - found.st_mtime > _LEFT_AFTER_S:
                    path.unlink()


def write_text_atomic(path: Path, text: str) -> None:
    write_bytes_atomic(path, text.encode("utf-8"))


def write_json_atomic(path: Path, document: Any) -> None:
    """Writes one JSON document; not-a-number is refused, since JSON does not have it."""
    write_text_atomic(path, json.dumps(document, indent=1, allow_nan=False) + "\n")


def append_line(path: Path, line: str, *, mode: int = 0o666) -> None:
    """Appends one whole line and waits until it is on disk; a torn last line of an earlier crash is closed first.

    A symbolic link is not followed, so one that somebody planted cannot redirect the line to another file.

    Args:
        mode: of a file that is made, less the umask.

    Raises:
        OSError: it cannot be written; if there was room for a part of it only, that part is removed again.
    """
    make_folder(path.parent)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, mode)
    try:
        size_bytes = os.fstat(descriptor).st_size
        torn = size_bytes > 0 and os.pread(descriptor, 1, size_bytes - 1) != b"\n"
        content = (("\n" if torn else "") + line + "\n").encode("utf-8")
        n_written = os.write(descriptor, content)
        if n_written < len(content):
            end_bytes = os.lseek(descriptor, 0, os.SEEK_CUR)
            if os.fstat(descriptor).st_size == end_bytes:  # else somebody has appended meanwhile, and closed the torn line
                os.ftruncate(descriptor, end_bytes - n_written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_json(path: Path) -> Any:
    """Reads one JSON document; see `jsontext` for what is refused. A symbolic link is not followed.

    Raises:
        FormatError: it is not JSON, larger than 64 MiB, or cannot be read.
        FileNotFoundError: there is no such file.
    """
    try:
        with open_no_link(path) as file:
            content = file.read(_MOST_JSON_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise FormatError(f"the file cannot be read: {error.strerror}", where=path) from None
    if len(content) > _MOST_JSON_BYTES:
        raise FormatError("the file is too large", where=path, expected=f"at most {_MOST_JSON_BYTES} bytes")
    return parse_json(content, where=path)


def open_to_append(path: Path) -> BinaryIO:
    """Opens a log for appending; a symbolic link of that name is refused.

    Raises:
        OSError: it cannot be opened.
    """
    make_folder(path.parent)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o666), "ab")


def open_no_link(path: Path) -> BinaryIO:
    """Opens a regular file for reading; a symbolic link, a pipe or a device is refused.

    Raises:
        OSError: it is missing, not a regular file, or cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)  # a pipe without a writer would wait for ever
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return os.fdopen(descriptor, "rb")


def digest_of_files(paths: Iterable[Path]) -> str:
    """SHA-256 of the files' contents in this order, whatever their paths; a missing file differs from an empty one."""
    total = hashlib.sha256()
    for path in paths:
        total.update(bytes.fromhex(file_digest(path)) if path.is_file() else b"missing")
    return total.hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content, read piece by piece.

    Raises:
        OSError: it is not there, or cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
