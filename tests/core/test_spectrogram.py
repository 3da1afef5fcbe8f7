"""The spectrogram: a tone lies where it should."""

from __future__ import annotations

import numpy as np

from brefine.core.spectrogram import spectrogram_db


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
