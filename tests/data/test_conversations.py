"""Simulated conversations: exact boundaries, no tell-tale edges, the same from the same seed."""

from __future__ import annotations

import itertools
import resource
from pathlib import Path

import numpy as np
import pytest

from brefine.config import SimulationConfig
from brefine.data.acoustics import rms
from brefine.data.conversations import Conversation, simulate, write_audio
from brefine.data.phrases import SAMPLE_RATE_HZ, find_speech
from brefine.data.soundscape import record
from brefine.data.turn_taking import load_turn_taking
from brefine.data.voices import find_utterances

_DRY = {f"{kind}_probability": 0.0 for kind in ("noise", "babble", "music", "room", "telephone", "codec")}


def _simulate(bank: Path, seed: int = 0, **changed: object) -> Conversation:
    settings = SimulationConfig(**{"duration_s": 30.0, "n_speakers": (2, 3), **changed})
    return simulate("made", find_utterances(bank), settings, load_turn_taking(), rng=np.random.default_rng(seed))


def test_speech_is_found_to_the_millisecond() -> None:
    """Two bursts in faint noise: their first and last samples are within 1 ms, and a short dip does not part them."""
    rng = np.random.default_rng(0)
    samples = 1e-4 * rng.standard_normal(2 * SAMPLE_RATE_HZ)
    for start, end in ((8000, 12000), (12400, 16000), (24000, 30000)):  # 25 ms between the first two
        samples[start:end] += 0.2 * rng.standard_normal(end - start)
    regions, floor_db = find_speech(samples.astype(np.float32))
    np.testing.assert_allclose(regions, [(8000, 16000), (24000, 30000)], atol=16)
    assert floor_db == pytest.approx(-66.0, abs=3.0)


def test_silence_has_no_speech() -> None:
    """A silent and a very short utterance have no region."""
    assert len(find_speech(np.zeros(SAMPLE_RATE_HZ, np.float32))[0]) == 0
    assert len(find_speech(np.ones(10, np.float32))[0]) == 0


def test_the_reference_is_where_the_energy_is(tone_bank: Path) -> None:
    """In a dry recording nobody is louder than the room tone outside the turns, and somebody is inside each."""
    for seed in range(5):
        made = _simulate(tone_bank, seed, level_spread_db=0.0, **_DRY)
        spoken = np.zeros(len(made.samples), dtype=bool)
        for turn in made.reference.turns:
            spoken[round(turn.onset_s * SAMPLE_RATE_HZ) : round(turn.offset_s * SAMPLE_RATE_HZ)] = True
        level = rms(made.samples[spoken])
        assert np.abs(made.samples[~spoken]).max() < 0.2 * level
        for turn in made.reference.turns:
            for end_s, inwards in ((turn.onset_s, 1), (turn.offset_s, -1)):
                edge = sorted((round(end_s * SAMPLE_RATE_HZ), round((end_s + inwards * 0.05) * SAMPLE_RATE_HZ)))
                assert rms(made.samples[slice(*edge)]) > 0.1 * level


@pytest.mark.parametrize(("floor_db", "background_db"), [(-30.0, -27.0), (-60.0, -47.5), (-10.0, -15.0)])
def test_the_background_hides_the_floors_of_the_utterances(floor_db: float, background_db: float) -> None:
    """3 dB above the loudest of them, so that none tells where its turn begins; a quiet room else, and never loud."""
    tracks = np.zeros((1, 8 * SAMPLE_RATE_HZ), np.float32)
    speech = slice(2 * SAMPLE_RATE_HZ, 6 * SAMPLE_RATE_HZ)
    tracks[0, speech] = 0.1 * np.random.default_rng(1).standard_normal(4 * SAMPLE_RATE_HZ)
    simulation = SimulationConfig(level_spread_db=0.0, **_DRY)
    made = record(tracks, [[(speech.start, speech.stop)]], [], floor_db, simulation, np.random.default_rng(0))
    told_db = 20.0 * np.log10(rms(made[: speech.start]) / rms(made[speech]))
    assert told_db == pytest.approx(background_db, abs=3.0)


def test_the_pause_rule_holds(tone_bank: Path) -> None:
    """No two turns of a speaker are nearer than the shortest pause that ends a turn."""
    for seed in range(10):
        reference = _simulate(tone_bank, seed, bridge_pause_s=(0.3, 0.3)).reference
        for speaker in reference.speakers:
            own = reference.of(speaker)
            assert all(after.onset_s - before.offset_s >= 0.3 - 1e-6 for before, after in itertools.pairwise(own))


def test_conversations_of_short_turns_have_short_and_soft_ones(tone_bank: Path) -> None:
    """Where most turns are a word or two, the median turn is shorter and the soft ones are far below the loud ones."""
    found = []
    for share in (0.0, 0.9):
        lengths_s, spreads_db = [], []
        for seed in range(6):
            made = _simulate(tone_bank, seed, level_spread_db=0.0, short_turns=(share, share), **_DRY)
            turns = made.reference.turns
            spans = [slice(round(turn.onset_s * SAMPLE_RATE_HZ), round(turn.offset_s * SAMPLE_RATE_HZ)) for turn in turns]
            levels_db = [20.0 * np.log10(rms(made.samples[span])) for span in spans]
            lengths_s += [turn.duration_s for turn in turns]
            spreads_db.append(np.subtract(*np.quantile(levels_db, [0.9, 0.1])))
        found.append((np.median(lengths_s), np.mean(spreads_db)))
    (usual_s, usual_db), (short_s, short_db) = found
    assert short_s < 0.6 * usual_s
    assert short_db > usual_db + 2.0


