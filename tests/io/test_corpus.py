"""Corpus folders: what belongs together, and what is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from brefine.data.audit import audit_corpus
from brefine.errors import DataError
from brefine.io.corpus import read_corpus


def make_corpus(folder: Path, names: tuple[str, ...] = ("a", "b")) -> Path:
    for part in ("audio", "reference", "hypothesis"):
        (folder / part).mkdir()
    for name in names:
        soundfile.write(folder / "audio" / f"{name}.wav", np.zeros(1600), 16000)
        (folder / "reference" / f"{name}.rttm").write_text(f"SPEAKER {name} 1 0 0.1 <NA> <NA> s <NA> <NA>\n")
    lines = [f"SPEAKER {name} 1 0 0.1 <NA> <NA> x <NA> <NA>\n" for name in names]
    (folder / "hypothesis" / "all.rttm").write_text("".join(lines))
    return folder


def test_parts_are_found_by_name(tmp_path: Path) -> None:
    """One RTTM a recording, or one for all of them."""
    corpus = read_corpus(make_corpus(tmp_path))
    assert [recording.name for recording in corpus] == ["a", "b"]
    first = corpus[0]
    assert first.audio == tmp_path / "audio/a.wav"
    assert first.reference == tmp_path / "reference/a.rttm"
    assert first.hypothesis == tmp_path / "hypothesis/all.rttm"
    assert first.regions_s is None


def test_hypotheses_that_are_all_called_the_same_go_by_their_files(tmp_path: Path) -> None:
    """pyannote.audio calls all audio in memory `waveform`; an audit has their turns under the recording's."""
    make_corpus(tmp_path)
    (tmp_path / "hypothesis/all.rttm").unlink()
    for name in ("a", "b"):
        (tmp_path / f"hypothesis/{name}.rttm").write_text("SPEAKER waveform 1 0 0.05 <NA> <NA> x <NA> <NA>\n")
    assert [one.hypothesis for one in read_corpus(tmp_path)] == [tmp_path / f"hypothesis/{one}.rttm" for one in "ab"]
    for name, seed in (("a", 0), ("b", 1)):
        soundfile.write(tmp_path / "audio" / f"{name}.wav", np.random.default_rng(seed).normal(0, 0.1, 1600), 16000)
    audit = audit_corpus(tmp_path, needs_hypothesis=True)
    heard = [one.hypothesis for one in audit.recordings if one.hypothesis is not None]
    assert [(one.recording, len(one.turns)) for one in heard] == [("a", 1), ("b", 1)]


def test_a_recording_without_turns_is_named_by_its_file(tmp_path: Path) -> None:
    """Silence is an empty RTTM."""
    make_corpus(tmp_path)
    (tmp_path / "reference/a.rttm").write_text("")
    assert read_corpus(tmp_path)[0].reference == tmp_path / "reference/a.rttm"


def test_parts_that_are_not_there_at_all_are_none(tmp_path: Path) -> None:
    """A folder of audio alone is a corpus too."""
    (tmp_path / "audio").mkdir()
    soundfile.write(tmp_path / "audio" / "A.FLAC", np.zeros(1600), 16000)
    (recording,) = read_corpus(tmp_path)
    assert (recording.name, recording.reference, recording.hypothesis) == ("A", None, None)


@pytest.mark.parametrize("kind", ["link", "folder"])
def test_regions_that_cannot_be_read_are_not_taken_for_none(tmp_path: Path, kind: str) -> None:
    """A link to a disk that is not mounted says that not everything is scored, though not what."""
    regions = make_corpus(tmp_path) / "all.uem"
    if kind == "link":
        regions.symlink_to(tmp_path / "away" / "all.uem")
    else:
        regions.mkdir()
    with pytest.raises(DataError) as refused:
        read_corpus(tmp_path)
    assert refused.value.problems == (f"{regions}: this is not a file, or a link that leads to none",)


def test_all_faults_are_listed_at_once(tmp_path: Path) -> None:
    """Audio missing for a reference, a hypothesis missing, a name there twice, broken lines, a UEM without a recording."""
    make_corpus(tmp_path)
    (tmp_path / "reference/c.rttm").write_text("SPEAKER c 1 0 0.1 <NA> <NA> s <NA> <NA>\n")
    soundfile.write(tmp_path / "audio/a.flac", np.zeros(1600), 16000)
    (tmp_path / "hypothesis/all.rttm").write_text("SPEAKER a 1 0 0.1 <NA> <NA> x <NA> <NA>\n")
    (tmp_path / "reference/b.rttm").write_text("SPEAKER b 1 0 zero <NA> <NA> s <NA> <NA>\n")
    (tmp_path / "all.uem").write_text("a 1 0 0.1\n")
    with pytest.raises(DataError) as caught:
        read_corpus(tmp_path)
    message = str(caught.value)
    for part in ("'c' has no audio", "'b' is missing", "'a' is also in a.flac", "line 1: the duration 'zero'", "all.uem"):
        assert part in message
    assert str(tmp_path / "reference") + ": recording 'b' is missing" not in message


@pytest.mark.parametrize(("name", "message"), [("none", "no such corpus"), (".", "no audio folder")])
def test_folders_that_are_no_corpus_are_refused(tmp_path: Path, name: str, message: str) -> None:
    """With the layout that is expected."""
    with pytest.raises(DataError, match=message):
        read_corpus(tmp_path / name)


def test_a_fault_of_a_file_whose_name_has_a_line_break_stays_on_one_line(tmp_path: Path) -> None:
    """Or its second half would pass for a fault of its own."""
    folder = make_corpus(tmp_path)
    (folder / "reference" / "c\nd.rttm").write_text("SPEAKER nobody 1 0 1 <NA> <NA> x <NA> <NA>\n")
    with pytest.raises(DataError) as refused:
        read_corpus(folder)
    assert any(r"c\nd.rttm: recording 'nobody' has no audio" in problem for problem in refused.value.problems)
