"""The built-in diarizer: offline, without an account, on any audio; modest, but its errors are a real system's.

Silero's voice activity detector says where there is speech. Stretches of about two seconds are clustered by their cepstra,
first cautiously, so that clusters are pure, then, after resegmentation has cleaned them, down to the number of voices that
the Bayesian information criterion accepts. Resegmentation at 10 ms places the changes. It finds one voice at a time: overlapped
speech goes to the louder one, so the other's is missed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from brefine.config import FeatureConfig
from brefine.core.turns import Diarization, Turn
from brefine.data.features import log_mel_blocks
from brefine.data.voice_activity import SAMPLE_RATE_HZ, levelled
from brefine.diarizers.diarizer import ReportProgress, silent
from brefine.diarizers.resegmentation import resegment
from brefine.diarizers.speakers import cluster
from brefine.diarizers.speech import HOP_S, runs, speech_frames, speech_probability
from brefine.errors import DataError
from brefine.io.audio import audio_blocks, require_sound

_FEATURES = FeatureConfig(n_mels=40, hop_s=HOP_S)
_N_CEPSTRA = 20
_CEPSTRA = slice(1, _N_CEPSTRA)
"""All cepstra but the first, which is loudness."""
_LOUD_QUANTILE = 0.2
"""The quietest fifth of the speech says little about a voice and is left out of the clusters' statistics."""
_MAX_STRETCHES = 4000
"""Clustering compares all pairs of stretches, so there are at most this many. Beyond two hours of speech, stretches get longer;
if there are still more, because many runs of speech are short, only the longest are compared."""
_N_STEPS = 6


@dataclass(frozen=True, slots=True)
class BuiltinDiarizer:
    """See the module.

    Attributes:
        stretch_s: length of the pieces that are clustered first.
        penalties: λ of the criterion in each round; the last one decides the number of speakers.
        min_voice_s: a voice with less speech than this is given to the others.
        min_turn_s: shorter turns are dropped.
    """

    stretch_s: float = 2.0
    penalties: tuple[float, ...] = (2.0, 2.5)
    min_voice_s: float = 1.0
    min_turn_s: float = 0.1

    @property
    def name(self) -> str:
        return "builtin"

    def diarize(self, audio: str | PathLike[str], *, report: ReportProgress | None = None) -> Diarization:
        path = Path(audio)
        # The file is decoded more than once, block by block, so that hours of samples are never in memory.
        return self._diarize(lambda: audio_blocks(path, sample_rate_hz=SAMPLE_RATE_HZ), path.stem, report or silent)

    def diarize_samples(
        self, samples: NDArray[np.floating], recording: str, *, report: ReportProgress | None = None
    ) -> Diarization:
        """Diarizes audio in memory.

        Args:
            samples: mono, 16 kHz, floats with full scale at ±1, shape (n_samples,).

        Raises:
            DataError: they have another shape or type, or some are not finite or too large to be sound.
        """
        samples = np.asarray(samples)
        if samples.ndim != 1 or not np.issubdtype(samples.dtype, np.floating):
            raise DataError(
                "these are not samples of mono audio",
                where=recording,
                expected="floats with full scale at ±1, shape (n_samples,)",
                got=f"{samples.dtype}, shape {samples.shape}",
                hint="of int16, divide by 32768; of several channels, take the mean",
            )
        require_sound(samples, 0, SAMPLE_RATE_HZ, recording)
        mono = samples.astype(np.float32, copy=False)
        return self._diarize(lambda: iter([mono]), recording, report or silent)

    def _diarize(self, blocks: Callable[[], Iterable[NDArray[np.float32]]], recording: str, tell: ReportProgress) -> Diarization:
        tell("finding speech", 0, _N_STEPS)
        blocks = levelled(blocks)
        speech = speech_frames(speech_probability(blocks()))
        tell("reading the voices", 3, _N_STEPS)
        cepstra, n_frames = _cepstra(blocks(), speech)
        speech = speech[:n_frames]
        if not speech.any():
            return Diarization(recording)
        tell("telling the voices apart", 4, _N_STEPS)
        voice = np.full(len(speech), -1)
        stretch_s = max(self.stretch_s, speech.sum() * HOP_S / _MAX_STRETCHES)
        voice[speech] = self._voices(cepstra, _stretches(speech, stretch_s))
        turns = [
            Turn(start * HOP_S, end * HOP_S, f"speaker{number:02d}")
            for number in range(voice.max() + 1)
            for start, end in runs(voice == number)
            if (end - start) * HOP_S >= self.min_turn_s
        ]
        tell("done", _N_STEPS, _N_STEPS)
        return Diarization(recording, tuple(turns))

    def _voices(self, cepstra: NDArray[np.float64], stretches: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
        """The voice of each speech frame, numbered by who speaks most."""
        features = cepstra[:, _CEPSTRA]
        loud = cepstra[:, 0] >= np.quantile(cepstra[:, 0], _LOUD_QUANTILE)
        voice = np.repeat(np.arange(len(stretches)), [end - start for start, end in stretches])
        for penalty in self.penalties:
            voice = _merge(features, voice, loud, penalty)
            voice = resegment(features, voice)
        voice = _without(voice, round(self.min_voice_s / HOP_S))
        return _by_share(resegment(features, voice, n_passes=1))


def _cepstra(blocks: Iterable[NDArray[np.float32]], speech: NDArray[np.bool_]) -> tuple[NDArray[np.float64], int]:
    """Cepstra of the frames with speech, shape (n_speech_frames, n_cepstra), and the number of all frames."""
    found, position = [np.zeros((0, _N_CEPSTRA))], 0
    for frames in log_mel_blocks(blocks, _FEATURES):
        spoken = frames[speech[position : position + len(frames)]] if position < len(speech) else frames[:0]
        found.append(scipy.fft.dct(spoken.astype(np.float64), norm="ortho", axis=1)[:, :_N_CEPSTRA])
        position += len(frames)
    return np.concatenate(found), position


def _stretches(speech: NDArray[np.bool_], stretch_s: float) -> list[tuple[int, int]]:
    """Cuts each run of speech into equal pieces of about `stretch_s`; intervals are in speech frames only."""
    pieces: list[tuple[int, int]] = []
    position = 0
    for start, end in runs(speech):
        n_pieces = max(1, round((end - start) * HOP_S / stretch_s))
        edges = position + np.linspace(0, end - start, n_pieces + 1).round().astype(int)
        pieces.extend(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))
        position += end - start
    return pieces


