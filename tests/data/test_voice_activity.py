"""Silero's detector as a channel of the frames."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from brefine.config import FeatureConfig
from brefine.data import voice_activity
from brefine.data.features import analyse, n_columns_of, n_frames_of
from brefine.data.voice_activity import SpeechListener, levelled
from brefine.io.audio import read_audio


@pytest.mark.parametrize("n_samples", [0, 1, 700, 16000, 16000 * 35])
def test_every_frame_has_a_probability_of_speech(n_samples: int) -> None:
    """As many as asked for, within ±1, whatever the length; noise is no speech."""
    noise = np.random.default_rng(0).normal(0.0, 1e-3, n_samples).astype(np.float32)
    track = heard([noise]).track(50, hop_s=0.01)
    assert track.shape == (50,)
    assert (np.abs(track) <= 1.0).all()
    assert np.median(track) < 0.0


@pytest.mark.parametrize("block_samples", [700, 16000 * 20])
def test_what_is_heard_in_blocks_is_what_is_heard_at_once(monkeypatch: pytest.MonkeyPatch, block_samples: int) -> None:
    """However the samples arrive and however much is held of them, each piece starts two seconds early."""
    samples = np.random.default_rng(0).normal(0.0, 0.05, 16000 * 38 + 77).astype(np.float32)
    samples *= np.sin(2 * np.pi * 3 * np.arange(len(samples), dtype=np.float32) / 16000) > 0  # something that comes and goes
    whole = heard([samples]).probability(3800, hop_s=0.01)
    monkeypatch.setattr(voice_activity, "_SAMPLES_AT_ONCE", 512 * 512)
    blocks = [samples[start : start + block_samples] for start in range(0, len(samples), block_samples)]
    np.testing.assert_allclose(heard(blocks).probability(3800, hop_s=0.01), whole, atol=1e-4)
    assert whole.std() > 0.003


def test_frames_carry_the_track_in_their_last_column_where_the_recipe_wants_it() -> None:
    """The bands before it are what they are without it."""
    noise = np.random.default_rng(0).normal(0.0, 0.1, 16000).astype(np.float32)
    with_track, without = (FeatureConfig(speech=speech) for speech in (True, False))
    frames = analyse(noise, with_track)
    assert frames.shape == (n_frames_of(len(noise), with_track), n_columns_of(with_track)) == (100, 81)
    np.testing.assert_array_equal(frames[:, :80], analyse(noise, without))


def test_recordings_that_are_heard_in_several_threads_are_heard_as_one_after_the_other() -> None:
    """The detector is one for the process and keeps state: its users take turns, and torch's threads are as many as before."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(2)
    noise = np.random.default_rng(0).normal(0.0, 0.05, (4, 16000 * 12)).astype(np.float32)
    noise *= np.sin(2 * np.pi * 3 * np.arange(noise.shape[1]) / 16000) > 0

    def probability(samples: NDArray[np.float32]) -> NDArray[np.float32]:
        return heard([samples]).probability(1200, hop_s=0.01)

    try:
        alone = list(map(probability, noise))
        with ThreadPoolExecutor(len(noise)) as pool:
            together = list(pool.map(probability, noise))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(n_threads)
    np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize("attenuation_db", [40.0, 80.0])
def test_a_faint_recording_is_heard_as_a_usual_one(shared_data: Path, attenuation_db: float) -> None:
    """Speech that the detector finds in a meeting is found in its faint copy, and nothing else."""
    samples = read_audio(shared_data / "ami" / "audio" / "trn03.flac")[: 10 * 16000]
    faint = samples * np.float32(10.0 ** (-attenuation_db / 20.0))
    speech, without, found = (
        heard(list(blocks)).probability(1000, hop_s=0.01) > 0.5
        for blocks in (levelled(lambda: [samples])(), [faint], levelled(lambda: [faint])())
    )
    assert speech.mean() > 0.5
    assert without.mean() < 0.2
    assert (found == speech).mean() > 0.98


@pytest.mark.parametrize(("word_s", "gain"), [(0.0, 2.0**10), (0.08, 2.0**10), (0.35, 2.0), (0.52, 2.0)])
def test_a_word_in_a_quiet_recording_is_not_clipped(word_s: float, gain: float) -> None:
    """Too little sound for the recording to be ordinary; only a click may be."""
    rng = np.random.default_rng(0)
    samples = rng.normal(0.0, 3e-5, 16000 * 20).astype(np.float32)
    word = slice(16000 * 10, 16000 * 10 + round(16000 * word_s))
    samples[word] = rng.normal(0.0, 0.05, word.stop - word.start)
    (raised,) = levelled(lambda: [samples])()
    np.testing.assert_array_equal(raised, np.clip(samples * np.float32(gain), -1.0, 1.0))
    assert gain > 2.0 or np.abs(raised).max() < 1.0


