"""The spectrogram: a tone lies where it should."""

from __future__ import annotations

import numpy as np

from brefine.core.spectrogram import log_spectrogram, spectrogram_db


def test_a_tone_is_the_loudest_row() -> None:
    """2 kHz of 8 kHz, for all of the time, and nothing above the loudest."""
    time_s = np.arange(16000) / 16000
    level_db = spectrogram_db(np.sin(2 * np.pi * 2000 * time_s).astype(np.float32), sample_rate_hz=16000)
    rows = level_db.argmax(axis=0)
    assert np.all(rows == round(2000 * 512 / 16000))
    assert level_db.max() == 0.0


def test_silence_is_no_warning() -> None:
    """All samples zero: a flat picture."""
    assert np.ptp(spectrogram_db(np.zeros(16000, np.float32), sample_rate_hz=16000)) == 0.0


def test_silence_is_dark_and_no_band_is_empty() -> None:
    """No division by nothing, and at every size each band sees some frequencies."""
    assert log_spectrogram(np.zeros(64000, np.float32), 16000, n_columns=70, n_bands=20).max() == 0.0
    noise = np.random.default_rng(0).standard_normal(64000).astype(np.float32)
    assert log_spectrogram(noise, 16000, n_columns=190, n_bands=80).min() > 0.0
