"""UEM files: the regions of each recording that are scored.

    <recording> <channel> <start_s> <end_s>

Conventions: as in RTTM (`;;` comments, blanks or tabs, seconds); the channel is ignored, and so is anything that other tools put
behind the end, unless it begins with a number. Touching and overlapping regions of a recording are merged.

Source: NIST, "RT-09 Meeting Recognition Evaluation Plan", appendix A.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

from brefine.core.turns import Regions
from brefine.io.filenames import name_problem
from brefine.io.textfile import MAX_TIME_S, Problems, numbered_fields, parse_seconds, read_lines_text, shown

UEM_FILE: Final = "all.uem"
"""The file in a corpus's folder that says which regions of its recordings are scored."""
_N_FIELDS = 4


def read_uem(path: Path) -> dict[str, Regions]:
    """Reads recording → regions `(start_s, end_s)`, sorted and disjoint.

    Raises:
        FormatError: the file cannot be read, or has broken lines; all of them are listed.
    """
    return parse_uem(read_lines_text(path), where=path)


def parse_uem(text: str, *, where: object = "UEM") -> dict[str, Regions]:
    """Parses UEM text; see `read_uem`."""
    regions: dict[str, list[tuple[float, float]]] = {}
    problems = Problems()
    for number, fields in numbered_fields(text):
        fault = _fault(fields)
        if fault is None:
            regions.setdefault(fields[0], []).append((float(fields[2]), float(fields[3])))
        else:
            problems.add(number, fault)
    problems.raise_if_any("broken lines" if problems.n > 1 else "broken line", where, expected="recording channel start_s end_s")
    return {recording: merge_regions(own) for recording, own in regions.items()}


def merge_regions(regions: list[tuple[float, float]]) -> Regions:
    """Sorts regions and joins those that touch or overlap."""
    merged: list[tuple[float, float]] = []
    for start_s, end_s in sorted(regions):
        if merged and start_s <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end_s))
        else:
            merged.append((start_s, end_s))
    return tuple(merged)


def _fault(fields: list[str]) -> str | None:
    if len(fields) < _N_FIELDS:
        return f"{len(fields)} fields instead of {_N_FIELDS}"
    if len(fields) > _N_FIELDS and not math.isnan(parse_seconds(fields[_N_FIELDS])):
        return f"{len(fields)} fields instead of {_N_FIELDS}, and a time in the fifth (a blank in a name?)"
    problem = name_problem(fields[0])
    if problem is not None:
        return f"the recording {shown(fields[0])} has {problem}"
    start_s, end_s = parse_seconds(fields[2]), parse_seconds(fields[3])
    if math.isnan(start_s) or math.isnan(end_s):
        return f"{shown(fields[2])} to {shown(fields[3])} is not a region in seconds"
    if start_s < 0.0 or end_s <= start_s or end_s > MAX_TIME_S:
        return f"the region {shown(fields[2])} to {shown(fields[3])} is negative, empty or longer than a year"
    return None
