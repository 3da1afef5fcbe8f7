"""Hypothesis strategies for turns, diarizations and pairs of them, and a diarization of given turns."""

from __future__ import annotations

from hypothesis import strategies as st

from brefine.core.turns import Diarization, Turn

SPEAKERS = ("A", "B", "C")

_TICKS_S = 0.01


def diarization(*turns: tuple[float, float, str]) -> Diarization:
    """One recording's turns: onset and offset in seconds, speaker."""
    return Diarization("a", tuple(Turn(*turn) for turn in turns))


@st.composite
def turns(draw: st.DrawFn, *, speakers: tuple[str, ...] = SPEAKERS, end_s: float = 20.0) -> Turn:
    """A turn of one of the speakers on a 10 ms grid, so that touching and equal times are common."""
    n_ticks = round(end_s / _TICKS_S)
    onset = draw(st.integers(0, n_ticks - 1))
    length = draw(st.integers(1, min(n_ticks - onset, n_ticks // 4)))
    return Turn(onset / 100, (onset + length) / 100, draw(st.sampled_from(speakers)))


def diarizations(*, max_turns: int = 8, speakers: tuple[str, ...] = SPEAKERS) -> st.SearchStrategy[Diarization]:
    """Any diarization of one recording, also with self-overlap and without turns."""
    return st.lists(turns(speakers=speakers), max_size=max_turns).map(lambda own: Diarization("recording", tuple(own)))
