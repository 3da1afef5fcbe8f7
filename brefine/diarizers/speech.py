"""Where there is speech: the voice activity detector's answer on a grid of 10 ms, and which frames of it count as speech."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from brefine.data.voice_activity import SAMPLE_RATE_HZ, SpeechListener

HOP_S = 0.01


def speech_probability(blocks: Iterable[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Probability of speech in each 10 ms.

    Args:
        blocks: one recording's samples at 16 kHz, in pieces of any length.

    Returns:
        Shape (n_frames,), 0–1; frame k covers [k, k + 1) · 10 ms; as many frames as fit into the audio, rounded up.
    """
    listener = SpeechListener()
    n_samples = sum(len(block) for block in listener.listening(blocks))
    return listener.probability(-(-n_samples // round(HOP_S * SAMPLE_RATE_HZ)), hop_s=HOP_S)


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
