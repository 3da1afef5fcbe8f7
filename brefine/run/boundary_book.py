"""The matched boundaries of a phase's validation split, with the audio and the turns around each: what the viewer shows."""

from __future__ import annotations

import csv
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from brefine.config import ModelName
from brefine.core.matching import map_speakers
from brefine.core.spectrogram import log_spectrogram
from brefine.core.turns import Diarization, Turn
from brefine.errors import DataError, FormatError, ProcessError, printable
from brefine.io.atomic import open_no_link
from brefine.io.audio import read_excerpt
from brefine.io.interpreter import python_command
from brefine.phasedir import CORPUS_FILE, BoundaryRow, CorpusManifest, CorpusRecording, Manifest, PhaseDir

SPLIT: Final = "validation"
WIDTH_S: Final = 4.0
"""Seconds of audio around a boundary."""
_SAMPLE_RATE_HZ: Final = 16000
_SAME_TIME_S: Final = 2e-6
"""Times that differ by less are equal: the table of boundaries is written to the microsecond."""


@dataclass(frozen=True, slots=True, eq=False)
class Excerpt:
    """The surroundings of one boundary.

    Attributes:
        start_s: start of the excerpt, in the recording's time; it may be negative.
        end_s: its end.
        levels: shape (n_bands, n_columns), 0 (soft) to 1 (loud), lowest band first.
        turns: source (reference, hypothesis, refined) → its turns here, with the reference's names of speakers; in the refined
            turns only the matched ends have moved.
        speaker: whose boundary it is, under the same name.
        posterior: shape (n_columns,), as a fraction 0–1 of its peak; None if there is none.
        computed: whether the posteriors of this evaluation were computed; if so, a boundary without one has no window.
        audio: the recording's file.
    """

    start_s: float
    end_s: float
    levels: NDArray[np.float64]
    turns: dict[str, tuple[Turn, ...]]
    speaker: str
    posterior: NDArray[np.float64] | None
    computed: bool
    audio: Path


_MOST_TABLE_BYTES: Final = 256 << 20


class BoundaryBook:
    """Reads what evaluation has written; nothing here needs torch."""

    def __init__(self, phase: PhaseDir) -> None:
        self._phase = phase
        self._recordings: dict[str, CorpusRecording] | None = None
        self._corpus = Path()
        self._turns = lru_cache(maxsize=8)(self._read_turns)
        self._rows: dict[ModelName, tuple[BoundaryRow, ...]] = {}

    def rows(self, model: ModelName) -> tuple[BoundaryRow, ...]:
        """Every matched boundary, before and after the model.

        Raises:
            DataError: the model was not evaluated.
            FormatError: the table is damaged.
        """
        self._rows[model] = read_rows(self._phase.boundaries(model, SPLIT))
        return self._rows[model]

    def excerpt(self, model: ModelName, row: BoundaryRow, *, n_columns: int, n_bands: int) -> Excerpt:
        """The four seconds around a boundary, with the reference's boundary in the middle.

        Raises:
            DataError: the manifest, the prepared corpus, its turns or its audio are missing.
            FormatError: one of them is damaged.
        """
        recording = self._recording(row.recording)
        start_s = row.reference_s - WIDTH_S / 2
        audio = self._corpus / recording.audio
        samples = read_excerpt(audio, start_s=start_s, duration_s=WIDTH_S, sample_rate_hz=_SAMPLE_RATE_HZ)
        reference, hypothesis, names = self._turns(row.recording)
        refined = _refined(hypothesis, [item for item in self._rows.get(model, ()) if item.recording == row.recording])
        posterior, computed = self._posterior(model, row, start_s, n_columns)
        sources = {"reference": reference, "hypothesis": _renamed(hypothesis, names), "refined": _renamed(refined, names)}
        return Excerpt(
            start_s=start_s,
            end_s=start_s + WIDTH_S,
            levels=log_spectrogram(samples, _SAMPLE_RATE_HZ, n_columns=n_columns, n_bands=n_bands),
            turns={name: turns.clipped(max(0.0, start_s), start_s + WIDTH_S).turns for name, turns in sources.items()},
            speaker=names.get(row.speaker, row.speaker),
            posterior=posterior,
            computed=computed,
            audio=audio,
        )

    def compute_posteriors(self, model: ModelName) -> str:
        """Runs the model over the split in a process of its own and keeps its posteriors; takes seconds to minutes.

        Raises:
            ProcessError: it failed.
        """
        command = python_command("-m", "brefine.evaluate.posterior", self._phase.path, model)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            words = [line for line in done.stderr.splitlines() if line.strip()]
            raise ProcessError(f"the posteriors of the {model} cannot be computed", got=words[-1] if words else None)
        return f"the posteriors of the {model} are there"

    def _recording(self, name: str) -> CorpusRecording:
        if self._recordings is None:
            try:
                self._corpus = Path(Manifest.read(self._phase.manifest).corpus)
            except FileNotFoundError:
                raise DataError("the manifest, which names the corpus, is gone", where=self._phase.manifest) from None
            try:
                corpus = CorpusManifest.read(self._corpus / CORPUS_FILE)
            except FileNotFoundError:
                raise DataError(
                    "the prepared corpus is gone", where=self._corpus, hint="brefine prepare makes it again"
                ) from None
            self._recordings = {recording.name: recording for recording in corpus.splits.get(SPLIT, [])}
        if name not in self._recordings:
            raise DataError("the prepared corpus has no such recording", where=self._corpus, got=name)
        return self._recordings[name]

    def _read_turns(self, name: str) -> tuple[Diarization, Diarization, dict[str, str]]:
        recording = self._recording(name)
        for path in (recording.reference, recording.hypothesis):
            if not (self._corpus / path).is_file():
                raise DataError("the turns of this recording are gone", where=self._corpus / path)
        reference, hypothesis = recording.turns(self._corpus)
        return reference, hypothesis, map_speakers(reference, hypothesis)

    def _posterior(
        self, model: ModelName, row: BoundaryRow, start_s: float, n_columns: int
    ) -> tuple[NDArray[np.float64] | None, bool]:
        """The boundary's posterior, and whether the model's posteriors were computed after its evaluation."""
        path = self._phase.posteriors(model, SPLIT)
        try:
            stamp = path.stat().st_mtime_ns
            if stamp < self._phase.boundaries(model, SPLIT).stat().st_mtime_ns:
                return None, False
        except OSError:
            return None, False
        try:
            return _drawn(_load_posteriors(path, stamp), row, start_s, n_columns), True
        except Exception:  # torn or foreign: zip and numpy raise a dozen errors; it can be computed again
            return None, False


