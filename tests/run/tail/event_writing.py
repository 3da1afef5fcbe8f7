"""Event files for tests, written by TensorBoard's own writer or put together byte by byte."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import masked_crc32c


def record(payload: bytes) -> bytes:
    """One TFRecord, framed with TensorBoard's checksums."""
    length = struct.pack("<Q", len(payload))
    return length + struct.pack("<I", masked_crc32c(length)) + payload + struct.pack("<I", masked_crc32c(payload))


def scalar(step: int, value: float, tag: str = "train/loss", wall_s: float = 1000.0) -> bytes:
    """One record with one scalar."""
    summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
    return record(Event(wall_time=wall_s + step, step=step, summary=summary).SerializeToString())


def version() -> bytes:
    """The record that every event file begins with."""
    return record(Event(wall_time=1000.0, file_version="brain.Event:2").SerializeToString())


def session_start(step: int) -> bytes:
    """The record with which a restarted writer voids what it wrote from `step` on."""
    return record(Event(wall_time=1000.0, step=step, session_log=SessionLog(status=SessionLog.START)).SerializeToString())


def write_events(path: Path, records: Iterable[bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(records))
    return path


def ramp(steps: Sequence[int], tag: str = "train/loss", offset: float = 0.0) -> list[bytes]:
    """Scalars whose value is their step (plus an offset), so that a test sees which writing won."""
    return [scalar(step, step + offset, tag) for step in steps]
