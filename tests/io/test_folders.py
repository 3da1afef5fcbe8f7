"""What is found in folders as systems leave them."""

from __future__ import annotations

from pathlib import Path

from brefine.io.audio import audio_files
from brefine.io.rttm import rttm_files


def test_hidden_files_are_nobodys_and_suffixes_have_any_case(tmp_path: Path) -> None:
    """macOS leaves a `._talk.rttm` beside each file it writes to a stick, Windows a `talk.RTTM`; a folder is no file."""
    for name in ("b.rttm", "A.RTTM", "._b.rttm", ".rttm", "b.wav", "c.Flac", "._b.wav", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "d.rttm").mkdir()
    assert [path.name for path in rttm_files(tmp_path)] == ["A.RTTM", "b.rttm"]
    assert [path.name for path in audio_files(tmp_path)] == ["b.wav", "c.Flac"]


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    """A corpus need not have all its parts."""
    assert audio_files(tmp_path / "none") == []
