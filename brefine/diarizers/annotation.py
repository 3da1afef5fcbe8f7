"""A `pyannote.core.Annotation` as turns: what pyannote's and DiariZen's pipelines, and many others, return."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from brefine.core.turns import Diarization, Turn


class Annotation(Protocol):
    """The part of pyannote's class that is read."""

    def itertracks(self, yield_label: bool = False) -> Iterator[tuple[Any, ...]]: ...


def diarization_of(annotation: Annotation, recording: str, *, duration_s: float) -> Diarization:
    """Valid turns: clipped to the audio, nobody overlapping himself, and no blanks in names, which RTTM cannot hold."""
    turns = [
        Turn(max(0.0, float(segment.start)), float(segment.end), "_".join(str(label).split()) or "speaker")
        for segment, _, label in annotation.itertracks(yield_label=True)
        if float(segment.end) > max(0.0, float(segment.start))
    ]
    return Diarization(recording, tuple(turns)).clipped(0.0, duration_s).unioned()
