"""Where there is speech: Silero's voice activity detector on a grid of 10 ms.

Source: the `silero-vad` package, whose weights come with it (no network), used through its own interface. Its frames of
512 samples (32 ms) are interpolated to the grid from their middles.
"""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16000
HOP_S = 0.01

_VAD_FRAME_SAMPLES = 512


def speech_probability(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probability of speech in each 10 ms.

    Args:
        samples: shape (n_samples,), 16 kHz.

    Returns:
        Shape (n_frames,), 0–1; frame k covers [k, k + 1) · 10 ms; as many frames as fit into the audio, rounded up.
    """
    n_frames = -(-len(samples) // round(HOP_S * SAMPLE_RATE_HZ))
    if len(samples) < _VAD_FRAME_SAMPLES:  # the detector refuses less than a frame
        samples = np.pad(samples, (0, _VAD_FRAME_SAMPLES - len(samples)))
    with torch.inference_mode():
        coarse = _detector().audio_forward(torch.from_numpy(samples)[None], SAMPLE_RATE_HZ)[0].numpy()
    coarse_s = (np.arange(len(coarse)) + 0.5) * _VAD_FRAME_SAMPLES / SAMPLE_RATE_HZ
    return np.asarray(np.interp((np.arange(n_frames) + 0.5) * HOP_S, coarse_s, coarse), np.float32)


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


@cache
def _detector() -> Any:
    n_threads = torch.get_num_threads()
    try:
        import silero_vad  # sets the process's threads to 1 when imported

        with warnings.catch_warnings():
            # The package loads its TorchScript weights in the only way it knows, which torch 2.11 calls deprecated.
            warnings.simplefilter("ignore", DeprecationWarning)
            return silero_vad.load_silero_vad()
    finally:
        torch.set_num_threads(n_threads)
