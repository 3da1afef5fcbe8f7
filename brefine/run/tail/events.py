"""TensorBoard `Event` messages: the scalars in them, and the marks of a restarted session.

Only what a curve needs is read, directly from the protobuf wire format: loading the generated classes would take more time than
a dashboard has for its first frame, and parsing with them would take ten times the processor time. Everything else in a message
(images, histograms, graphs, hyperparameters) is skipped.

Source: tensorboard/compat/proto/{event,summary,tensor}.proto; https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from brefine.errors import printable
from brefine.run.tail.tfrecord import CHECKED_BYTES, Frames

_WALL_TIME_KEY: Final = 0x09  # field 1, 64 bit
_STEP_KEY: Final = 0x10  # field 2, varint
_SESSION_START: Final = 1
_DTYPES: Final = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8"}
_FEWEST_ROWS: Final = 24
"""For fewer records of one length, the plain reader is faster."""
_MOST_ALIKE_TAGS: Final = 64
_LATEST_UNIX_S: Final = 1e11
"""A later time, one before 1970, or not-a-number cannot come from a clock, and counts as unknown."""


_Series = dict[str, list[tuple[NDArray[Any], ...]]]
"""Tag → pieces of (rows, steps, values, times)."""


@dataclass(frozen=True, slots=True, eq=False)
class Scalars:
    """Values of one tag in the order in which they were written."""

    tag: str
    steps: NDArray[np.int64]
    values: NDArray[np.float64]
    unix_s: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SessionStart:
    """A writer has started again at `step`: values that were written for that step and later ones no longer count."""

    step: int


@dataclass(frozen=True, slots=True)
class Event:
    """One message: its scalars as (tag, value), and whether it starts a session."""

    unix_s: float
    step: int
    starts_session: bool
    scalars: tuple[tuple[str, float], ...]


def decode_frames(buffer: bytes, frames: Frames) -> tuple[list[Scalars | SessionStart], list[int]]:
    """Reads the scalars of a buffer's records.

    Returns:
        scalars and session starts, with the values of each tag in the order of writing relative to the starts; and the offsets
        of payloads that are not an `Event` although their checksum is right.
    """
    small = np.flatnonzero(frames.lengths <= CHECKED_BYTES)
    offsets, lengths = frames.offsets[small], frames.lengths[small]
    data = np.frombuffer(buffer, dtype=np.uint8)
    series: _Series = {}
    starts: list[tuple[int, int]] = []
    faults: list[int] = []
    single: list[int] = []
    for length in _distinct(lengths):
        rows = np.flatnonzero(lengths == length)
        single += _decode_alike(data, offsets, rows, length, series).tolist()
    singles: dict[str, list[tuple[int, int, float, float]]] = {}
    for row in sorted(single):
        start = int(offsets[row])
        try:
            event = parse_event(buffer[start : start + int(lengths[row])])
        except ValueError:
            faults.append(start)
            continue
        if event.starts_session:
            starts.append((row, event.step))
        for tag, value in event.scalars:
            singles.setdefault(tag, []).append((row, event.step, value, event.unix_s))
    for tag, written in singles.items():
        row_list, steps, values, unix_s = zip(*written, strict=True)
        series.setdefault(tag, []).append(
            (np.array(row_list), np.array(steps, dtype=np.int64), np.array(values, dtype=np.float64), np.array(unix_s))
        )
    return list(_in_order(series, starts)), faults


def _distinct(small: NDArray[np.int64]) -> list[int]:
    """The distinct values of small counts, rising. `np.unique` would load numpy.ma, half of a first snapshot's time."""
    found: list[int] = np.flatnonzero(np.bincount(small)).tolist()
    return found


def parse_event(payload: bytes) -> Event:
    """Reads one message.

    Raises:
        ValueError: the bytes are not a protobuf message, or a field does not have the type that it has in `Event`.
    """
    unix_s, step, starts_session = 0.0, 0, False
    scalars: list[tuple[str, float]] = []
    for field, value in _fields(payload):
        if field == 1:
            (unix_s,) = struct.unpack("<d", _as_bytes(value, 8))
            unix_s = unix_s if 0.0 <= unix_s <= _LATEST_UNIX_S else 0.0
        elif field == 2:
            step = _signed(value)
        elif field == 5:
            scalars += _summary(_as_bytes(value))
        elif field == 7:
            starts_session = any(key == 1 and status == _SESSION_START for key, status in _fields(_as_bytes(value)))
    return Event(unix_s, step, starts_session, tuple(scalars))


