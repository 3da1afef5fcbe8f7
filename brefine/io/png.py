"""PNG images of one grey level or three colours a pixel, eight bits each.

Source: W3C, "Portable Network Graphics (PNG) Specification (Second Edition)", sections 5 (chunks) and 11 (IHDR, IDAT).
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB = 0, 2


def format_png(pixels: NDArray[np.uint8]) -> bytes:
    """The image as a file.

    Args:
        pixels: shape (height, width) for grey, or (height, width, 3) for red, green, blue; row 0 is the top.

    Raises:
        ValueError: another shape, or an empty image.
    """
    if pixels.ndim not in (2, 3) or not pixels.size or (pixels.ndim == 3 and pixels.shape[2] != 3):
        raise ValueError(f"an image has shape (height, width) or (height, width, 3), got {pixels.shape}")
    height, width = pixels.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 8, _GREY if pixels.ndim == 2 else _RGB, 0, 0, 0)
    rows = np.ascontiguousarray(pixels, dtype=np.uint8).reshape(height, -1)
    unfiltered = np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1)  # filter type 0 before each row
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(unfiltered.tobytes(), 9)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
