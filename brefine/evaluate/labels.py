"""Which labels belong to which audio: people keep RTTMs of one recording or of many, under names of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from brefine.core.turns import Diarization, Regions
from brefine.errors import DataError, tell
from brefine.evaluate.tasks import Task, tell_names
from brefine.io.filenames import recording_named
from brefine.io.rttm import raise_faults, read_each, read_rttm, rttm_files
from brefine.io.textfile import shown
from brefine.io.uem import read_uem


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
