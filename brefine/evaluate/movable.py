"""Which boundaries a refiner is asked about: known from the turns and the length of the audio, before anything is heard."""

from __future__ import annotations

from brefine.core.boundaries import Boundary, BoundaryKind, ends_of_speech
from brefine.core.turns import Diarization

BRIDGED_S = 0.2
"""A speaker's speech goes on across a gap of his own no longer than this. Labels hardly ever have so short a pause, but systems
that cut speech into sentences leave many; if their ends moved apart, they would open holes in speech."""


def movable(hypothesis: Diarization, duration_s: float) -> tuple[Boundary, ...]:
    """The boundaries of a clipped hypothesis that a refiner is asked about."""
    ends = ends_of_speech(hypothesis, extent_s=(0.0, duration_s), bridged_s=BRIDGED_S + 1e-9)
    return tuple(boundary for boundary in ends if boundary.kind is not BoundaryKind.EDGE)
