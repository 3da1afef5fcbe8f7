"""Simulated conversations with exact boundaries.

A script of turns (`turn_taking`) is filled with phrases of real or synthetic voices. **The true boundary is where the energy of
the placed speech starts and stops**: the first and last sample within 35 dB of the utterance's loud parts, found in frames of
10 ms, every 2.5 ms, on the dry voice, before room and noise; reverberation after the last word is not speech. **The pause
rule**: silences of one speaker shorter than the conversation's `bridge_pause_s` do not end his turn, longer ones do, even those
within an utterance. Annotators leave margins: `onset_margin_s` and `offset_margin_s` widen the labels by a convention's habit.

`phrases` cuts the speech, `soundscape` adds what else a microphone hears.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import soundfile

from brefine.config import SimulationConfig
from brefine.core.turns import Diarization, Turn
from brefine.data.acoustics import SAMPLE_RATE_HZ, Samples, happens
from brefine.data.phrases import choose_phrase, cut_phrase, draw_voice, mix_in
from brefine.data.soundscape import record
from brefine.data.turn_taking import PlannedTurn, TurnTaking, draw_script
from brefine.data.voices import Utterance
from brefine.io.atomic import write_bytes_atomic
from brefine.io.audio import format_flac


@dataclass(frozen=True, slots=True, eq=False)
class Conversation:
    """One simulated recording and its exact reference."""

    samples: Samples
    reference: Diarization


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
    liveliness = float(rng.random()) if happens(simulation.lively_probability, rng) else 0.0
    margins_s = (float(rng.uniform(*simulation.onset_margin_s)), float(rng.uniform(*simulation.offset_margin_s)))
    script = draw_script(
        statistics,
        n_speakers=n_speakers,
        duration_s=simulation.duration_s,
        max_turn_s=max(4.0, simulation.duration_s / 8),
        least_pause_s=bridge_s,
        liveliness=liveliness,
        short_share=float(rng.uniform(*simulation.short_turns)) if simulation.short_turns[1] > 0.0 else 0.0,
        silence_factor=float(np.exp(rng.uniform(*np.log(simulation.silence_factor)))),
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
        samples=record(tracks, speech, [by_speaker[name] for name in others], floor_db, simulation, rng),
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
    for _ in range(50):  # with a limit, so that a bank of clicks does not hold the simulation up
        voice = draw_voice(paths, rng)
        if voice is None:
            continue
        first, last = choose_phrase(voice.regions, end - position, rng)
        offset = position - int(voice.regions[first, 0])
        if int(voice.regions[last, 1]) + offset > start + room_left:
            break
        piece_start, piece = cut_phrase(voice, first, last, rng)
        mix_in(track, piece_start + offset, piece * np.float32(10.0 ** (planned.level_db / 20.0)))
        placed.extend((int(region[0]) + offset, int(region[1]) + offset) for region in voice.regions[first : last + 1])
        floor_db = max(floor_db, voice.floor_db + planned.level_db)
        position = placed[-1][1] + round(float(rng.uniform(0.08, max(0.1, 0.9 * bridge_s))) * SAMPLE_RATE_HZ)
        if end - position < 0.25 * SAMPLE_RATE_HZ:
            break
    return placed, floor_db


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


_MARK = "simulated by brefine"
SIMULATED: Final = "simulated-by-brefine"
"""Mark in the references of simulated conversations: it stays when the audio is converted and loses its own mark."""


def write_audio(path: Path, samples: Samples) -> None:
    """Writes a 16-bit FLAC that is whole or absent, and marked as made.

    Raises:
        OSError: it cannot be written.
    """
    write_bytes_atomic(path, format_flac(samples, SAMPLE_RATE_HZ, comment=_MARK))


def is_simulated(audio: Path) -> bool:
    """Whether brefine made this file, in whatever folder it is; converting a file removes the mark."""
    try:
        return bool(soundfile.SoundFile(os.fsencode(audio)).copy_metadata().get("comment") == _MARK)
    except soundfile.LibsndfileError:  # a format that is read by other means
        return False