def _decode_alike(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    rows: NDArray[np.intp],
    length: int,
    series: _Series,
) -> NDArray[np.intp]:
    """Decodes records of one length all at once; returns the rows that are left to the plain reader.

    Every writer writes a scalar as `09 wall_time · 10 step · 2a … tag … 15 value`. Between the step and the last four bytes,
    nothing changes from one value of a tag to the next, so the plain reader has to read those bytes only once.
    """
    if len(rows) < _FEWEST_ROWS or length < 24:
        return rows
    matrix = data[offsets[rows][:, None] + np.arange(length)]
    alike = (matrix[:, 0] == _WALL_TIME_KEY) & (matrix[:, 9] == _STEP_KEY) & (matrix[:, length - 5] == 0x15)
    step_bytes = 1 + np.argmin(matrix[:, 10:20] >= 0x80, axis=1)
    left = [rows[~alike]]
    for n_bytes in _distinct(step_bytes[alike]):
        members = np.flatnonzero(alike & (step_bytes == n_bytes))
        middle = matrix[:, 10 + n_bytes : length - 4]
        for _ in range(_MOST_ALIKE_TAGS):
            if len(members) < _FEWEST_ROWS:
                break
            same = (middle[members] == middle[members[0]]).all(axis=1)
            group, members = members[same], members[~same]
            tag = _tag_of(matrix[group[0]].tobytes())
            if tag is None:
                left.append(rows[group])
                continue
            digits = matrix[group, 10 : 10 + n_bytes].astype(np.int64) & 0x7F
            steps = (digits << (7 * np.arange(n_bytes))).sum(axis=1)
            values = np.ascontiguousarray(matrix[group, length - 4 :]).view("<f4")[:, 0].astype(np.float64)
            unix_s = np.ascontiguousarray(matrix[group, 1:9]).view("<f8")[:, 0]
            unix_s = np.where((unix_s >= 0.0) & (unix_s <= _LATEST_UNIX_S), unix_s, 0.0)
            series.setdefault(tag, []).append((rows[group], steps, values, unix_s))
        left.append(rows[members])
    return np.concatenate(left)


def _tag_of(payload: bytes) -> str | None:
    """The tag of a record whose last four bytes are its one plain value; None for any other record."""
    try:
        event = parse_event(payload)
        if len(event.scalars) != 1 or event.starts_session:
            return None
        tag, value = event.scalars[0]
        probe = parse_event(payload[:-4] + struct.pack("<f", 1.0 if value != 1.0 else 2.0))
    except ValueError:
        return None
    return tag if probe.scalars != event.scalars else None


def _in_order(series: _Series, starts: list[tuple[int, int]]) -> Iterator[Scalars | SessionStart]:
    """Puts the values of each tag in the order of their rows, cut where a session starts."""
    tags = {}
    for tag, parts in series.items():
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        order = np.argsort(columns[0], kind="stable")
        tags[tag] = [column[order] for column in columns]
    edges = [-1, *(row for row, _ in starts), 1 << 62]
    for index, (after, until) in enumerate(pairwise(edges)):
        if index > 0:
            yield SessionStart(starts[index - 1][1])
        for tag, (rows, steps, values, unix_s) in tags.items():
            first, last = np.searchsorted(rows, [after + 1, until])
            if last > first:
                yield Scalars(tag, steps[first:last], values[first:last], unix_s[first:last])


def _summary(payload: bytes) -> Iterator[tuple[str, float]]:
    for field, value in _fields(payload):
        if field == 1:
            scalar = _summary_value(_as_bytes(value))
            if scalar is not None:
                yield scalar


def _summary_value(payload: bytes) -> tuple[str, float] | None:
    tag, scalar = None, None
    for field, value in _fields(payload):
        if field == 1:
            tag = printable(_as_bytes(value).decode("utf-8"))  # UnicodeDecodeError is a ValueError
        elif field == 2:
            (scalar,) = struct.unpack("<f", _as_bytes(value, 4))
        elif field == 8:
            scalar = _scalar_tensor(_as_bytes(value))
    return None if tag is None or scalar is None else (tag, float(scalar))


def _scalar_tensor(payload: bytes) -> float | None:
    """The value of a tensor of one number, which newer writers use for scalars; None for any other tensor."""
    dtype, content = "", b""
    listed: list[float] = []
    for field, value in _fields(payload):
        if field == 1:
            dtype = _DTYPES.get(_signed(value), "")
        elif field == 4:
            content = _as_bytes(value)
        elif field == 5:
            listed += np.frombuffer(_as_bytes(value), dtype="<f4").tolist()
        elif field == 6:
            listed += np.frombuffer(_as_bytes(value), dtype="<f8").tolist()
    if content and dtype and len(content) == np.dtype(dtype).itemsize:
        listed = np.frombuffer(content, dtype=dtype).tolist()
    return float(listed[0]) if len(listed) == 1 else None


def _fields(payload: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message: varints as integers, all else as bytes."""
    position, end = 0, len(payload)
    while position < end:
        key, position = _varint(payload, position)
        kind = key & 7
        if kind == 0:
            number, position = _varint(payload, position)
            yield key >> 3, number
            continue
        if kind == 2:
            length, position = _varint(payload, position)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError(f"there is no wire type {kind}")
        if position + length > end:
            raise ValueError("a field runs past the end of its message")
        yield key >> 3, payload[position : position + length]
        position += length


def _varint(payload: bytes, position: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 70, 7):
        if position >= len(payload):
            break
        byte = payload[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number & 0xFFFFFFFFFFFFFFFF, position
    raise ValueError("a number runs past the end of its message")


def _signed(value: int | bytes) -> int:
    if isinstance(value, bytes):
        raise ValueError("expected a number")
    return value - (1 << 64) if value >= 1 << 63 else value


def _as_bytes(value: int | bytes, length: int | None = None) -> bytes:
    if isinstance(value, int) or (length is not None and len(value) != length):
        raise ValueError("a field has another type")
    return value
