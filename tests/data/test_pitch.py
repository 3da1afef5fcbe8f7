"""How clear the pitches of one and of two voices are."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from brefine.config import FeatureConfig
from brefine.data.features import analyse, n_columns_of
from brefine.data.pitch import SAMPLE_RATE_HZ, PitchListener

_HOP = 160


def _heard(blocks: list[NDArray[np.float32]], n_frames: int) -> NDArray[np.float32]:
    listener = PitchListener(_HOP)
    passed = list(listener.listening(blocks))
    np.testing.assert_array_equal(np.concatenate(passed), np.concatenate(blocks))
    return listener.track(n_frames)


def _voice(pitch_hz: float, duration_s: float = 2.0) -> NDArray[np.float32]:
    """A buzz of thirty harmonics, each softer than the one below it."""
    times_s = np.arange(round(duration_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    numbers = np.arange(1, 31)[:, None]
    return np.asarray(0.05 * (np.sin(2 * np.pi * pitch_hz * numbers * times_s + numbers**2) / numbers).sum(axis=0), np.float32)


def test_a_voice_has_one_pitch_and_two_voices_have_two() -> None:
    """In the middle: noise has none, one voice a clear one, and a second voice shows as a second, though not at an octave."""
    noise = np.asarray(np.random.default_rng(0).normal(0.0, 1e-3, 2 * SAMPLE_RATE_HZ), np.float32)
    middle = slice(50, 150)
    nobody, one, two = (
        _heard([sound + noise], 200)[middle].mean(axis=0)
        for sound in (np.zeros_like(noise), _voice(110.0), _voice(110.0) + _voice(172.0))
    )
    assert one[0] > nobody[0] + 3.0
    assert two[1] > one[1] + 1.0
    octave = _heard([_voice(110.0) + _voice(220.0) + noise], 200)[middle].mean(axis=0)
    assert octave[1] < two[1] - 1.0


@pytest.mark.parametrize("n_samples", [1, 159, 1023, 5000, 700_001])
def test_what_is_heard_in_blocks_is_what_is_heard_at_once(n_samples: int) -> None:
    """However the samples arrive; as many frames as asked for, and silence where there are no samples."""
    samples = np.random.default_rng(0).normal(0.0, 0.1, n_samples).astype(np.float32)
    cuts = np.sort(np.random.default_rng(1).integers(0, n_samples + 1, 9))
    n_frames = n_samples // _HOP + 20
    whole = _heard([samples], n_frames)
    assert whole.shape == (n_frames, 2)
    np.testing.assert_allclose(_heard(np.split(samples, cuts), n_frames), whole, atol=1e-5)
    np.testing.assert_allclose(whole[-8:], _heard([np.zeros(1, np.float32)], 8), atol=1e-5)


def test_clarity_does_not_depend_on_the_level() -> None:
    """A hundredth of the level has the same tracks."""
    voices = _voice(130.0) + _voice(210.0)
    np.testing.assert_allclose(_heard([0.01 * voices], 200), _heard([voices], 200), atol=0.02)


def test_a_frame_sees_as_far_to_one_side_as_to_the_other() -> None:
    """The clarity of a voice that is heard from 0.5 to 1.5 s rises and falls around these moments alike."""
    samples = np.random.default_rng(0).normal(0.0, 1e-4, 2 * SAMPLE_RATE_HZ).astype(np.float32)
    samples[SAMPLE_RATE_HZ // 2 : 3 * SAMPLE_RATE_HZ // 2] += _voice(120.0, 1.0)
    clear = np.flatnonzero(_heard([samples], 200)[:, 0] > 0.0)
    assert clear[0] + clear[-1] == pytest.approx(199, abs=2)


def test_frames_carry_the_tracks_behind_the_others_where_the_recipe_wants_them() -> None:
    """The bands and the probability of speech before them are what they are without them."""
    sound = _voice(140.0, 1.0)
    with_pitch, without = (FeatureConfig(speech=True, pitch=pitch) for pitch in (True, False))
    frames = analyse(sound, with_pitch)
    assert frames.shape == (100, n_columns_of(with_pitch)) == (100, 83)
    np.testing.assert_array_equal(frames[:, :81], analyse(sound, without))
    np.testing.assert_allclose(frames[:, 81:], _heard([sound], 100))
    assert n_columns_of(FeatureConfig(pitch=True)) == 82
