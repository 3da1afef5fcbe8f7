"""RTTM files with moved turns and everything else unchanged: order, channels, comments, other recordings, other line types."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from brefine.core.turns import Turn
from brefine.evaluate.moves import Refinement
from brefine.io.rttm import turn_of_line
from brefine.io.textfile import field_spans, lines_of


def rewrite_rttm(text: str, refinements: Iterable[tuple[Refinement, float]]) -> str:
    """The RTTM text with the turns of the refined recordings where the refinement put them.

    Lines of turns that did not move are kept to the letter; those of turns after the end of the audio are dropped.

    Args:
        text: a valid RTTM file that holds the refinements' recordings.
        refinements: each with the length of its audio in seconds; turns in the file were cut there, not refined.
    """
    ends = {one.hypothesis.recording: _Ends.after(one, duration_s) for one, duration_s in refinements}
    lines: list[str] = []
    for line in lines_of(text):
        recording, original = turn_of_line(line) or ("", None)
        own = ends.get(recording)
        if own is None or original is None:
            lines.append(line)
            continue
        if original.onset_s >= own.duration_s:
            continue
        onset_s, offset_s = own.of(original)
        unmoved = (onset_s, offset_s) == (original.onset_s, original.offset_s)
        lines.append(line if unmoved else _with_times(line, onset_s, offset_s))
    return "".join(lines)


@dataclass(frozen=True, slots=True)
class _Ends:
    """Where the turns of one recording are now: turn as it was → its ends, which equal turns share."""

    duration_s: float
    ends_s: dict[Turn, tuple[float, float]]

    @classmethod
    def after(cls, refinement: Refinement, duration_s: float) -> _Ends:
        return cls(duration_s, dict(zip(refinement.hypothesis.turns, map(tuple, refinement.ends_s.tolist()), strict=True)))

    def of(self, original: Turn) -> tuple[float, float]:
        return self.ends_s[Turn(original.onset_s, min(original.offset_s, self.duration_s), original.speaker)]


def _with_times(line: str, onset_s: float, offset_s: float) -> str:
    (onset, onset_end), (duration, duration_end) = field_spans(line)[3:5]
    # both ends are rounded, not the duration, so that turns that touch still do
    onset_text = f"{onset_s:.6f}"
    duration_text = f"{max(round(offset_s, 6) - round(onset_s, 6), 1e-6):.6f}"
    return line[:onset] + onset_text + line[onset_end:duration] + duration_text + line[duration_end:]
