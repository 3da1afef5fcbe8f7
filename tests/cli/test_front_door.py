"""The command line as a whole: help, versions, typing errors."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from brefine.__main__ import main
from brefine.cli import COMMANDS


def _brefine(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "brefine", *arguments], capture_output=True, text=True, check=False)


def test_help_names_every_command() -> None:
    """`brefine --help` lists all commands with what they do."""
    shown = " ".join(_brefine("--help").stdout.split())
    for name, summary in COMMANDS.items():
        assert f"{name} {summary}" in shown


def test_it_is_called_brefine_however_it_was_started(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m brefine`, too: else the completion that it installs would be that of every `python`."""
    monkeypatch.setattr(sys, "argv", [main.__code__.co_filename, "--help"])
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().out.strip().startswith("Usage: brefine [OPTIONS]")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example_first(
    brefine_here: Callable[..., int], capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """`brefine COMMAND --help` starts, after the usage line, with an example of that command."""
    assert brefine_here(command, "--help") == 0
    first = next(line.strip() for line in capsys.readouterr().out.splitlines()[1:] if line.strip())
    assert first.startswith(f"Example: brefine {command}")


@pytest.mark.parametrize("n_recordings", [1, 100])
def test_a_reader_that_goes_away_is_no_failure(tmp_path: Path, n_recordings: int) -> None:
    """`brefine … | head` ends with 141 and says nothing, whether the pipe was found closed while printing or at the end."""
    lines = [f"SPEAKER talk{place} 1 0 1 <NA> <NA> s <NA> <NA>\n" for place in range(n_recordings)]
    (tmp_path / "a.rttm").write_text("".join(lines))
    words = ["score", "--reference", "a.rttm", "--hypothesis", "a.rttm", "--json", "--per-recording"]
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        command = [sys.executable, "-m", "brefine", *words]
        ended = subprocess.run(command, cwd=tmp_path, stdout=closed, stderr=subprocess.PIPE, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (141, "")


def test_a_mistyped_command_is_a_usage_error_with_a_suggestion() -> None:
    """A wrong name exits with 2 and names the one that was meant."""
    answer = _brefine("scor")
    assert answer.returncode == 2
    assert "Did you mean 'score'" in answer.stderr
