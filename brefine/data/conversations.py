"""Simulated conversations with exact boundaries.

A script of turns (`turn_taking`) is filled with phrases of real or synthetic voices. **The true boundary is where the energy of
the placed speech starts and stops**: the first and last sample within 35 dB of the utterance's loud parts, found in frames of
10 ms, every 2.5 ms, on the dry voice, before room and noise; reverberation after the last word is not speech. **The pause
rule**: silences of one speaker shorter than the conversation's `bridge_pause_s` do not end his turn, longer ones do, also those
within an utterance. Annotators leave margins: `onset_margin_s` and `offset_margin_s` widen the labels by a convention's habit.

Nothing but the speech itself may tell where it starts: phrases are faded in and out over random margins, so that an utterance's
own noise floor has no edge, and the background goes on through the whole recording, always above that floor.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from brefine.config import SimulationConfig
from brefine.core.turns import Diarization, Turn
from brefine.data.acoustics import (
    CODECS,
    NOISES,
    Samples,
    draw_music,
    draw_noise,
    draw_room,
    reverberate,
    rms,
    telephone_band,
    through_codec,
)
from brefine.data.nonverbal import LEVELS_DB, SOUNDS, draw_sound
from brefine.data.turn_taking import PlannedTurn, TurnTaking, draw_script
from brefine.data.voices import Utterance
from brefine.io.audio import read_audio

SAMPLE_RATE_HZ = 16000
_HOP = 40  # samples: 2.5 ms
_FRAME = 160  # samples: 10 ms
_CUT_GAP_S = 0.04
"""Silences within an utterance at which a phrase may start or stop; shorter ones belong to a sound, such as a plosive."""
_SILENCE_DB = -75.0
"""Against full scale; nothing below is called speech, in whatever company."""
_ROOM_TONE_DB = -45.0
"""Loudest background of a conversation without noise, against the speech: no recording is digitally silent."""


@dataclass(frozen=True, slots=True, eq=False)
class Voice:
    """One utterance, ready to be cut: samples with a speech level of 0.1 RMS, and where its energy is.

    Attributes:
        regions: shape (n_regions, 2), first and last sample (exclusive) of each stretch of speech.
        floor_db: level of its own background against its speech.
    """

    samples: Samples
    regions: NDArray[np.int64]
    floor_db: float


@dataclass(frozen=True, slots=True, eq=False)
class Conversation:
    """One simulated recording and its exact reference."""

    samples: Samples
    reference: Diarization


def find_speech(samples: Samples) -> tuple[NDArray[np.int64], float]:
    """Where an utterance's energy is: regions in samples, shape (n_regions, 2), and its noise floor in dB against its speech."""
    n_frames = max(0, (len(samples) - _FRAME) // _HOP + 1)
    if n_frames == 0:
        return np.zeros((0, 2), dtype=np.int64), -100.0
    energy = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    starts = np.arange(n_frames) * _HOP
    level_db = 10.0 * np.log10((energy[starts + _FRAME] - energy[starts]) / _FRAME + 1e-12)
    loud_db, floor_db = np.quantile(level_db, 0.95), np.quantile(level_db, 0.02)
    threshold_db = max(min(max(loud_db - 35.0, floor_db + 8.0), loud_db - 20.0), _SILENCE_DB)
    active = np.concatenate([[False], level_db > threshold_db, [False]])
    edges = np.flatnonzero(active[1:] != active[:-1]).reshape(-1, 2)
    loud = np.square(samples) > 10.0 ** (threshold_db / 10.0)
    merged: list[list[int]] = []
    for first, last in (edges - np.array([0, 1])).tolist():
        # Within the first and last active frame, single samples tell to the tenth of a millisecond.
        start = first * _HOP + int(loud[first * _HOP : first * _HOP + _FRAME].argmax())
        end = last * _HOP + _FRAME - int(loud[last * _HOP : last * _HOP + _FRAME][::-1].argmax())
        if merged and start - merged[-1][1] < _CUT_GAP_S * SAMPLE_RATE_HZ:
            merged[-1][1] = end
        else:
            merged.append([start, end])
    kept = [region for region in merged if region[1] - region[0] >= 0.03 * SAMPLE_RATE_HZ]  # shorter ones are clicks
    return np.array(kept, dtype=np.int64).reshape(-1, 2), float(floor_db - loud_db)


@lru_cache(maxsize=512)
def load_voice(path: Path) -> Voice | None:
    """Reads and analyses one utterance; None where it has no speech."""
    samples = read_audio(path, sample_rate_hz=SAMPLE_RATE_HZ)
    regions, floor_db = find_speech(samples)
    if len(regions) == 0:
        return None
    spoken = np.concatenate([samples[start:end] for start, end in regions])
    return Voice((samples * (0.1 / max(rms(spoken), 1e-9))).astype(np.float32), regions, floor_db)


def simulate(
    recording: str,
    voices: Sequence[Utterance],
    simulation: SimulationConfig,
    statistics: TurnTaking,
    *,
    rng: np.random.Generator,
) -> Conversation:
    """Makes one conversation; the same voices, settings and generator give the same samples.

    Args:
        voices: all voices of the split; speakers, and those who babble in the background, are drawn from them.
    """
    by_speaker: dict[str, list[Path]] = defaultdict(list)
    for utterance in voices:
        by_speaker[utterance.speaker].append(utterance.path)
    fewest, most = simulation.n_speakers
    n_speakers = min(int(rng.integers(fewest, most + 1)), len(by_speaker))
    everyone = rng.permutation(sorted(by_speaker)).tolist()
    speakers, others = everyone[:n_speakers], everyone[n_speakers:]
    bridge_s = float(rng.uniform(*simulation.bridge_pause_s))
    liveliness = float(rng.random()) if _happens(simulation.lively_probability, rng) else 0.0
    margins_s = (float(rng.uniform(*simulation.onset_margin_s)), float(rng.uniform(*simulation.offset_margin_s)))
    script = draw_script(
        statistics,
        n_speakers=n_speakers,
        duration_s=simulation.duration_s,
        max_turn_s=max(4.0, simulation.duration_s / 8),
        least_pause_s=bridge_s,
        liveliness=liveliness,
        rng=rng,
    )
    n_samples = round(simulation.duration_s * SAMPLE_RATE_HZ)
    floor_db = -100.0
    tracks = np.zeros((n_speakers, n_samples), dtype=np.float32)
    speech: list[list[tuple[int, int]]] = [[] for _ in speakers]
    cursor = 0
    for planned in script:
        own = speech[planned.speaker]
        start = cursor + round(planned.gap_s * SAMPLE_RATE_HZ)
        start = max(start, round(0.05 * SAMPLE_RATE_HZ), own[-1][1] + round(bridge_s * SAMPLE_RATE_HZ) if own else 0)
        room_left = n_samples - round(0.05 * SAMPLE_RATE_HZ) - start
        if room_left < 0.3 * SAMPLE_RATE_HZ:
            break
        placed, floor = _place(
            tracks[planned.speaker], start, room_left, by_speaker[speakers[planned.speaker]], planned, bridge_s, rng
        )
        own.extend(placed)
        floor_db = max(floor_db, floor)
        cursor = max(cursor, own[-1][1] if own else start)
    return Conversation(
        samples=_record(tracks, speech, [by_speaker[name] for name in others], floor_db, simulation, rng),
        reference=_reference(recording, speakers, speech, bridge_s, margins_s, simulation.duration_s),
    )


def _place(
    track: Samples,
    start: int,
    room_left: int,
    paths: Sequence[Path],
    planned: PlannedTurn,
    bridge_s: float,
    rng: np.random.Generator,
) -> tuple[list[tuple[int, int]], float]:
    """Adds phrases of one speaker to his track until the planned turn is full; returns their regions and loudest floor."""
    wanted = min(round(planned.duration_s * SAMPLE_RATE_HZ), room_left)
    placed: list[tuple[int, int]] = []
    floor_db, position, end = -100.0, start, start + wanted
    for _ in range(50):  # a bank of clicks must not hold the simulation up
        voice = load_voice(paths[int(rng.integers(len(paths)))])
        if voice is None:
            continue
        first, last = _choose_phrase(voice.regions, end - position, rng)
        offset = position - int(voice.regions[first, 0])
        if int(voice.regions[last, 1]) + offset > start + room_left:
            break
        piece_start, piece = _cut(voice, first, last, rng)
        _mix(track, piece_start + offset, piece)
        placed.extend((int(region[0]) + offset, int(region[1]) + offset) for region in voice.regions[first : last + 1])
        floor_db = max(floor_db, voice.floor_db)
        position = placed[-1][1] + round(float(rng.uniform(0.08, max(0.1, 0.9 * bridge_s))) * SAMPLE_RATE_HZ)
        if end - position < 0.25 * SAMPLE_RATE_HZ:
            break
    return placed, floor_db


def _choose_phrase(regions: NDArray[np.int64], wanted: int, rng: np.random.Generator) -> tuple[int, int]:
    """First and last region of a phrase about `wanted` samples long, or as long as the utterance allows."""
    first = int(rng.integers(len(regions)))
    lengths = regions[first:, 1] - regions[first, 0]
    last = first + int(np.abs(lengths - wanted).argmin())
    return first, last


def _cut(voice: Voice, first: int, last: int, rng: np.random.Generator) -> tuple[int, Samples]:
    """A phrase with faded margins of random length; returns its first sample in the utterance, and its samples."""
    regions = voice.regions
    before = int(regions[first, 0] - (regions[first - 1, 1] if first > 0 else 0))
    after = int((regions[last + 1, 0] if last + 1 < len(regions) else len(voice.samples)) - regions[last, 1])
    fade_in, fade_out = (max(1, min(gap, int(rng.uniform(0.02, 0.12) * SAMPLE_RATE_HZ))) for gap in (before, after))
    start, end = max(0, int(regions[first, 0]) - fade_in), min(len(voice.samples), int(regions[last, 1]) + fade_out)
    piece = voice.samples[start:end].copy()
    ramp_in, ramp_out = int(regions[first, 0]) - start, end - int(regions[last, 1])
    piece[:ramp_in] *= _ramp(ramp_in)
    if ramp_out:
        piece[-ramp_out:] *= _ramp(ramp_out)[::-1]
    return start, piece


def _ramp(n_samples: int) -> Samples:
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * (np.arange(n_samples) + 0.5) / max(n_samples, 1)), np.float32)


