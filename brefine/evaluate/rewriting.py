"""RTTM files with moved turns and everything else as it was: order, channels, comments, other recordings, other line types."""

from __future__ import annotations

import re
from collections import defaultdict

from brefine.core.turns import Turn
from brefine.evaluate.moves import Refinement
from brefine.io.rttm import parse_rttm

_FIELD = re.compile(r"\S+")


def rewrite_rttm(text: str, refinement: Refinement, *, duration_s: float) -> str:
    """The RTTM text with the turns of one recording where the refinement put them.

    Lines of turns that did not move are kept to the letter; those of turns after the end of the audio are dropped.

    Args:
        text: a valid RTTM file that holds the refinement's recording.
        duration_s: length of the audio; what the file says beyond it was not refined but cut.
    """
    recording = refinement.hypothesis.recording
    places: dict[Turn, list[int]] = defaultdict(list)
    for index, turn in enumerate(refinement.hypothesis.turns):
        places[turn].append(index)
    lines: list[str] = []
    for line in text.splitlines(keepends=True):
        original = _turn_of(line, recording)
        if original is None:
            lines.append(line)
            continue
        clipped = (
            Turn(original.onset_s, min(original.offset_s, duration_s), original.speaker)
            if original.onset_s < duration_s
            else None
        )
        if clipped is None:
            continue
        onset_s, offset_s = (float(value) for value in refinement.ends_s[places[clipped].pop(0)])
        unmoved = (onset_s, offset_s) == (original.onset_s, original.offset_s)
        lines.append(line if unmoved else _with_times(line, onset_s, offset_s))
    return "".join(lines)


def _turn_of(line: str, recording: str) -> Turn | None:
    """The turn that a line of `recording` holds; None for all other lines."""
    found = parse_rttm(line).get(recording)
    return found.turns[0] if found is not None and found.turns else None


def _with_times(line: str, onset_s: float, offset_s: float) -> str:
    onset, duration = list(_FIELD.finditer(line))[3:5]
    # both ends are rounded, not the duration, so that turns that touch still do
    onset_text = f"{onset_s:.6f}"
    duration_text = f"{max(round(offset_s, 6) - round(onset_s, 6), 1e-6):.6f}"
    return line[: onset.start()] + onset_text + line[onset.end() : duration.start()] + duration_text + line[duration.end() :]
