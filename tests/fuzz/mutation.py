"""Hostile bytes from honest files: small changes at random places, and the values that readers trip over."""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Sequence

_TOKENS = (
    b"NaN", b"Infinity", b"-Infinity", b"nan", b"-inf", b"1e999", b"1e308", b"-1", b"-0.0", b"0", b"1_000", b"true", b"null",
    b"[]", b"{}", b'""', b"[[]]", b"9" * 25, b"9" * 5000, b"18446744073709551616", b"../../etc/x", b"/dev/zero", b"\0",
    b"\x1b[2J\x1b]0;x\x07", b"\xff\xfe", b"\xef\xbb\xbf", b"\xe2\x80\xae", b"\xed\xa0\x80", b"\\ud800", b"\r\n", b"\n\n",
    b"\t", b";;", b"%s%n", b"{0}", b"'", b"[" * 3000, b"<script>", b"a" * 300,
)  # fmt: skip
_WORD = re.compile(rb"[-+.\w/]+")
_EDGES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 60, (1 << 63) - 1, (1 << 64) - 1)
LONGEST_BYTES = 1 << 16


def mutated(rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """One of the seeds with one to six changes; now and then nothing but noise."""
    if rng.random() < 0.02:
        return rng.randbytes(rng.randrange(200))
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 2, 3, 6))):
        rng.choice(_CHANGES)(rng, data, seeds)
    return bytes(data[:LONGEST_BYTES])


def _flip(rng: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _replace_word(rng: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    """A number, a name or a keyword becomes one of the tokens: the text stays nearly in its format."""
    words = list(_WORD.finditer(data))
    if words:
        word = rng.choice(words)
        data[word.start() : word.end()] = rng.choice(_TOKENS)


def _insert_token(rng: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    place = rng.randrange(len(data) + 1)
    data[place:place] = rng.choice(_TOKENS)


def _edge_number(rng: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    """A binary length, count or rate becomes a value at an edge, in either byte order."""
    width = rng.choice((1, 2, 4, 8))
    if len(data) >= width:
        place = rng.randrange(min(len(data) - width + 1, 512 if rng.random() < 0.7 else len(data)))
        number = rng.choice(_EDGES) & ((1 << 8 * width) - 1)
        data[place : place + width] = struct.pack("<Q", number)[:width][:: rng.choice((1, -1))]


def _cut(rng: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    del data[rng.randrange(len(data) + 1) :]


def _drop(rng: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    start = rng.randrange(len(data) + 1)
    del data[start : start + rng.choice((1, 2, 8, 64))]


def _repeat(rng: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    start = rng.randrange(len(data) + 1)
    data[start:start] = data[start : start + rng.choice((1, 8, 64, 512))] * rng.choice((1, 2, 16))


def _splice(rng: random.Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    other = rng.choice(seeds)
    data[rng.randrange(len(data) + 1) :] = other[rng.randrange(len(other) + 1) :]


_CHANGES = (
    _flip,
    _replace_word,
    _replace_word,
    _replace_word,
    _insert_token,
    _edge_number,
    _edge_number,
    _cut,
    _drop,
    _repeat,
    _splice,
)
