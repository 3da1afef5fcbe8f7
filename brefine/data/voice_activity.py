"""How probable speech is along a recording, by Silero's voice activity detector.

This is a channel of the refiners' input, and the built-in diarizer starts from it. The detector was trained on far more rooms,
voices and noises than a simulation has. Its own ends are too coarse for a refiner (frames of 32 ms, and it lags), but it is worth
knowing what it calls speech in an unknown recording.

Source: the `silero-vad` package, whose weights come with it (no network), used through its own interface.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16000
_FRAME_SAMPLES = 512
_PIECE_FRAMES, _RUN_UP_FRAMES = 512, 64
"""The detector is recurrent and takes a frame at a time. Pieces of 16 s go through it side by side, eight times as fast as one
after the other; each starts two seconds early, so that its state settles, the first one with a mirror image of its beginning: the
detector takes any sound that sets in after silence for speech."""
_SAMPLES_AT_ONCE = 64 * _PIECE_FRAMES * _FRAME_SAMPLES
"""64 pieces, 17 minutes, 67 MB: the most that is held of a recording, however long it is."""
_ALONE = threading.RLock()
"""Held while the detector, which has a state of its own, works, and while torch has another number of threads, which applies to
the whole process: recordings heard in several threads take turns. The state between two pieces is in the `SpeechListener`."""
_LEVEL_SAMPLES = SAMPLE_RATE_HZ // 10
_ENOUGH = 10
"""With so many tenths of a second of ordinary sound a recording is not faint."""
_FAINT, _USUAL_DB = 10.0 ** (-45.0 / 10.0), -30.0
"""The power below which, and the level to which, a faint recording is raised; headset mixes of meetings lie between −27 and
−43 dBFS. 30 dB fainter the detector would hear 45 % of their speech instead of 79 %, and 50 dB fainter none."""
_LOUDEST_DB = -18.0
"""Sound that lasts, such as a word of ordinary level in a quiet recording, is raised to this at most: the peaks of speech lie 15
to 18 dB above its power, and the detector does not take sound that is clipped throughout for speech."""
_OFFSET = 0.0003
"""A constant in the raised samples up to this is left in, full scale 1; AMI's meetings have one of 0.0001."""

_SILENT_SAMPLES = SAMPLE_RATE_HZ // 100
"""Zeros in a row that are digital silence, not a signal that passes through 0."""

_Decode = Callable[[], Iterable[NDArray[np.float32]]]


def levelled(decode: _Decode) -> _Decode:
    """A recording's samples at a level that the detector can hear: those of a very faint one are multiplied by a power of two.

    If a converter has added a constant to them, it is subtracted first, since it would be taken for sound. Digital silence,
    which has no constant, stays.

    Args:
        decode: gives the samples block by block, mono at 16 kHz, from the beginning each time. It is asked for them here, up to
            the first second of ordinary sound; of a faint recording, and of one with a constant, for all.
    """
    gain, offset = _level(decode())
    if abs(offset) * gain > _OFFSET:  # by what was heard so far; in the whole recording it may be less
        offset = _offset([_means(tenths) for tenths in _tenths(decode())])
    if abs(offset) * gain <= _OFFSET:
        return _raised(decode, gain)
    constant = np.float32(offset)

    def centred() -> Iterator[NDArray[np.float32]]:
        return (_without(constant, block) for block in decode())

    return _raised(centred, _level(centred())[0])


def _without(constant: np.float32, block: NDArray[np.float32]) -> NDArray[np.float32]:
    centred = block - constant
    heard = np.concatenate([[-1], np.flatnonzero(block), [len(block)]])
    for place in np.flatnonzero(np.diff(heard) > _SILENT_SAMPLES):
        centred[heard[place] + 1 : heard[place + 1]] = 0.0
    return centred


def _raised(decode: _Decode, gain: float) -> _Decode:
    return decode if gain == 1.0 else lambda: (np.clip(block * np.float32(gain), -1.0, 1.0) for block in decode())


def _level(blocks: Iterable[NDArray[np.float32]]) -> tuple[float, float]:
    """The gain of a recording, and its constant by what was heard to find the gain.

    The gain is 1 if a second, or a twentieth of a shorter recording, is of ordinary level; else it brings such a part to a usual
    level.
    """
    powers, means, n_ordinary = [np.zeros(0)], list[NDArray[np.float64]](), 0
    for tenths in _tenths(blocks):
        powers.append(np.square(tenths).mean(axis=1, dtype=np.float64))
        means.append(_means(tenths))
        n_ordinary += int((powers[-1] >= _FAINT).sum())
        if n_ordinary >= _ENOUGH:
            break
    return 1.0 if n_ordinary >= _ENOUGH else _gain(np.concatenate(powers)), _median(means)


