"""A `pyannote.core.Annotation` as turns: what pyannote's and DiariZen's pipelines, and many others, return."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from itertools import chain, count
from typing import Any, Protocol

from brefine.core.turns import Diarization, Turn


class Annotation(Protocol):
    """The part of pyannote's class that is read."""

    def itertracks(self, yield_label: bool = False) -> Iterator[tuple[Any, ...]]: ...


def diarization_of(annotation: Annotation, recording: str, *, duration_s: float) -> Diarization:
    """Valid turns: clipped to the audio, nobody overlapping himself; each label is a separate speaker, see `_names_of`."""
    tracks = [
        (max(0.0, float(segment.start)), float(segment.end), label)
        for segment, _, label in annotation.itertracks(yield_label=True)
        if float(segment.end) > max(0.0, float(segment.start))
    ]
    names = _names_of(label for _, _, label in tracks)
    turns = tuple(Turn(onset_s, offset_s, names[label]) for onset_s, offset_s, label in tracks)
    return Diarization(recording, turns).clipped(0.0, duration_s).unioned()


def _names_of(labels: Iterable[Hashable]) -> dict[Hashable, str]:
    """Label → name, without blanks, which RTTM cannot hold, and no two alike.

    A label that is a valid name is kept. A label whose name somebody else has gets a number: beside `spk_1`, `spk 1` is
    `spk_1_2`.
    """
    wished = {label: "_".join(str(label).split()) or "speaker" for label in labels}
    names: dict[Hashable, str] = {label: name for label, name in wished.items() if label == name}
    taken = set(names.values())
    for label, name in wished.items():
        if label not in names:
            numbered = (f"{name}_{number}" for number in count(2))
            names[label] = next(one for one in chain([name], numbered) if one not in taken)
            taken.add(names[label])
    return names
