"""How clearly one voice, and a second one beside it, have a pitch: two channels that show where two people speak at once.

Mel bands are as wide as a voice's harmonics are apart, so two pitches at once look like noise there. Here each frame's spectrum
is compared with combs of harmonics; the harmonics of the best one are taken out, and what is left is compared again.

Source: Hermes 1988, "Measurement of pitch by subharmonic summation"; Klapuri 2006, "Multiple fundamental frequency estimation by
summing harmonic amplitudes" (taking one out to find the next).

Shapes: N frames, P pitches, K bins of the spectrum.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

SAMPLE_RATE_HZ = 16000
N_COLUMNS = 2
_WINDOW = 1024
"""Samples, 64 ms: long enough to separate harmonics that are 30 Hz apart."""
_N_FFT = 2048
_N_BINS = int(2600 * _N_FFT / SAMPLE_RATE_HZ)
_PITCHES_HZ = np.geomspace(75.0, 400.0, 120)
_HIGHEST_HARMONIC_HZ = 2480.0
_HARMONIC_WEIGHT = 0.86
"""Weight of each harmonic against the one below it."""
_HARMONIC_BINS = 3
"""Bins on either side that are taken out with a harmonic."""
_WHITENING_BINS = 65
_SAME_OCTAVES, _OCTAVE_OCTAVES = 0.08, 0.06
"""A second pitch this close to the first, or to its octaves, is only a trace of the first."""
_SMOOTHING_FRAMES = 11
_TYPICAL_C, _SPREAD_C = np.array([1.5, 0.66], np.float32), np.array([0.6, 0.2], np.float32)
"""About the mean and the standard deviation of the two in speech; they become 0 and 1."""
_FRAMES_AT_ONCE = 2048


class PitchListener:
    """Hears one recording block by block and keeps how clear its pitches were.

    Args:
        hop: samples between frames.
    """

    def __init__(self, hop: int) -> None:
        self._hop = hop
        self._buffer = np.zeros((_WINDOW - hop) // 2, np.float32)  # the part of the first window before the first sample
        self._clarity: list[NDArray[np.float32]] = []

    def listening(self, blocks: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
        """Passes a recording's samples on, mono at 16 kHz in pieces of any length, and hears them on the way."""
        for block in blocks:
            self._buffer = np.concatenate([self._buffer, block])
            self._hear(max(0, (len(self._buffer) - _WINDOW) // self._hop + 1))
            yield block

    def track(self, n_frames: int) -> NDArray[np.float32]:
        """Clarity of the clearest pitch and, smoothed over 11 frames, of a second one, after all has been heard.

        Returns:
            Shape (n_frames, 2), mostly within ±3; frames beyond the audio are of silence.
        """
        n_left = n_frames - sum(map(len, self._clarity))
        if n_left > 0:
            wanted = (n_left - 1) * self._hop + _WINDOW
            self._buffer = np.pad(self._buffer[:wanted], (0, max(0, wanted - len(self._buffer))))
            self._hear(n_left)
        clarity_NC = np.concatenate(self._clarity)[:n_frames]
        clarity_NC[:, 1] = uniform_filter1d(clarity_NC[:, 1], _SMOOTHING_FRAMES)
        return (clarity_NC - _TYPICAL_C) / _SPREAD_C

    def _hear(self, n_frames: int) -> None:
        if n_frames == 0:
            return
        windows_NW = np.lib.stride_tricks.sliding_window_view(self._buffer, _WINDOW)[:: self._hop][:n_frames]
        for start in range(0, n_frames, _FRAMES_AT_ONCE):
            self._clarity.append(_clarity(windows_NW[start : start + _FRAMES_AT_ONCE]))
        self._buffer = self._buffer[n_frames * self._hop :].copy()


class _Combs(NamedTuple):
    """The combs, one for each pitch that is looked for.

    Attributes:
        weights_PK: positive at its harmonics, negative between them; unit length.
        harmonics_PK: the bins that belong to its harmonics.
        shadows_PP: the pitches that only seem to be there along with it.
    """

    weights_PK: NDArray[np.float32]
    harmonics_PK: NDArray[np.bool_]
    shadows_PP: NDArray[np.bool_]


@cache
def _combs() -> _Combs:
    weights_PK = np.zeros((len(_PITCHES_HZ), _N_BINS), np.float32)
    harmonics_PK = np.zeros(weights_PK.shape, np.bool_)
    for weights_K, harmonics_K, pitch_hz in zip(weights_PK, harmonics_PK, _PITCHES_HZ, strict=True):
        for number in range(1, int(_HIGHEST_HARMONIC_HZ / pitch_hz) + 1):
            for place_hz, sign in ((number * pitch_hz, 1.0), ((number - 0.5) * pitch_hz, -1.0)):
                low, part = divmod(place_hz * _N_FFT / SAMPLE_RATE_HZ, 1.0)
                weight = sign * _HARMONIC_WEIGHT ** (number - 1)
                weights_K[int(low) : int(low) + 2] += np.array([1.0 - part, part]) * weight
            nearest = round(number * pitch_hz * _N_FFT / SAMPLE_RATE_HZ)
            harmonics_K[nearest - _HARMONIC_BINS : nearest + _HARMONIC_BINS + 1] = True
    weights_PK /= np.linalg.norm(weights_PK, axis=1, keepdims=True)
    apart_PP = np.abs(np.log2(_PITCHES_HZ[:, None] / _PITCHES_HZ))
    return _Combs(weights_PK, harmonics_PK, (apart_PP < _SAME_OCTAVES) | (np.abs(apart_PP - 1.0) < _OCTAVE_OCTAVES))


def _clarity(windows_NW: NDArray[np.float32]) -> NDArray[np.float32]:
    """How well the best comb fits each window, and how well the best other one fits what is left; shape (N, 2)."""
    combs = _combs()
    taper = np.hanning(_WINDOW + 1)[:-1].astype(np.float32)
    root_NK = np.sqrt(np.abs(scipy.fft.rfft(windows_NW * taper, _N_FFT)[:, :_N_BINS]))
    even_NK = uniform_filter1d(root_NK, _WHITENING_BINS, axis=1) + 1e-3 * root_NK.max(axis=1, keepdims=True) + 1e-9
    white_NK = root_NK / even_NK
    fit_NP = white_NK @ combs.weights_PK.T
    best_N = fit_NP.argmax(axis=1)
    left_NK = np.where(combs.harmonics_PK[best_N], np.minimum(white_NK, 1.0), white_NK)
    other_NP = np.where(combs.shadows_PP[best_N], -np.inf, left_NK @ combs.weights_PK.T)
    return np.stack([fit_NP.max(axis=1), other_NP.max(axis=1)], axis=1)
