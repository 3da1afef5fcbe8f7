"""Log-mel frames of a recording.

Frame `f` covers `[f·hop, (f + 1)·hop)` seconds; its analysis window is centred on the middle of that span, so that no
frame looks further to one side than to the other. The analysis is in `analyse` and its relatives alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from brefine.config import FeatureConfig
from brefine.core.mel import mel_of
from brefine.data.nearby import pieces
from brefine.data.pitch import N_COLUMNS, PitchListener
from brefine.errors import DataError
from brefine.io.audio import audio_blocks

ANALYSIS_VERSION = 5
"""Version of the code between an audio file and its frames: `io.audio`, `core.mel`, this module, `data.voice_activity` and
`data.pitch`. Raise it with any change there that changes frames: older stores are then made again when their corpus is prepared
again."""
_FLOOR = 1e-8
"""Power below which a band counts as silent (full scale = 1); keeps the logarithm where float16 is fine enough."""
_BLOCK_FRAMES = 4096

Decode = Callable[[], Iterable[NDArray[np.float32]]]
"""A recording's samples block by block, from the beginning each time."""
_Track = Callable[[int], NDArray[np.float32]]
"""Number of frames → their columns, shape (n_frames, n_columns)."""


def log_mel_blocks(
    blocks: Iterable[NDArray[np.float32]], config: FeatureConfig, *, n_frames: int | None = None
) -> Iterator[NDArray[np.float32]]:
    """Natural log of the mel band powers of a recording that arrives block by block, a few thousand frames at a time.

    Args:
        blocks: mono audio at `config.sample_rate_hz`, shape (n_samples,) each, full scale 1.
        n_frames: how many frames to give in all: surplus audio is left out, missing audio is silence. None = as many as
            `n_frames_of` says.
    """
    hop, window = config.grid.hop_samples, config.grid.samples_of(config.window_s)
    n_done, n_samples = 0, 0
    buffer = np.zeros((window - hop) // 2, np.float32)  # the part of the first window before the first sample
    for block in blocks:
        n_samples += len(block)
        buffer = np.concatenate([buffer, block])
        n_ready = max(0, (len(buffer) - window) // hop + 1)
        if n_frames is not None:
            n_ready = min(n_ready, n_frames - n_done)
        for start in range(0, n_ready, _BLOCK_FRAMES):
            yield _spectra(buffer[start * hop :], min(_BLOCK_FRAMES, n_ready - start), config)
        buffer = buffer[n_ready * hop :]
        n_done += n_ready
    n_left = (n_frames_of(n_samples, config) if n_frames is None else n_frames) - n_done
    if n_left > 0:
        wanted = (n_left - 1) * hop + window
        yield _spectra(np.pad(buffer[:wanted], (0, max(0, wanted - len(buffer)))), n_left, config)


def _spectra(samples: NDArray[np.float32], n_frames: int, config: FeatureConfig) -> NDArray[np.float32]:
    """Frames whose windows start at the first sample, a hop later, and so on."""
    hop, window = config.grid.hop_samples, config.grid.samples_of(config.window_s)
    n_fft = 1 << (window - 1).bit_length()
    taper = np.hanning(window + 1)[:-1].astype(np.float32)
    spans = np.lib.stride_tricks.sliding_window_view(samples, window)[::hop][:n_frames]
    spectrum = scipy.fft.rfft(spans * taper, n_fft)
    power = spectrum.real**2 + spectrum.imag**2
    return np.asarray(np.log(power @ _mel_filters(config.n_mels, n_fft, config.sample_rate_hz) + _FLOOR), np.float32)


def analyse(samples: NDArray[np.float32], config: FeatureConfig) -> NDArray[np.float32]:
    """A recording's frames: the log-mel bands and, if the recipe asks for them, the probability of speech and two of pitch.

    Returns:
        Shape (n_frames_of(n_samples), n_columns_of(config)).
    """
    frames_NC = np.empty((n_frames_of(len(samples), config), n_columns_of(config)), np.float32)
    analyse_into(frames_NC, lambda: [samples], config)
    return frames_NC


def analyse_file(
    audio: Path, config: FeatureConfig, *, report: Callable[[float], None] = lambda heard_s: None
) -> tuple[NDArray[np.float16], int]:
    """The same for a file, in a store's precision, and the number of its samples at `config.sample_rate_hz`.

    The file is decoded block by block, so memory grows with the frames alone, 16 kB a second, and not with the samples.

    Args:
        report: called again and again with the most seconds that were decoded so far. A faint recording, and one with a constant
            in its samples, is decoded more than once; the seconds stand still meanwhile.

    Raises:
        DataError: the file cannot be read, or holds no audio.
    """
    frames_NC, n_samples, n_heard = np.empty((0, n_columns_of(config)), np.float16), 0, 0

    def counted() -> Iterator[NDArray[np.float32]]:
        nonlocal n_samples, n_heard
        n_samples = 0
        for block in audio_blocks(audio, sample_rate_hz=config.sample_rate_hz):
            n_samples += len(block)
            n_heard = max(n_heard, n_samples)
            report(n_heard / config.sample_rate_hz)
            yield block

    blocks, tracks = _heard_on_the_way(counted, config)
    bands, n_done = log_mel_blocks(blocks, config), 0
    for part in bands:
        if n_done + len(part) > len(frames_NC):  # the length is not known beforehand: an MP3's header estimates it
            frames_NC.resize((2 * n_done + len(part), frames_NC.shape[1]), refcheck=False)
        frames_NC[n_done : n_done + len(part), : config.n_mels] = part
        n_done += len(part)
    if n_samples == 0:
        raise DataError("the audio is empty", where=audio)
    frames_NC.resize((n_done, frames_NC.shape[1]), refcheck=False)
    _write_tracks(frames_NC, tracks, config)
    return frames_NC, n_samples


def is_silent(frames_NC: NDArray[np.floating], config: FeatureConfig) -> bool:
    """Whether no band of any frame holds sound: digital silence, or channels that cancel each other."""
    return bool(frames_NC[:, : config.n_mels].max() <= np.log(2.0 * _FLOOR))


def analyse_into(frames_NC: NDArray[np.floating], decode: Decode, config: FeatureConfig) -> None:
    """Analyses a recording into an array of shape (n_frames, n_columns_of(config)), whose length decides.

    Surplus audio is left out, missing audio is silence.

    Args:
        decode: gives the samples block by block, from the beginning each time.
    """
    blocks, tracks = _heard_on_the_way(decode, config)
    n_done = 0
    for part in log_mel_blocks(blocks, config, n_frames=len(frames_NC)):
        frames_NC[n_done : n_done + len(part), : config.n_mels] = part
        n_done += len(part)
    _write_tracks(frames_NC, tracks, config)


def _heard_on_the_way(decode: Decode, config: FeatureConfig) -> tuple[Iterable[NDArray[np.float32]], list[_Track]]:
    """The blocks, to be passed on, and the tracks of the listeners that hear them on the way, ready once all have passed."""
    tracks: list[_Track] = []
    if config.speech:
        # here, since it loads torch and a detector, which not every recipe needs
        from brefine.data.voice_activity import SpeechListener, levelled

        speech = SpeechListener()
        blocks: Iterable[NDArray[np.float32]] = speech.listening(levelled(decode)())
        tracks.append(lambda n_frames: speech.track(n_frames, hop_s=config.hop_s)[:, None])
    else:
        blocks = decode()
    if config.pitch:
        pitch = PitchListener(config.grid.hop_samples)
        blocks = pitch.listening(blocks)
        tracks.append(pitch.track)
    return blocks, tracks


def _write_tracks(frames_NC: NDArray[np.floating], tracks: Sequence[_Track], config: FeatureConfig) -> None:
    first = config.n_mels
    for track in tracks:
        columns_NC = track(len(frames_NC))
        frames_NC[:, first : first + columns_NC.shape[1]] = columns_NC
        first += columns_NC.shape[1]


def analysis_of(config: FeatureConfig) -> str:
    """What frames depend on besides the audio: the parameters, the version of the analysis, and that of its speech detector."""
    detector = version("silero-vad") if config.speech else None
    return json.dumps([config.model_dump(mode="json"), _FLOOR, ANALYSIS_VERSION, detector], sort_keys=True)


def n_columns_of(config: FeatureConfig) -> int:
    """Columns of a recording's frames."""
    return config.n_mels + config.speech + N_COLUMNS * config.pitch


def n_frames_of(n_samples: int, config: FeatureConfig) -> int:
    """How many whole hops fit into the audio; at least one."""
    return max(1, config.grid.n_frames(n_samples))


def normalised(log_mel_NF: NDArray[np.floating], active_SN: NDArray[np.bool_], hop_s: float) -> NDArray[np.float32]:
    """The frames with zero mean and unit variance in each band; see `normalise`."""
    frames = np.array(log_mel_NF, np.float32)
    normalise(frames, active_SN, hop_s)
    return frames


def normalise(log_mel_NF: NDArray[np.float32], active_SN: NDArray[np.bool_], hop_s: float) -> None:
    """Zero mean and unit variance in each band over what is heard nearby (`nearby`), in place; this removes level and channel.

    Sums are float64: in float32, further frames of a long recording no longer count once the sum is large.

    Args:
        active_SN: who speaks in each frame, as the hypothesis has it; shape (S, N).
    """
    found = []
    for piece in pieces(active_SN, hop_s):  # all statistics come first, since the frames around pieces overlap
        near_PF = log_mel_NF[piece.around][piece.near_P]
        mean_F = near_PF.mean(axis=0, dtype=np.float64).astype(np.float32)
        near_PF -= mean_F
        power_F = np.square(near_PF, out=near_PF).mean(axis=0, dtype=np.float64)
        found.append((piece.own, mean_F, (np.sqrt(power_F) + 1e-3).astype(np.float32)))
    for own, mean_F, spread_F in found:
        log_mel_NF[own] -= mean_F
        log_mel_NF[own] /= spread_F


@lru_cache(maxsize=4)
def _mel_filters(n_mels: int, n_fft: int, sample_rate_hz: int) -> NDArray[np.float32]:
    """Triangles equally wide on the scale of `core.mel`, from 20 Hz to Nyquist.

    Shape (n_fft/2 + 1, n_mels). Triangles narrower than a bin are widened to it, so that no low band stays empty.
    """

    bins = mel_of(np.linspace(0.0, sample_rate_hz / 2.0, n_fft // 2 + 1))
    lowest, highest = mel_of(np.array([20.0, sample_rate_hz / 2.0]))
    edges = np.linspace(float(lowest), float(highest), n_mels + 2)
    centres = edges[1:-1]
    widths = np.maximum(edges[1] - edges[0], np.interp(centres, bins, np.gradient(bins)))
    return np.asarray(np.maximum(0.0, 1.0 - np.abs(bins[:, None] - centres) / widths), np.float32)
