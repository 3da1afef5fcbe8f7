"""Names from data that become file names: what a recording may be called before brefine writes a file named after it."""

from __future__ import annotations

import re

from brefine.errors import FormatError

MAX_STEM_BYTES = 200
"""File systems allow 255 bytes; suffixes and temporary names need some of them."""

_NO_UTF8 = re.compile("[\udc80-\udcff]")
"""What `textfile.read_lines_text` makes of bytes that are not UTF-8."""


def file_stem(recording: str) -> str:
    """Returns the recording's id if a file can safely be named after it, on any system and inside its own folder.

    Raises:
        FormatError: the id is empty, too long, hidden, holds a path separator or characters that cannot be printed.
    """
    problem = name_problem(recording)
    if problem is None:
        problem = _path_problem(recording)
    if problem is not None:
        raise FormatError(
            "no file can be named after this recording",
            where=ascii(recording[:80]),
            expected="letters, digits, '-', '_' and '.'",
            got=problem,
        )
    return recording


def recording_named(stem: str) -> str:
    """The recording's id for a user's own audio file, `My talk.mp3` → `My_talk`: RTTM fields hold no white space."""
    return "_".join("".join(character if character.isprintable() else "_" for character in stem).split()) or "recording"


def name_problem(name: str) -> str | None:
    """Why a recording or a speaker cannot have this name in an RTTM, or None. Also protects terminals from escape codes."""
    if not name:
        return "an empty name"
    if _NO_UTF8.search(name):
        return "bytes that are not UTF-8 (convert the file: iconv -f latin1 -t utf-8 OLD > NEW)"
    if not name.isprintable():
        return "characters that cannot be printed"
    if any(character.isspace() for character in name):
        return "white space"
    return None


def _path_problem(recording: str) -> str | None:
    if "/" in recording or "\\" in recording or ":" in recording:
        return "a path separator"
    if recording.startswith("."):
        return "a leading dot"
    if len(recording.encode("utf-8")) > MAX_STEM_BYTES:
        return f"more than {MAX_STEM_BYTES} bytes"
    return None