def _merge(features: NDArray[np.float64], voice: NDArray[np.int64], loud: NDArray[np.bool_], penalty: float) -> NDArray[np.int64]:
    """Clusters the voices by their loud frames; a voice without any stays alone until the next step drops it."""
    names, members = np.unique(voice, return_inverse=True)
    groups = [np.flatnonzero((members == index) & loud) for index in range(len(names))]
    groups = [own if len(own) else np.flatnonzero(members == index) for index, own in enumerate(groups)]
    ends = np.cumsum([len(own) for own in groups])
    joined = cluster(
        features[np.concatenate(groups)],
        [(int(end - len(own)), int(end)) for end, own in zip(ends, groups, strict=True)],
        penalty=penalty,
        at_most=_MAX_STRETCHES,
    )
    return joined[members]


def _without(voice: NDArray[np.int64], min_frames: int) -> NDArray[np.int64]:
    """Gives the frames of voices with too little speech to the voice that is nearest in time."""
    names, counts = np.unique(voice, return_counts=True)
    kept = names[counts >= min_frames] if counts.max() >= min_frames else names[[counts.argmax()]]
    places = np.flatnonzero(np.isin(voice, kept))
    after = np.searchsorted(places, np.arange(len(voice))).clip(0, len(places) - 1)
    before = (after - 1).clip(0)
    frames = np.arange(len(voice))
    nearest = np.where(np.abs(places[before] - frames) <= np.abs(places[after] - frames), before, after)
    return voice[places[nearest]]


def _by_share(voice: NDArray[np.int64]) -> NDArray[np.int64]:
    names, members, counts = np.unique(voice, return_inverse=True, return_counts=True)
    rank = np.empty(len(names), np.int64)
    rank[np.argsort(-counts, kind="stable")] = np.arange(len(names))
    return rank[members]
