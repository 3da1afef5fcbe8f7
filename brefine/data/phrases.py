"""Phrases of one utterance: where its energy is, and pieces of it that can be placed anywhere.

Nothing but the speech itself may reveal where it starts: phrases are faded in and out over random margins, so that an utterance's
own noise floor has no edge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from brefine.data.acoustics import SAMPLE_RATE_HZ, Samples, rms
from brefine.io.audio import read_audio

_HOP = 40  # samples: 2.5 ms
_FRAME = 160  # samples: 10 ms
_CUT_GAP_S = 0.04
"""Silences within an utterance at which a phrase may start or stop; shorter ones belong to a sound, such as a plosive."""
_SILENCE_DB = -75.0
"""Against full scale; nothing below counts as speech, however quiet the rest is."""


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
        # Within the first and last active frame, single samples give the place to a tenth of a millisecond.
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
    """Reads and analyses one utterance; None if it has no speech."""
    samples = read_audio(path, sample_rate_hz=SAMPLE_RATE_HZ)
    regions, floor_db = find_speech(samples)
    if len(regions) == 0:
        return None
    spoken = np.concatenate([samples[start:end] for start, end in regions])
    return Voice((samples * (0.1 / max(rms(spoken), 1e-9))).astype(np.float32), regions, floor_db)


def choose_phrase(regions: NDArray[np.int64], wanted: int, rng: np.random.Generator) -> tuple[int, int]:
    """First and last region of a phrase about `wanted` samples long, or as long as the utterance allows."""
    first = int(rng.integers(len(regions)))
    lengths = regions[first:, 1] - regions[first, 0]
    last = first + int(np.abs(lengths - wanted).argmin())
    return first, last


def cut_phrase(voice: Voice, first: int, last: int, rng: np.random.Generator) -> tuple[int, Samples]:
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


def draw_voice(paths: Sequence[Path], rng: np.random.Generator) -> Voice | None:
    """One of a speaker's utterances; None if it has no speech."""
    return load_voice(paths[int(rng.integers(len(paths)))])


def mix_in(track: Samples, start: int, piece: Samples) -> None:
    """Adds a piece where it overlaps the track."""
    low, high = max(0, start), min(len(track), start + len(piece))
    if low < high:
        track[low:high] += piece[low - start : high - start]
