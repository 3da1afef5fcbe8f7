"""A corpus on disk: recordings with their references, hypotheses and scored regions.

    <folder>/audio/<recording>.flac|wav|…           what exists; see `audio.AUDIO_SUFFIXES`
    <folder>/reference/*.rttm                       optional; a file may hold several recordings
    <folder>/hypothesis/*.rttm                      optional; likewise
    <folder>/all.uem                                optional

A recording is named after its audio file. An RTTM file without turns belongs to the recording that its file name says. So does a
file of a single recording if several files call theirs the same (`rttm.read_each`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from brefine.core.turns import Regions
from brefine.errors import BrefineError, DataError, FormatError, one_line
from brefine.io.audio import AUDIO_SUFFIXES, audio_files
from brefine.io.filenames import file_stem
from brefine.io.rttm import read_each, rttm_files
from brefine.io.textfile import shown
from brefine.io.uem import UEM_FILE, read_uem


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording of a corpus; `reference` and `hypothesis` are RTTM files that hold it by name, or hold only one recording."""

    name: str
    audio: Path
    reference: Path | None
    hypothesis: Path | None
    regions_s: Regions | None
    """What is scored; None = everything."""


def read_corpus(folder: Path) -> tuple[Recording, ...]:
    """The recordings of a corpus folder, by name; its RTTM and UEM files are read once, to check that they can be used.

    Raises:
        DataError: anything is missing, broken or duplicate; all problems of the folder are listed.
    """
    if not folder.is_dir():
        raise DataError(
            "there is no such corpus folder", where=folder, hint="its layout: audio/ reference/ hypothesis/ [all.uem]"
        )
    problems: list[str] = []
    audio = _audio_files(folder / "audio", problems)
    references = _rttm_files(folder / "reference", audio, problems)
    hypotheses = _rttm_files(folder / "hypothesis", audio, problems)
    regions = _regions(folder / UEM_FILE, audio, problems)
    if problems:
        raise DataError("the corpus has faults", where=folder, problems=problems)
    return tuple(
        Recording(name, path, references.get(name), hypotheses.get(name), regions.get(name))
        for name, path in sorted(audio.items())
    )


def _audio_files(folder: Path, problems: list[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    if not folder.is_dir():
        problems.append(f"{one_line(folder)}: there is no audio folder")
        return found
    for path in audio_files(folder):
        try:
            name = file_stem(path.stem)
        except FormatError as error:
            problems.append(str(error))
            continue
        if name in found:
            problems.append(f"{one_line(path)}: recording {shown(name)} is also in {found[name].name}")
        found[name] = path
    if not found:
        problems.append(f"{one_line(folder)}: there is no audio ({', '.join(AUDIO_SUFFIXES)})")
    return found


def _rttm_files(folder: Path, audio: dict[str, Path], problems: list[str]) -> dict[str, Path]:
    """Recording → the RTTM file that it is in; every recording must be in one if the folder exists."""
    found: dict[str, Path] = {}
    if not folder.is_dir():
        return found
    held, faults = read_each(rttm_files(folder))
    problems += faults
    for path, own in held.items():
        for recording in own:
            if recording in found:
                problems.append(f"{one_line(path)}: recording {shown(recording)} is also in {found[recording].name}")
            elif recording not in audio:
                problems.append(f"{one_line(path)}: recording {shown(recording)} has no audio")
            found[recording] = path
    if not faults:  # else the missing recordings may be in the broken files
        problems += [f"{one_line(folder)}: recording {shown(name)} is missing" for name in sorted(audio.keys() - found.keys())]
    return found


def _regions(path: Path, audio: dict[str, Path], problems: list[str]) -> dict[str, Regions]:
    if not path.is_file():
        if os.path.lexists(path):  # if it were ignored, everything would be scored
            problems.append(f"{one_line(path)}: this is not a file, or a link that leads to none")
        return {}
    try:
        regions = read_uem(path)
    except BrefineError as error:
        problems += str(error).splitlines()
        return {}
    problems += [f"{one_line(path)}: recording {shown(name)} is missing" for name in sorted(audio.keys() - regions.keys())]
    return regions
