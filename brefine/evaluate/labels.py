"""Which labels belong to which audio, and which boundaries they are of: known before torch is loaded, which takes seconds.

People keep RTTMs of one recording or of many, under names of their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from brefine.core.boundaries import EDGE_S, Boundary
from brefine.core.matching import WINDOW_S, match_boundaries
from brefine.core.turns import Diarization, Regions
from brefine.errors import DataError, tell
from brefine.evaluate.movable import movable
from brefine.evaluate.tasks import Task, tell_names
from brefine.io.audio import probe_audio
from brefine.io.filenames import recording_named
from brefine.io.rttm import raise_faults, read_each, read_rttm, rttm_files
from brefine.io.textfile import shown
from brefine.io.uem import read_uem

LEAST_BOUNDARIES = 20
"""Fewer matched boundaries say less about a system than its hypotheses do."""
_INEXACT = 0.01
"""The audio may be longer or shorter than its header says by this share: some only estimate."""


def read_references(path: Path, tasks: Sequence[Task]) -> dict[Path, Diarization]:
    """The labels of each audio file of `tasks` that has some, from an RTTM file or a folder of them.

    Recordings without labels are named on stderr. Labels are looked for under the name of the audio file. In a folder, an RTTM
    file of one recording counts under its stem: the name in the file may be the same in all of them, such as the `waveform` that
    pyannote.audio writes for audio in memory.

    Raises:
        DataError: no recording has labels, or two would have the same ones; all recordings at fault are listed.
        FormatError: lines are broken, or a recording has labels twice; everything is listed.
    """
    labels = _Labels.read(path)
    hypotheses = [(task.audio[one.recording], one.recording) for task in tasks for one in task.hypotheses]
    n_called = Counter(recording for _, recording in hypotheses)
    found: dict[Path, Diarization] = {}
    owners: dict[int, Path] = {}
    unlabelled, problems = [], []
    for audio, recording in hypotheses:
        reference = labels.of(audio.stem, recording if n_called[recording] == 1 else None)
        if reference is None:
            unlabelled.append(audio.stem)
            continue
        owner = owners.setdefault(id(reference), audio)
        if owner != audio:
            problems.append(f"{audio.stem}: its labels are taken already, by {owner.stem}")
        found[audio] = reference
    if problems or not found:
        raise DataError(
            "recordings have no reference",
            where=path,
            problems=[*(f"{stem}: no labels of this name" for stem in unlabelled), *problems],
            hint="labels are named after the audio: talk1.rttm for talk1.wav in a folder, or recordings of that name in one file",
        )
    tell_names("no labels for", unlabelled)
    return found


def read_regions(path: Path, references: Mapping[Path, Diarization]) -> dict[Path, Regions]:
    """Which parts of each audio file in `references` are labelled, from a UEM file with the names of audio or labels.

    Raises:
        DataError: it lacks some of them; all of these are listed.
        FormatError: it cannot be read, or has broken lines.
    """
    regions = read_uem(path)
    n_called = Counter(reference.recording for reference in references.values())
    found: dict[Path, Regions] = {}
    for audio, reference in references.items():
        names = [audio.stem, recording_named(audio.stem)]
        names += [reference.recording] if n_called[reference.recording] == 1 else []
        named = [name for name in names if name in regions]
        if named:
            found[audio] = regions[named[0]]
    if missing := sorted(audio.stem for audio in references if audio not in found):
        raise DataError("the UEM does not say which parts of these recordings are labelled", where=path, problems=missing)
    return found


def true_shifts_s(
    boundaries: Sequence[Boundary], hypothesis: Diarization, reference: Diarization, regions_s: Regions | None
) -> NDArray[np.float64]:
    """Label − hypothesis of each boundary; not-a-number if it has no partner, or one made by a cut; shape (n_boundaries,).

    Args:
        hypothesis: whose boundaries they are.
        regions_s: which parts are labelled; None = everything.
    """
    within_s = None if regions_s is None else [(start_s + EDGE_S, end_s - EDGE_S) for start_s, end_s in regions_s]
    match = match_boundaries(reference, hypothesis, regions_s=within_s)
    hypothesis_s = np.array([boundary.time_s for boundary in boundaries], np.float64)
    return np.asarray(match.partner_times_s(boundaries) - hypothesis_s, np.float64)


def enough(n_known: int) -> bool:
    """Whether so many boundaries with labels say more about a system than its hypotheses do."""
    return n_known >= LEAST_BOUNDARIES


def too_few(n_known: int) -> DataError:
    """That not `enough` boundaries have labels."""
    return DataError(
        "too few boundaries have a partner in the reference to calibrate with",
        expected=f"{LEAST_BOUNDARIES} within {WINDOW_S:g} s",
        got=n_known,
        hint="label more minutes; without a calibration `brefine refine` learns from the hypotheses alone",
    )


def require_enough(
    tasks: Sequence[Task], references: Mapping[Path, Diarization], regions_s: Mapping[Path, Regions] | None
) -> None:
    """Refuses too few boundaries with labels before anything is heard, by the lengths in the headers of the audio.

    Where a turn ends about where the audio does, hearing must show whether its ends count.

    Raises:
        DataError: too few have a partner in the reference.
    """
    n_known = n_open = 0
    for task in tasks:
        for given in task.hypotheses:
            audio = task.audio[given.recording]
            if audio in references:
                duration_s = probe_audio(audio).duration_s
                hypothesis = given.clipped(0.0, duration_s)
                own_s = None if regions_s is None else regions_s[audio]
                true_s = true_shifts_s(movable(hypothesis, duration_s), hypothesis, references[audio], own_s)
                n_known += int(np.isfinite(true_s).sum())
                n_open += 2 * sum(turn.offset_s > (1.0 - _INEXACT) * duration_s - EDGE_S for turn in given.turns)
    if not enough(n_known + n_open):
        raise too_few(n_known)


@dataclass(frozen=True, slots=True)
class _Labels:
    """Labels by name.

    Attributes:
        named: labels by the name that is tried first.
        inside: labels of one-recording files by their other name: the stem of a single file; in a folder, the name inside the
            file, if no two have it.
    """

    named: dict[str, Diarization]
    inside: dict[str, Diarization]

    @classmethod
    def read(cls, path: Path) -> _Labels:
        """The labels of an RTTM file or of a folder of them; see `read_references`."""
        if not path.exists():
            raise DataError("there is no such reference", where=path)
        if not path.is_dir():
            whole = read_rttm(path, tell=tell)
            only = next(iter(whole.values())) if len(whole) == 1 else None
            return cls(whole, {} if only is None else {path.stem: only})
        files = rttm_files(path)
        if not files:
            raise DataError("there is no RTTM file in this folder", where=path, expected="*.rttm")
        named: dict[str, Diarization] = {}
        origin: dict[str, Path] = {}
        alone: list[Diarization] = []
        held, problems = read_each(files, tell=tell)
        for file, own in held.items():
            if len(own) == 1:
                alone += own.values()
            by_name = {file.stem: alone[-1]} if len(own) == 1 else own
            problems += [f"{file}: recording {shown(name)} is also in {origin[name].name}" for name in by_name if name in origin]
            named |= by_name
            origin |= dict.fromkeys(by_name, file)
        raise_faults(path, problems)
        n_called = Counter(one.recording for one in alone)
        return cls(named, {one.recording: one for one in alone if n_called[one.recording] == 1})

    def of(self, stem: str, recording: str | None) -> Diarization | None:
        """The labels of an audio file, whose hypothesis calls it `recording` (None = unknown); None if there are none."""
        for name in (stem, recording_named(stem)):
            if (found := self.named.get(name) or self.inside.get(name)) is not None:
                return found
        return None if recording is None else self.named.get(recording)
