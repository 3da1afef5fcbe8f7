"""The command line as a whole: help, versions, typing errors."""

from __future__ import annotations

import subprocess
import sys

import pytest

from brefine.cli import COMMANDS


def _brefine(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "brefine", *arguments], capture_output=True, text=True, check=False)


def test_help_names_every_command() -> None:
    """`brefine --help` lists all commands with what they do."""
    shown = " ".join(_brefine("--help").stdout.split())
    for name, summary in COMMANDS.items():
        assert f"{name} {summary}" in shown


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example_first(command: str) -> None:
    """`brefine COMMAND --help` starts, after the usage line, with an example of that command."""
    shown = _brefine(command, "--help")
    assert shown.returncode == 0, shown.stderr
    first = next(line.strip() for line in shown.stdout.splitlines()[1:] if line.strip())
    assert first.startswith(f"Example: brefine {command}")


def test_a_mistyped_command_is_a_usage_error_with_a_suggestion() -> None:
    """A wrong name exits with 2 and names the one that was meant."""
    answer = _brefine("scor")
    assert answer.returncode == 2
    assert "Did you mean 'score'" in answer.stderr
