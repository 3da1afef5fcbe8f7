"""Log-mel frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from brefine.config import FeatureConfig
from brefine.data import features
from brefine.data.features import analyse, analyse_file, log_mel_blocks, n_frames_of, normalised
from brefine.errors import DataError
from brefine.io import audio as audio_module

FEATURES = FeatureConfig()


def test_a_tone_is_loudest_in_the_band_that_holds_it() -> None:
    """Doubling a tone's frequency moves the loudest band up; silence lies far below."""
    time_s = np.arange(16000) / 16000
    bands = [
        int(analyse(np.sin(2 * np.pi * hz * time_s).astype(np.float32), FEATURES).mean(axis=0).argmax())
        for hz in (500, 1000, 4000)
    ]
    assert bands == sorted(set(bands))
    assert analyse(np.zeros(16000, np.float32), FEATURES).max() < -15.0


@pytest.mark.parametrize("click_s", [0.105, 0.5, 0.895])
def test_a_click_is_loudest_in_the_frame_whose_middle_it_is(click_s: float) -> None:
    """Frames look equally far to both sides: no time offset creeps in."""
    samples = np.zeros(16000, np.float32)
    samples[round(click_s * 16000)] = 1.0
    loudness = analyse(samples, FEATURES).mean(axis=1)
    centre = np.average(np.arange(len(loudness)) + 0.5, weights=np.exp(loudness - loudness.max()) > 0.5)
    assert centre == pytest.approx(click_s * 100, abs=0.5)


def test_every_band_hears_something() -> None:
    """No mel filter is empty, also where there are more bands than spectral lines below."""
    noise = np.random.default_rng(0).normal(0.0, 0.1, 16000).astype(np.float32)
    for n_mels in (40, 80, 128):
        assert analyse(noise, FeatureConfig(n_mels=n_mels)).mean(axis=0).min() > -12.0


def test_frames_are_those_that_weights_were_trained_on() -> None:
    """With another window, scale or filter bank every trained refiner hears nonsense: who changes them raises the version."""
    time_s = np.arange(16000) / 16000
    tones = sum(0.05 * np.sin(2 * np.pi * hz * time_s + place) for place, hz in enumerate((90, 180, 450, 1130, 2750, 6100)))
    frames = analyse((tones * np.linspace(0.01, 1.0, 16000)).astype(np.float32), FEATURES)
    assert features.ANALYSIS_VERSION == 5
    expected = (0.346, 1.359, 1.481, -8.631, -10.717, -16.844, -18.305, -18.304)
    np.testing.assert_allclose(frames[50, [0, 1, 5, 10, 25, 40, 60, 79]], expected, atol=0.005)


def test_frames_do_not_depend_on_how_the_audio_is_cut_into_blocks() -> None:
    """A recording longer than a block has the frames of its pieces."""
    samples = np.random.default_rng(1).normal(0.0, 0.1, 16000 * 50).astype(np.float32)
    whole, piece = analyse(samples, FEATURES), analyse(samples[16000 * 40 :], FEATURES)
    assert len(whole) == n_frames_of(len(samples), FEATURES) == 5000
    np.testing.assert_allclose(whole[4010:], piece[10:], atol=1e-4)


@pytest.mark.parametrize("n_samples", [0, 1, 159, 160, 161, 399, 5000, 700_001])
def test_frames_of_blocks_are_those_of_the_whole(n_samples: int) -> None:
    """A recording that arrives in pieces of uneven length has the same frames, and as many."""
    samples = np.random.default_rng(0).normal(0.0, 0.1, n_samples).astype(np.float32)
    cuts = np.sort(np.random.default_rng(1).integers(0, n_samples + 1, 9))
    pieces = np.concatenate(list(log_mel_blocks(np.split(samples, cuts), FEATURES)))
    assert len(pieces) == n_frames_of(n_samples, FEATURES)
    np.testing.assert_allclose(pieces, analyse(samples, FEATURES), atol=1e-4)


@pytest.mark.parametrize("n_frames", [1, 99, 100, 101, 130])
def test_as_many_frames_are_made_as_were_reserved(n_frames: int) -> None:
    """Too much audio is left out, too little continues in silence; what both have is the same."""
    samples = np.random.default_rng(0).normal(0.0, 0.1, 16000).astype(np.float32)
    frames = np.concatenate(list(log_mel_blocks([samples], FEATURES, n_frames=n_frames)))
    assert len(frames) == n_frames
    shared = min(n_frames, 99)  # the last window of the audio reaches over its end
    np.testing.assert_allclose(frames[:shared], analyse(samples, FEATURES)[:shared], atol=1e-4)
    np.testing.assert_allclose(frames[102:], np.log(1e-8), atol=1e-3)


