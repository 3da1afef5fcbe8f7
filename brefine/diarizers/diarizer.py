"""The interface of every diarizer: audio in, valid turns out, with progress; some also say how sure they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from brefine.core.turns import Diarization

ReportProgress = Callable[[str, int, int], None]
"""Called with the current step, in words for people, the parts done and the parts in all."""


class Diarizer(Protocol):
    """Who spoke when in a recording. Turns lie within the audio, and no speaker overlaps himself."""

    @property
    def name(self) -> str:
        """As the command line calls it: `builtin`."""

    def diarize(self, audio: Path, *, report: ReportProgress | None = None) -> Diarization:
        """Diarizes one file; the recording is named by the file's stem.

        Raises:
            DataError: the audio cannot be used.
            ProcessError: the diarizer is not installed, or its process failed.
        """


@dataclass(frozen=True, slots=True)
class TurnConfidence:
    """How sure a diarizer is of a turn and of its ends, 0–1.

    Attributes:
        turn: the mean share of votes for its speaker during it.
        onset, offset: how much the share rises or falls at this end: its mean over the `EDGE_S` of the turn next to the end, less
            its mean over as much beyond it.
    """

    turn: float
    onset: float
    offset: float


EDGE_S = 0.1


@dataclass(frozen=True, slots=True)
class VotedDiarization:
    """Turns, and how sure the diarizer is of each.

    Attributes:
        confidence: one for each turn of `diarization`; None if the diarizer did not return its votes.
    """

    diarization: Diarization
    confidence: tuple[TurnConfidence, ...] | None


@runtime_checkable
class VotingDiarizer(Diarizer, Protocol):
    """A diarizer that judges each frame more than once, so that its judgements can be counted as votes."""

    def diarize_voted(self, audio: Path, *, report: ReportProgress | None = None) -> VotedDiarization:
        """As `diarize`, with confidence."""


def silent(step: str, done: int, total: int) -> None:
    """A `ReportProgress` for callers that want none."""
