"""Lines of small text formats (RTTM, UEM): bounded, decoded forgivingly, with the faults of a file collected."""

from __future__ import annotations

import codecs
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from brefine.errors import FormatError
from brefine.io.atomic import write_bytes_atomic
from brefine.io.inputs import read_input

MAX_FILE_BYTES = 128 << 20
"""About two million turns, more than any corpus in one file; keeps time and memory bounded for any input."""

MAX_TIME_S = 366.0 * 24 * 3600
"""No recording is longer than a year."""

_MAX_PROBLEMS = 1000
_LONE_RETURN = re.compile(rb"\r[^\r\n]")
_SHOWN_CHARACTERS = 60
_COMMENT = ";;"
_GZIPPED = b"\x1f\x8b"
_MARK = "\ufeff"
_FIELD = re.compile(r"[^ \t]+")


@dataclass(slots=True)
class Problems:
    """The faults found in one file, in order of line."""

    lines: list[str] = field(default_factory=list)
    n: int = 0

    def add(self, line_number: int, fault: str) -> None:
        self.n += 1
        if self.n <= _MAX_PROBLEMS:
            self.lines.append(f"line {line_number}: {fault}")

    def raise_if_any(self, what: str, where: object, *, expected: str) -> None:
        """Raises one FormatError that lists every fault."""
        if not self.n:
            return
        unlisted = self.n - len(self.lines)
        more = [f"… and {unlisted} more"] if unlisted else []
        raise FormatError(f"{self.n} {what}", where=where, expected=expected, problems=[*self.lines, *more])


def read_lines_text(path: Path) -> str:
    """Reads a whole text file of bounded size; its byte-order mark stays.

    Bytes that are not UTF-8 become lone surrogates, for the parser to report and for `write_lines_text` to put back.

    Raises:
        FormatError: there is no such file, it cannot be read, is larger than `MAX_FILE_BYTES`, or is not text.
    """
    try:
        content = read_input(path, MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise FormatError("there is no such file", where=path) from None
    except OSError as error:
        raise FormatError(f"the file cannot be read: {error.strerror}", where=path) from None
    if len(content) > MAX_FILE_BYTES:
        raise FormatError(
            "the file is too large",
            where=path,
            expected=f"at most {MAX_FILE_BYTES >> 20} MiB",
            hint="split it into one file for each recording",
        )
    if content.startswith(_GZIPPED):
        raise FormatError("the file is gzipped", where=path, expected="UTF-8 text", hint="gunzip it first")
    if _LONE_RETURN.search(content) and b"\0" not in content:
        # Read as one line, all turns but the first would be lost, or all of them if it starts with a comment.
        raise FormatError(
            "lines end with a carriage return alone",
            where=path,
            expected="line feeds, or both (Windows)",
            hint="convert it: tr '\\r' '\\n' < OLD > NEW",
        )
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in content:
        raise FormatError("this is not a text file", where=path, expected="UTF-8 text")
    return content.decode("utf-8", errors="surrogateescape")


def write_lines_text(path: Path, text: str) -> None:
    """Replaces the file by text from `read_lines_text`, whose bytes are restored exactly; see `write_bytes_atomic`."""
    write_bytes_atomic(path, text.encode("utf-8", errors="surrogateescape"))


def numbered_fields(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yields the number and the blank- or tab-separated fields of every line that is neither empty nor a comment."""
    for number, line in enumerate(lines_of(text), start=1):
        fields = fields_of(line)
        if fields and not fields[0].startswith(_COMMENT):
            yield number, fields


def lines_of(text: str) -> Iterator[str]:
    """One line at a time, with its end: a list of all of them would take three times the memory of the text.

    str.splitlines would also break at form feeds and U+2028, which a comment may hold.
    """
    start = 0
    while (end := text.find("\n", start)) >= 0:
        yield text[start : end + 1]
        start = end + 1
    yield text[start:]


def fields_of(line: str) -> list[str]:
    """The blank- or tab-separated fields of one line; str.split() would also break at non-breaking spaces."""
    bare = line.rstrip("\r\n").removeprefix(_MARK)  # joined files have marks in the middle, too
    return [part for part in bare.replace("\t", " ").split(" ") if part]


def field_spans(line: str) -> list[tuple[int, int]]:
    """Where each of `fields_of` starts and ends in its line; the last one may include the line's end."""
    return [field.span() for field in _FIELD.finditer(line, line.startswith(_MARK))]


def parse_seconds(text: str) -> float:
    """Parses a time in seconds; not-a-number if it is not a plain finite decimal number."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    plain = text.isascii() and "_" not in text  # float() also takes 1_000 and digits of other scripts
    return value if plain and math.isfinite(value) else math.nan


def shown(text: str) -> str:
    """A field of a broken line as it may be printed: quoted, escaped and cut short."""
    cut = text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"
    return ascii(cut) if not cut.isprintable() else f"'{cut}'"