def _record(
    tracks: Samples,
    speech: Sequence[Sequence[tuple[int, int]]],
    others: Sequence[Sequence[Path]],
    floor_db: float,
    simulation: SimulationConfig,
    rng: np.random.Generator,
) -> Samples:
    """The microphone's signal: loudness per speaker, room, background, band limit."""
    gains_db = np.clip(rng.normal(0.0, simulation.level_spread_db, len(tracks)), -2.0 * simulation.level_spread_db, 12.0)
    tracks = tracks * (10.0 ** (gains_db / 20.0)).astype(np.float32)[:, None]
    spoken = [tracks[index][start:end] for index, own in enumerate(speech) for start, end in own]
    level = rms(np.concatenate(spoken)) if spoken else 0.1
    if _happens(simulation.nonverbal_probability, rng):
        _add_nonverbal(tracks, speech, level, rng)
    if _happens(simulation.bystander_probability, rng) and others:
        tracks = np.concatenate([tracks, _bystander(others, tracks.shape[1], level, rng)[None]])
    if rng.random() < simulation.room_probability:
        responses = draw_room(rng, n_positions=len(tracks), sample_rate_hz=SAMPLE_RATE_HZ)
        tracks = np.stack([reverberate(track, response) for track, response in zip(tracks, responses, strict=True)])
    mixed = tracks.sum(axis=0)
    # The background hides the utterances' own floors, the loudest of which may be raised by its speaker's gain.
    hiding_db = max(floor_db + float(gains_db.max(initial=0.0)) + 3.0, _ROOM_TONE_DB)
    background = draw_noise("pink", len(mixed), sample_rate_hz=SAMPLE_RATE_HZ, rng=rng)
    background_db = min(hiding_db, -15.0) - float(rng.uniform(0.0, 5.0) if hiding_db == _ROOM_TONE_DB else 0.0)
    mixed += background * np.float32(level * 10.0 ** (background_db / 20.0))
    if rng.random() < simulation.noise_probability:
        snr_db = float(rng.uniform(*simulation.snr_db))
        if others and rng.random() < simulation.babble_probability:
            noise = _babble(others, len(mixed), rng)
        elif rng.random() < simulation.music_probability:
            noise = draw_music(len(mixed), sample_rate_hz=SAMPLE_RATE_HZ, rng=rng)
        else:
            noise = draw_noise(str(rng.choice(NOISES)), len(mixed), sample_rate_hz=SAMPLE_RATE_HZ, rng=rng)
        mixed += noise * np.float32(level * 10.0 ** (-snr_db / 20.0))
    if rng.random() < simulation.telephone_probability:
        mixed = telephone_band(mixed, sample_rate_hz=SAMPLE_RATE_HZ)
    if rng.random() < simulation.codec_probability:
        mixed = through_codec(mixed, str(rng.choice(CODECS)), sample_rate_hz=SAMPLE_RATE_HZ)
    peak = float(np.abs(mixed).max())
    return np.asarray(mixed * (float(rng.uniform(0.3, 0.9)) / max(peak, 1e-9)), np.float32)


