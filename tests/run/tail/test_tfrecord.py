"""TFRecord framing."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.summary.writer.record_writer import masked_crc32c as masked_crc32c_of_tensorboard

from brefine.run.tail.tfrecord import (
    CHECKED_BYTES,
    LONGEST_RECORD_BYTES,
    FrameScanner,
    find_record,
    masked_crc32c,
    masked_crc32c_each,
)
from tests.run.tail.event_writing import record


def payloads(buffer: bytes) -> list[bytes]:
    frames = FrameScanner().scan(buffer)
    return [buffer[o : o + n] for o, n in zip(frames.offsets.tolist(), frames.lengths.tolist(), strict=True)]


@given(st.binary(max_size=300))
def test_checksum_equals_tensorboards(data: bytes) -> None:
    """TensorBoard's own implementation is the oracle of the masked crc32c."""
    assert masked_crc32c(data) == masked_crc32c_of_tensorboard(data)


@given(st.lists(st.binary(max_size=80), max_size=20))
def test_many_checksums_at_once_equal_single_ones(pieces: list[bytes]) -> None:
    """Pieces of any lengths, in any order, have the checksums that each has alone."""
    data = np.frombuffer(b"".join(pieces) + b"\0", dtype=np.uint8)
    lengths = np.array([len(piece) for piece in pieces], dtype=np.int64)
    offsets = np.cumsum(lengths) - lengths
    assert masked_crc32c_each(data, offsets, lengths).tolist() == [masked_crc32c(piece) for piece in pieces]


@given(st.lists(st.binary(max_size=60), max_size=12))
@settings(max_examples=50)
def test_records_come_back_in_order(written: list[bytes]) -> None:
    """What was framed is found, to the last byte."""
    buffer = b"".join(map(record, written))
    frames = FrameScanner().scan(buffer)
    assert payloads(buffer) == written
    assert (frames.consumed, frames.damaged, frames.broken) == (len(buffer), (), False)


def test_cut_at_every_byte_the_torn_record_is_waited_for() -> None:
    """A stream cut anywhere yields its whole records and no damage."""
    written = [b"first", b"", b"the third one"]
    buffer = b"".join(map(record, written))
    ends = np.cumsum([len(record(payload)) for payload in written]).tolist()
    for cut in range(len(buffer) + 1):
        frames = FrameScanner().scan(buffer[:cut])
        n_whole = sum(end <= cut for end in ends)
        assert payloads(buffer[:cut]) == written[:n_whole], cut
        assert frames.consumed == ([0, *ends][n_whole])
        assert not frames.broken and frames.damaged == ()


def test_every_flipped_bit_is_noticed() -> None:
    """No single bit can change without the frame or its payload being called damaged; intact records are still found."""
    buffer = record(b"one") + record(b"two") + record(b"three")
    for place in range(len(buffer)):
        for bit in range(8):
            bad = bytearray(buffer)
            bad[place] ^= 1 << bit
            frames = FrameScanner().scan(bytes(bad))
            assert frames.broken or frames.damaged, (place, bit)
            assert len(frames.offsets) < 3


def test_a_damaged_payload_costs_one_record() -> None:
    """The frames around a damaged payload hold, so reading goes on behind it."""
    bad = bytearray(record(b"one") + record(b"two") + record(b"three"))
    bad[len(record(b"one")) + 12] ^= 0xFF
    assert payloads(bytes(bad)) == [b"one", b"three"]


@pytest.mark.parametrize("length", [1 << 60, LONGEST_RECORD_BYTES + 1])
def test_an_absurd_length_is_damage_even_with_a_sound_checksum(length: int) -> None:
    """A record that claims an exabyte is neither waited for nor allocated."""
    header = struct.pack("<Q", length)
    frames = FrameScanner().scan(header + struct.pack("<I", masked_crc32c(header)) + b"x" * 100)
    assert frames.broken


def test_zeros_are_no_records() -> None:
    """A length of zero needs the checksum of a length of zero: a hole in a file is not a row of empty records."""
    assert FrameScanner().scan(bytes(64)).broken


@given(st.binary(max_size=200), st.binary(max_size=50))
@settings(max_examples=200)
def test_a_record_is_found_behind_anything(rubbish: bytes, payload: bytes) -> None:
    """The next record proves itself by its checksums, wherever the damage ends."""
    place = find_record(rubbish + record(payload))
    assert place == len(rubbish)


def test_a_torn_record_is_found_behind_damage() -> None:
    """A header that holds is enough while its payload is still being written."""
    assert find_record(b"rubbish" + record(b"payload")[:-6]) == 7


def test_a_header_with_a_wrong_payload_is_not_taken_for_a_record() -> None:
    """The payload's checksum is asked too where the payload is there."""
    bad = bytearray(record(b"payload"))
    bad[13] ^= 1
    assert find_record(bytes(bad) + record(b"next")) == len(bad)


def test_long_payloads_are_framed_without_being_checked() -> None:
    """Images and graphs, which hold no scalar, cost no time."""
    long = bytes(CHECKED_BYTES + 1)
    bad = bytearray(record(long))
    bad[500] ^= 1
    assert len(payloads(bytes(bad))) == 1