@pytest.mark.parametrize("what", ["nonverbal", "bystander"])
def test_sounds_without_labels_change_the_recording_but_not_the_reference(tone_bank: Path, what: str) -> None:
    """The same conversation with and without them: the same turns, and something to hear where nobody speaks."""
    louder = []
    for seed in range(4):
        plain = _simulate(tone_bank, seed, level_spread_db=0.0, **_DRY)
        noisy = _simulate(tone_bank, seed, level_spread_db=0.0, **_DRY, **{f"{what}_probability": 1.0})
        assert noisy.reference == plain.reference
        silent = np.ones(len(plain.samples), dtype=bool)
        for turn in plain.reference.turns:
            silent[round(turn.onset_s * SAMPLE_RATE_HZ) : round(turn.offset_s * SAMPLE_RATE_HZ)] = False
        louder.append(rms(noisy.samples[silent]) / rms(plain.samples[silent]))
    assert np.median(louder) > 1.5


def test_labels_are_widened_by_the_margins_of_a_convention(tone_bank: Path) -> None:
    """Onsets come 80 ms earlier and offsets 150 ms later than the sound; the sound itself does not change."""
    exact = _simulate(tone_bank, 4, bridge_pause_s=(0.5, 0.5))
    wide = _simulate(tone_bank, 4, bridge_pause_s=(0.5, 0.5), onset_margin_s=(0.08, 0.08), offset_margin_s=(0.15, 0.15))
    np.testing.assert_array_equal(exact.samples, wide.samples)
    for true, label in zip(exact.reference.turns, wide.reference.turns, strict=True):
        assert label.onset_s == pytest.approx(max(0.0, true.onset_s - 0.08), abs=1e-6)
        assert label.offset_s == pytest.approx(min(30.0, true.offset_s + 0.15), abs=1e-6)


def test_no_recording_is_digitally_silent_anywhere(tone_bank: Path) -> None:
    """Even without noise the background goes on through every pause, at much the same level."""
    for seed in range(5):
        made = _simulate(tone_bank, seed, **_DRY)
        levels = np.array([rms(block) for block in np.split(made.samples, 600)])  # 50 ms each
        assert levels.min() > 2e-4
        spoken = np.zeros(len(made.samples), dtype=bool)
        for turn in made.reference.turns:
            start, end = (round(time_s * SAMPLE_RATE_HZ) for time_s in (turn.onset_s - 0.15, turn.offset_s + 0.15))
            spoken[max(0, start) : end] = True
        quiet = levels[~spoken.reshape(600, -1).any(axis=1)]
        assert quiet.max() < 3.0 * quiet.min()


def test_the_same_seed_makes_the_same_samples(tone_bank: Path) -> None:
    """Bit for bit, whatever was simulated in between."""
    first = _simulate(tone_bank, 1)
    other = _simulate(tone_bank, 2)
    again = _simulate(tone_bank, 1)
    np.testing.assert_array_equal(first.samples, again.samples)
    assert first.reference == again.reference
    assert other.reference != first.reference


@pytest.mark.parametrize("kind", ["noise", "babble", "music", "room", "telephone", "codec"])
def test_every_augmentation_changes_the_sound_and_not_the_truth(tone_bank: Path, kind: str) -> None:
    """The reference is drawn before the microphone: it does not depend on what the microphone hears."""
    sure = {"noise_probability": 1.0} if kind in ("babble", "music") else {}
    plain = _simulate(tone_bank, 5, **_DRY)
    changed = _simulate(tone_bank, 5, **{**_DRY, **sure, f"{kind}_probability": 1.0})
    assert changed.reference == plain.reference
    assert np.abs(changed.samples - plain.samples).max() > 0.01
    assert np.isfinite(changed.samples).all()
    assert np.abs(changed.samples).max() <= 1.0


def test_speakers_differ_in_loudness_as_asked(tone_bank: Path) -> None:
    """With a spread of 12 dB the loudest speaker of a conversation stands out; with none all are alike."""

    def spread_db(seed: int, level_spread_db: float) -> float:
        made = _simulate(tone_bank, seed, level_spread_db=level_spread_db, **_DRY)
        levels = []
        for speaker in made.reference.speakers:
            solo = np.zeros(len(made.samples), dtype=bool)
            for turn in made.reference.turns:
                solo[round(turn.onset_s * SAMPLE_RATE_HZ) : round(turn.offset_s * SAMPLE_RATE_HZ)] |= turn.speaker == speaker
            levels.append(rms(made.samples[solo]))
        return float(20 * np.log10(max(levels) / min(levels)))

    assert (
        np.median([spread_db(seed, 12.0) for seed in range(12)]) > np.median([spread_db(seed, 0.0) for seed in range(12)]) + 2.0
    )


@pytest.mark.parametrize("missing_bytes", [1, 500, 4000])
def test_a_disk_that_fills_leaves_no_torn_conversation(tmp_path: Path, missing_bytes: int) -> None:
    """Not even where only the last bytes, which the encoder keeps to the end, find no room: the old file stays, alone."""
    samples = np.random.default_rng(0).normal(0.0, 0.1, 40_000).astype(np.float32)
    write_audio(tmp_path / "a.flac", samples)
    whole = (tmp_path / "a.flac").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) - missing_bytes, hard))
    try:
        with pytest.raises(OSError, match=r"a\.flac"):
            write_audio(tmp_path / "a.flac", -samples)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [whole]