def _happens(probability: float, rng: np.random.Generator) -> bool:
    """Draws nothing where the answer is known: conversations of recipes without it stay what they are."""
    return probability > 0.0 and bool(rng.random() < probability)


def _add_nonverbal(tracks: Samples, speech: Sequence[Sequence[tuple[int, int]]], level: float, rng: np.random.Generator) -> None:
    """Adds sounds to the speakers' tracks: a third anywhere, the others close before an onset or after an offset."""
    a_second = rng.uniform(0.05, 0.4)
    for track, own in zip(tracks, speech, strict=True):
        for _ in range(rng.poisson(a_second / len(tracks) * len(track) / SAMPLE_RATE_HZ)):
            kind = str(rng.choice(SOUNDS))
            sound = draw_sound(kind, sample_rate_hz=SAMPLE_RATE_HZ, rng=rng)
            start = int(rng.integers(len(track)))
            gap = round(0.4 * float(rng.random()) ** 2 * SAMPLE_RATE_HZ)
            if own and rng.random() < 2.0 / 3.0:
                onset, offset = own[int(rng.integers(len(own)))]
                start = onset - gap - len(sound) if kind in ("breath", "lips") or rng.random() < 0.3 else offset + gap
            _mix(track, start, sound * np.float32(level * 10.0 ** (rng.uniform(*LEVELS_DB[kind]) / 20.0)))


