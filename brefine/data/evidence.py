"""Features of every frame by a hypothesis: who speaks, how much the sound is like that speaker, and like anybody at all.

Shapes: S speakers (in the order of `Diarization.speakers`), N frames, F mel bands, C cepstra, H Gaussians that were fitted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from brefine.core.turns import Diarization
from brefine.data.nearby import pieces

N_CEPSTRA = 24
_MARGIN_S = 0.1
"""Solo speech this close to a hypothesised boundary is left out: there the hypothesis may be wrong."""
_MIN_FRAMES = 50
"""With less solo speech than this a speaker's Gaussian would describe a word, not a voice."""
_SMOOTHING_FRAMES = 5
_BLOCK_FRAMES = 4096
_RANGE = 10.0
"""Log-likelihood ratios of this size become ±1, and larger ones are cut off: they only mean `certain` again."""


def edge_frame(time_s: NDArray[np.float64] | float, hop_s: float) -> NDArray[np.int64]:
    """The first frame whose middle lies at or after `time_s`: where a turn that starts there becomes active."""
    return np.ceil(np.asarray(time_s) / hop_s - 0.5 - 1e-9).astype(np.int64)


def activity(diarization: Diarization, n_frames: int, hop_s: float) -> NDArray[np.bool_]:
    """Whether each speaker speaks in the middle of each frame; shape (S, N)."""
    speakers = {speaker: row for row, speaker in enumerate(diarization.speakers)}
    active_SN = np.zeros((len(speakers), n_frames), np.bool_)
    for turn in diarization.turns:
        active_SN[speakers[turn.speaker], edge_frame(turn.onset_s, hop_s) : edge_frame(turn.offset_s, hop_s)] = True
    return active_SN


class Evidence(NamedTuple):
    """Log-likelihood ratios, scaled to ±1; zero where there is too little speech to fit.

    Attributes:
        own_SN: each speaker against everything else that is heard.
        speech_N: the speakers together against silence.
    """

    own_SN: NDArray[np.float32]
    speech_N: NDArray[np.float32]


def speaker_evidence(log_mel_NF: NDArray[np.floating], active_SN: NDArray[np.bool_], hop_s: float) -> Evidence:
    """How much each frame sounds like the recording's own voices.

    One diagonal Gaussian over cepstra is fitted on each speaker's solo speech and one on the frames where nobody speaks, all by
    the hypothesis and only from what is heard nearby (`nearby`). A speaker is weighed against the equal mixture of the others
    there and of silence. Speakers without enough solo speech get zeros, and so do frames far from any turn: no evidence rather
    than wrong evidence.
    """
    own_SN, speech_N = np.zeros(active_SN.shape, np.float32), np.zeros(active_SN.shape[1], np.float32)
    for piece in pieces(active_SN, hop_s):
        around = np.arange(piece.around.start, piece.around.stop)[piece.near_P]
        rows = np.flatnonzero(active_SN[:, piece.around].any(axis=1))
        found = _evidence(log_mel_NF[around], active_SN[np.ix_(rows, around)], hop_s)
        asked = slice(*np.searchsorted(around, [piece.own.start, piece.own.stop]))
        own_SN[np.ix_(rows, around[asked])] = found.own_SN[:, asked]
        speech_N[around[asked]] = found.speech_N[asked]
    return Evidence(own_SN, speech_N)


def _evidence(log_mel_NF: NDArray[np.floating], active_SN: NDArray[np.bool_], hop_s: float) -> Evidence:
    """The same for one piece, all of whose frames are used for each other."""
    cepstra_NC = _cepstra(log_mel_NF)
    count_N = active_SN.sum(axis=0)
    margin = round(_MARGIN_S / hop_s)
    # likelihoods first, then evidence in their place: speakers × frames is the largest array, and rows of zeros take no memory
    evidence_SN = np.zeros(active_SN.shape, np.float32)
    speech_N, silence_N = np.zeros((2, active_SN.shape[1]), np.float32)
    heard = [
        row
        for row, active_N in enumerate(active_SN)
        if _log_likelihood(cepstra_NC, _inner(active_N & (count_N == 1), margin), evidence_SN[row])
    ]
    has_silence = _log_likelihood(cepstra_NC, _inner(count_N == 0, margin), silence_N)
    for block in _blocks(active_SN.shape[1]):
        own_HN = evidence_SN[heard, block]
        all_HN = np.concatenate([own_HN, silence_N[None, block]]) if has_silence else own_HN
        if heard:
            evidence_SN[heard, block] = own_HN - _mixtures_of_others(all_HN)[: len(heard)] if len(all_HN) > 1 else 0.0
        if heard and has_silence:
            speech_N[block] = _mixture(own_HN) - silence_N[block]
    for row in heard:
        evidence_SN[row] = _scaled(evidence_SN[row])
    return Evidence(evidence_SN, _scaled(speech_N))


