"""Spectrograms: the power of short spans of sound over time and frequency, folded for a page or for a terminal."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from brefine.core.mel import hz_of, mel_of

_WINDOW_S: Final = 0.025
_HOP_S: Final = 0.005
_FLOOR: Final = 1e-10
_LOWEST_HZ: Final = 60.0
_RANGE_DB: Final = 60.0
"""Anything further below the loudest place is drawn as silence."""


def spectrogram_db(samples: NDArray[np.float32], *, sample_rate_hz: int) -> NDArray[np.float64]:
    """Power in decibels below the loudest, shape (n_frequencies, n_frames), lowest frequency first; a frame each 5 ms.

    Args:
        samples: shape (n_samples,); at least one window of 25 ms.
    """
    window, hop = round(_WINDOW_S * sample_rate_hz), round(_HOP_S * sample_rate_hz)
    spans = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), window)[::hop]
    level_db = 10.0 * np.log10(np.maximum(_power(spans, 1 << (window - 1).bit_length()), _FLOOR)).T
    return np.asarray(level_db - level_db.max(), np.float64)


def log_spectrogram(samples: NDArray[np.float32], sample_rate_hz: int, *, n_columns: int, n_bands: int) -> NDArray[np.float64]:
    """Shape (n_bands, n_columns), lowest band first, on a mel scale: 0 = soft, 1 = the loudest place of the excerpt."""
    window = round(_WINDOW_S * sample_rate_hz)
    centres = (np.arange(n_columns) + 0.5) * len(samples) / n_columns
    padded = np.pad(samples.astype(np.float64), window)
    starts = np.rint(centres + window / 2).astype(np.int64)
    n_fft = 1 << (2 * window - 1).bit_length()  # finer than the lowest bands, so that none is empty
    power = _power(padded[starts[:, None] + np.arange(window)], n_fft)
    edges_hz = hz_of(np.linspace(mel_of(_LOWEST_HZ), mel_of(sample_rate_hz / 2), n_bands + 1))
    bins = np.clip(np.rint(edges_hz * n_fft / sample_rate_hz).astype(np.int64), 0, power.shape[1] - 1)
    bands = np.stack([power[:, low : max(high, low + 1)].mean(axis=1) for low, high in pairwise(bins.tolist())])
    level_db = 10.0 * np.log10(bands + 1e-12)
    peak_db = float(level_db.max())
    return np.clip((level_db - peak_db) / _RANGE_DB + 1.0, 0.0, 1.0) if peak_db > -100.0 else np.zeros_like(level_db)


def _power(spans: NDArray[np.float64], n_fft: int) -> NDArray[np.float64]:
    """Power spectra, shape (n_spans, n_fft // 2 + 1), of spans of shape (n_spans, window)."""
    return np.asarray(np.abs(np.fft.rfft(spans * np.hanning(spans.shape[1]), n_fft)) ** 2, np.float64)
