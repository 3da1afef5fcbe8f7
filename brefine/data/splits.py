"""One split of a prepared corpus, read as its manifest lists it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from brefine.config import FeatureConfig
from brefine.core.turns import Diarization
from brefine.data.examples import Annotated
from brefine.data.feature_store import FeatureStore, open_store
from brefine.errors import DataError
from brefine.io.rttm import read_rttm
from brefine.phasedir import CORPUS_FILE, CorpusManifest, CorpusRecording


class Split:
    """The recordings of one split: names, annotations, and their log-mel frames in the store.

    Raises:
        DataError: the corpus is not prepared, the split is empty, its labels were edited since, or recordings are missing from
            the store or their RTTMs.
    """

    def __init__(self, folder: Path, name: str, features: FeatureConfig) -> None:
        manifest = CorpusManifest.read_if_there(folder / CORPUS_FILE)
        if manifest is None or not manifest.splits.get(name):
            raise DataError(
                f"the corpus has no {name} split", where=folder, hint="prepare it: brefine prepare CORPUS --config RECIPE"
            )
        edited = [recording.name for recording in manifest.splits[name] if recording.is_edited(folder)]
        if edited:
            raise DataError(
                f"prepared labels of the {name} split were edited or removed",
                where=folder,
                problems=edited,
                hint="correct the corpus that they came from, and prepare again: brefine prepare CORPUS --config RECIPE",
            )
        self.corpus_sha256 = manifest.fingerprint()
        self.redrawable = _redrawable(manifest.splits[name])
        self.recordings = tuple(recording.name for recording in manifest.splits[name])
        self.store: FeatureStore = open_store(folder / "features", features)
        missing = [recording for recording in self.recordings if recording not in self.store.spans]
        if missing:
            raise DataError("recordings are missing from the feature store", where=folder, problems=missing)
        self.annotated = tuple(
            Annotated(
                _diarization(folder / recording.reference, recording.name),
                _diarization(folder / recording.hypothesis, recording.name),
                recording.regions_s or [(0.0, recording.duration_s)],
            )
            for recording in manifest.splits[name]
        )

    def heard(self) -> Iterator[tuple[NDArray[np.float16], Diarization]]:
        """Frames and hypothesis of each recording, in order."""
        for recording, annotated in zip(self.recordings, self.annotated, strict=True):
            yield self.store[recording], annotated.hypothesis


def _redrawable(recordings: Sequence[CorpusRecording]) -> NDArray[np.bool_]:
    """Recordings whose errors were drawn without regard to the audio, so other draws are as likely; shape (n_recordings,).

    Simulated conversations that are added to real recordings keep the errors that they were given.
    """
    replayed = np.array([recording.replayed for recording in recordings])
    return replayed & (replayed.all() or all(recording.simulated for recording in recordings))


def _diarization(path: Path, recording: str) -> Diarization:
    found = read_rttm(path)
    if recording in found:
        return found[recording]
    if not found:
        return Diarization(recording)  # a diarizer that hears nobody writes an empty file
    raise DataError("the RTTM is of another recording", where=path, expected=recording, got=", ".join(sorted(found)))
