"""What is found in folders as systems leave them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from brefine.io.atomic import append_line, open_to_append, write_text_atomic
from brefine.io.audio import audio_files
from brefine.io.folders import never_make_anew
from brefine.io.lock import held
from brefine.io.rttm import rttm_files


def test_hidden_files_are_nobodys_and_suffixes_have_any_case(tmp_path: Path) -> None:
    """macOS leaves a `._talk.rttm` beside each file it writes to a stick, Windows a `talk.RTTM`; a folder is no file."""
    for name in ("b.rttm", "A.RTTM", "._b.rttm", ".rttm", "b.wav", "c.Flac", "._b.wav", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "d.rttm").mkdir()
    assert [path.name for path in rttm_files(tmp_path)] == ["A.RTTM", "b.rttm"]
    assert [path.name for path in audio_files(tmp_path)] == ["b.wav", "c.Flac"]


def test_pipes_and_devices_are_no_files_of_a_folder(tmp_path: Path) -> None:
    """Nobody waits for who may never write; a link that leads nowhere stays, so that its reader says so."""
    os.mkfifo(tmp_path / "a.rttm")
    (tmp_path / "b.rttm").symlink_to("a.rttm")
    (tmp_path / "c.rttm").symlink_to("/dev/zero")
    (tmp_path / "d.rttm").symlink_to("/nowhere/d.rttm")
    assert [path.name for path in rttm_files(tmp_path)] == ["d.rttm"]


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    """A corpus need not have all its parts."""
    assert audio_files(tmp_path / "none") == []


def test_a_folder_that_was_moved_is_not_made_anew(tmp_path: Path) -> None:
    """What is missing below it is; under its old name it would be a second one, into which nobody looks."""
    home = tmp_path / "runs" / "phase"
    home.mkdir(parents=True)
    never_make_anew(home)
    write_text_atomic(home / "evaluation" / "mlp" / "gate.json", "{}")
    away = home.rename(tmp_path / "away")
    assert (away / "evaluation" / "mlp" / "gate.json").exists()
    for path in (home / "word.json", home / "mlp" / "checkpoints" / "last.state"):
        for write in (lambda: write_text_atomic(path, "x"), lambda: append_line(path, "x"), lambda: open_to_append(path)):  # noqa: B023
            with pytest.raises(FileNotFoundError, match=f"was it moved.*'{home}'"):
                write()
        with pytest.raises(FileNotFoundError, match="was it moved"), held(path):
            pass
    assert list(home.parent.iterdir()) == []
    away.rename(home)
    write_text_atomic(home / "mlp" / "status.json", "{}")


def test_a_folder_in_another_that_is_never_made_anew_is_not_made_anew_either(tmp_path: Path) -> None:
    """Whichever of them is asked first: the outer one is still there."""
    never_make_anew(tmp_path)
    homes = [tmp_path / str(n) for n in range(8)]
    for home in homes:
        never_make_anew(home)
        with pytest.raises(FileNotFoundError, match="was it moved"):
            write_text_atomic(home / "word.json", "{}")
    assert list(tmp_path.iterdir()) == []
