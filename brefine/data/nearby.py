"""Which frames say what is normal around a frame: those of the two minutes around it in which the hypothesis has speech.

Level, channel, room and voices are those of a conversation, and a recording may hold several, one after the other, or an hour in
which nobody is there. Models are trained on conversations of a minute: the average of a whole recording may be far from that. So
a longer one is gone through in pieces of a minute, each with what is heard in the two minutes around it; and frames far from any
turn count for nothing, since a recorder that runs on would make every voice an exception.

Shapes: S speakers, N frames of a recording, P frames around a piece.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_AROUND_S = 120.0
_PIECE_S = 60.0
"""Both counted in frames that are near a turn; a recording that has no more than two minutes of them is one piece."""
_REACH_S = 3.0
"""Frames further from any turn are not heard; a window reaches 2 s beyond an end."""
_LEAST_S = 30.0
"""Where the turns leave less than this, it reaches as far as it takes: a word and its pauses tell of no room."""


class Piece(NamedTuple):
    """A stretch of a recording.

    Attributes:
        own: its frames; those of all pieces are the recording's, each once.
        around: the frames that tell about them.
        near_P: which of these are near a turn, and count.
    """

    own: slice
    around: slice
    near_P: NDArray[np.bool_]


def pieces(active_SN: NDArray[np.bool_], hop_s: float) -> list[Piece]:
    """A recording in pieces, in order.

    Args:
        active_SN: who speaks in each frame, as the hypothesis has it; where nobody ever does, every frame counts.
    """
    n_frames = active_SN.shape[1]
    near_N = _near(np.asarray(active_SN.any(axis=0)), round(_REACH_S / hop_s), least=round(_LEAST_S / hop_s))
    places = np.flatnonzero(near_N)
    n_around = round(_AROUND_S / hop_s)
    if len(places) <= n_around:
        return [Piece(slice(0, n_frames), slice(0, n_frames), near_N)]
    n_pieces = -(-len(places) // round(_PIECE_S / hop_s))
    ends = np.linspace(0, len(places), n_pieces + 1).round().astype(np.int64)
    found = []
    for place, (first, last) in enumerate(pairwise(ends.tolist())):
        start = int(np.clip((first + last - n_around) // 2, 0, len(places) - n_around))
        own = slice(0 if place == 0 else int(places[first]), n_frames if place == n_pieces - 1 else int(places[last]))
        around = slice(int(places[start]), int(places[start + n_around - 1]) + 1)
        found.append(Piece(own, around, near_N[around]))
    return found


def _near(spoken_N: NDArray[np.bool_], reach: int, *, least: int) -> NDArray[np.bool_]:
    """Whether any frame within `reach`, or within the reach that makes it `least` frames, is spoken; all are where none is."""
    n_frames = len(spoken_N)
    if not spoken_N.any():
        return np.ones(n_frames, np.bool_)
    before_N = np.concatenate([[0], np.cumsum(spoken_N)])
    frames = np.arange(n_frames)
    while True:
        near_N = before_N[np.minimum(frames + reach + 1, n_frames)] > before_N[np.maximum(frames - reach, 0)]
        if near_N.sum() >= min(least, n_frames):
            return np.asarray(near_N)
        reach *= 2
