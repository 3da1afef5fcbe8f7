"""Which frames say what is normal around a frame: those of the two minutes around it in which the hypothesis has speech.

Level, channel, room and voices belong to one conversation, and a recording may hold several, one after the other, or an hour in
which nobody is there. Models are trained on conversations of a minute, and the average of a whole recording may be far from that.
So a longer recording is normalised in pieces of a minute, each by what is heard in the two minutes around it. Frames far from any
turn do not count, since a recorder that runs on would make every voice an exception.

Shapes: S speakers, N frames of a recording, P frames around a piece.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_AROUND_S = 120.0
_PIECE_S = 60.0
"""This and the two minutes count only frames near a turn; a recording with at most two minutes of them is one piece."""
_REACH_S = 3.0
"""Frames further from any turn do not count; a window reaches 2 s beyond an end."""
_LEAST_S = 30.0
"""If less than this is near the turns, the reach grows until it is enough: a word and its pauses say little about the room."""


class Piece(NamedTuple):
    """A stretch of a recording.

    Attributes:
        own: its frames; every frame of the recording is in one piece.
        around: the frames around them, whose statistics are used.
        near_P: which of those are near a turn, and count.
    """

    own: slice
    around: slice
    near_P: NDArray[np.bool_]


def pieces(active_SN: NDArray[np.bool_], hop_s: float) -> list[Piece]:
    """A recording in pieces, in order.

    Args:
        active_SN: who speaks in each frame, as the hypothesis has it; if nobody ever does, every frame counts.
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
    """Which frames have speech within `reach`, or within a reach that makes them at least `least`; all if nobody speaks."""
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
