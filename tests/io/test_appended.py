"""Lines that others append, read a piece at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from brefine.io.appended import AppendedLines


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "lines.jsonl"
    made.write_bytes(b"one\ntwo\n")
    return made


def test_each_line_comes_once_and_a_torn_one_when_it_is_whole(path: Path) -> None:
    """Empty lines say nothing."""
    lines = AppendedLines(path)
    assert lines.fresh() == (True, [b"one", b"two"])
    with path.open("ab") as file:
        for piece, come in ((b"", []), (b"\n  \nthr", []), (b"ee", []), (b"\nfour\nf", [b"three", b"four"])):
            file.write(piece)
            file.flush()
            assert lines.fresh() == (False, come)


def test_a_file_that_was_replaced_or_cut_begins_anew(path: Path) -> None:
    """What was read of the one before counts no more."""
    lines = AppendedLines(path)
    lines.fresh()
    other = path.with_name("other")
    other.write_bytes(b"three\nfour\nfive\n")
    other.replace(path)
    assert lines.fresh() == (True, [b"three", b"four", b"five"])
    path.write_bytes(b"six\n")
    assert lines.fresh() == (True, [b"six"])


def test_a_file_that_is_not_there_takes_nothing_back(path: Path) -> None:
    """It may lie on a disk that is away; back again, it goes on."""
    lines, away = AppendedLines(path), path.with_name("away")
    lines.fresh()
    path.rename(away)
    assert lines.fresh() == (False, [])
    away.rename(path)
    with path.open("ab") as file:
        file.write(b"three\n")
    assert lines.fresh() == (False, [b"three"])


def test_a_link_is_followed_where_that_is_asked_for(path: Path) -> None:
    """The person's own file may be a link of his; in a phase nobody's is."""
    link = path.with_name("link")
    link.symlink_to(path)
    assert AppendedLines(link).fresh() == (False, [])
    assert AppendedLines(link, opened=lambda own: own.open("rb")).fresh() == (True, [b"one", b"two"])
