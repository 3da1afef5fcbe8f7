"""The built-in diarizer, on real voices where they are there."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from brefine.core.der import score_der
from brefine.core.turns import Diarization, Turn
from brefine.diarizers import builtin
from brefine.diarizers.builtin import BuiltinDiarizer
from brefine.diarizers.speech import SAMPLE_RATE_HZ
from brefine.errors import DataError
from brefine.io.audio import read_audio


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def conversation(voices: Path, speakers: list[int]) -> tuple[np.ndarray, Diarization]:
    """Four seconds of each speaker in turn, with half a second of silence between."""
    files = sorted(voices.glob("*.flac"))
    parts, turns, start_s = [np.zeros(SAMPLE_RATE_HZ // 2, np.float32)], [], 0.5
    for place, speaker in enumerate(speakers):
        speech = read_audio(files[speaker])
        first = (place // len(set(speakers))) * 4 * SAMPLE_RATE_HZ + SAMPLE_RATE_HZ // 2
        part = speech[first : first + 4 * SAMPLE_RATE_HZ]
        parts += [0.1 * part / np.sqrt(np.mean(part**2)), np.zeros(SAMPLE_RATE_HZ // 2, np.float32)]
        turns.append(Turn(start_s, start_s + len(part) / SAMPLE_RATE_HZ, f"S{speaker}"))
        start_s += len(part) / SAMPLE_RATE_HZ + 0.5
    noise = np.random.default_rng(0).normal(0.0, 1e-3, sum(map(len, parts)))
    return (np.concatenate(parts) + noise).astype(np.float32), Diarization("talk", tuple(turns))


def test_two_voices_are_told_apart(shared_data: Path) -> None:
    """Two readers who take turns become two speakers, with most of the time on the right one."""
    samples, reference = conversation(shared_data / "voices" / "librispeech", [0, 7] * 3)
    hypothesis = BuiltinDiarizer().diarize_samples(samples, "talk")
    assert len(hypothesis.speakers) == 2
    assert score_der(reference, hypothesis).der < 0.25


def test_a_faint_recording_has_the_turns_of_a_usual_one(shared_data: Path) -> None:
    """Attenuated by 80 dB; a recording of less than a tenth of a second has none."""
    samples, _ = conversation(shared_data / "voices" / "librispeech", [0, 7])
    turns, faint = (BuiltinDiarizer().diarize_samples(one, "talk").turns for one in (samples, samples * np.float32(1e-4)))
    assert len(turns) == len(faint) > 0
    for one, other in zip(turns, faint, strict=True):
        assert one.speaker == other.speaker
        assert (one.onset_s, one.offset_s) == pytest.approx((other.onset_s, other.offset_s), abs=0.1)
    assert not BuiltinDiarizer().diarize_samples(samples[:1000], "talk").turns


def test_one_voice_stays_one(shared_data: Path) -> None:
    """A monologue is not cut into several speakers."""
    samples, _ = conversation(shared_data / "voices" / "librispeech", [3, 3, 3])
    assert len(BuiltinDiarizer().diarize_samples(samples, "talk").speakers) == 1


def test_more_runs_of_speech_than_can_be_compared(
    shared_data: Path, monkeypatch: pytest.MonkeyPatch, compared: list[int]
) -> None:
    """Of many short runs the longest are clustered, and the voices are told apart as before."""
    samples, reference = conversation(shared_data / "voices" / "librispeech", [0, 7] * 4)
    monkeypatch.setattr(builtin, "_MAX_STRETCHES", 6)
    hypothesis = BuiltinDiarizer().diarize_samples(samples, "talk")  # eight runs at least
    assert compared[0] == 6
    assert len(hypothesis.speakers) == 2
    assert score_der(reference, hypothesis).der < 0.25


def test_turns_are_valid_and_the_same_each_time(shared_data: Path) -> None:
    """On a real meeting, turns lie in the audio, no speaker overlaps himself, and a second run gives the same, also by text."""
    audio = shared_data / "ami" / "audio" / "trn08.flac"
    steps: list[tuple[str, int, int]] = []
    found = BuiltinDiarizer().diarize(audio, report=lambda *step: steps.append(step))
    assert found.recording == "trn08"
    assert found.turns
    assert found.end_s <= 30.0
    assert found == found.unioned()
    for speaker in found.speakers:
        assert all(a.offset_s <= b.onset_s for a, b in pairwise(found.of(speaker)))
    assert BuiltinDiarizer().diarize(str(audio)) == found
    assert [done for _, done, _ in steps] == sorted(done for _, done, _ in steps)
    assert steps[-1][1] == steps[-1][2]


@pytest.mark.parametrize("n_samples", [0, 100, 16000, 48321])
def test_silence_of_any_length_has_no_turns(n_samples: int) -> None:
    """No speech is a valid answer, even for no audio at all."""
    assert BuiltinDiarizer().diarize_samples(np.zeros(n_samples, np.float32), "quiet") == Diarization("quiet")


def test_a_stretch_shorter_than_a_voice_is_still_a_turn(shared_data: Path) -> None:
    """Where nobody speaks for long, the voice with most speech is kept."""
    speech = read_audio(sorted((shared_data / "voices" / "librispeech").glob("*.flac"))[5])
    start = int(np.argmax(np.convolve(speech**2, np.ones(9600), "valid")))
    samples = np.concatenate([np.zeros(16000, np.float32), speech[start : start + 9600], np.zeros(16000, np.float32)])
    assert len(BuiltinDiarizer().diarize_samples(samples, "talk").speakers) == 1


def test_samples_of_any_float_are_heard_alike(shared_data: Path) -> None:
    """Other libraries read float64; the turns are those of the same samples as float32."""
    speech = read_audio(sorted((shared_data / "voices" / "librispeech").glob("*.flac"))[5])[: 2 * SAMPLE_RATE_HZ]
    single, double = (BuiltinDiarizer().diarize_samples(speech.astype(kind), "talk") for kind in (np.float32, np.float64))
    assert single == double
    assert single.turns
    half = speech.astype(np.float16)
    assert BuiltinDiarizer().diarize_samples(half, "talk") == BuiltinDiarizer().diarize_samples(half.astype(np.float32), "talk")


@pytest.mark.parametrize(
    ("samples", "told"),
    [
        (
            np.ones(16000, np.int16),
            r"not samples of mono audio \(expected floats .* ±1, .*, got int16, shape \(16000,\)\)\n.*32768",
        ),
        (np.zeros(16000, bool), "got bool"),
        (np.zeros((16000, 2), np.float32), r"got float32, shape \(16000, 2\)\)\n.*take the mean"),
        (np.float32(0.0), "shape "),
        (np.array([0.0] * 8000 + [np.nan] * 8000, np.float32), r"samples that are not finite \(got the first at 0\.500 s\)"),
        (np.array([0.0, -np.inf]), r"samples that are not finite"),
        (np.array([0.0, np.inf], np.float16), r"samples that are not finite"),
        (np.array([0.0, 1e300]), r"samples that are too large to be sound"),
    ],
)
def test_what_is_no_sound_is_refused(samples: np.ndarray, told: str) -> None:
    """Integers, several channels and samples that are not finite would give other turns, or nobody's, and say nothing."""
    with pytest.raises(DataError, match=f"talk: .*{told}"):
        BuiltinDiarizer().diarize_samples(samples, "talk")


def test_audio_of_another_rate_is_read(tmp_path: Path, shared_data: Path) -> None:
    """A stereo file of 44.1 kHz is diarized in seconds of its own time."""
    samples, reference = conversation(shared_data / "voices" / "librispeech", [0, 7])
    n_samples = round(len(samples) * 44100 / SAMPLE_RATE_HZ)
    wide = np.interp(np.arange(n_samples) / 44100, np.arange(len(samples)) / SAMPLE_RATE_HZ, samples)
    soundfile.write(tmp_path / "talk.wav", np.stack([wide, wide], axis=1), 44100)
    assert abs(BuiltinDiarizer().diarize(tmp_path / "talk.wav").end_s - reference.end_s) < 0.5
