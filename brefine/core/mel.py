"""O'Shaughnessy's mel scale: mel(f) = 2595 · log10(1 + f / 700).

Source: O'Shaughnessy 1987, "Speech communication: human and machine".
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def mel_of(frequency_hz: ArrayLike) -> NDArray[np.float64]:
    """Where frequencies lie on the scale, in their shape."""
    return np.asarray(2595.0 * np.log10(1.0 + np.asarray(frequency_hz) / 700.0), np.float64)


def hz_of(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    """The frequencies at these places of the scale, in their shape."""
    return np.asarray(700.0 * (10.0 ** (mel / 2595.0) - 1.0), np.float64)
