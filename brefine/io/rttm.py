"""RTTM files: one line per turn.

    SPEAKER <recording> <channel> <onset_s> <duration_s> <NA> <NA> <speaker> <NA> <NA>

Conventions: times in seconds from the start of the recording. Fields are separated by blanks or tabs; `;;` starts a comment;
lines of the format's other types (LEXEME, SPKR-INFO, …) are ignored; a byte-order mark and Windows line ends are accepted; the
channel is ignored, and so is the ninth field, which may hold the turn's confidence. The sixth, the orthography, may hold a mark
of what wrote the turn: copies keep it and readers ignore it, whereas pyannote's reader stumbles over a comment. A turn of no
length says nothing and is skipped: rounding leaves some, and pyannote.core writes them. All faults of a file are reported at
once, with line numbers.

Source: NIST, "RT-09 Meeting Recognition Evaluation Plan", appendix A.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from os import PathLike
from pathlib import Path

from brefine.core.figures import counted
from brefine.core.turns import Diarization, Turn
from brefine.errors import FormatError, one_line
from brefine.io.atomic import write_text_atomic
from brefine.io.filenames import name_problem, recording_named
from brefine.io.folders import files_of
from brefine.io.textfile import MAX_TIME_S, Problems, fields_of, numbered_fields, parse_seconds, read_lines_text, shown

LINE_FORMAT = "SPEAKER recording channel onset_s duration_s <NA> <NA> speaker <NA> <NA>"

NO_MARK = "<NA>"
Tell = Callable[[str], None]
"""Takes notes for a person on a file that can be used, a line each."""

_OTHER_TYPES = frozenset(
    "SEGMENT NOSCORE NO_RT_METADATA LEXEME NON-LEX NON-SPEECH FILLER EDIT IP SU CB A/P SPKR-INFO".split()  # noqa: SIM905
)
_N_FIELDS_MIN, _N_FIELDS = 8, 10  # some tools leave out the last one or two
_DECIMALS = 6  # written: microseconds
_SUM_DECIMALS = 9  # onset + duration is rounded to this: 0.1 + 0.2 must touch a turn that starts at 0.3


def say_nothing(message: str) -> None:
    """A `Tell` where there is nobody to tell."""


def read_rttm(path: str | PathLike[str], *, tell: Tell = say_nothing) -> dict[str, Diarization]:
    """Reads the diarizations of all recordings in one file, in order of their first line.

    Args:
        tell: gets a note on how many turns have no length.

    Raises:
        FormatError: the file cannot be read, or has broken lines; all of them are listed.
    """
    return parse_rttm(read_lines_text(Path(path)), where=path, tell=tell)


def read_recording(path: str | PathLike[str], name: str) -> Diarization:
    """Reads one recording of a file; it has no turns if the file has none of it.

    Raises:
        FormatError: as `read_rttm`.
    """
    return read_rttm(path).get(name, Diarization(name))


def read_diarizations(path: str | PathLike[str], *, tell: Tell = say_nothing) -> dict[str, Diarization]:
    """Reads one RTTM file, or all `*.rttm` of a folder by `read_each`.

    Raises:
        FormatError: files cannot be read, have broken lines, or two files hold the same recording; everything is listed.
    """
    path = Path(path)
    if not path.is_dir():
        return _read_named(path, tell)
    files = rttm_files(path)
    if not files:
        raise FormatError("there is no RTTM file in this folder", where=path, expected="*.rttm")
    held, problems = read_each(files, tell=tell)
    found: dict[str, Diarization] = {}
    origin: dict[str, Path] = {}
    for file, diarizations in held.items():
        for recording in diarizations.keys() & found.keys():
            problems.append(f"{file}: recording {shown(recording)} is also in {origin[recording].name}")
        found.update(diarizations)
        origin.update(dict.fromkeys(diarizations, file))
    raise_faults(path, problems)
    return found


def raise_faults(folder: Path, problems: Sequence[str]) -> None:
    """Raises the faults found in RTTM files of a folder as one error, if there are any.

    Raises:
        FormatError: there are problems; it lists them.
    """
    if problems:
        raise FormatError("RTTM files of this folder have faults", where=folder, problems=problems)


def read_each(files: Iterable[Path], *, tell: Tell = say_nothing) -> tuple[dict[Path, dict[str, Diarization]], list[str]]:
    """Reads the files of a folder: file → its recordings by name, and the faults of those that cannot be read.

    A file without turns is the recording of the file's name, without speech. If several files hold a single recording each, all
    of the same name, and none of the files has that name, the recordings are named after their files: pyannote.audio calls all
    audio in memory `waveform`.
    """
    held: dict[Path, dict[str, Diarization]] = {}
    problems: list[str] = []
    for file in files:
        try:
            held[file] = _read_named(file, tell)
        except FormatError as error:
            problems += str(error).splitlines()
    n_called = Counter(name for own in held.values() if len(own) == 1 for name in own)
    telling = {file.stem for file in held} | {name for name, n in n_called.items() if n == 1}
    for file, own in held.items():
        (name, one), *others = own.items()
        if not others and name not in telling:
            stem = recording_named(file.stem)
            held[file] = {stem: Diarization(stem, one.turns)}
    return held, problems


def rttm_files(path: Path) -> list[Path]:
    """What `read_diarizations` reads: the file itself, or all `*.rttm` of a folder."""
    return files_of(path, {".rttm"}) if path.is_dir() else [path]


def is_rttm(path: Path) -> bool:
    """Whether a file is an RTTM; one that holds only comments is an RTTM without turns."""
    try:
        read_rttm(path)
    except FormatError:
        return False
    return True


def parse_rttm(text: str, *, where: object = "RTTM", tell: Tell = say_nothing) -> dict[str, Diarization]:
    """Parses RTTM text; see `read_rttm`.

    Raises:
        FormatError: broken lines; `where` names their origin in the message.
    """
    turns: dict[str, list[Turn]] = {}
    problems = Problems()
    n_empty = 0
    names: dict[str, str] = {}  # one string object per name, however many lines hold it
    for number, fields in numbered_fields(text):
        if fields[0] != "SPEAKER":
            if fields[0] not in _OTHER_TYPES:
                problems.add(number, f"the line starts with {shown(fields[0])}")
            continue
        fault = _fault(fields, names)
        if fault is not None:
            problems.add(number, fault)
            continue
        own, turn = turns.setdefault(names[fields[1]], []), _turn(fields, names[fields[7]])
        if turn is None:
            n_empty += 1
        else:
            own.append(turn)
    problems.raise_if_any("broken lines" if problems.n > 1 else "broken line", where, expected=LINE_FORMAT)
    if n_empty:
        no_length = counted(n_empty, "turn has no length and is", "turns have no length and are")
        tell(f"{one_line(where)}: {no_length} ignored")
    return {recording: Diarization(recording, tuple(own)) for recording, own in turns.items()}


def recordings_marked(files: Iterable[Path], mark: str) -> set[str]:
    """Names of recordings, in valid RTTM files, that have a turn with this mark; a file's only one also by the file's name."""
    found: set[str] = set()
    for file in files:
        marked: dict[str, bool] = {}
        for _, fields in numbered_fields(read_lines_text(file)):
            if fields[0] == "SPEAKER":
                marked[fields[1]] = marked.get(fields[1], False) or fields[5] == mark
        found.update(name for name, is_marked in marked.items() if is_marked)
        found.update([recording_named(file.stem)] if list(marked.values()) == [True] else [])
    return found


def turn_of_line(line: str) -> tuple[str, Turn] | None:
    """The recording and the turn in one line of a valid RTTM; None if it holds no turn."""
    fields = fields_of(line)
    turn = _turn(fields, fields[7]) if fields and fields[0] == "SPEAKER" else None
    return None if turn is None else (fields[1], turn)


def write_rttm(
    path: str | PathLike[str],
    diarizations: Iterable[Diarization] | Diarization,
    *,
    confidence: Sequence[float] | None = None,
    mark: str = NO_MARK,
) -> None:
    """Writes one file with the turns of all given recordings; readers see the old file or the whole new one.

    Args:
        confidence: the ninth field: 0–1, one for each turn that is written, in order; None = `<NA>`.
        mark: the sixth field of each turn: a word on what wrote them.

    Raises:
        FormatError: a recording or a speaker has a name that RTTM cannot hold.
    """
    write_text_atomic(Path(path), format_rttm(diarizations, confidence=confidence, mark=mark))


def format_rttm(
    diarizations: Iterable[Diarization] | Diarization, *, confidence: Sequence[float] | None = None, mark: str = NO_MARK
) -> str:
    """RTTM text with times in microseconds; see `write_rttm`. Turns that touch still do so after rounding."""
    if isinstance(diarizations, Diarization):
        diarizations = [diarizations]
    turns = [(diarization.recording, turn) for diarization in diarizations for turn in diarization.turns]
    words = ["<NA>"] * len(turns) if confidence is None else [f"{value:.3f}" for value in confidence]
    return "".join(_format_line(recording, turn, word, mark) for (recording, turn), word in zip(turns, words, strict=True))


def _read_named(path: Path, tell: Tell) -> dict[str, Diarization]:
    name = recording_named(path.stem)
    return read_rttm(path, tell=tell) or {name: Diarization(name)}


def _fault(fields: list[str], names: dict[str, str]) -> str | None:
    if not _N_FIELDS_MIN <= len(fields) <= _N_FIELDS:
        return f"{len(fields)} fields instead of {_N_FIELDS}" + (" (a blank in a name?)" if len(fields) > _N_FIELDS else "")
    for name, what in ((fields[1], "recording"), (fields[7], "speaker")):
        if name not in names:
            problem = name_problem(name)
            if problem is not None:
                return f"the {what} {shown(name)} has {problem}"
            names[name] = name
    return _time_fault(fields[3], fields[4])


def _time_fault(onset: str, duration: str) -> str | None:
    onset_s, duration_s = parse_seconds(onset), parse_seconds(duration)
    fault = None
    if math.isnan(onset_s):
        fault = f"the onset {shown(onset)} is not a number of seconds"
    elif math.isnan(duration_s):
        fault = f"the duration {shown(duration)} is not a number of seconds"
    elif onset_s < 0.0:
        fault = f"the onset {shown(onset)} is negative"
    elif duration_s < 0.0:
        fault = f"the duration {shown(duration)} is negative"
    elif onset_s + duration_s > MAX_TIME_S:
        fault = f"the turn ends after more than a year ({shown(onset)} + {shown(duration)} s)"
    return fault


def _turn(fields: list[str], speaker: str) -> Turn | None:
    """The turn of a line without faults; None if it has no length after rounding."""
    onset_s = float(fields[3])
    offset_s = round(onset_s + float(fields[4]), _SUM_DECIMALS)
    return Turn(onset_s, offset_s, speaker) if offset_s > onset_s else None


def _format_line(recording: str, turn: Turn, confidence: str, mark: str) -> str:
    for name, what in ((recording, "recording"), (turn.speaker, "speaker")):
        problem = name_problem(name)
        if problem is not None:
            raise FormatError(f"RTTM cannot hold this {what}", where=ascii(name), got=problem)
    onset_s = round(turn.onset_s, _DECIMALS)
    # Both ends are rounded, not the duration, so that turns that touch still do. No turn is written with a duration of 0.
    duration_s = max(round(turn.offset_s, _DECIMALS) - onset_s, 10.0**-_DECIMALS)
    times = f"{onset_s:.{_DECIMALS}f} {duration_s:.{_DECIMALS}f}"
    return f"SPEAKER {recording} 1 {times} {mark} <NA> {turn.speaker} {confidence} <NA>\n"