def _drawn(kept: dict[str, NDArray[Any]], row: BoundaryRow, start_s: float, n_columns: int) -> NDArray[np.float64] | None:
    """The boundary's posterior as columns of a screen; None if it is not among those that were kept."""
    here = (kept["recording"] == row.recording) & (kept["speaker"] == row.speaker) & (kept["side"] == row.side)
    found = np.flatnonzero(here & (np.abs(kept["hypothesis_s"] - row.hypothesis_s) < _SAME_TIME_S))
    if not len(found):
        return None
    probability = np.nan_to_num(kept["probability"][found[0]].astype(np.float64))
    times_s = kept["start_s"][found[0]] + float(kept["hop_s"]) * np.arange(len(probability))
    edges_s = start_s + WIDTH_S * np.arange(n_columns + 1) / n_columns
    columns = np.searchsorted(edges_s, times_s, side="right") - 1
    inside = (columns >= 0) & (columns < n_columns)
    drawn = np.zeros(n_columns)
    np.maximum.at(drawn, columns[inside], probability[inside])
    return drawn / max(float(probability.max()), 1e-9)


def read_rows(path: Path) -> tuple[BoundaryRow, ...]:
    """The rows of a `<split>.boundaries.csv`.

    Raises:
        DataError: there is no such file.
        FormatError: it is damaged, or of another version.
    """
    try:
        with open_no_link(path) as file:
            lines = printable(file.read(_MOST_TABLE_BYTES).decode("utf-8")).splitlines()
        return tuple(BoundaryRow.model_validate(row) for row in csv.DictReader(lines))
    except FileNotFoundError:
        raise DataError("there is no table of boundaries", where=path, hint="evaluate the model first") from None
    except (OSError, ValidationError, UnicodeDecodeError, csv.Error) as error:
        raise FormatError("the table of boundaries is broken", where=path, got=str(error).splitlines()[0]) from None


@lru_cache(maxsize=4)
def _load_posteriors(path: Path, stamp: int) -> dict[str, NDArray[Any]]:
    """The arrays of one file; `stamp` is part of the cache's key, so that a rewritten file is read again."""
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _refined(hypothesis: Diarization, rows: Sequence[BoundaryRow]) -> Diarization:
    """The hypothesis with its matched ends moved.

    Ends without a partner in the reference stay where they are, since no table lists them, though refinement may have moved them:
    for instance ends at which the speaker is heard to go on.
    """
    moved = {(row.speaker, row.side, round(row.hypothesis_s, 4)): row.refined_s for row in rows}
    turns = []
    for turn in hypothesis.turns:
        onset_s = moved.get((turn.speaker, "onset", round(turn.onset_s, 4)), turn.onset_s)
        offset_s = moved.get((turn.speaker, "offset", round(turn.offset_s, 4)), turn.offset_s)
        if offset_s > max(0.0, onset_s):
            turns.append(Turn(max(0.0, onset_s), offset_s, turn.speaker))
    return Diarization(hypothesis.recording, tuple(turns))


def _renamed(diarization: Diarization, names: dict[str, str]) -> Diarization:
    turns = [Turn(turn.onset_s, turn.offset_s, names.get(turn.speaker, turn.speaker)) for turn in diarization.turns]
    return Diarization(diarization.recording, tuple(turns))