def _tenths(blocks: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
    """The whole tenths of a second of each block, with the rest of the block before; shape (n_tenths, _LEVEL_SAMPLES)."""
    rest = np.zeros(0, np.float32)
    for block in blocks:
        samples = np.concatenate([rest, block])
        n_whole = len(samples) // _LEVEL_SAMPLES * _LEVEL_SAMPLES
        rest = samples[n_whole:]
        yield samples[:n_whole].reshape(-1, _LEVEL_SAMPLES)


def _means(tenths: NDArray[np.float32]) -> NDArray[np.float64]:
    """The means of the tenths that are not digital silence: without a signal, a converter has added nothing to it."""
    return np.asarray(tenths[tenths.any(axis=1)].mean(axis=1, dtype=np.float64))


def _offset(means: Sequence[NDArray[np.float64]]) -> float:
    """The constant in a whole recording: the median, since speech may lean to one side while it lasts.

    It is 0 if half of the tenths of a second are further from it than it is from 0: then it is chance.
    """
    offset = _median(means)
    return offset if _median([np.abs(own - offset) for own in means]) < abs(offset) else 0.0


def _median(means: Sequence[NDArray[np.float64]]) -> float:
    found = np.concatenate([np.zeros(0), *means])
    return float(np.median(found)) if len(found) else 0.0


def _gain(power: NDArray[np.float64]) -> float:
    """The gain that brings a faint recording, by the power of its tenths of a second, to a usual level; 1 if silent or loud.

    It is less, but not below 1, if sound that lasts two tenths in a row is louder than the rest.
    """
    loud = float(np.sort(power)[-min(_ENOUGH, 1 + len(power) // 20)]) if len(power) else 0.0
    if loud == 0.0 or loud >= _FAINT:
        return 1.0
    doublings = np.round(_doublings(loud, _USUAL_DB))
    lasting = float(np.minimum(power[1:], power[:-1]).max(initial=0.0))  # a click is over within a tenth of a second
    if lasting > 0.0:
        doublings = min(doublings, np.floor(_doublings(lasting, _LOUDEST_DB)))
    return float(2.0 ** max(doublings, 0.0))


def _doublings(power: float, level_db: float) -> float:
    return float((level_db - 10.0 * np.log10(power)) / (20.0 * np.log10(2.0)))


class SpeechListener:
    """Hears one recording block by block and keeps how probable speech was."""

    def __init__(self) -> None:
        self._run_up: NDArray[np.float32] | None = None
        self._probability: list[NDArray[np.float32]] = []

    def listening(self, blocks: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
        """Passes a recording's samples on, mono at 16 kHz in pieces of any length, and hears them on the way."""
        waiting: list[NDArray[np.float32]] = []
        n_waiting = 0
        for block in blocks:
            waiting.append(block)
            n_waiting += len(block)
            if n_waiting >= _SAMPLES_AT_ONCE:
                samples = np.concatenate(waiting)
                while len(samples) >= _SAMPLES_AT_ONCE:
                    self._hear(samples[:_SAMPLES_AT_ONCE])
                    samples = samples[_SAMPLES_AT_ONCE:]
                waiting, n_waiting = [samples], len(samples)
            yield block
        if n_waiting or not self._probability:
            self._hear(np.concatenate([np.zeros(0, np.float32), *waiting]))

    def _hear(self, samples: NDArray[np.float32]) -> None:
        """Hears the next samples, at most `_SAMPLES_AT_ONCE`; an incomplete last frame is filled with silence."""
        n_run_up = _RUN_UP_FRAMES * _FRAME_SAMPLES
        if self._run_up is None:
            mirrored = samples[:n_run_up][::-1]
            self._run_up = np.pad(mirrored, (n_run_up - len(mirrored), 0))
        n_frames = max(1, -(-len(samples) // _FRAME_SAMPLES))
        n_pieces = -(-n_frames // _PIECE_FRAMES)
        # a short recording is not padded to sixteen seconds
        length = (_RUN_UP_FRAMES + (_PIECE_FRAMES if n_pieces > 1 else n_frames)) * _FRAME_SAMPLES
        missing = (n_pieces - 1) * _PIECE_FRAMES * _FRAME_SAMPLES + length - n_run_up - len(samples)
        padded = np.concatenate([self._run_up, samples, np.zeros(missing, np.float32)])
        pieces = np.lib.stride_tricks.sliding_window_view(padded, length)[:: _PIECE_FRAMES * _FRAME_SAMPLES]
        with torch.inference_mode(), _one_thread():
            answer = detector().audio_forward(torch.from_numpy(pieces.copy()), SAMPLE_RATE_HZ).numpy()
        self._probability.append(np.asarray(answer[:, _RUN_UP_FRAMES:].ravel()[:n_frames], np.float32))
        self._run_up = samples[-n_run_up:].copy()

    def probability(self, n_frames: int, *, hop_s: float) -> NDArray[np.float32]:
        """Probability of speech at the middles of frames, after all has been heard; shape (n_frames,), 0–1."""
        coarse = np.concatenate(self._probability)
        coarse_s = (np.arange(len(coarse)) + 0.5) * _FRAME_SAMPLES / SAMPLE_RATE_HZ
        return np.asarray(np.interp((np.arange(n_frames) + 0.5) * hop_s, coarse_s, coarse), np.float32)

    def track(self, n_frames: int, *, hop_s: float) -> NDArray[np.float32]:
        """The same from −1 (silence) to 1 (speech), as the refiners see it."""
        return 2.0 * self.probability(n_frames, hop_s=hop_s) - 1.0


@cache
def detector() -> Any:
    """Silero's detector, loaded once; the process's number of threads stays what it was."""
    with _one_thread(), warnings.catch_warnings():
        import silero_vad  # sets the process's threads to 1 when imported

        # The package loads its TorchScript weights in a way that torch 2.11 calls deprecated, and offers no other.
        warnings.simplefilter("ignore", DeprecationWarning)
        return silero_vad.load_silero_vad()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Torch on one thread for a while, with `_ALONE` held.

    The detector's steps are so short that several threads only wait for one another. On a machine with other work, and
    several recordings heard at once, that waiting takes ten times as long as the work.
    """
    with _ALONE:
        n_threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(n_threads)
