"""Turns as arrays: each speaker's speech without self-overlap, and how much of it two diarizations have in common."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from brefine.core.turns import Diarization


@dataclass(frozen=True, slots=True, eq=False)
class Speech:
    """Stretches of speech, disjoint within each speaker and sorted by onset.

    Attributes:
        speakers: the names, sorted.
        speaker: shape (n,), place in `speakers` of each stretch.
        onset_s: shape (n,).
        offset_s: shape (n,).
    """

    speakers: tuple[str, ...]
    speaker: NDArray[np.int64]
    onset_s: NDArray[np.float64]
    offset_s: NDArray[np.float64]

    @classmethod
    def of(cls, diarization: Diarization) -> Speech:
        """The speech of a diarization; a speaker's touching or overlapping turns become one stretch."""
        speakers = diarization.speakers
        numbers = {speaker: number for number, speaker in enumerate(speakers)}
        turns = diarization.unioned().turns
        return cls(
            speakers,
            np.array([numbers[turn.speaker] for turn in turns], dtype=np.int64),
            np.array([turn.onset_s for turn in turns], dtype=np.float64),
            np.array([turn.offset_s for turn in turns], dtype=np.float64),
        )

    @property
    def total_s(self) -> float:
        """Speaker time: overlapped speech counts once for every speaker."""
        return float(np.sum(self.offset_s - self.onset_s))

    def by_speaker_s(self) -> NDArray[np.float64]:
        """Each speaker's speech in seconds, shape (n_speakers,)."""
        speech_s: NDArray[np.float64] = np.zeros(len(self.speakers))
        np.add.at(speech_s, self.speaker, self.offset_s - self.onset_s)
        return speech_s


def overlap_matrix_s(reference: Speech, hypothesis: Speech) -> NDArray[np.float64]:
    """Seconds in which speaker i of the reference and speaker j of the hypothesis both speak, shape (n_ref, n_hyp).

    With F_j(t) the speech of speaker j before t, a stretch [a, b) shares F_j(b) − F_j(a) with him. So no table of all time
    segments is made, and long recordings with many speakers stay cheap.
    """
    matrix_s = np.zeros((len(reference.speakers), len(hypothesis.speakers)))
    n_stretches = len(reference.onset_s)
    ends_s = np.concatenate([reference.onset_s, reference.offset_s])
    by_speaker = np.argsort(hypothesis.speaker, kind="stable")
    borders = np.searchsorted(hypothesis.speaker[by_speaker], np.arange(len(hypothesis.speakers) + 1))
    for column, (start, stop) in enumerate(pairwise(borders)):
        own = by_speaker[start:stop]
        if not len(own):
            continue
        before_s = spoken_before_s(np.stack([hypothesis.onset_s[own], hypothesis.offset_s[own]], axis=1), ends_s)
        shared_s = before_s[n_stretches:] - before_s[:n_stretches]
        matrix_s[:, column] = np.bincount(reference.speaker, weights=shared_s, minlength=len(reference.speakers))
    # Differences of running sums leave about 1e-12 s where nothing is shared: less than any clock tells.
    matrix_s[matrix_s < 1e-9] = 0.0
    return matrix_s


def spoken_before_s(stretches_s: NDArray[np.float64], times_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Seconds of speech before each time; shape of `times_s`.

    Args:
        stretches_s: shape (n, 2), disjoint and in order of time.
    """
    if not len(stretches_s):
        return np.zeros_like(times_s)
    heard_s = np.zeros(stretches_s.size)
    heard_s[1::2] = np.cumsum(stretches_s[:, 1] - stretches_s[:, 0])
    heard_s[2::2] = heard_s[1:-1:2]
    return np.interp(times_s, stretches_s.ravel(), heard_s)
