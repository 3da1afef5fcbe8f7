"""Event files for benchmarks: hundreds of thousands of scalars, framed as TensorBoard's writers frame them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from brefine.run.tail.tfrecord import masked_crc32c, masked_crc32c_each


def scalar_payload(tag: str, step: int, value: float, unix_s: float) -> bytes:
    """One `Event` with one plain scalar."""
    name = tag.encode()
    body = b"\x0a" + _varint(len(name)) + name + b"\x15" + struct.pack("<f", value)
    summary = b"\x0a" + _varint(len(body)) + body
    return b"\x09" + struct.pack("<d", unix_s) + b"\x10" + _varint(step) + b"\x2a" + _varint(len(summary)) + summary


def framed(payload: bytes) -> bytes:
    """The payload as one TFRecord."""
    length = struct.pack("<Q", len(payload))
    return length + struct.pack("<I", masked_crc32c(length)) + payload + struct.pack("<I", masked_crc32c(payload))


def write_scalars(path: Path, tags: Sequence[str], n_steps: int, *, from_unix_s: float) -> None:
    """Writes `n_steps` noisy falling values of each tag, step by step, as a training does."""
    values = (5.0 * np.exp(-np.arange(n_steps) / n_steps) + np.random.default_rng(0).normal(0, 0.1, n_steps)).tolist()
    payloads = [b"\x09" + struct.pack("<d", from_unix_s) + b"\x1a\x0dbrain.Event:2"]
    payloads += [scalar_payload(tag, step, values[step], from_unix_s + step) for step in range(n_steps) for tag in tags]
    data = np.frombuffer(b"".join(payloads), dtype=np.uint8)
    lengths = np.array([len(payload) for payload in payloads], dtype=np.int64)
    checks = masked_crc32c_each(data, np.cumsum(lengths) - lengths, lengths).tolist()
    heads = {length: struct.pack("<Q", length) for length in set(lengths.tolist())}
    heads = {length: head + struct.pack("<I", masked_crc32c(head)) for length, head in heads.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for payload, check in zip(payloads, checks, strict=True):
            file.write(heads[len(payload)] + payload + struct.pack("<I", check))


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])
