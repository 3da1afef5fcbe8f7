"""One event file while it is being written: how far it was read, what was read, and what was wrong with it."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from brefine.errors import printable
from brefine.io.atomic import open_no_link
from brefine.run.tail.events import SessionStart, decode_frames
from brefine.run.tail.series import GrowingSeries
from brefine.run.tail.tfrecord import HEADER_BYTES, FrameScanner, find_record

CHUNK_BYTES: Final = 1 << 20
_ANCHOR_BYTES: Final = 32
"""The last bytes that were read are compared at the next poll: a file that was rewritten in place no longer has them."""
_MOST_FAULTS: Final = 20
"""Faults of one kind in one file that are reported: each is an alert on disk, and a file that is all damage has thousands."""

FaultKind = Literal["damaged", "zero-filled", "rewritten", "deleted", "unreadable"]


@dataclass(frozen=True, slots=True)
class TailFault:
    """Something that is wrong with an event file; reported once."""

    file: str
    kind: FaultKind
    offset: int
    text: str


class EventFileTail:
    """Follows one event file: resumes where it stopped, waits for a torn end to be completed, skips damage and reports it.

    Attributes:
        series: tag → its values in this file.
        first_step: tag → its first step here, from which on earlier files no longer count.
        session_step: step at which the file's own session starts; None if it does not say.
        faults: the faults that were found so far; damaged records of one chunk are one fault.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.faults: list[TailFault] = []
        self._n_faults: Counter[FaultKind] = Counter()
        self._scanner = FrameScanner()
        self._inode: int | None = None
        self._forget()

    def poll(self) -> bool:
        """Reads at most one chunk; returns whether more is waiting."""
        try:
            with open_no_link(self.path) as file:
                return self._poll(file.fileno())
        except FileNotFoundError:
            self._fault("deleted", "the file is gone; what was read of it is kept")
        except OSError as error:
            self._fault("unreadable", f"the file cannot be read: {error.strerror}")
        return False

    def _forget(self) -> None:
        self.series: dict[str, GrowingSeries] = {}
        self.first_step: dict[str, int] = {}
        self.session_step: int | None = None
        self._offset = 0
        self._anchor = b""
        self._seeking_from: int | None = None

    def _poll(self, descriptor: int) -> bool:
        found = os.fstat(descriptor)
        if self._inode is None:
            self._inode = found.st_ino
        elif self._was_rewritten(descriptor, found):
            self._fault("rewritten", "the file was cut or written anew; it is read from its start again")
            self._inode = found.st_ino
            self._forget()
        size = found.st_size
        if self._seeking_from is not None:
            return self._seek(descriptor, size)
        if size <= self._offset:
            return False
        buffer = os.pread(descriptor, CHUNK_BYTES, self._offset)
        frames = self._scanner.scan(buffer)
        decoded, faults = decode_frames(buffer, frames)
        for item in decoded:
            if isinstance(item, SessionStart):
                self._start_session(item.step)
                continue
            self.series.setdefault(item.tag, GrowingSeries()).extend(item)
            first = int(item.steps.min())
            self.first_step[item.tag] = min(first, self.first_step.get(item.tag, first))
        if damaged := (*frames.damaged, *faults):
            n = len(damaged)
            text = "a record is damaged; it is left out" if n == 1 else f"{n:,} records are damaged; they are left out"
            self._fault("damaged", text, self._offset + min(damaged))
        self._advance(descriptor, frames.consumed)
        if frames.broken:
            self._seeking_from = self._offset
            return True
        if frames.consumed == 0 and frames.awaits > CHUNK_BYTES:
            return self._pass_over(descriptor, frames.awaits, size)
        return frames.consumed > 0 and self._offset < size

    def _was_rewritten(self, descriptor: int, found: os.stat_result) -> bool:
        if found.st_ino != self._inode or found.st_size < self._offset:
            return True
        before = os.pread(descriptor, len(self._anchor), self._offset - len(self._anchor))
        return before != self._anchor

    def _pass_over(self, descriptor: int, record_bytes: int, size: int) -> bool:
        """Skips a record that is larger than a chunk (an image, a graph) once it is whole."""
        if self._offset + record_bytes > size:
            return False
        self._advance(descriptor, record_bytes)
        return self._offset < size

    def _seek(self, descriptor: int, size: int) -> bool:
        """Looks for the next record behind damage, one chunk at a time."""
        assert self._seeking_from is not None
        buffer = os.pread(descriptor, CHUNK_BYTES, self._seeking_from)
        place = find_record(buffer)
        if place is not None:
            skipped = self._seeking_from + place - self._offset
            self._fault("damaged", f"{skipped:,} bytes are damaged; reading goes on behind them")
            self._advance(descriptor, skipped)
            self._seeking_from = None
            return True
        ends_here = self._seeking_from + len(buffer) >= size
        if not buffer.strip(b"\0"):
            # A crash or a full disk leaves a hole of zeros; on network disks it may still be filled.
            if ends_here:
                self._fault("zero-filled", "the file ends in zeros, as a crash or a full disk leaves it")
                self._seeking_from = self._offset
                return False
        elif ends_here:
            self._fault("damaged", "the bytes up to the end of the file are no records")
        self._seeking_from += max(0, len(buffer) - HEADER_BYTES + 1)
        return not ends_here

    def _start_session(self, step: int) -> None:
        self.session_step = step if self.session_step is None else min(step, self.session_step)
        for series in self.series.values():
            series.cut(step)

    def _advance(self, descriptor: int, n_bytes: int) -> None:
        self._offset += n_bytes
        length = min(_ANCHOR_BYTES, self._offset)
        self._anchor = os.pread(descriptor, length, self._offset - length)

    def _fault(self, kind: FaultKind, text: str, offset: int | None = None) -> None:
        fault = TailFault(printable(self.path.name), kind, self._offset if offset is None else offset, text)
        if fault in self.faults or self._n_faults[kind] == _MOST_FAULTS:
            return
        self._n_faults[kind] += 1
        if self._n_faults[kind] == _MOST_FAULTS:
            fault = replace(fault, text=f"{text}; more of this kind is not told")
        self.faults.append(fault)
