"""The environment check: each finding with its remedy."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from brefine.config import BudgetConfig, DiarizerConfig
from brefine.run.doctor import (
    DiarizenChoice,
    check_diarizen,
    check_disk,
    check_ledger,
    check_logind,
    check_pyannote,
    check_python,
    check_terminal,
    check_torch,
    check_writable,
    parse_logind,
    passed,
)

_SET = {"torch": "2.11.0", "torchaudio": "2.11.0", "torchcodec": None}


def test_an_old_python_is_an_error() -> None:
    """brefine is written for 3.11."""
    assert check_python((3, 10, 4)).state == "error"
    assert check_python((3, 12, 0)).state == "ok"


def test_torch_and_torchaudio_are_a_set() -> None:
    """Versions that do not belong together are an error even where both can be imported."""
    told = {"threads": 2, "cuda": [], "build": None}
    assert check_torch(told, _SET)[0].state == "ok"
    broken = check_torch(told, {**_SET, "torchaudio": "2.10.0"})[0]
    assert broken.state == "error"
    assert "no set" in broken.found


def test_a_torch_that_cannot_be_imported_is_a_finding() -> None:
    """Its own words are shown."""
    found = check_torch({"error": "OSError: libcudart"}, _SET)[0]
    assert found.state == "error"
    assert "libcudart" in found.found


def test_a_machine_without_torch_is_told_how_to_get_it() -> None:
    """The line that installs it is the hint."""
    found = check_torch({"error": "…"}, {"torch": None, "torchaudio": None})[0]
    assert found.state == "error"
    assert "pip install" in found.hints[0]


def test_a_folder_that_does_not_exist_yet_counts_as_its_parent(tmp_path: Path) -> None:
    """What will be made there can be made."""
    assert check_writable("phases", tmp_path / "a" / "b").state == "ok"
    assert "GiB free" in check_disk(tmp_path / "a" / "b").found


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """Where else it could be is the hint."""
    tmp_path.chmod(0o500)
    found = check_writable("ledger", tmp_path / "ledger")
    assert found.state == "error"
    assert "XDG_STATE_HOME" in found.hints[0]


def test_a_home_that_nobody_knows_is_a_finding(homeless: None) -> None:
    """The other checks are still made, and what to set is said."""
    found = check_ledger(BudgetConfig())
    assert found.state == "error" and "home" in found.found
    assert "XDG_STATE_HOME" in found.hints[0]


@pytest.mark.parametrize(
    ("environment", "size", "state"),
    [
        ({"TERM": "xterm-256color", "LANG": "C.UTF-8"}, (120, 40), "ok"),
        ({"TERM": "xterm-256color", "LANG": "C.UTF-8"}, (79, 24), "warning"),
        ({"TERM": "dumb", "LANG": "C.UTF-8"}, (120, 40), "warning"),
        ({"TERM": "xterm", "LANG": "C"}, (120, 40), "warning"),
    ],
)
def test_a_terminal_needs_size_cursor_and_utf8(environment: dict[str, str], size: tuple[int, int], state: str) -> None:
    """What the dashboard cannot draw on is a warning, since there is a plain mode."""
    assert check_terminal(environment, os.terminal_size(size), on_terminal=True).state == state


def test_logind_that_kills_is_a_warning_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session of its own does not protect a training from it."""
    monkeypatch.setenv("USER", "nobody-who-lingers")
    found = check_logind(kills=True, has_systemd=True)
    assert found.state == "warning"
    assert found.hints == ("loginctl enable-linger",)
    assert check_logind(kills=False, has_systemd=True).state == "ok"
    assert check_logind(kills=None, has_systemd=False).state == "ok"


def test_the_last_word_of_the_logind_files_counts() -> None:
    """Drop-ins come after the file; comments are no word."""
    assert parse_logind(["[Login]\n#KillUserProcesses=yes\n"]) is None
    assert parse_logind(["[Login]\nKillUserProcesses=yes\n", "[Login]\nKillUserProcesses = no\n"]) is False


def test_diarizen_is_an_error_only_where_it_is_wanted() -> None:
    """A recipe with another diarizer does not fail the check."""
    told = {"usable": False, "problems": ["numpy is missing"], "install": ["pip install numpy==1.26.4"]}
    assert check_diarizen(told, wanted=False).state == "absent"
    found = check_diarizen(told, wanted=True)
    assert found.state == "error"
    assert found.hints == ("pip install numpy==1.26.4",)
    assert not passed([found])


def test_an_interpreter_on_the_command_line_is_wanted() -> None:
    """It goes before the recipe's, whatever the recipe's diarizer is."""
    chosen = DiarizenChoice.of(DiarizerConfig(name="builtin", python="/a"), "/b")
    assert (chosen.python, chosen.wanted) == ("/b", True)
    assert not DiarizenChoice.of(DiarizerConfig(), None).wanted


def test_an_older_pyannote_is_a_warning() -> None:
    """The adapter speaks to version 4; whether that can be imported is asked only where it is there."""

    def never() -> dict[str, str]:
        raise AssertionError("nothing is to be imported")

    assert check_pyannote("3.3.2", never).state == "warning"
    assert check_pyannote("4.0.1", dict).state == "ok"
    assert check_pyannote(None, never).state == "absent"
    broken = check_pyannote("4.0.1", lambda: {"error": "ImportError: no torchcodec"})
    assert broken.state == "warning"
    assert "the import fails: ImportError: no torchcodec" in broken.found


def test_what_installs_something_can_be_typed_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checkout is named by its path; who has installed a wheel has none, and is told of no file of it."""
    monkeypatch.setattr("brefine.run.doctor._HOME", tmp_path)

    def hints() -> list[list[str]]:
        found = (check_torch({}, {})[0], check_pyannote(None, dict), check_pyannote("3.3.2", dict))
        return [shlex.split(check.hints[0])[4:] for check in found]

    assert hints() == [["--upgrade", "torch", "torchaudio"], ["brefine[pyannote]"], ["pyannote.audio>=4"]]
    (tmp_path / "constraints.txt").touch()
    pinned = ["-c", str(tmp_path / "constraints.txt")]
    assert hints() == [[*pinned, "-e", str(tmp_path)], [*pinned, "brefine[pyannote]"], [*pinned, "pyannote.audio>=4"]]


def test_the_command_prints_one_json_document() -> None:
    """`brefine doctor --json`: every check by name, and whether all is well."""
    shown = subprocess.run(
        [sys.executable, "-m", "brefine", "doctor", "--json", "--diarizer-python", "/nowhere/python"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    document = json.loads(shown.stdout)
    states = {check["name"]: check["state"] for check in document["checks"]}
    assert {"Python", "torch", "GPU", "disk", "ledger", "terminal", "logout", "DiariZen", "pyannote"} <= states.keys()
    assert states["DiariZen"] == "error"
    assert not document["ok"]
    assert shown.returncode == 1
