"""The ends of turns, and moving them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Side(StrEnum):
    """Which end of a turn."""

    ONSET = "onset"
    OFFSET = "offset"


class BoundaryKind(StrEnum):
    """What happens at a boundary, seen from the diarization it belongs to."""

    PAUSE = "pause"
    CHANGE = "change"
    OVERLAP = "overlap"
    EDGE = "edge"


@dataclass(frozen=True, slots=True)
class Boundary:
    """One end of one turn.

    `turn_index` is the turn's place in `Diarization.turns`, so that a boundary can be found again after scoring or moving.
    """

    time_s: float
    side: Side
    speaker: str
    turn_index: int
    kind: BoundaryKind


@dataclass(frozen=True, slots=True)
class Shift:
    """A proposed move of one boundary: refined − hypothesis in seconds, positive = later; confidence in 0–1."""

    turn_index: int
    side: Side
    shift_s: float
    confidence: float
