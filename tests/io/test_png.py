"""PNG files: read back by an independent decoder."""

from __future__ import annotations

import io

import numpy as np
import pytest

from brefine.io.png import format_png


@pytest.mark.parametrize("shape", [(1, 1), (3, 5)])
def test_another_decoder_reads_the_same_pixels(shape: tuple[int, ...]) -> None:
    """Loss-free, whatever the width."""
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    assert np.array_equal(np.asarray(image.open(io.BytesIO(format_png(pixels)))), pixels)


@pytest.mark.parametrize("shape", [(0, 3), (4,), (2, 2, 3)])
def test_what_is_no_image_is_refused(shape: tuple[int, ...]) -> None:
    """A caller's bug."""
    with pytest.raises(ValueError, match="an image has shape"):
        format_png(np.zeros(shape, np.uint8))
