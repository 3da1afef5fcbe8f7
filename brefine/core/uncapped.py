"""The boundary error as it was once counted: turns paired without a cap. For comparing old notes, never for judging.

Every reference turn is paired with the hypothesised turn that it shares most time with or, if it shares none, with the nearest
one; several may take the same. Speakers do not matter, and no error is too large to count. One missed turn in a long pause weighs
as much as a hundred boundaries, which is how a system whose boundaries are off by 0.1 s comes to nearly a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from brefine.core.turns import Diarization, Turn


@dataclass(frozen=True, slots=True)
class UncappedPairing:
    """The sum of absolute onset and offset errors, and how many there are; `a + b` joins recordings."""

    n_boundaries: int = 0
    error_s: float = 0.0

    def __add__(self, other: UncappedPairing) -> UncappedPairing:
        return UncappedPairing(self.n_boundaries + other.n_boundaries, self.error_s + other.error_s)

    def figures(self) -> dict[str, Any]:
        mean_ms = 1000.0 * self.error_s / self.n_boundaries if self.n_boundaries else None
        return {"n_boundaries": self.n_boundaries, "mae_ms": mean_ms}


def pair_uncapped(reference: Diarization, hypothesis: Diarization) -> UncappedPairing:
    """Pairs the turns of one recording; the sum is empty if either side has none."""
    if not reference.turns or not hypothesis.turns:
        return UncappedPairing()
    onset_s = np.array([turn.onset_s for turn in hypothesis.turns])
    offset_s = np.array([turn.offset_s for turn in hypothesis.turns])
    error_s = 0.0
    for turn in reference.turns:
        place = _partner(turn, onset_s, offset_s)
        error_s += float(abs(onset_s[place] - turn.onset_s) + abs(offset_s[place] - turn.offset_s))
    return UncappedPairing(2 * len(reference.turns), error_s)


def _partner(turn: Turn, onset_s: np.ndarray, offset_s: np.ndarray) -> int:
    shared_s = np.minimum(offset_s, turn.offset_s) - np.maximum(onset_s, turn.onset_s)
    # For turns that share nothing this is minus the gap between them, so the largest is the nearest.
    return int(np.argmax(shared_s))
