"""What was encoded anew, made louder, cut or disturbed is the same recording; other speech, tones and silence are not."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.ndimage import gaussian_filter1d

from brefine.data.audit import audit_corpus
from brefine.data.copies import Envelope, Likeness, envelope_of, near_copies
from brefine.io.audio import read_audio
from brefine.io.rttm import write_rttm
from tests.tiny_corpus import RATE_HZ, draw_reference, render


def _encoded(samples: np.ndarray, kind: str) -> np.ndarray:
    file = io.BytesIO()
    soundfile.write(file, samples, RATE_HZ, format=kind)
    file.seek(0)
    return soundfile.read(file, dtype="float32")[0]


def _noisy(samples: np.ndarray) -> np.ndarray:
    """At 10 dB."""
    return samples + np.random.default_rng(1).normal(0.0, 0.3 * samples.std(), len(samples)).astype(np.float32)


_CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "vorbis": lambda samples: _encoded(samples, "OGG"),
    "mp3": lambda samples: _encoded(samples, "MP3"),
    "gain": lambda samples: np.float32(0.9) * samples,
    "trimmed": lambda samples: samples[800:],
    "between frames": lambda samples: samples[330:],
    "padded": lambda samples: np.concatenate([np.zeros(160, np.float32), samples]),
    "noise": _noisy,
    "excerpt": lambda samples: samples[3 * RATE_HZ + 77 : 19 * RATE_HZ],
}


def _envelope(samples: np.ndarray) -> Envelope:
    power = np.square(samples[: len(samples) // 160 * 160], dtype=np.float64).reshape(-1, 160).mean(axis=1)
    return envelope_of(10.0 * np.log10(power + 1e-20))


def _talk(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return render(draw_reference("talk", rng), rng)


@pytest.mark.parametrize("change", _CHANGES)
def test_a_changed_copy_is_known(change: str) -> None:
    """Among other recordings of the same kind, none of which is taken for a copy."""
    envelopes = [_envelope(_talk(seed)) for seed in range(12)]
    (found,) = near_copies([*envelopes, _envelope(_CHANGES[change](_talk(5)))])
    assert {found.first, found.second} == {5, 12}


def test_real_recordings_are_told_from_their_copies(shared_data: Path) -> None:
    """Ten meetings and 250 readers are all different; a re-encoded, shifted copy of each meeting is found."""
    meetings = [read_audio(path) for path in sorted((shared_data / "ami" / "audio").glob("*.flac"))]
    voices = [_envelope(read_audio(path)) for path in sorted((shared_data / "voices" / "librispeech").glob("*.flac"))]
    own = [_envelope(samples) for samples in meetings]
    assert near_copies([*own, *voices]) == []
    copies = [_envelope(_encoded(samples, "OGG")[330:]) for samples in meetings]
    pairs = {tuple(sorted((one.first, one.second))) for one in near_copies([*own, *copies])}
    assert pairs == {(place, place + 10) for place in range(10)}


def test_silence_tones_and_regular_beeps_are_like_nothing() -> None:
    """They have no rises and falls of their own, however often they occur; neither has what is short or empty."""
    time_s = np.arange(30 * RATE_HZ) / RATE_HZ
    tone, rng = np.sin(2 * np.pi * 440.0 * time_s).astype(np.float32), np.random.default_rng(0)
    beeps = np.where(time_s % 1.0 < 0.5, tone, 0.0)
    hiss = [rng.normal(0.0, 0.1, len(time_s)) for _ in range(2)]
    sounds = [
        tone,
        0.3 * tone,
        0.0 * tone,
        0.0 * tone[RATE_HZ:],
        beeps,
        0.5 * beeps,
        *hiss,
        _talk(0)[: 9 * RATE_HZ],
        _talk(0)[:100],
    ]
    assert near_copies([_envelope(sound) for sound in [*sounds, sounds[-2], sounds[-1]]]) == []


def test_a_few_words_in_silence_are_like_nothing(shared_data: Path) -> None:
    """One utterance of some seconds in half a minute: its start and end are like those of many others."""
    rng, envelopes = np.random.default_rng(0), []
    for number, path in enumerate(sorted((shared_data / "voices" / "librispeech").glob("*.flac"))):
        words = read_audio(path)[: (1 + number % 8) * RATE_HZ]
        start = int(rng.integers(0, 20 * RATE_HZ))
        envelopes.append(_envelope(np.concatenate([np.zeros(start), words, np.zeros(30 * RATE_HZ - start - len(words))])))
    assert near_copies(envelopes) == []


def _speech(paths: list[Path], start: int, n_samples: int) -> np.ndarray:
    """Of the readers from `start` on, one after the other."""
    return np.concatenate([read_audio(path) for path in paths[start : start + 8]])[:n_samples]


def test_what_recordings_share_in_part_makes_no_copies_of_them(shared_data: Path) -> None:
    """A greeting before short messages, beeps at the same times before other answers, a tune at the end and at the start."""
    paths = sorted((shared_data / "voices" / "librispeech").glob("*.flac"))
    rng, second = np.random.default_rng(3), RATE_HZ
    beep = 0.3 * np.sin(2 * np.pi * 1000.0 * np.arange(second // 2) / second)
    greeting = _speech(paths, 0, 21 * second // 2)
    beeps_s = np.cumsum(rng.uniform(2.0, 9.0, 12))
    messages, protocols = [], []
    for number in range(12):
        message = rng.normal(0.0, 1e-4, 17 * second)
        message[: len(greeting)] += greeting
        message[int(10.7 * second) :][: len(beep)] += beep
        message[int(11.5 * second) : int(16.5 * second)] += _speech(paths, 20 + 8 * number, 5 * second)
        messages.append(_envelope(message))
        protocol = rng.normal(0.0, 1e-4, int(beeps_s[-1] + 3.0) * second)
        for place, beep_s in enumerate(beeps_s):
            start = int(beep_s * second)
            protocol[start : start + len(beep)] += beep
            answer = read_audio(paths[20 + 12 * number + place])[: 6 * second // 5]
            protocol[start + 7 * second // 10 :][: len(answer)] += answer
        protocols.append(_envelope(protocol))
    tune = _speech(paths, 10, 15 * second)
    ends = _envelope(np.concatenate([_speech(paths, 20, 30 * second), tune]))
    begins = _envelope(np.concatenate([tune, _speech(paths, 40, 30 * second)]))
    assert near_copies(messages) == []
    assert near_copies(protocols) == []
    assert near_copies([ends, begins]) == []


def test_recordings_of_any_lengths_are_compared() -> None:
    """A short excerpt is found in a recording many times as long, wherever it stands in the list; pairs are told as they come."""
    long = np.concatenate([_talk(seed) for seed in range(15)])
    steps: list[tuple[int, int]] = []
    excerpt = _envelope(long[123 * RATE_HZ : 143 * RATE_HZ])
    found = near_copies([excerpt, _envelope(_talk(50)), _envelope(long)], on_progress=lambda *step: steps.append(step))
    assert found == [Likeness(0, 2, first_start_s=0.0, second_start_s=123.0, duration_s=20.0)]
    assert steps == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(("shared_min", "whole_min"), [(27, 60), (18, 60), (6, 30), (4, 10), (3, 60)])
def test_a_long_stretch_is_enough_though_it_is_a_small_part(shared_min: float, whole_min: float) -> None:
    """The end of one recording is the start of the other, whichever is shorter; the liveliest parts lie elsewhere."""
    rng = np.random.default_rng(0)
    n_shared, n_whole = round(shared_min * 60 * 25), round(whole_min * 60 * 25)
    shared = rng.standard_normal(n_shared, np.float32)
    for n_ended, n_begun in ((n_whole, n_whole + 500), (n_whole + 500, n_whole)):
        own = [1.3 * rng.standard_normal(n - n_shared, np.float32) for n in (n_ended, n_begun)]
        (found,) = near_copies([np.concatenate([own[0], shared]), np.concatenate([shared, own[1]])])
        assert found.duration_s == n_shared / 25


@pytest.mark.parametrize(
    ("shared_s", "whole_s", "copies"), [(8, 12, 0), (11, 12, 1), (16, 40, 0), (24, 40, 1), (50, 200, 0), (70, 200, 1)]
)
def test_half_of_the_shorter_one_or_a_minute_must_be_shared(shared_s: int, whole_s: int, copies: int) -> None:
    """And ten seconds in any case: the end of one recording is the start of the other."""
    rng = np.random.default_rng(0)
    shared, *own = (rng.uniform(-1.7, 1.7, 25 * n_s).astype(np.float32) for n_s in (shared_s, *[whole_s - shared_s] * 2))
    assert len(near_copies([np.concatenate([own[0], shared]), np.concatenate([shared, own[1]])])) == copies


@pytest.mark.parametrize(("correlation", "copies"), [(0.78, 1), (0.72, 0)])
def test_three_quarters_of_what_rises_and_falls_must_be_shared(correlation: float, copies: int) -> None:
    """Also where all brief stretches of both are alike, and only their slow rises and falls are others."""
    shared = np.random.default_rng(0).standard_normal(64 * 25)
    slow = [np.repeat(np.resize(signs, 32), 50) for signs in ((1.0, -1.0), (1.0, 1.0, -1.0, -1.0))]
    both = [(np.sqrt(correlation) * shared + np.sqrt(1.0 - correlation) * own).astype(np.float32) for own in slow]
    assert np.corrcoef(both)[0, 1] == pytest.approx(correlation, abs=0.01)
    assert len(near_copies(both)) == copies


@pytest.mark.parametrize(("repeated", "copies"), [(0.65, 1), (0.8, 0)])
def test_what_repeats_itself_is_like_nothing(repeated: float, copies: int) -> None:
    """Not even itself, where another lag does nearly as well: of the energy so much comes again every five seconds."""
    rng = np.random.default_rng(0)
    again, once = np.tile(rng.standard_normal(5 * 25), 20), rng.standard_normal(100 * 25)
    envelope = (np.sqrt(repeated) * again + np.sqrt(1.0 - repeated) * once).astype(np.float32)
    assert len(near_copies([envelope, envelope.copy()])) == copies


def _smooth(seed: int, duration_s: float) -> Envelope:
    """Rises and falls as slow as those of speech, so that they lie between two values as well."""
    return (3.0 * gaussian_filter1d(np.random.default_rng(seed).standard_normal(round(25 * duration_s)), 2.0)).astype(np.float32)


def _by_clock(envelope: Envelope, rate: float) -> Envelope:
    """What a recorder writes whose clock is so many times as fast."""
    return np.interp(np.arange(round(rate * len(envelope))) / rate, np.arange(len(envelope)), envelope).astype(np.float32)


@pytest.mark.parametrize("drift", [-1e-3, -5e-5, 5e-5, 2e-4, 1e-3])
@pytest.mark.parametrize("duration_s", [90, 240, 2640])
def test_a_copy_by_another_clock_is_known(duration_s: float, drift: float) -> None:
    """A second recorder, or video slowed to 1000/1001: no lag fits throughout, each minute has one. Both places are told."""
    shared, own = _smooth(0, duration_s), _smooth(1, 20.0)
    second = np.concatenate([own, _by_clock(shared, 1.0 + drift)])
    (found,) = near_copies([shared, second, _smooth(2, duration_s)])
    assert (found.first, found.second) == (0, 1)
    assert found.first_start_s == pytest.approx(0.0, abs=0.1)
    assert found.second_start_s == pytest.approx(20.0, abs=0.1)
    assert found.duration_s == pytest.approx((1.0 + drift) * duration_s, abs=0.2)


def test_what_two_share_at_both_ends_makes_no_copies_of_them() -> None:
    """A jingle of 45 s before and after is found in both, a little farther apart in one: the rest is asked, and differs."""
    jingle = 1.5 * _smooth(0, 45.0)
    talks = [np.concatenate([jingle, _smooth(seed, 300.0 + late_s), jingle]) for seed, late_s in ((1, 0.0), (2, 0.2))]
    assert near_copies(talks) == []


def test_memory_does_not_grow_with_the_longest_recording_for_each_of_the_others() -> None:
    """200 recordings of a minute and one of three hours; an excerpt of that is found all the same."""
    rng = np.random.default_rng(0)
    envelopes = [rng.standard_normal(60 * 25, np.float32) for _ in range(200)]
    long = rng.standard_normal(3 * 3600 * 25, np.float32)
    tracemalloc.start()
    found = near_copies([*envelopes, long, long[100_001:101_001]])
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [(one.first, one.second) for one in found] == [(201, 200)]
    assert peak_bytes < 100e6


def test_an_audit_hears_the_envelope(tmp_path: Path) -> None:
    """Block by block, at any rate: as the whole recording has it."""
    rng = np.random.default_rng(3)
    reference = draw_reference("talk", rng)
    samples = render(reference, rng)
    (tmp_path / "audio").mkdir()
    soundfile.write(tmp_path / "audio" / "talk.wav", samples, RATE_HZ, subtype="FLOAT")
    write_rttm(tmp_path / "reference" / "talk.rttm", reference)
    (one,) = audit_corpus(tmp_path, needs_hypothesis=False).recordings
    np.testing.assert_allclose(one.envelope, _envelope(samples), atol=1e-5)
