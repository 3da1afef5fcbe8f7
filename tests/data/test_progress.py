"""Progress reaches a file for screens, or lines for a person."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path

import pytest

from brefine.data.progress import ProgressReporter
from brefine.errors import DataError
from brefine.phasedir import Progress, Stage


def test_each_step_is_a_line_for_a_person() -> None:
    """A step is told when it begins, and not a thousand times within seconds."""
    lines = io.StringIO()
    with ProgressReporter(None, Stage.PREPARE, lines=lines) as report:
        for done in range(1000):
            report("downloading", done, 1000)
        report("unpacking", 0, 3)
    assert lines.getvalue() == "downloading: 0 of 1000\nunpacking: 0 of 3\n"


def test_without_a_file_or_lines_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """The reporter of a caller who wants none is silent."""
    with ProgressReporter(None, Stage.PREPARE) as report:
        report("downloading", 1, 2)
    assert capsys.readouterr() == ("", "")


def test_a_failure_is_the_last_word_of_the_file(tmp_path: Path) -> None:
    """The file ends as failed, with the error's text and the step it happened in."""
    path = tmp_path / "prepare.json"
    with pytest.raises(OSError, match="no room"), ProgressReporter(path, Stage.PREPARE) as report:
        report("unpacking", 1, 2)
        raise OSError("no room")
    found = Progress.read(path)
    assert (found.state, found.step, found.error) == ("failed", "unpacking", "no room")


def test_a_file_that_a_person_names_may_lie_in_a_new_folder(tmp_path: Path) -> None:
    """Nobody has moved what was never there; hours of work would be told as failed."""
    path = tmp_path / "new" / "folder" / "prepare.json"
    with ProgressReporter(path, Stage.PREPARE) as report:
        report("unpacking", 1, 2)
    assert Progress.read(path).state == "finished"


def _refused(monkeypatch: pytest.MonkeyPatch, states: set[str]) -> None:
    """From now on the disk takes no progress file that says one of these."""
    write = Progress.write

    def fail(progress: Progress, path: Path) -> None:
        if progress.state in states:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        write(progress, path)

    monkeypatch.setattr(Progress, "write", fail)


def test_a_disk_that_refuses_progress_does_not_end_the_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last word is written all the same."""
    path = tmp_path / "prepare.json"
    _refused(monkeypatch, {"running"})
    with ProgressReporter(path, Stage.PREPARE) as report:
        report("downloading", 1, 2)
        report("unpacking", 2, 2)
    found = Progress.read(path)
    assert (found.state, found.step, found.done) == ("finished", "unpacking", 2)


def test_a_disk_that_refuses_the_last_word_hides_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ended the stage is told, not what its progress file met; that a stage has finished is not lost in silence."""
    _refused(monkeypatch, {"failed", "finished"})
    with pytest.raises(DataError, match="no voices"), ProgressReporter(tmp_path / "prepare.json", Stage.PREPARE):
        raise DataError("no voices")
    with pytest.raises(OSError, match=os.strerror(errno.EIO)), ProgressReporter(tmp_path / "prepare.json", Stage.PREPARE):
        pass
