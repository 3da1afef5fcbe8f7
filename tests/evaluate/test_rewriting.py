"""RTTM text with moved turns and all else as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from brefine.config import RefineConfig
from brefine.core.boundaries import Shift, Side
from brefine.evaluate.moves import decide_moves
from brefine.evaluate.rewriting import rewrite_rttm
from brefine.io.rttm import parse_rttm
from brefine.io.textfile import read_lines_text, write_lines_text

TEXT = """;; made by somebody
SPKR-INFO talk 1 <NA> <NA> <NA> adult_male A <NA> <NA>
SPEAKER  other 1 1.000 2.000 <NA> <NA> A <NA> <NA>
SPEAKER\ttalk 2 5.00 3.00 <NA> <NA> B 0.93 <NA>
SPEAKER talk 1 1.25 2.5 <NA> <NA> A <NA> <NA>
SPEAKER talk 1 19.0 4.0 <NA> <NA> A <NA> <NA>
SPEAKER talk 1 25.0 1.0 <NA> <NA> A <NA> <NA>
"""


def rewritten(*shifts: Shift, duration_s: float = 20.0) -> list[str]:
    hypothesis = parse_rttm(TEXT)["talk"].clipped(0.0, duration_s)
    refinement = decide_moves(hypothesis, shifts, duration_s=duration_s, config=RefineConfig())
    return rewrite_rttm(TEXT, [(refinement, duration_s)]).splitlines()


def test_only_the_times_of_moved_turns_change() -> None:
    """Comments, other lines, other recordings, order, blanks, channels and further fields stay to the letter."""
    lines = rewritten(Shift(1, Side.ONSET, -0.5, 0.9))
    before = TEXT.splitlines()
    assert lines[:3] == before[:3]
    assert lines[3] == "SPEAKER\ttalk 2 4.500000 3.500000 <NA> <NA> B 0.93 <NA>"
    assert lines[4] == before[4]


def test_turns_are_cut_at_the_end_of_the_audio() -> None:
    """A turn across the end is shortened, one after it is dropped, and so is one that would begin there."""
    lines = rewritten()
    assert lines[-1] == "SPEAKER talk 1 19.000000 1.000000 <NA> <NA> A <NA> <NA>"
    assert len(lines) == len(TEXT.splitlines()) - 1
    assert rewritten(duration_s=19.0) == TEXT.splitlines()[:-2]


def test_the_text_says_what_the_refinement_says() -> None:
    """Reading the file back gives the refined turns, to a microsecond."""
    hypothesis = parse_rttm(TEXT)["talk"].clipped(0.0, 20.0)
    shifts = [Shift(0, Side.OFFSET, 1 / 3, 0.9), Shift(1, Side.OFFSET, -1 / 7, 0.9)]
    refinement = decide_moves(hypothesis, shifts, duration_s=20.0, config=RefineConfig())
    found = parse_rttm(rewrite_rttm(TEXT, [(refinement, 20.0)]))["talk"]
    for ours, theirs in zip(refinement.refined.turns, found.turns, strict=True):
        assert abs(ours.onset_s - theirs.onset_s) <= 1e-6
        assert abs(ours.offset_s - theirs.offset_s) <= 1e-6
        assert ours.speaker == theirs.speaker


def test_the_same_turn_twice_is_kept_twice() -> None:
    """Two equal lines are two turns; neither is lost, and they stay equal."""
    line = "SPEAKER talk 1 {} <NA> <NA> A <NA> <NA>\n"
    text = line.format("1.0 2.0") * 2
    hypothesis = parse_rttm(text)["talk"]
    for shifts, times in (([], "1.0 2.0"), ([Shift(0, Side.ONSET, -0.5, 0.9)], "0.500000 2.500000")):
        refinement = decide_moves(hypothesis, shifts, duration_s=20.0, config=RefineConfig())
        assert rewrite_rttm(text, [(refinement, 20.0)]) == line.format(times) * 2


LINE = b"SPEAKER talk 1 5.0 3.0 <NA> <NA> B <NA> <NA>"


@pytest.mark.parametrize(
    ("before", "line_end"),
    [
        (b";; annotateur: Andr\xe9\n", b"\n"),
        (b";; made by X\xe2\x80\xa8version 2\n", b"\n"),
        (b";; was\x0cSPEAKER talk 1 4.0 3.0 <NA> <NA> B <NA> <NA>\n", b"\n"),
        (b"\xef\xbb\xbf", b"\r\n"),
        (b"\xef\xbb\xbf ", b"\n"),
        (b";; one file\n\xef\xbb\xbf\t", b"\n"),
        (b"\n \t\n", b""),
    ],
    ids=["Latin-1", "U+2028", "form feed", "byte-order mark", "mark and blank", "mark and tab within", "no last line end"],
)
def test_whatever_the_parser_takes_is_kept_byte_for_byte(before: bytes, line_end: bytes, tmp_path: Path) -> None:
    """Lines end where the parser says that they do, and a comment may hold any bytes."""
    path = tmp_path / "talk.rttm"
    path.write_bytes(before + LINE + line_end)
    text = read_lines_text(path)
    shift = Shift(0, Side.ONSET, -0.5, 0.9)
    refinement = decide_moves(parse_rttm(text)["talk"], [shift], duration_s=20.0, config=RefineConfig())
    write_lines_text(path, rewrite_rttm(text, [(refinement, 20.0)]))
    assert path.read_bytes() == before + LINE.replace(b"5.0 3.0", b"4.500000 3.500000") + line_end


def test_all_recordings_of_a_file_are_rewritten_at_once() -> None:
    """Each turn goes where its own recording's refinement put it, each cut at the end of its own audio."""
    shifts = {"talk": Shift(0, Side.ONSET, -0.5, 0.9), "other": Shift(0, Side.OFFSET, 0.25, 0.9)}
    durations_s = {"talk": 20.0, "other": 10.0}
    parsed = parse_rttm(TEXT)
    refinements = []
    for name, duration_s in durations_s.items():
        hypothesis = parsed[name].clipped(0.0, duration_s)
        refinements.append((decide_moves(hypothesis, [shifts[name]], duration_s=duration_s, config=RefineConfig()), duration_s))
    found = parse_rttm(rewrite_rttm(TEXT, refinements))
    assert found == {refinement.refined.recording: refinement.refined for refinement, _ in refinements}
