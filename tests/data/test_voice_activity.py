"""Silero's detector as a channel of the frames."""

from __future__ import annotations

import numpy as np
import pytest

from brefine.config import FeatureConfig
from brefine.data.features import analyse, n_columns_of, n_frames_of
from brefine.data.voice_activity import speech_track


@pytest.mark.parametrize("n_samples", [1, 700, 16000, 16000 * 35])
def test_every_frame_has_a_probability_of_speech(n_samples: int) -> None:
    """As many as asked for, within ±1, whatever the length; noise is no speech."""
    noise = np.random.default_rng(0).normal(0.0, 1e-3, n_samples).astype(np.float32)
    track = speech_track(noise, 50, hop_s=0.01)
    assert track.shape == (50,)
    assert (np.abs(track) <= 1.0).all()
    assert np.median(track) < 0.0


def test_frames_carry_the_track_in_their_last_column_where_the_recipe_wants_it() -> None:
    """The bands before it are what they are without it."""
    noise = np.random.default_rng(0).normal(0.0, 0.1, 16000).astype(np.float32)
    with_track, without = (FeatureConfig(speech=speech) for speech in (True, False))
    frames = analyse(noise, with_track)
    assert frames.shape == (n_frames_of(len(noise), with_track), n_columns_of(with_track)) == (100, 81)
    np.testing.assert_array_equal(frames[:, :80], analyse(noise, without))
