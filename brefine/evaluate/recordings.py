"""The recordings of a prepared corpus as evaluation needs them: turns, frames, regions, and their origin."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from brefine.config import PhaseConfig, prepared_corpus_path
from brefine.core.turns import Diarization
from brefine.data.features import analyse_file, analysis_of
from brefine.data.splits import Split
from brefine.io.atomic import digest_of_files
from brefine.io.rttm import format_rttm
from brefine.models.weights import Refiner
from brefine.phasedir import CORPUS_FILE, CorpusManifest, LookedAt

SplitName = Literal["validation", "gate"]


@dataclass(frozen=True, slots=True, eq=False)
class GivenRecording:
    """One recording before refinement."""

    name: str
    audio: Path
    reference: Diarization
    hypothesis: Diarization
    duration_s: float
    regions_s: tuple[tuple[float, float], ...]


class GivenSplit:
    """One split of a phase's prepared corpus.

    Raises:
        DataError: the corpus is not prepared, the split is empty, or its labels were edited since.
    """

    def __init__(self, config: PhaseConfig, name: SplitName) -> None:
        self.folder = prepared_corpus_path(config)
        self.name = name
        self._split = Split(self.folder, name, config.features)
        self.manifest = CorpusManifest.read(self.folder / CORPUS_FILE)
        self.recordings = tuple(
            GivenRecording(
                listed.name,
                self.folder / listed.audio,
                annotated.reference,
                annotated.hypothesis,
                listed.duration_s,
                tuple((start_s, end_s) for start_s, end_s in annotated.regions_s),
            )
            for listed, annotated in zip(self.manifest.splits[name], self._split.annotated, strict=True)
        )

    @property
    def seen(self) -> list[str]:
        """Every recording that training or validation has seen."""
        return sorted({one.name for part in ("train", "validation") for one in self.manifest.splits.get(part, [])})

    def looked_at(self) -> list[LookedAt]:
        """The recordings with their digests, to record what a refiner is scored on."""
        return [
            LookedAt(
                name=given.name,
                duration_s=given.duration_s,
                audio_sha256=None if listed.audio_file is None else listed.audio_file.sha256,
                reference_sha256=_digest(given.reference, given.regions_s),
                hypothesis_sha256=_digest(given.hypothesis),
            )
            for listed, given in zip(self.manifest.splits[self.name], self.recordings, strict=True)
        ]

    def frames(self, recording: GivenRecording, refiner: Refiner) -> NDArray[np.floating]:
        """The recording's frames as the refiner needs them: from the store if it has the same analysis."""
        if self._is_stored(refiner):
            return self._split.store[recording.name]
        return analyse_file(recording.audio, refiner.features)[0]

    def digest(self, recording: GivenRecording, refiner: Refiner) -> str:
        """Digest of the source of `frames`: the stored frames, or the audio file and the analysis that would make them."""
        if self._is_stored(refiner):
            return hashlib.sha256(np.ascontiguousarray(self._split.store[recording.name]).data).hexdigest()
        return f"{digest_of_files([recording.audio])} {analysis_of(refiner.features)}"

    def _is_stored(self, refiner: Refiner) -> bool:
        return refiner.features == self._split.store.config


def _digest(diarization: Diarization, scored: object = None) -> str:
    """Digest of the turns, whatever their recording is called, and of where they are scored."""
    turns = format_rttm(replace(diarization, recording="recording"))
    return hashlib.sha256(f"{turns}{scored}".encode()).hexdigest()
