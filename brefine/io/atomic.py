"""Files that are either whole or absent: temporary file, fsync, rename."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from brefine.errors import FormatError


def write_bytes_atomic(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Replaces `path` by `content`; a reader, or a crash at any moment, sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _fsync_folder(path.parent)


def write_text_atomic(path: Path, text: str, *, mode: int = 0o644) -> None:
    write_bytes_atomic(path, text.encode("utf-8"), mode=mode)


def write_json_atomic(path: Path, document: Any, *, mode: int = 0o644) -> None:
    """Writes one JSON document; not-a-number is refused, since no reader of JSON has to understand it."""
    write_text_atomic(path, json.dumps(document, indent=1, allow_nan=False) + "\n", mode=mode)


def append_line(path: Path, line: str) -> None:
    """Appends one whole line and waits until it is on disk; a torn last line of an earlier crash is closed first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        size_bytes = os.fstat(descriptor).st_size
        torn = size_bytes > 0 and os.pread(descriptor, 1, size_bytes - 1) != b"\n"
        os.write(descriptor, (("\n" if torn else "") + line + "\n").encode("utf-8"))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_json(path: Path, *, limit_bytes: int = 64 << 20) -> Any:
    """Reads one JSON document.

    Raises:
        FormatError: it is not JSON, not UTF-8, or larger than `limit_bytes`.
        FileNotFoundError: there is no such file.
    """
    size_bytes = path.stat().st_size
    if size_bytes > limit_bytes:
        raise FormatError("the file is too large", where=path, expected=f"at most {limit_bytes} bytes", got=size_bytes)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise FormatError(f"this is not JSON: {error}", where=path) from None


def digest_of_files(paths: Iterable[Path]) -> str:
    """SHA-256 of the files' contents in this order, wherever they lie; a missing one differs from an empty one."""
    total = hashlib.sha256()
    for path in paths:
        total.update(hashlib.sha256(path.read_bytes()).digest() if path.is_file() else b"missing")
    return total.hexdigest()


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
