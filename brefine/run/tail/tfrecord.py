"""TFRecord framing: where the records in a byte stream are, and which of its bytes are damaged.

A record is `u64 length · u32 masked crc32c(length) · payload · u32 masked crc32c(payload)`, little-endian. The kind of error
decides what to do: a torn end is not an error (the writer is not done), a damaged payload loses one record, and a damaged length
loses all bytes up to the next record whose checksums are right.

Source: tensorflow/core/lib/io/record_writer.h; crc32c is RFC 3720, appendix B.4.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

HEADER_BYTES: Final = 12
FOOTER_BYTES: Final = 4
LONGEST_RECORD_BYTES: Final = 256 << 20
"""A greater length counts as damage even if its checksum is right: no scalar, image or graph is that large."""

CHECKED_BYTES: Final = 2048
"""The checksums of payloads up to this length are always verified; longer payloads contain no scalar and are never opened."""

_MASK_DELTA: Final = 0xA282EAD8
_KNOWN_LENGTHS: Final = 4096


def _crc_table() -> NDArray[np.uint32]:
    """Shape (256,): one step of crc32c (polynomial 0x1EDC6F41, reflected) for each value of a byte."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(0x82F63B78), table >> 1).astype(np.uint32)
    return table


_TABLE: Final = _crc_table()
_TABLE_INTS: Final = tuple(int(entry) for entry in _TABLE)


def masked_crc32c(data: bytes) -> int:
    """The checksum of these bytes, masked as TFRecord requires."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE_INTS[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF


def masked_crc32c_each(
    data_N: NDArray[np.uint8], offsets_M: NDArray[np.int64], lengths_M: NDArray[np.int64]
) -> NDArray[np.uint32]:
    """The masked checksums of many pieces of one buffer, in parallel: each step advances all pieces by one byte.

    Args:
        data_N: the buffer.
        offsets_M: where each piece starts.
        lengths_M: number of bytes of each piece; the time grows with the longest one.

    Returns:
        shape (M,).
    """
    order = np.argsort(-lengths_M, kind="stable")  # long pieces first: those still unfinished are a prefix
    offsets, lengths = offsets_M[order], lengths_M[order]
    crc = np.full(len(order), 0xFFFFFFFF, dtype=np.uint32)
    unfinished = len(order)
    for index in range(int(lengths[0]) if len(lengths) else 0):
        while lengths[unfinished - 1] <= index:
            unfinished -= 1
        part = crc[:unfinished]
        crc[:unfinished] = _TABLE[(part ^ data_N[offsets[:unfinished] + index]) & 0xFF] ^ (part >> np.uint32(8))
    crc ^= np.uint32(0xFFFFFFFF)
    masked = np.empty_like(crc)
    masked[order] = ((crc >> np.uint32(15)) | (crc << np.uint32(17))) + np.uint32(_MASK_DELTA)
    return masked


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """The records of a buffer up to where it is torn or damaged.

    Attributes:
        offsets: shape (n,), where each payload starts that is whole and has the right checksum.
        lengths: shape (n,), its number of bytes.
        damaged: where payloads with a wrong checksum start.
        consumed: number of bytes up to the end of the last whole record.
        awaits: bytes that the record at `consumed` needs in all; 0 if that is not known yet.
        broken: whether the bytes at `consumed` are not a header: damaged, not just torn.
    """

    offsets: NDArray[np.int64]
    lengths: NDArray[np.int64]
    damaged: tuple[int, ...]
    consumed: int
    awaits: int
    broken: bool


class FrameScanner:
    """Finds the records of a buffer; caches the checksums of the lengths that it has met, which are few."""

    def __init__(self) -> None:
        self._sound_headers: dict[bytes, int] = {}

    def scan(self, buffer: bytes) -> Frames:
        """Finds the records that start at byte 0 and follow one another."""
        known = self._sound_headers
        offsets: list[int] = []
        lengths: list[int] = []
        position, end = 0, len(buffer)
        awaits, broken = 0, False
        while position + HEADER_BYTES <= end:
            header = buffer[position : position + HEADER_BYTES]
            length = known.get(header)
            if length is None:
                length = self._length_of(header)
                if length is None:
                    broken = True
                    break
            after = position + HEADER_BYTES + length + FOOTER_BYTES
            if after > end:
                awaits = after - position
                break
            offsets.append(position + HEADER_BYTES)
            lengths.append(length)
            position = after
        offsets_M, lengths_M = np.array(offsets, dtype=np.int64), np.array(lengths, dtype=np.int64)
        sound_M = _payloads_hold(buffer, offsets_M, lengths_M)
        return Frames(offsets_M[sound_M], lengths_M[sound_M], tuple(offsets_M[~sound_M].tolist()), position, awaits, broken)

    def _length_of(self, header: bytes) -> int | None:
        length, crc = struct.unpack("<QI", header)
        if length > LONGEST_RECORD_BYTES or masked_crc32c(header[:8]) != crc:
            return None
        if len(self._sound_headers) < _KNOWN_LENGTHS:
            self._sound_headers[header] = length
        return int(length)


def find_record(buffer: bytes) -> int | None:
    """The first place in the buffer where a record starts whose checksums are right; None if there is none.

    These are the checksum of the length and, if the payload is whole and short, that of the payload.
    """
    data = np.frombuffer(buffer, dtype=np.uint8)
    n_places = len(data) - HEADER_BYTES + 1
    if n_places <= 0:
        return None
    crc = np.full(n_places, 0xFFFFFFFF, dtype=np.uint32)
    stored = np.zeros(n_places, dtype=np.uint32)
    for index in range(8):
        crc = _TABLE[(crc ^ data[index : index + n_places]) & 0xFF] ^ (crc >> np.uint32(8))
    for index in range(4):
        stored |= data[8 + index : 8 + index + n_places].astype(np.uint32) << np.uint32(8 * index)
    crc ^= np.uint32(0xFFFFFFFF)
    masked = ((crc >> np.uint32(15)) | (crc << np.uint32(17))) + np.uint32(_MASK_DELTA)
    for place in np.flatnonzero(masked == stored).tolist():
        (length,) = struct.unpack_from("<Q", buffer, place)
        start, end = place + HEADER_BYTES, place + HEADER_BYTES + length
        if length > LONGEST_RECORD_BYTES:
            continue
        if length > CHECKED_BYTES or end + FOOTER_BYTES > len(buffer):
            return int(place)
        if masked_crc32c(buffer[start:end]) == struct.unpack_from("<I", buffer, end)[0]:
            return int(place)
    return None


def _payloads_hold(buffer: bytes, offsets_M: NDArray[np.int64], lengths_M: NDArray[np.int64]) -> NDArray[np.bool_]:
    data = np.frombuffer(buffer, dtype=np.uint8)
    sound = np.ones(len(offsets_M), dtype=np.bool_)
    short = np.flatnonzero(lengths_M <= CHECKED_BYTES)
    ends = offsets_M[short] + lengths_M[short]
    stored = np.zeros(len(short), dtype=np.uint32)
    for index in range(FOOTER_BYTES):
        stored |= data[ends + index].astype(np.uint32) << np.uint32(8 * index)
    sound[short] = masked_crc32c_each(data, offsets_M[short], lengths_M[short]) == stored
    return sound
