"""What belongs together, from two files or two folders."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from brefine.core.turns import Diarization
from brefine.errors import DataError
from brefine.io.pairs import read_pairs

_LINE = "SPEAKER {} 1 0.5 1.25 <NA> <NA> spk00 <NA> <NA>\n"


def _written(path: Path, *recordings: str) -> Path:
    path.write_text("".join(_LINE.format(recording) for recording in recordings))
    return path


@pytest.mark.parametrize("name", ["a.rttm", "hyp.rttm"])
def test_an_empty_hypothesis_of_one_recording_heard_nobody(tmp_path: Path, name: str) -> None:
    """Two files of one recording are a pair whatever they are called, and whether or not there are turns."""
    (pair,) = read_pairs(_written(tmp_path / "ref.rttm", "a"), _written(tmp_path / name)).pairs
    assert (pair.recording, len(pair.reference.turns), pair.hypothesis) == ("a", 1, Diarization("a"))


def test_an_empty_hypothesis_speaks_for_the_recording_of_its_name_alone(tmp_path: Path) -> None:
    """Of a reference of several recordings the others are missing, and the message says which."""
    with pytest.raises(DataError, match="b: no hypothesis") as caught:
        read_pairs(_written(tmp_path / "ref.rttm", "a", "b"), _written(tmp_path / "a.rttm"))
    assert "a: no hypothesis" not in str(caught.value)


@pytest.mark.parametrize("name", ["hyp", "hyp/a.rttm"])
def test_turns_of_no_length_are_told_of_files_and_folders(tmp_path: Path, name: str) -> None:
    """What is scored is what is left."""
    (tmp_path / "hyp").mkdir()
    reference, hypothesis = _written(tmp_path / "a.rttm", "a"), _written(tmp_path / "hyp" / "a.rttm", "a")
    hypothesis.write_text(hypothesis.read_text() + _LINE.format("a").replace("1.25", "0"))
    told: list[str] = []
    (pair,) = read_pairs(reference, tmp_path / name, tell=told.append).pairs
    assert pair.reference == pair.hypothesis
    assert told == [f"{hypothesis}: 1 turn has no length and is ignored"]


def test_folders_in_which_all_is_called_the_same_go_by_their_files(tmp_path: Path) -> None:
    """What can be refined can be scored."""
    for part, names in (("ref", ("t1", "t2")), ("hyp", ("waveform", "waveform"))):
        (tmp_path / part).mkdir()
        for number, name in enumerate(names, start=1):
            _written(tmp_path / part / f"t{number}.rttm", name)
    assert [pair.recording for pair in read_pairs(tmp_path / "ref", tmp_path / "hyp").pairs] == ["t1", "t2"]


def test_a_uem_speaks_of_what_is_referenced(tmp_path: Path) -> None:
    """What the hypothesis has beyond that is named; a recording without regions is refused."""
    for part, names in (("ref", "a"), ("hyp", "ab")):
        (tmp_path / part).mkdir()
        for name in names:
            _written(tmp_path / part / f"{name}.rttm", name)
    (tmp_path / "all.uem").write_text("a 1 0 1\n")
    found = read_pairs(tmp_path / "ref", tmp_path / "hyp", tmp_path / "all.uem")
    assert ([(pair.recording, pair.regions_s) for pair in found.pairs], found.unreferenced) == ([("a", ((0.0, 1.0),))], ("b",))
    (tmp_path / "all.uem").write_text("b 1 0 1\n")
    with pytest.raises(DataError, match="a: no regions"):
        read_pairs(tmp_path / "ref", tmp_path / "hyp", tmp_path / "all.uem")


def test_a_file_has_no_partner_in_a_folder_of_others(tmp_path: Path) -> None:
    """The only hypothesis there is may be of another recording."""
    (tmp_path / "hyp").mkdir()
    _written(tmp_path / "hyp" / "b.rttm", "b")
    with pytest.raises(DataError, match="a: no hypothesis"):
        read_pairs(_written(tmp_path / "a.rttm", "a"), tmp_path / "hyp")


def test_an_empty_reference_file_is_no_truth(tmp_path: Path) -> None:
    """Nothing can be scored against it."""
    with pytest.raises(DataError, match="there are no turns"):
        read_pairs(_written(tmp_path / "a.rttm"), _written(tmp_path / "b.rttm", "a"))


def test_two_pipes_are_a_pair_of_files(tmp_path: Path) -> None:
    """`brefine score --reference <(…)`: what a shell calls a number is no folder, and its recording's name decides nothing."""
    ends = []
    for text in (_LINE.format("a"), _LINE.format("waveform")):
        reading, writing = os.pipe()
        os.write(writing, text.encode())
        os.close(writing)
        ends.append(reading)
    try:
        (pair,) = read_pairs(*(Path(f"/dev/fd/{end}") for end in ends)).pairs
    finally:
        for end in ends:
            os.close(end)
    assert (pair.recording, pair.hypothesis.recording) == ("a", "a")
