"""A conversation as a microphone hears it: loudness, sounds without words, bystanders, the room, noise, channels.

The background goes on through the whole recording, always above the utterances' own noise floor. Nothing that is added here is
speech of the conversation, so it is not in the labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from brefine.config import SimulationConfig
from brefine.data.acoustics import (
    CODECS,
    NOISES,
    SAMPLE_RATE_HZ,
    Samples,
    draw_music,
    draw_noise,
    draw_room,
    happens,
    reverberate,
    rms,
    telephone_band,
    through_codec,
)
from brefine.data.nonverbal import BEFORE_SPEECH, LEVELS_DB, SOUNDS, draw_sound
from brefine.data.phrases import choose_phrase, cut_phrase, draw_voice, mix_in

_ROOM_TONE_DB = -45.0
"""Loudest background of a conversation without noise, against the speech: no recording is digitally silent."""


def record(
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
    if happens(simulation.nonverbal_probability, rng):
        _add_nonverbal(tracks, speech, level, rng)
    if happens(simulation.bystander_probability, rng) and others:
        tracks = np.concatenate([tracks, _bystander(others, tracks.shape[1], level, rng)[None]])
    if rng.random() < simulation.room_probability:
        responses = draw_room(rng, n_positions=len(tracks))
        tracks = np.stack([reverberate(track, response) for track, response in zip(tracks, responses, strict=True)])
    mixed = tracks.sum(axis=0)
    # The background hides the utterances' own floors, the loudest of which may be raised by its speaker's gain.
    hiding_db = max(floor_db + float(gains_db.max(initial=0.0)) + 3.0, _ROOM_TONE_DB)
    background = draw_noise("pink", len(mixed), rng=rng)
    background_db = min(hiding_db, -15.0) - float(rng.uniform(0.0, 5.0) if hiding_db == _ROOM_TONE_DB else 0.0)
    mixed += background * np.float32(level * 10.0 ** (background_db / 20.0))
    if rng.random() < simulation.noise_probability:
        snr_db = float(rng.uniform(*simulation.snr_db))
        if others and rng.random() < simulation.babble_probability:
            noise = _babble(others, len(mixed), rng)
        elif rng.random() < simulation.music_probability:
            noise = draw_music(len(mixed), rng=rng)
        else:
            noise = draw_noise(str(rng.choice(NOISES)), len(mixed), rng=rng)
        mixed += noise * np.float32(level * 10.0 ** (-snr_db / 20.0))
    if rng.random() < simulation.telephone_probability:
        mixed = telephone_band(mixed)
    if rng.random() < simulation.codec_probability:
        mixed = through_codec(mixed, str(rng.choice(CODECS)))
    peak = float(np.abs(mixed).max())
    return np.asarray(mixed * (float(rng.uniform(0.3, 0.9)) / max(peak, 1e-9)), np.float32)


def _add_nonverbal(tracks: Samples, speech: Sequence[Sequence[tuple[int, int]]], level: float, rng: np.random.Generator) -> None:
    """Adds sounds to the speakers' tracks: a third anywhere, the others close before an onset or after an offset."""
    a_second = rng.uniform(0.05, 0.6)
    for track, own in zip(tracks, speech, strict=True):
        for _ in range(rng.poisson(a_second / len(tracks) * len(track) / SAMPLE_RATE_HZ)):
            kind = str(rng.choice(SOUNDS))
            sound = draw_sound(kind, rng=rng)
            start = int(rng.integers(len(track)))
            gap = round(0.4 * float(rng.random()) ** 2 * SAMPLE_RATE_HZ)
            if own and rng.random() < 2.0 / 3.0:
                onset, offset = own[int(rng.integers(len(own)))]
                start = onset - gap - len(sound) if kind in BEFORE_SPEECH or rng.random() < 0.3 else offset + gap
            mix_in(track, start, sound * np.float32(level * 10.0 ** (rng.uniform(*LEVELS_DB[kind]) / 20.0)))


def _bystander(others: Sequence[Sequence[Path]], n_samples: int, level: float, rng: np.random.Generator) -> Samples:
    """Phrases of a few people who are not in the conversation, well below it."""
    track = np.zeros(n_samples, dtype=np.float32)
    for _ in range(rng.poisson(rng.uniform(0.02, 0.12) * n_samples / SAMPLE_RATE_HZ)):
        paths = others[int(rng.integers(min(3, len(others))))]
        voice = draw_voice(paths, rng)
        if voice is None:
            continue
        first, last = choose_phrase(voice.regions, round(float(rng.uniform(0.2, 2.5)) * SAMPLE_RATE_HZ), rng)
        _, piece = cut_phrase(voice, first, last, rng)
        mix_in(track, int(rng.integers(n_samples)), piece * np.float32(level / 0.1 * 10.0 ** (rng.uniform(-28.0, -12.0) / 20.0)))
    return track


def _babble(others: Sequence[Sequence[Path]], n_samples: int, rng: np.random.Generator) -> Samples:
    """Several people who are not in the conversation talk without a break, each at his own level; RMS 1."""
    noise = np.zeros(n_samples, dtype=np.float32)
    for _ in range(int(rng.integers(4, 9))):
        paths = others[int(rng.integers(len(others)))]
        level = float(rng.uniform(0.4, 1.0))
        position = -int(rng.integers(0, 3 * SAMPLE_RATE_HZ))
        while position < n_samples:
            voice = draw_voice(paths, rng)
            if voice is None:
                position += SAMPLE_RATE_HZ
                continue
            piece = voice.samples[max(0, -position) : n_samples - position]
            low = max(0, position)
            noise[low : low + len(piece)] += np.float32(level) * piece
            position += len(voice.samples)
    return (noise / max(rms(noise), 1e-12)).astype(np.float32)