@pytest.mark.parametrize("ordinary_s", [1.1, 3.0])
def test_an_ordinary_recording_stays_as_it_is(ordinary_s: float) -> None:
    """One second of ordinary sound is enough, wherever it is, and the rest then need not be asked for."""
    noise = np.random.default_rng(0).normal(0.0, 1e-5, 16000 * 30).astype(np.float32)
    noise[16000 * 20 : 16000 * 20 + round(16000 * ordinary_s)] *= 1e3
    asked: list[int] = []

    def decode() -> Iterator[NDArray[np.float32]]:
        for start in range(0, len(noise), 1000):
            asked.append(start)
            yield noise[start : start + 1000]

    assert levelled(decode) is decode
    assert asked[-1] == 16000 * 21 - 1000


@pytest.mark.parametrize("attenuation_db", [0.0, 60.0])
@pytest.mark.parametrize("constant", [0.0015, 0.005, -0.05])
def test_a_constant_in_the_samples_is_subtracted(shared_data: Path, constant: float, attenuation_db: float) -> None:
    """Some converters add one. A faint recording with it is raised as it would be without."""
    samples = read_audio(shared_data / "ami" / "audio" / "trn03.flac")[: 10 * 16000]
    samples *= np.float32(10.0 ** (-attenuation_db / 20.0))
    shifted = samples + np.float32(constant)
    (without,), (found,) = levelled(lambda: [samples])(), levelled(lambda: [shifted])()
    assert (np.abs(without).max() > np.abs(samples).max()) == (attenuation_db > 0.0)
    np.testing.assert_allclose(found, without, atol=3e-4)


def test_a_constant_that_the_gain_makes_large_is_subtracted() -> None:
    """Small as it is in a faint recording."""
    noise = np.random.default_rng(0).normal(0.0, 1e-4, 16000 * 5).astype(np.float32)
    (found,) = levelled(lambda: [noise + np.float32(5e-5)])()
    np.testing.assert_allclose(found, noise * np.float32(2.0**8), atol=3e-4)


def test_a_constant_is_found_behind_a_beginning_that_sways() -> None:
    """Wind, or a hand at the microphone: by that alone it would be chance."""
    samples = np.random.default_rng(0).normal(0.003, 0.01, 16000 * 12).astype(np.float32)
    swaying = slice(0, 16000 * 4)
    samples[swaying] += 0.05 * np.sin(2 * np.pi * 2.3 * np.arange(16000 * 4, dtype=np.float32) / 16000)
    found = np.concatenate(list(levelled(lambda: np.split(samples, 12))()))
    np.testing.assert_allclose(found, samples - 0.003, atol=3e-4)


@pytest.mark.parametrize("zeros_s", [3, 30])
def test_a_constant_is_found_behind_digital_silence(zeros_s: int) -> None:
    """However long nothing was recorded: it has no constant and says nothing of that of the rest."""
    noise = np.random.default_rng(0).normal(0.05, 0.01, 16000 * 12).astype(np.float32)
    samples = np.concatenate([np.zeros(16000 * zeros_s, np.float32), noise])
    found = np.concatenate(list(levelled(lambda: np.split(samples, len(samples) // 16000))()))
    assert found[-len(noise) :].mean() == pytest.approx(0.0, abs=1e-4)


def test_digital_silence_stays_where_a_constant_is_subtracted() -> None:
    """It would become a constant itself; a sample that is 0 by chance is one of the signal."""
    samples = np.random.default_rng(0).normal(0.05, 0.01, 16000 * 12).astype(np.float32)
    silent = np.zeros(len(samples), np.bool_)
    silent[:7000] = silent[40000:40500] = silent[-300:] = True
    samples[silent] = samples[100000:100020] = 0.0
    found = np.concatenate(list(levelled(lambda: [samples[:90000], samples[90000:]])()))
    np.testing.assert_array_equal(found == 0.0, silent)
    np.testing.assert_allclose(found[~silent], samples[~silent] - 0.05, atol=3e-4)


def test_what_leans_to_one_side_for_a_while_has_no_constant() -> None:
    """A voice that was recorded with one, in a conversation of others, or the wind at the beginning."""
    samples = np.random.default_rng(0).normal(0.0, 0.05, 16000 * 12).astype(np.float32)
    samples[: 16000 * 5] += 0.1

    def decode() -> Iterator[NDArray[np.float32]]:
        yield from np.split(samples, 120)

    assert levelled(decode) is decode


@pytest.mark.parametrize("block_samples", [700, 16000, 16000 * 5])
def test_faint_samples_are_multiplied_by_a_power_of_two(block_samples: int) -> None:
    """However they arrive; a click among them is clipped, and silence and nothing stay what they are."""
    noise = np.random.default_rng(0).normal(0.0, 1e-4, 16000 * 5).astype(np.float32)
    noise[8000] = 0.9
    raised = levelled(lambda: [noise[start : start + block_samples] for start in range(0, len(noise), block_samples)])()
    np.testing.assert_array_equal(np.concatenate(list(raised)), np.clip(noise * np.float32(2.0**8), -1.0, 1.0))
    for n_samples in (0, 16000):
        (silence,) = levelled(lambda n_samples=n_samples: [np.zeros(n_samples, np.float32)])()
        np.testing.assert_array_equal(silence, np.zeros(n_samples))


def heard(blocks: list[NDArray[np.float32]]) -> SpeechListener:
    listener = SpeechListener()
    for _ in listener.listening(blocks):
        pass
    return listener
