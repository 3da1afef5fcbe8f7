"""PNG images of one grey level a pixel, of eight bits.

Source: W3C, "Portable Network Graphics (PNG) Specification (Second Edition)", sections 5 (chunks) and 11 (IHDR, IDAT).
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY = 0


def format_png(pixels: NDArray[np.uint8]) -> bytes:
    """The image as a file.

    Args:
        pixels: shape (height, width), 0 = black; row 0 is the top.

    Raises:
        ValueError: another shape, or an empty image.
    """
    if pixels.ndim != 2 or not pixels.size:
        raise ValueError(f"an image has shape (height, width), got {pixels.shape}")
    height, width = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 8, _GREY, 0, 0, 0)
    unfiltered = np.concatenate([np.zeros((height, 1), np.uint8), pixels], axis=1)  # filter type 0 before each row
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(unfiltered.tobytes(), 9)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
