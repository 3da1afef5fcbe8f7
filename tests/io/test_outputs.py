"""Outputs that would destroy something, or could not be written in the end."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path
from unittest.mock import Mock

import pytest

from brefine.errors import BrefineError
from brefine.io.atomic import write_text_atomic
from brefine.io.outputs import is_page, refuse_replacing, refuse_unwritable


def _refuse(out: Path, *, read: tuple[Path, ...] = (), beside: tuple[Path, ...] = ()) -> None:
    refuse_replacing(read, [out], "page", is_page, option="--plot", beside=beside)


def test_pages_are_made_anew_and_missing_folders_are_made(tmp_path: Path) -> None:
    """What is not refused leaves nothing behind, not even a folder."""
    (tmp_path / "page.html").write_text("<!doctype html>\n")
    (tmp_path / "empty.html").touch()
    for name in ("page.html", "empty.html", "new.html", "a/b/new.html"):
        _refuse(tmp_path / name, read=(tmp_path / "in.rttm",), beside=(tmp_path / "out.rttm",))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty.html", "page.html"]


@pytest.mark.parametrize("target", ["circle", "nowhere"])
def test_a_link_that_leads_nowhere_is_no_folder_to_write_into(tmp_path: Path, target: str) -> None:
    """Nor can it be made one, which would be noticed when all is computed."""
    link = tmp_path / "circle"
    link.symlink_to(tmp_path / target)
    with pytest.raises(BrefineError, match=r"a folder to write into is needed here.*got a link that leads nowhere") as caught:
        _refuse(link / "sub" / "out.html", read=(link,))
    assert str(caught.value).startswith(f"{link}: ")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("in.rttm", "would replace the input"),
        ("link", "would replace the input"),
        ("sub/../out.rttm", "two outputs would go to the same file"),
        ("notes.txt", "exists and is no page"),
        ("sub", "is a folder"),
        ("pipe", "not a regular file"),
    ],
)
def test_everything_else_is_refused_by_its_name(tmp_path: Path, name: str, told: str) -> None:
    """The message names the output as it was given, and the option that is wrong."""
    (tmp_path / "in.rttm").touch()
    (tmp_path / "link").symlink_to(tmp_path / "in.rttm")
    (tmp_path / "notes.txt").write_text("do not lose me")
    (tmp_path / "sub").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BrefineError, match=told) as caught:
        _refuse(tmp_path / name, read=(tmp_path / "in.rttm",), beside=(tmp_path / "out.rttm",))
    assert str(caught.value).startswith(f"{tmp_path / name}: ")
    assert "--plot" in str(caught.value)


@pytest.mark.parametrize("name", ["notes.rttm/new.rttm", "notes.rttm/a/new.rttm"])
def test_a_file_where_a_folder_is_needed_is_called_that(tmp_path: Path, name: str) -> None:
    """Named as it was given: who asks for a folder of outputs knows nothing of the files in it."""
    (tmp_path / "notes.rttm").touch()
    with pytest.raises(BrefineError, match="a folder to write into is needed here") as caught:
        refuse_unwritable([tmp_path / name], option="--out")
    assert (caught.value.where, caught.value.hint) == (str(tmp_path / "notes.rttm"), "give another --out")


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="only Linux has a folder in which nobody can write, not even root")
@pytest.mark.parametrize("name", ["/proc/x.rttm", "/proc/self/talks/x.rttm", "/proc"])
def test_a_folder_without_room_for_files_is_found_early(name: str) -> None:
    """An output file, one in a folder that is yet to be made, a whole folder."""
    with pytest.raises(BrefineError, match=f"{name}: the output cannot be written"):
        refuse_unwritable([Path(name)])


def test_a_folder_is_tried_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand outputs do not cost ten thousand trials."""
    trial = Mock(wraps=tempfile.TemporaryFile)
    monkeypatch.setattr(tempfile, "TemporaryFile", trial)
    refuse_unwritable([tmp_path / "new" / f"{place}.rttm" for place in range(9)])
    trial.assert_called_once_with(dir=tmp_path)


def test_a_pipe_stays_a_pipe(tmp_path: Path) -> None:
    """A rename would put a regular file in its place; of `/dev/null`, as root, in that of everybody."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        write_text_atomic(tmp_path / "pipe", "x")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_an_error_of_writing_names_the_file_that_was_asked_for(tmp_path: Path) -> None:
    """Not the temporary one beside it."""
    out = tmp_path / "out.rttm"
    out.mkdir()
    with pytest.raises(OSError, match="directory") as caught:
        write_text_atomic(out, "x")
    assert caught.value.filename == str(out)
