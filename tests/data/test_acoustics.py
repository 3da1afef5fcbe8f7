"""Rooms, noise and the telephone leave speech where it was."""

from __future__ import annotations

import numpy as np
import pytest

from brefine.data import acoustics
from brefine.data.acoustics import (
    CODECS,
    NOISES,
    draw_music,
    draw_noise,
    draw_room,
    reverberate,
    rms,
    telephone_band,
    through_codec,
)

_RATE_HZ = 16000


@pytest.mark.parametrize("kind", NOISES)
def test_every_noise_is_continuous_and_of_unit_level(kind: str) -> None:
    """RMS 1 over the recording, and no second of it is silent."""
    noise = draw_noise(kind, 10 * _RATE_HZ, rng=np.random.default_rng(0))
    assert rms(noise) == pytest.approx(1.0, rel=1e-3)
    assert min(rms(second) for second in np.split(noise, 10)) > 0.05


@pytest.mark.parametrize(("kind", "slope_db"), [("white", 0.0), ("pink", -3.0), ("brown", -6.0), ("fan", -4.5)])
def test_noises_fall_by_octaves_as_their_colours_say(kind: str, slope_db: float) -> None:
    """Between the octaves above 250 Hz and above 2 kHz: noise that rose instead would bury the consonants alone."""
    noise = draw_noise(kind, 30 * _RATE_HZ, rng=np.random.default_rng(0))
    power, frequencies_hz = np.abs(np.fft.rfft(noise)) ** 2, np.fft.rfftfreq(len(noise), 1 / _RATE_HZ)
    low_db, high_db = (
        10 * np.log10(power[(frequencies_hz >= lowest_hz) & (frequencies_hz < 2 * lowest_hz)].mean()) for lowest_hz in (250, 2000)
    )
    assert (high_db - low_db) / 3 == pytest.approx(slope_db, abs=0.9)  # ±0.75 of it are drawn


def test_a_room_answers_after_the_direct_sound() -> None:
    """The strongest sample is the first: speech starts when it did, and rings on afterwards."""
    for seed in range(10):
        for response in draw_room(np.random.default_rng(seed), n_positions=3):
            assert response[0] == 1.0
            assert np.abs(response[1:]).max() <= 1.0
            assert rms(response[-200:]) < 0.05


def test_a_room_dies_away_within_its_time() -> None:
    """By 60 dB in half a second, where that was asked for; what comes late is 3 dB softer than the direct sound or more."""
    size_m = np.array([5.0, 4.0, 3.0])
    response = acoustics._impulse_response(np.random.default_rng(0), size_m, size_m * 0.5, size_m * 0.3, 0.5, 0.5)
    early, late = response[_RATE_HZ // 10 : _RATE_HZ // 5], response[3 * _RATE_HZ // 10 : 2 * _RATE_HZ // 5]
    assert 20 * np.log10(rms(late) / rms(early)) == pytest.approx(-0.2 * 60 / 0.5, abs=2.0)
    assert 3.0 <= -10 * np.log10(np.square(response[_RATE_HZ // 20 :]).sum()) <= 30.0


def test_reverberation_keeps_the_onset_and_the_length() -> None:
    """Before a click there is nothing; the click is where it was."""
    samples = np.zeros(_RATE_HZ, dtype=np.float32)
    samples[8000] = 1.0
    response = draw_room(np.random.default_rng(1), n_positions=1)[0]
    heard = reverberate(samples, response)
    assert len(heard) == len(samples)
    assert np.abs(heard[:8000]).max() < 1e-5
    assert heard[8000] == pytest.approx(1.0, abs=1e-4)


def test_the_telephone_keeps_its_band_and_does_not_delay() -> None:
    """100 Hz and 6 kHz fall by 15 dB or more, 1 kHz stays; the delay is below 2 ms."""
    times_s = np.arange(_RATE_HZ) / _RATE_HZ
    level = {hz: rms(telephone_band(0.5 * np.sin(2 * np.pi * hz * times_s))) for hz in (100, 1000, 6000)}
    assert 20 * np.log10(level[1000] / (0.5 / np.sqrt(2))) == pytest.approx(0.0, abs=1.0)
    click = np.zeros(_RATE_HZ)
    click[8000:8160] = np.hanning(160) * np.sin(2 * np.pi * 1000 * times_s[:160])
    heard = telephone_band(click)
    lags = np.correlate(heard[7900:8400], click[7900:8400], "full")
    assert abs(int(np.argmax(lags)) - 499) < 0.002 * _RATE_HZ


@pytest.mark.parametrize("kind", CODECS)
def test_a_codec_changes_speech_without_moving_it(kind: str) -> None:
    """Decoded noise bursts correlate best with the original at no lag, at the same length, but are not the same samples."""
    rng = np.random.default_rng(0)
    samples = draw_noise("brown", 2 * _RATE_HZ, rng=rng) * np.repeat([0.0, 0.1, 0.0, 0.1], _RATE_HZ // 2)
    decoded = through_codec(samples.astype(np.float32), kind)
    assert decoded.shape == samples.shape
    spectrum = np.fft.rfft(decoded, 4 * _RATE_HZ) * np.conj(np.fft.rfft(samples, 4 * _RATE_HZ))
    lag = int(np.argmax(np.fft.irfft(spectrum)))
    assert min(lag, 4 * _RATE_HZ - lag) < 0.001 * _RATE_HZ
    assert np.abs(decoded - samples).max() > 1e-4


@pytest.mark.parametrize("kind", CODECS)
def test_a_codec_keeps_the_level(kind: str) -> None:
    """Else half of the conversations would be trained on at another loudness than the others."""
    noise = telephone_band((0.05 * np.random.default_rng(0).standard_normal(2 * _RATE_HZ)).astype(np.float32))
    assert 20 * np.log10(rms(through_codec(noise, kind)) / rms(noise)) == pytest.approx(0.0, abs=2.0)


def test_music_is_of_unit_level_and_goes_on() -> None:
    """RMS 1, and no second of it is silent."""
    music = draw_music(10 * _RATE_HZ, rng=np.random.default_rng(0))
    assert rms(music) == pytest.approx(1.0, rel=1e-3)
    assert min(rms(second) for second in np.split(music, 10)) > 0.1