@pytest.mark.parametrize("speech", [True, False])
def test_a_file_is_analysed_as_its_samples_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, speech: bool) -> None:
    """Block by block and in float16, whatever its header says of its length; an empty file is refused."""
    monkeypatch.setattr(audio_module, "_BLOCK_FRAMES", 5000)
    config = FeatureConfig(speech=speech)
    samples = np.random.default_rng(6).normal(0.0, 0.1, 70003).astype(np.float32)
    soundfile.write(tmp_path / "talk.wav", samples, 16000, subtype="FLOAT")
    frames, n_samples = analyse_file(tmp_path / "talk.wav", config)
    assert (frames.dtype, n_samples) == (np.float16, 70003)
    np.testing.assert_allclose(frames, analyse(samples, config), atol=0.01)
    soundfile.write(tmp_path / "empty.wav", samples[:0], 16000)
    with pytest.raises(DataError, match="empty"):
        analyse_file(tmp_path / "empty.wav", config)


@pytest.mark.parametrize(("deviation", "constant"), [(0.1, 0.0), (0.001, 0.0), (0.1, 0.05), (0.001, 0.05)])
def test_the_seconds_told_never_go_back(tmp_path: Path, deviation: float, constant: float) -> None:
    """A faint recording, and one with a constant in its samples, is decoded more than once."""
    samples = np.random.default_rng(7).normal(constant, deviation, 16000 * 20).astype(np.float32)
    soundfile.write(tmp_path / "talk.wav", samples, 16000, subtype="FLOAT")
    told_s: list[float] = []
    analyse_file(tmp_path / "talk.wav", FeatureConfig(speech=True), report=told_s.append)
    assert told_s == sorted(told_s)
    assert told_s[-1] == 20.0


def test_normalisation_removes_level_and_channel() -> None:
    """A louder, filtered copy of a recording looks the same."""
    frames = np.random.default_rng(2).normal(-5.0, 2.0, (300, 80)).astype(np.float32)
    coloured = frames + 3.0 + np.linspace(-2.0, 2.0, 80, dtype=np.float32)
    np.testing.assert_allclose(normalised(frames, _spoken(300), 0.01), normalised(coloured, _spoken(300), 0.01), atol=1e-4)


def test_what_lies_far_from_any_turn_does_not_count() -> None:
    """A recorder that ran on for half a day leaves a conversation as it is; so does another one, in another room, behind it."""
    rng = np.random.default_rng(0)
    talk = rng.normal(-5.0, 2.0, (4000, 2)).astype(np.float32)
    alone = normalised(talk, _spoken(4000), 0.01)
    frames = np.full((1 << 21, 2), -18.42, np.float32)
    frames[-4000:] = talk
    active_SN = np.zeros((1, len(frames)), np.bool_)
    active_SN[0, -2800:] = True  # twelve seconds before the first turn, of which three count
    near = talk[900:]
    exact = (near - near.mean(axis=0, dtype=np.float64)) / (near.std(axis=0, dtype=np.float64) + 1e-3)
    np.testing.assert_allclose(normalised(frames, active_SN, 0.01)[-3100:], exact, atol=1e-4)
    elsewhere = rng.normal(3.0, 0.5, (60_000, 2)).astype(np.float32)
    both = np.concatenate([talk, talk, talk, elsewhere])
    np.testing.assert_allclose(normalised(both, _spoken(len(both)), 0.01)[:4000], alone, atol=0.01)


def test_where_nobody_speaks_everything_counts() -> None:
    """There is nothing to go by, and nothing to refine either."""
    frames = np.random.default_rng(3).normal(-5.0, 2.0, (20_000, 3)).astype(np.float32)
    found = normalised(frames, np.zeros((0, 20_000), np.bool_), 0.01)
    np.testing.assert_allclose([found.mean(axis=0), found.std(axis=0)], [[0.0] * 3, [1.0] * 3], atol=0.01)


def _spoken(n_frames: int) -> np.ndarray:
    """One speaker, all the time."""
    return np.ones((1, n_frames), np.bool_)
