"""Processes that a supervisor starts or takes over, each in a session of its own and with a log of its own."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import psutil

from brefine.errors import OUT_OF_MEMORY
from brefine.identity import ProcessIdentity, identity_of, is_alive, is_same
from brefine.io.atomic import open_no_link, open_to_append
from brefine.run.oom import OomKills
from brefine.run.supervision import Ended
from brefine.run.tail.log import clean_line

_LAST_WORDS_BYTES = 16 << 10
_NO_ROOM_BYTES = 64 << 10
_DISK_FULL = re.compile(r"No space left on device|Disk quota exceeded", re.IGNORECASE)


class LastWords:
    """What is written to a log from now on: it says how the process that writes it has ended."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._start_bytes = log.stat().st_size if log.exists() else 0

    def of_end(self, code: int | None) -> Ended:
        """How the process ended, by its exit code, None if unknown, and by its last words."""
        words = self._read()
        return Ended(code, _cause(words) if code != 0 else None, _last_line(words))

    def _read(self) -> str:
        try:
            with open_no_link(self._log) as file:
                file.seek(max(self._start_bytes, file.seek(0, os.SEEK_END) - _LAST_WORDS_BYTES))
                return file.read(_LAST_WORDS_BYTES).decode("utf-8", errors="replace")
        except OSError:
            return ""


class _Process:
    """What `Child` and `Adopted` share."""

    process: ProcessIdentity

    def __init__(self, log: Path, oom_kills: OomKills) -> None:
        self._last_words = LastWords(log)
        self._oom_kills = oom_kills

    def wrote(self, writer: ProcessIdentity) -> bool:
        """Whether this process is the writer of a status."""
        return is_same(self.process, writer)

    def waits(self) -> bool:
        """False: a process here has begun."""
        return False


class Child(_Process):
    """A process that was started here."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str],
        oom_kills: OomKills,
        holds: Sequence[int] = (),
    ) -> None:
        super().__init__(log, oom_kills)
        self._folder = log.parent
        self._forced = False
        with open_to_append(log) as file:
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                start_new_session=True,
                pass_fds=holds,
            )
        self.process = identity_of(self._process.pid)  # found even if it has ended: only `ended` collects the zombie

    def ended(self) -> Ended | None:
        """How it ended; None while it runs."""
        code = self._process.poll()
        if code is None:
            self._oom_kills.look()
            return None
        _signal_group(self._process.pid, signal.SIGKILL)  # processes that it has left behind would keep the GPU's memory
        how = self._last_words.of_end(code)
        if how.cause is None and code > 0 and _is_full(self._folder):  # there was no room for its last words
            how = replace(how, cause="disk-full")
        if how.cause is None and code == -signal.SIGKILL and not self._forced and self._oom_kills.explain_one():
            how = replace(how, cause="out-of-memory")
        return how

    def stop(self, *, by_force: bool) -> None:
        """Asks it to checkpoint and end, or kills it with everything that it has started."""
        self._forced |= by_force
        if by_force:
            _signal_group(self._process.pid, signal.SIGKILL)
        else:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)


class Adopted(_Process):
    """A process that an earlier supervisor has started; its exit code cannot be known."""

    def __init__(self, identity: ProcessIdentity, *, log: Path, oom_kills: OomKills) -> None:
        self.process = identity
        super().__init__(log, oom_kills)

    def ended(self) -> Ended | None:
        """How it ended, as far as its log and the kernel show; None while it runs."""
        if is_alive(self.process):
            self._oom_kills.look()
            return None
        how = self._last_words.of_end(None)
        if how.cause is None and self._oom_kills.explain_one():
            how = replace(how, cause="out-of-memory")
        return how

    def stop(self, *, by_force: bool) -> None:
        """Like `Child.stop`; never touches another process that has taken over the pid."""
        if not is_alive(self.process):
            return
        if by_force:
            _signal_group(self.process.pid, signal.SIGKILL)
        else:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGTERM)


def _signal_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _last_line(words: str) -> str | None:
    """The last line that the process wrote; of a message of several lines, the one that begins with `brefine:`."""
    lines = [clean_line(line) for line in words.splitlines() if line.strip()]
    told = [line for line in lines[-20:] if line.startswith("brefine: ")]
    if told:
        return told[-1].removeprefix("brefine: ")
    return lines[-1] if lines else None


def _cause(words: str) -> Literal["out-of-memory", "disk-full"] | None:
    if _DISK_FULL.search(words):
        return "disk-full"
    return "out-of-memory" if OUT_OF_MEMORY.search(words) else None


def _is_full(folder: Path) -> bool:
    try:
        return int(psutil.disk_usage(str(folder)).free) < _NO_ROOM_BYTES
    except OSError:
        return False
