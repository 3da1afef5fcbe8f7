"""Who spoke when: speaker turns and the diarization of one recording."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

Regions = Sequence[tuple[float, float]]
"""Stretches (start_s, end_s) of a recording, as in a UEM; for what is scored, None means everything."""


_ROUNDED_S = 0.1
"""A region that ends this close to an end of the recording was rounded, not cut."""


@dataclass(frozen=True, slots=True, order=True)
class Turn:
    """One speaker's contiguous speech, `[onset_s, offset_s)` in seconds from the start of the recording.

    Raises:
        ValueError: an end is not finite, the onset is negative, or the turn is not longer than zero.
    """

    onset_s: float
    offset_s: float
    speaker: str

    def __post_init__(self) -> None:
        if not (math.isfinite(self.onset_s) and math.isfinite(self.offset_s)):
            raise ValueError(f"turn ends must be finite, got {self.onset_s}, {self.offset_s}")
        if self.onset_s < 0.0:
            raise ValueError(f"a turn cannot start before the recording, got onset {self.onset_s}")
        if self.offset_s <= self.onset_s:
            raise ValueError(f"a turn must end after it starts, got {self.onset_s} to {self.offset_s}")

    @property
    def duration_s(self) -> float:
        return self.offset_s - self.onset_s


@dataclass(frozen=True, slots=True)
class Diarization:
    """All turns of one recording, kept sorted by onset, offset and speaker.

    The same speaker's turns may touch or overlap (diarizers write such RTTMs); scoring takes their union.
    """

    recording: str
    turns: tuple[Turn, ...] = field(default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "turns", tuple(sorted(self.turns)))

    @property
    def speakers(self) -> tuple[str, ...]:
        """The speakers' names, sorted."""
        return tuple(sorted({turn.speaker for turn in self.turns}))

    @property
    def end_s(self) -> float:
        """The last offset; 0.0 without turns."""
        return max((turn.offset_s for turn in self.turns), default=0.0)

    def of(self, speaker: str) -> tuple[Turn, ...]:
        """The turns of one speaker, in time order."""
        return tuple(turn for turn in self.turns if turn.speaker == speaker)

    def clipped(self, start_s: float, end_s: float) -> Diarization:
        """Keeps what lies within `[start_s, end_s]`; turns that end up empty are dropped."""
        return Diarization(self.recording, tuple(_clip(self.turns, start_s, end_s)))

    def limited(self, regions_s: Regions) -> Diarization:
        """Keeps what lies within the regions, which are disjoint; a turn that reaches into several is cut."""
        return Diarization(self.recording, tuple(turn for region_s in regions_s for turn in _clip(self.turns, *region_s)))

    def unioned(self) -> Diarization:
        """Merges each speaker's touching or overlapping turns, so that no speaker overlaps himself."""
        merged: list[Turn] = []
        latest: dict[str, int] = {}  # speaker → place of his last turn in `merged`
        for turn in self.turns:
            place = latest.get(turn.speaker)
            if place is not None and turn.onset_s <= merged[place].offset_s:
                merged[place] = Turn(merged[place].onset_s, max(merged[place].offset_s, turn.offset_s), turn.speaker)
            else:
                latest[turn.speaker] = len(merged)
                merged.append(turn)
        return Diarization(self.recording, tuple(merged))


def leaves_out(regions_s: Regions, duration_s: float) -> bool:
    """Whether disjoint regions leave out any of a recording, beyond rounding at its ends; a hole of any length counts."""
    return not any(start_s <= _ROUNDED_S and end_s >= duration_s - _ROUNDED_S for start_s, end_s in regions_s)


def _clip(turns: Iterable[Turn], start_s: float, end_s: float) -> Iterable[Turn]:
    for turn in turns:
        onset_s, offset_s = max(turn.onset_s, start_s), min(turn.offset_s, end_s)
        if offset_s > onset_s:
            yield Turn(onset_s, offset_s, turn.speaker)
