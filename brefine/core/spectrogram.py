"""A picture of sound for eyes: decibels over time and frequency."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_FLOOR = 1e-10


def spectrogram_db(
    samples: NDArray[np.float32], *, sample_rate_hz: int, window_s: float = 0.025, hop_s: float = 0.005, max_hz: float = 8000.0
) -> NDArray[np.float64]:
    """Power in decibels below the loudest, shape (n_frequencies, n_frames), lowest frequency first.

    Args:
        samples: shape (n_samples,); at least one window of them.
    """
    window, hop = round(window_s * sample_rate_hz), round(hop_s * sample_rate_hz)
    n_fft = 1 << (window - 1).bit_length()
    spans = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), window)[::hop]
    power = np.abs(np.fft.rfft(spans * np.hanning(window), n_fft)) ** 2
    n_bins = min(power.shape[1], 1 + int(max_hz * n_fft / sample_rate_hz))
    level_db = 10.0 * np.log10(np.maximum(power[:, :n_bins], _FLOOR)).T
    return np.asarray(level_db - level_db.max(), np.float64)
