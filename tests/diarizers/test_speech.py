"""Voice activity on a grid of 10 ms."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from brefine.data.voice_activity import SAMPLE_RATE_HZ, detector
from brefine.diarizers.speech import HOP_S, runs, speech_frames, speech_probability
from brefine.io.audio import read_audio


def test_runs_are_half_open_intervals() -> None:
    """Runs at both ends of the mask count."""
    assert runs(np.array([1, 1, 0, 0, 1, 0, 1], bool)) == [(0, 2), (4, 5), (6, 7)]
    assert runs(np.zeros(0, bool)) == []


def test_speech_is_entered_high_and_left_low() -> None:
    """A dip above the lower threshold does not end speech, and the lower threshold alone does not start it."""
    probability = np.full(200, 0.05, np.float32)
    probability[20:60] = 0.4
    probability[80:140] = 0.9
    probability[100:110] = 0.4
    assert runs(speech_frames(probability, enter=0.5, leave=0.3)) == [(80, 140)]


def test_short_pauses_are_bridged_and_short_bursts_dropped() -> None:
    """A pause under the limit joins two bursts; a burst under its limit alone is nothing."""
    probability = np.zeros(300, np.float32)
    probability[50:100] = probability[120:180] = 1.0
    probability[250:255] = 1.0
    assert runs(speech_frames(probability, min_pause_s=0.3, min_speech_s=0.15)) == [(50, 180)]


def test_speech_does_not_reach_the_ends_of_the_audio_because_they_are_near() -> None:
    """What lies before the first speech and behind the last is no pause between two."""
    probability = np.zeros(100, np.float32)
    probability[10:90] = 1.0
    assert runs(speech_frames(probability, min_pause_s=0.3)) == [(10, 90)]


def test_there_is_no_speech_in_silence_and_noise() -> None:
    """Digital silence and faint white noise hold no speech; odd lengths are rounded up to whole frames."""
    noise = np.random.default_rng(0).normal(0.0, 0.003, 3 * SAMPLE_RATE_HZ + 5).astype(np.float32)
    probability = speech_probability([noise])
    assert probability.shape == (301,)
    assert not speech_frames(probability).any()
    assert not speech_frames(speech_probability([np.zeros(SAMPLE_RATE_HZ, np.float32)])).any()
    assert speech_probability([np.zeros(0, np.float32)]).shape == (0,)


def test_speech_starts_where_it_was_put(shared_data: Path) -> None:
    """Two seconds of silence before an utterance end up as silence, to a quarter of a second."""
    utterance = read_audio(sorted((shared_data / "voices" / "librispeech").glob("*.flac"))[0])
    loud = np.flatnonzero(np.abs(utterance) > 0.1 * np.abs(utterance).max())[0]
    samples = np.concatenate([np.zeros(2 * SAMPLE_RATE_HZ, np.float32), utterance[loud:]])
    first = runs(speech_frames(speech_probability([samples])))[0][0] * HOP_S
    assert abs(first - 2.0) <= 0.25


def test_the_detector_leaves_the_number_of_threads_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Importing the package sets the process to one thread; callers keep what they had."""
    before = torch.get_num_threads()
    for name in [name for name in sys.modules if name.partition(".")[0] == "silero_vad"]:
        monkeypatch.delitem(sys.modules, name)
    detector.cache_clear()
    torch.set_num_threads(2)
    try:
        speech_probability([np.zeros(1600, np.float32)])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
        detector.cache_clear()


def test_pieces_side_by_side_are_heard_as_one_after_the_other(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut into pieces of seconds, each with its run-up, the detector says nearly what it says of the whole."""
    samples = read_audio(shared_data / "ami" / "audio" / "trn08.flac")
    monkeypatch.setattr("brefine.data.voice_activity._PIECE_FRAMES", 4096)
    whole = speech_probability([samples])
    monkeypatch.setattr("brefine.data.voice_activity._PIECE_FRAMES", 128)
    pieces = speech_probability([samples])
    assert pieces.shape == whole.shape
    assert np.mean(np.abs(pieces - whole)) < 0.03
