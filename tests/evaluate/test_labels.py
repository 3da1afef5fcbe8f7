"""Which labels, and which labelled parts, belong to which audio."""

from __future__ import annotations

from pathlib import Path

import pytest

from brefine.core.turns import Diarization, Turn
from brefine.errors import DataError
from brefine.evaluate.labels import read_references, read_regions
from brefine.evaluate.refine import Task
from brefine.io.rttm import write_rttm

TURNS = (Turn(1.0, 2.0, "a"), Turn(3.0, 4.0, "b"))


def task(stem: str, recording: str) -> Task:
    """Audio by its stem, and what its hypothesis calls it."""
    return Task(Path("hypothesis.rttm"), Path("out.rttm"), "", (Diarization(recording, TURNS),), {recording: Path(f"{stem}.wav")})


def test_the_only_recording_of_a_file_is_also_found_by_the_files_stem(tmp_path: Path) -> None:
    """Whatever stands in it; where two stand in it, the file's name says which is which of neither."""
    alone, both = tmp_path / "talk1.rttm", tmp_path / "talk2.rttm"
    write_rttm(alone, Diarization("interview", TURNS))
    both.write_text("".join(alone.read_text().replace("interview", name) for name in ("first", "second")))
    (found,) = read_references(alone, [task("talk1", "waveform")]).values()
    assert found == Diarization("interview", TURNS)
    with pytest.raises(DataError, match="talk2: no labels of this name"):
        read_references(both, [task("talk2", "waveform")])
    assert read_references(both, [task("second", "waveform")])[Path("second.wav")].recording == "second"


def test_labelled_parts_are_those_of_the_audios_name_before_those_of_the_labels(tmp_path: Path) -> None:
    """A blank in a file's name is `_` in a UEM; what labels are called counts where no others are called so."""
    uem, mine = tmp_path / "all.uem", Path("my talk.wav")
    uem.write_text("interview 1 0 5\n")
    labelled = {mine: Diarization("interview", TURNS)}
    assert read_regions(uem, labelled) == {mine: ((0.0, 5.0),)}
    uem.write_text("interview 1 0 5\nmy_talk 1 0 7\nmy_talk 1 8 9\n")
    assert read_regions(uem, labelled) == {mine: ((0.0, 7.0), (8.0, 9.0))}
    other = {Path("other.wav"): Diarization("interview", TURNS)}
    with pytest.raises(DataError, match=r"does not say(?s:.*)\n  other$"):
        read_regions(uem, labelled | other)
