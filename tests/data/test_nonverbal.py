"""Breath, laughter, coughs and lips: the right length, no edges of their own, and different every time."""

from __future__ import annotations

import numpy as np
import pytest

from brefine.data.nonverbal import SOUNDS, draw_sound

_RATE_HZ = 16000
_LONGEST_S = {"breath": 0.7, "laugh": 2.7, "cough": 2.0, "lips": 0.03, "air": 0.45, "knock": 0.76}


@pytest.mark.parametrize("kind", SOUNDS)
def test_a_sound_has_unit_level_and_begins_and_ends_in_silence(kind: str) -> None:
    """RMS 1, no longer than its kind may be, and its first and last sample are far below its level."""
    for seed in range(20):
        sound = draw_sound(kind, rng=np.random.default_rng(seed))
        assert np.sqrt(np.mean(np.square(sound))) == pytest.approx(1.0, abs=1e-3)
        assert 0.005 < len(sound) / _RATE_HZ <= _LONGEST_S[kind]
        assert abs(sound[0]) < 0.1 and abs(sound[-1]) < 0.1


def test_a_laugh_comes_in_bursts() -> None:
    """Its envelope beats four to seven times a second."""
    rates = []
    for seed in range(20):
        laugh = draw_sound("laugh", rng=np.random.default_rng(seed))
        envelope = np.convolve(np.abs(laugh), np.ones(800) / 800, mode="same")[::80]
        spectrum = np.abs(np.fft.rfft(envelope - envelope.mean(), 4096))
        low = 4096 * 3 // 200  # bins below 3 Hz hold the laugh's own length
        rates.append((low + spectrum[low:400].argmax()) * 200 / 4096)
    assert 3.5 < np.median(rates) < 7.5


@pytest.mark.parametrize("kind", SOUNDS)
def test_no_two_sounds_are_alike(kind: str) -> None:
    """Another seed gives another length; the same seed the same samples."""
    first, again, other = (draw_sound(kind, rng=np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert len(first) != len(other)
