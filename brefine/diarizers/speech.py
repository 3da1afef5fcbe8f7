"""Where there is speech: Silero's voice activity detector on a grid of 10 ms.

Source: the `silero-vad` package, whose weights come with it (no network), used through its own interface. Its frames of
512 samples (32 ms) are interpolated to the grid from their middles.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray

from brefine.data.voice_activity import detector

SAMPLE_RATE_HZ = 16000
HOP_S = 0.01

_VAD_FRAME_SAMPLES = 512
_CHUNK_SAMPLES = 18750 * _VAD_FRAME_SAMPLES
"""Ten minutes: what the detector hears in one go, however long the recording is."""
_WARM_UP_SAMPLES = 64 * _VAD_FRAME_SAMPLES
"""Two seconds that it hears again before the next ten minutes, so that it does not start from nothing."""


def speech_probability(blocks: Iterable[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Probability of speech in each 10 ms.

    Args:
        blocks: one recording's samples at 16 kHz, in pieces of any length.

    Returns:
        Shape (n_frames,), 0–1; frame k covers [k, k + 1) · 10 ms; as many frames as fit into the audio, rounded up.
    """
    n_samples = 0
    coarse: list[NDArray[np.float32]] = []
    heard = waiting = np.zeros(0, np.float32)  # what the next chunk is warmed up with, and what waits to become one
    for block in blocks:
        n_samples += len(block)
        waiting = np.concatenate([waiting, block])
        while len(waiting) >= _CHUNK_SAMPLES:
            coarse.append(_detect(heard, waiting[:_CHUNK_SAMPLES]))
            heard, waiting = waiting[_CHUNK_SAMPLES - _WARM_UP_SAMPLES : _CHUNK_SAMPLES], waiting[_CHUNK_SAMPLES:]
    if len(waiting) or not coarse:
        coarse.append(_detect(heard, waiting))
    probability = np.concatenate(coarse)
    coarse_s = (np.arange(len(probability)) + 0.5) * _VAD_FRAME_SAMPLES / SAMPLE_RATE_HZ
    n_frames = -(-n_samples // round(HOP_S * SAMPLE_RATE_HZ))
    return np.asarray(np.interp((np.arange(n_frames) + 0.5) * HOP_S, coarse_s, probability), np.float32)


def _detect(heard: NDArray[np.float32], samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """The detector's answer for each of its frames of `samples`, after it has listened to `heard`."""
    samples = np.concatenate([heard, samples])
    if len(samples) < _VAD_FRAME_SAMPLES:  # the detector refuses less than a frame
        samples = np.pad(samples, (0, _VAD_FRAME_SAMPLES - len(samples)))
    with torch.inference_mode():
        answer = detector().audio_forward(torch.from_numpy(samples)[None], SAMPLE_RATE_HZ)[0].numpy()
    return np.asarray(answer[len(heard) // _VAD_FRAME_SAMPLES :], np.float32)


def speech_frames(
    probability: NDArray[np.float32],
    *,
    enter: float = 0.25,
    leave: float = 0.12,
    min_pause_s: float = 0.3,
    min_speech_s: float = 0.15,
) -> NDArray[np.bool_]:
    """Decides by hysteresis, then bridges short pauses and drops short bursts.

    Returns:
        Shape (n_frames,).
    """
    speech = np.zeros(len(probability), bool)
    inside = False
    for frame, value in enumerate(probability):
        inside = value >= (leave if inside else enter)
        speech[frame] = inside
    for start, end in runs(~speech):
        if start > 0 and end < len(speech) and (end - start) * HOP_S < min_pause_s:
            speech[start:end] = True
    for start, end in runs(speech):
        if (end - start) * HOP_S < min_speech_s:
            speech[start:end] = False
    return speech


def runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """The runs of true frames as half-open intervals."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]
