"""What to refine, with which audio, and where to write it: planned without torch, which takes seconds to load."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from brefine.core.turns import Diarization
from brefine.errors import DataError, FormatError, one_line, tell
from brefine.io.audio import AUDIO_SUFFIXES, audio_by_stem, probe_all
from brefine.io.filenames import recording_named
from brefine.io.outputs import begins_with, refuse_replacing
from brefine.io.rttm import is_rttm, parse_rttm, raise_faults, rttm_files
from brefine.io.textfile import read_lines_text

REPORT_COLUMNS = (
    "recording", "speaker", "side", "hypothesis_s", "refined_s", "shift_ms", "confidence", "moved", "reason", "spread_ms",
)  # fmt: skip

_MAX_NAMES = 20


@dataclass(frozen=True, slots=True)
class Task:
    """One RTTM file to refine.

    Attributes:
        text: the file's content.
        hypotheses: the recordings in it that are refined.
        audio: recording → its audio.
    """

    rttm: Path
    out: Path
    text: str
    hypotheses: tuple[Diarization, ...]
    audio: dict[str, Path]


def plan_refinement(audio: Path, rttm: Path, out: Path | None = None) -> list[Task]:
    """Finds the audio of every recording before anything is computed or written.

    `audio` and `rttm` are files, or folders whose files have equal stems; an RTTM file of several recordings goes with a folder
    of audio files named after them. Files that need no partner are named on stderr: audio without turns, and the other recordings
    of a file if the audio of one is given. `out` is a folder if `rttm` is one, else a file; None if no turns will be written.

    Raises:
        DataError: audio or RTTM is missing, or files of audio share a stem; everything that is wrong is listed.
        FormatError: RTTM files cannot be read or have broken lines; all of them are listed.
        BrefineError: `out` would replace an input or a file that is not an RTTM, or cannot be written.
    """
    for path, what in ((audio, "audio"), (rttm, "RTTM")):
        if not path.exists():
            raise DataError(f"there is no such {what}", where=path)
    if rttm.is_dir() and not audio.is_dir():
        raise DataError("a folder of RTTMs needs a folder of audio files", where=audio, expected="a folder", got="a file")
    files = rttm_files(rttm)
    if not files:
        raise DataError("there is no RTTM file in this folder", where=rttm, expected="*.rttm")
    outs = files
    if out is not None:
        outs = [out / file.name if rttm.is_dir() or out.is_dir() else out for file in files]
        refuse_replacing([audio, rttm, *files], outs, "RTTM", is_rttm)
    heard = audio_by_stem(audio) if audio.is_dir() else {}
    tasks, broken, problems, unheard = [], list[str](), list[str](), list[str]()
    for file, target in zip(files, outs, strict=True):
        try:
            text = read_lines_text(file)
            found = parse_rttm(text, where=file, tell=tell)
        except FormatError as error:
            if not rttm.is_dir():
                raise
            broken += str(error).splitlines()
            continue
        if audio.is_dir():
            # in a folder of RTTMs, the file's stem names the recording if the RTTM holds only one
            names = {name: file.stem if rttm.is_dir() and len(found) == 1 else name for name in found}
            paths = {name: heard.get(stem) for name, stem in names.items()}
        else:
            paths = {name: audio for name in found if len(found) == 1 or name == audio.stem}
            if found and not paths:
                held = ", ".join(sorted(found)[:5])
                problems.append(f"{file}: it holds {len(found)} recordings ({held}), none of them named {audio.stem}")
            unheard += found.keys() - paths.keys()
        problems += [f"{file}: no audio for {name} in {audio}" for name, path in paths.items() if path is None]
        there = {name: path for name, path in paths.items() if path is not None}
        tasks.append(Task(file, target, text, tuple(found[name] for name in there), there))
    raise_faults(rttm, broken)
    if problems:
        raise DataError(
            "recordings have no audio",
            where=audio,
            problems=problems,
            hint=f"audio files are named after the recording: talk1.wav for talk1 ({', '.join(AUDIO_SUFFIXES)})",
        )
    turnless = heard.keys() - {path.stem for task in tasks for path in task.audio.values()} - {file.stem for file in files}
    tell_names("ignored, since no audio is given", unheard)
    tell_names("no turns for", turnless)
    return tasks


def with_silent(tasks: Iterable[Task], audio: Path) -> list[Task]:
    """The same tasks, but an RTTM without turns counts as the recording of its name: refinement skips it, a score does not.

    Args:
        audio: what the tasks were planned with.
    """
    heard = audio_by_stem(audio) if audio.is_dir() else {}
    found = []
    for task in tasks:
        own = heard.get(task.rttm.stem) if audio.is_dir() else audio
        if task.hypotheses or own is None or any(parse_rttm(task.text)):
            found.append(task)
        else:
            name = recording_named(task.rttm.stem)
            found.append(replace(task, hypotheses=(Diarization(name),), audio={name: own}))
    return found


def require_usable(audio: Iterable[Path]) -> None:
    """Reads the headers of audio files; those that may lack their end are named on stderr.

    Raises:
        DataError: headers show that audio cannot be used; all of it is listed.
    """
    for doubt in probe_all(audio):
        tell(doubt)


def tell_names(what: str, recordings: Collection[str]) -> None:
    """Names recordings on stderr, only the first of many; says nothing if there are none."""
    if recordings:
        more = f" … and {len(recordings) - _MAX_NAMES} more" if len(recordings) > _MAX_NAMES else ""
        tell(f"{what}: {', '.join(map(one_line, sorted(recordings)[:_MAX_NAMES]))}{more}")


def is_report(path: Path) -> bool:
    """Whether a file was made by `format_report`, of this or an earlier version with other columns."""
    return begins_with(path, ",".join(REPORT_COLUMNS[:3]))
