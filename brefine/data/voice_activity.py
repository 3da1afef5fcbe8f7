"""How probable speech is in each frame, by Silero's voice activity detector: a channel of the refiners' input.

The detector was trained on far more rooms, voices and noises than a simulation holds. Its own ends are too coarse to be a
refiner's (frames of 32 ms, and it lags), but what it calls speech in a foreign recording is worth knowing.

Source: the `silero-vad` package, whose weights come with it (no network), used through its own interface.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16000
_FRAME_SAMPLES = 512
_PIECE_FRAMES, _RUN_UP_FRAMES = 512, 64
"""The detector is recurrent and takes a frame at a time. Pieces of 16 s go through it side by side, ten times as fast as one
after the other; each starts two seconds early to come into its stride."""


def speech_track(samples: NDArray[np.float32], n_frames: int, *, hop_s: float) -> NDArray[np.float32]:
    """Probability of speech, interpolated to the frames' middles; shape (n_frames,), −1 (silence) to 1 (speech).

    Args:
        samples: mono, 16 kHz.
    """
    n_coarse = max(1, -(-len(samples) // _FRAME_SAMPLES))
    n_pieces = -(-n_coarse // _PIECE_FRAMES)
    padded = np.zeros((_RUN_UP_FRAMES + n_pieces * _PIECE_FRAMES) * _FRAME_SAMPLES, np.float32)
    padded[_RUN_UP_FRAMES * _FRAME_SAMPLES :][: len(samples)] = samples
    length = (_RUN_UP_FRAMES + _PIECE_FRAMES) * _FRAME_SAMPLES
    pieces = np.lib.stride_tricks.sliding_window_view(padded, length)[:: _PIECE_FRAMES * _FRAME_SAMPLES]
    if n_pieces == 1:  # a short recording is not padded to sixteen seconds of silence
        pieces = pieces[:, : (_RUN_UP_FRAMES + n_coarse) * _FRAME_SAMPLES]
    with torch.inference_mode(), _one_thread():
        probability = detector().audio_forward(torch.from_numpy(pieces.copy()), SAMPLE_RATE_HZ).numpy()
    coarse = probability[:, _RUN_UP_FRAMES:].ravel()[:n_coarse]
    coarse_s = (np.arange(len(coarse)) + 0.5) * _FRAME_SAMPLES / SAMPLE_RATE_HZ
    return np.asarray(2.0 * np.interp((np.arange(n_frames) + 0.5) * hop_s, coarse_s, coarse) - 1.0, np.float32)


@cache
def detector() -> Any:
    """Silero's detector, loaded once; the process's number of threads stays what it was."""
    with _one_thread(), warnings.catch_warnings():
        import silero_vad  # sets the process's threads to 1 when imported

        # The package loads its TorchScript weights in the only way it knows, which torch 2.11 calls deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        return silero_vad.load_silero_vad()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Torch on one thread for a while: the detector's steps are so short that several only wait for one another.

    On a machine with other work, and several recordings heard at once, that waiting takes ten times as long as the work.
    """
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)