def _bystander(others: Sequence[Sequence[Path]], n_samples: int, level: float, rng: np.random.Generator) -> Samples:
    """Phrases of a few people who are not in the conversation, well below it."""
    track = np.zeros(n_samples, dtype=np.float32)
    for _ in range(rng.poisson(rng.uniform(0.02, 0.12) * n_samples / SAMPLE_RATE_HZ)):
        paths = others[int(rng.integers(min(3, len(others))))]
        voice = load_voice(paths[int(rng.integers(len(paths)))])
        if voice is None:
            continue
        first, last = _choose_phrase(voice.regions, round(float(rng.uniform(0.2, 2.5)) * SAMPLE_RATE_HZ), rng)
        _, piece = _cut(voice, first, last, rng)
        _mix(track, int(rng.integers(n_samples)), piece * np.float32(level / 0.1 * 10.0 ** (rng.uniform(-28.0, -12.0) / 20.0)))
    return track


def _mix(track: Samples, start: int, piece: Samples) -> None:
    """Adds a piece where it overlaps the track."""
    low, high = max(0, start), min(len(track), start + len(piece))
    if low < high:
        track[low:high] += piece[low - start : high - start]


def _babble(others: Sequence[Sequence[Path]], n_samples: int, rng: np.random.Generator) -> Samples:
    """Several people who are not in the conversation talk without a break, each at his own level; RMS 1."""
    noise = np.zeros(n_samples, dtype=np.float32)
    for _ in range(int(rng.integers(4, 9))):
        paths = others[int(rng.integers(len(others)))]
        level = float(rng.uniform(0.4, 1.0))
        position = -int(rng.integers(0, 3 * SAMPLE_RATE_HZ))
        while position < n_samples:
            voice = load_voice(paths[int(rng.integers(len(paths)))])
            if voice is None:
                position += SAMPLE_RATE_HZ
                continue
            piece = voice.samples[max(0, -position) : n_samples - position]
            low = max(0, position)
            noise[low : low + len(piece)] += np.float32(level) * piece
            position += len(voice.samples)
    return (noise / max(rms(noise), 1e-12)).astype(np.float32)


def _reference(
    recording: str,
    speakers: Sequence[str],
    speech: Sequence[Sequence[tuple[int, int]]],
    bridge_s: float,
    margins_s: tuple[float, float],
    duration_s: float,
) -> Diarization:
    """The labels: regions joined by the pause rule, then widened by the margins of an annotator's convention."""
    turns = []
    for speaker, own in zip(speakers, speech, strict=True):
        merged: list[list[int]] = []
        for start, end in own:
            if merged and start - merged[-1][1] < bridge_s * SAMPLE_RATE_HZ:
                merged[-1][1] = end
            else:
                merged.append([start, end])
        turns += [
            Turn(max(0.0, start / SAMPLE_RATE_HZ - margins_s[0]), end / SAMPLE_RATE_HZ + margins_s[1], speaker)
            for start, end in merged
        ]
    return Diarization(recording, tuple(turns)).clipped(0.0, duration_s).unioned()


def write_audio(path: Path, samples: Samples) -> None:
    """Writes a 16-bit FLAC that is whole or absent."""
    half_made = path.with_name(f".{path.name}.tmp")
    soundfile.write(half_made, samples, SAMPLE_RATE_HZ, format="FLAC", subtype="PCM_16")
    half_made.replace(path)
