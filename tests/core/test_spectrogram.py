"""The spectrogram: a tone lies where it should."""

from __future__ import annotations

import numpy as np
import pytest

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


def test_a_tone_lies_where_and_when_it_sounds() -> None:
    """500 Hz during the second of four seconds: the fourth of twenty mel bands, the second ten of forty columns."""
    time_s = np.arange(64000) / 16000
    tone = np.sin(2 * np.pi * 500 * time_s) * ((time_s >= 1.0) & (time_s < 2.0))
    picture = log_spectrogram(tone.astype(np.float32), 16000, n_columns=40, n_bands=20)
    assert picture.max(axis=1).argmax() == 3
    assert np.flatnonzero(picture.max(axis=0) > 0.5).tolist() == list(range(10, 20))


@pytest.mark.parametrize("column", [1, 7, 30, 39])
def test_a_click_is_drawn_in_its_own_column(column: int) -> None:
    """A boundary is looked at beside it: a picture that is off by one shows the speech before or after its line."""
    samples = np.zeros(16000, np.float32)
    samples[400 * column + 200] = 1.0
    assert log_spectrogram(samples, 16000, n_columns=40, n_bands=8).max(axis=0).argmax() == column


def test_a_tenth_of_the_amplitude_is_twenty_decibels_less() -> None:
    """And there is a frame each 5 ms."""
    time_s = np.arange(16000) / 16000
    tone = np.sin(2 * np.pi * 2000 * time_s) * np.where(time_s < 0.5, 1.0, 0.1)
    level_db = spectrogram_db(tone.astype(np.float32), sample_rate_hz=16000)
    assert level_db.shape[1] == (16000 - 400) // 80 + 1
    assert level_db[64, [10, -10]].tolist() == pytest.approx([0.0, -20.0], abs=0.2)
