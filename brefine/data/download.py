"""Large files over HTTP: resumed after any interruption, with progress, and never taken for complete when they are not."""

from __future__ import annotations

import http.client
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from brefine.errors import DataError, FormatError
from brefine.io.atomic import read_json, write_json_atomic

_BLOCK_BYTES = 1 << 20
_PATIENCE = 6
"""Attempts in a row that may bring nothing new."""
_SPARE_BYTES = 256 << 20

_Interruption = (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError)


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """What a server says about a file before it is fetched."""

    url: str
    size_bytes: int | None
    version: str
    """ETag or Last-Modified: if it has changed, what was fetched before belongs to another file."""


def ask(url: str, *, timeout_s: float = 30.0, pause_s: float = 1.0) -> RemoteFile:
    """Size and version of a file.

    Raises:
        DataError: the server cannot be reached, or has no such file.
    """
    request = urllib.request.Request(url, method="HEAD")
    for attempt in range(_PATIENCE):
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as answer:
                size = answer.headers.get("Content-Length")
                version = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
                return RemoteFile(url, int(size) if size else None, version)
        except _Interruption as error:
            _raise_if_hopeless(error, url, last=attempt == _PATIENCE - 1)
        time.sleep(pause_s * 2**attempt)
    raise AssertionError("the last attempt returns or raises")


def require_space(folder: Path, needed_bytes: int) -> None:
    """Checks that the disk has room before anything is fetched.

    Raises:
        DataError: there is too little room.
    """
    folder.mkdir(parents=True, exist_ok=True)
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < needed_bytes + _SPARE_BYTES:
        raise DataError(
            "there is too little space on the disk",
            where=folder,
            expected=f"{(needed_bytes + _SPARE_BYTES) / 1e9:.1f} GB free",
            got=f"{free_bytes / 1e9:.1f} GB",
            hint="free some, or move the corpora: --set corpus.root=DIR",
        )


def download(
    remote: RemoteFile,
    path: Path,
    *,
    on_progress: Callable[[int, int | None], None] = lambda done, total: None,
    timeout_s: float = 30.0,
    pause_s: float = 1.0,
) -> None:
    """Fetches a file to `path`; what an earlier attempt left in `path`.part is continued.

    A dropped, stalled or failing connection is tried again, with growing pauses, as long as attempts bring something new. The
    file takes its name only when it has the size that the server announced.

    Args:
        on_progress: called with bytes done and bytes in all, if known.
        timeout_s: silence on the line that counts as a stall.
        pause_s: pause after the first failure; doubled each time.

    Raises:
        DataError: the server has no such file, refuses, or keeps failing.
    """
    part, note = path.with_name(path.name + ".part"), path.with_name(path.name + ".part.json")
    if not _continues(note, remote):
        part.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json_atomic(note, {"url": remote.url, "size_bytes": remote.size_bytes, "version": remote.version})
    fruitless = 0
    while True:
        before_bytes = part.stat().st_size if part.exists() else 0
        if remote.size_bytes is not None and before_bytes > remote.size_bytes:
            part.unlink()
            before_bytes = 0
        if before_bytes and before_bytes == remote.size_bytes:
            break
        try:
            whole = _fetch(remote, part, before_bytes, on_progress, timeout_s)
        except _Interruption as error:
            if isinstance(error, urllib.error.HTTPError) and error.code == 416:  # all of it is there, or more than all
                part.unlink(missing_ok=True)
            fruitless = fruitless + 1 if _size(part) <= before_bytes else 0
            _raise_if_hopeless(error, remote.url, last=fruitless >= _PATIENCE)
            time.sleep(pause_s * 2 ** max(0, fruitless - 1))
            continue
        if whole and remote.size_bytes in (None, _size(part)):
            break
        fruitless = fruitless + 1 if _size(part) <= before_bytes else 0  # a connection may end early without an error
        if fruitless >= _PATIENCE:
            announced = None if remote.size_bytes is None else f"{remote.size_bytes} bytes"
            raise DataError("the download remains incomplete", where=remote.url, expected=announced, got=f"{_size(part)} bytes")
    part.replace(path)
    note.unlink(missing_ok=True)


def _fetch(
    remote: RemoteFile, part: Path, have_bytes: int, on_progress: Callable[[int, int | None], None], timeout_s: float
) -> bool:
    """One connection; returns whether the server ended it in good order."""
    request = urllib.request.Request(remote.url)
    if have_bytes:
        request.add_header("Range", f"bytes={have_bytes}-")
        if remote.version:
            request.add_header("If-Range", remote.version)
    with urllib.request.urlopen(request, timeout=timeout_s) as answer:
        resumed = answer.status == 206 and _starts_at(answer.headers.get("Content-Range", "")) == have_bytes
        done_bytes = have_bytes if resumed else 0  # a server that knows no ranges starts from the beginning
        with part.open("ab" if resumed else "wb") as file:
            while block := answer.read1(_BLOCK_BYTES):
                file.write(block)
                done_bytes += len(block)
                on_progress(done_bytes, remote.size_bytes)
        return not answer.length  # nothing is left of the length that the answer announced


def _starts_at(content_range: str) -> int | None:
    """The first byte of `bytes 100-199/200`."""
    first = content_range.removeprefix("bytes ").partition("-")[0]
    return int(first) if first.isdigit() else None


def _continues(note: Path, remote: RemoteFile) -> bool:
    """Whether the partial download is the beginning of this very file."""
    try:
        kept = read_json(note)
    except (FileNotFoundError, FormatError):
        return False
    return bool(kept == {"url": remote.url, "size_bytes": remote.size_bytes, "version": remote.version})


def _raise_if_hopeless(error: Exception, url: str, *, last: bool) -> None:
    if isinstance(error, urllib.error.HTTPError):
        error.close()  # it is the server's answer, with the connection
    refused = isinstance(error, urllib.error.HTTPError) and 400 <= error.code < 500 and error.code not in (408, 416, 429)
    if not (refused or last):
        return
    reason = f"{error.code} {error.reason}" if isinstance(error, urllib.error.HTTPError) else str(getattr(error, "reason", error))
    raise DataError(
        "the server has no such file" if refused else "the server cannot be reached, or keeps failing",
        where=url,
        got=reason,
        hint="what was fetched is kept, and the next call goes on from there; or name audio that you have: --audio-from DIR",
    ) from None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
