"""The last lines of a log."""

from __future__ import annotations

from pathlib import Path

from brefine.run.tail.log import LogTail, clean_line


def test_lines_come_as_they_are_written(tmp_path: Path) -> None:
    """A line that is still being written is shown as far as it goes, and not twice when it is done."""
    path = tmp_path / "train.log"
    tail = LogTail(path)
    assert tail.poll() == ()
    path.write_text("one\ntw")
    assert tail.poll() == ("one", "tw")
    with path.open("a") as file:
        file.write("o\nthree\n")
    assert tail.poll() == ("one", "two", "three")


def test_only_the_last_lines_of_a_long_log_are_read(tmp_path: Path) -> None:
    """A log of megabytes costs no more than its end, and starts at a whole line."""
    path = tmp_path / "train.log"
    path.write_text("".join(f"line {n}\n" for n in range(100_000)))
    lines = LogTail(path, n_lines=3).poll()
    assert lines == ("line 99997", "line 99998", "line 99999")


def test_a_new_log_in_place_of_the_old_is_read_from_its_start(tmp_path: Path) -> None:
    """Cut or replaced, the lines of the old one are gone."""
    path = tmp_path / "train.log"
    path.write_text("old\nold\nold\n")
    tail = LogTail(path)
    tail.poll()
    path.write_text("new\n")
    assert tail.poll() == ("new",)


def test_nothing_in_a_log_can_steer_the_terminal() -> None:
    """Escape sequences, control and direction characters are dropped; of an overwritten line the last state counts."""
    assert clean_line("\x1b[31mred\x1b[0m \x1b]0;title\x07end") == "red end"
    assert clean_line("10 %\r50 %\r100 %\n") == "100 %"
    assert clean_line("a\x00b\x07c\u202ed\x9b31m") == "abcd31m"
    assert clean_line("tab\there") == "tab    here"