def _mixture(likelihoods_HN: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.logaddexp.reduce(likelihoods_HN, axis=0) - np.log(len(likelihoods_HN)), np.float32)


def _mixtures_of_others(likelihoods_HN: NDArray[np.float32]) -> NDArray[np.float32]:
    """For each of at least two rows the mixture of all the others; same shape.

    Made from running mixtures of the rows before and after each: summed again for every row, they would take hours if every turn
    of a hypothesis had a speaker of its own.
    """
    before_HN = np.logaddexp.accumulate(likelihoods_HN, axis=0)
    after_HN = np.logaddexp.accumulate(likelihoods_HN[::-1], axis=0)[::-1]
    inner_HN = np.logaddexp(before_HN[:-2], after_HN[2:])
    sums_HN = np.concatenate([after_HN[1:2], inner_HN, before_HN[-2:-1]])
    return np.asarray(sums_HN - np.log(len(likelihoods_HN) - 1), np.float32)


def _scaled(ratio_N: NDArray[np.float32]) -> NDArray[np.float32]:
    kernel = np.full(_SMOOTHING_FRAMES, 1.0 / _SMOOTHING_FRAMES, np.float32)
    smooth_N = np.convolve(ratio_N, kernel, mode="same")[: len(ratio_N)]
    return np.asarray(np.clip(smooth_N / _RANGE, -1.0, 1.0), np.float32)


def _cepstra(log_mel_NF: NDArray[np.floating]) -> NDArray[np.float32]:
    """The second to the 25th cosine coefficient of each frame, minus their mean: shape (N, C).

    The first is loudness, which depends on the distance from the microphone more than on the voice.
    """
    n_cepstra = min(N_CEPSTRA, log_mel_NF.shape[1] - 1)
    cepstra_NC = np.empty((len(log_mel_NF), n_cepstra), np.float32)
    for block in _blocks(len(log_mel_NF)):
        cepstra_NC[block] = scipy.fft.dct(np.asarray(log_mel_NF[block], np.float32), norm="ortho")[:, 1 : N_CEPSTRA + 1]
    cepstra_NC -= cepstra_NC.mean(axis=0, dtype=np.float64).astype(np.float32)
    return cepstra_NC


def _inner(mask_N: NDArray[np.bool_], margin: int) -> NDArray[np.bool_]:
    """The frames of a mask that are at least `margin` frames away from its ends; the mask itself where too few remain."""
    edges = np.flatnonzero(np.diff(mask_N.astype(np.int8)))
    inner_N = mask_N.copy()
    for edge in edges:
        inner_N[max(0, edge + 1 - margin) : edge + 1 + margin] = False
    return inner_N if inner_N.sum() >= _MIN_FRAMES else mask_N


def _log_likelihood(cepstra_NC: NDArray[np.float32], mask_N: NDArray[np.bool_], fitted_N: NDArray[np.float32]) -> bool:
    """Writes the log-density of every frame under the Gaussian of the masked frames, unless these are too few; whether it did."""
    if mask_N.sum() < _MIN_FRAMES:
        return False
    inside = cepstra_NC[mask_N]
    mean_C = inside.mean(axis=0, dtype=np.float64).astype(np.float32)
    inside -= mean_C
    variance_C = (np.square(inside, out=inside).mean(axis=0, dtype=np.float64) + 1e-2).astype(np.float32)
    constant = np.log(variance_C).sum()
    for block in _blocks(len(cepstra_NC)):
        fitted_N[block] = -0.5 * ((np.square(cepstra_NC[block] - mean_C) / variance_C).sum(axis=1) + constant)
    return True


def _blocks(n_frames: int) -> Iterator[slice]:
    """Slices of frames, to be worked on in turn, so that nothing but the result takes much memory."""
    return (slice(start, start + _BLOCK_FRAMES) for start in range(0, n_frames, _BLOCK_FRAMES))
