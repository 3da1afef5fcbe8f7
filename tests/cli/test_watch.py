"""`brefine watch` without a terminal: what scripts and screen readers get."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from brefine.cli.output import can_draw
from brefine.cli.watch import watch
from brefine.errors import ConfigError
from brefine.phasedir import PhaseDir, RunState
from tests.run.records import status
from tests.run.tail.event_writing import ramp, version, write_events
from tests.run.toy_programs import make_toy_phase


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A phase, and a folder of event files."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    write_events(tmp_path / "logs" / "a" / "events.out.tfevents.1", [version(), *ramp(range(9))])
    return [str(make_toy_phase(tmp_path).path), str(tmp_path / "logs")]


def test_one_phase_is_one_document_and_several_are_a_list(two: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The contract's keys, whether one asks for one or for more."""
    watch(two[:1], once=True, json=True)
    one = json.loads(capsys.readouterr().out)
    watch(two, json=True)
    several = json.loads(capsys.readouterr().out)
    keys = {"schema", "phase", "state", "supervisor", "models", "alerts", "gpus", "budget"}
    assert keys <= one.keys() and all(keys <= document.keys() for document in several)
    assert [document["phase"] for document in several] == ["20261122T000000Z-toy", "logs"]
    assert [model["name"] for model in several[1]["models"]] == ["a"]


@pytest.mark.parametrize(("state", "expected"), [(RunState.RUNNING, 60.0), (RunState.STOPPED, None), (RunState.FAILED, None)])
def test_what_does_not_run_has_no_eta(
    two: list[str], capsys: pytest.CaptureFixture[str], state: RunState, expected: float | None
) -> None:
    """A trainer's last word still holds the time that was left; the dashboard shows none, and scripts get none."""
    status("mlp", state, unix_s=time.time()).write(PhaseDir(Path(two[0])).run("mlp").status)
    watch(two[:1], once=True, json=True)
    models = {model["name"]: model for model in json.loads(capsys.readouterr().out)["models"]}
    assert (models["mlp"]["state"], models["mlp"]["eta_s"]) == (state, expected)


@pytest.mark.parametrize("options", [{"once": True}, {"plain": True}, {}])
def test_without_a_terminal_no_escape_code_is_written(
    two: list[str], options: dict[str, bool], capsys: pytest.CaptureFixture[str]
) -> None:
    """Not one, on neither stream, whatever is asked for."""
    watch(two, **options)
    captured = capsys.readouterr()
    assert "20261122T000000Z-toy: preparing" in captured.out and "logs: " in captured.out
    assert "\x1b" not in captured.out + captured.err


@pytest.mark.parametrize("command", ["watch", "gate4"])
def test_no_dashboard_is_drawn_into_a_file(two: list[str], tmp_path: Path, command: str) -> None:
    """At a terminal whose errors go elsewhere nobody would see it, and it would wait for a key for ever."""
    person, terminal = pty.openpty()
    errors = tmp_path / "errors"
    with errors.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "brefine", command, two[0]], stdin=terminal, stdout=terminal, stderr=file
        )
    os.close(terminal)
    shown = b""
    patience = threading.Timer(60.0, process.kill)
    patience.start()
    try:
        with contextlib.suppress(OSError):  # the terminal's other end is closed
            while piece := os.read(person, 4096):
                shown += piece
    finally:
        patience.cancel()
        process.kill()
        process.wait()
        os.close(person)
    assert {"watch": b"20261122T000000Z-toy: preparing", "gate4": b"gate 4: OPEN"}[command] in shown
    assert b"\x1b" not in shown + errors.read_bytes()


@pytest.mark.parametrize(("kind", "drawn"), [("dumb", False), ("xterm", True)])
def test_a_dumb_terminal_is_shown_lines(kind: str, drawn: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of an editor, say, which shows an escape code as it is."""
    monkeypatch.setenv("TERM", kind)
    person, terminal = pty.openpty()
    with os.fdopen(terminal, "r+b", buffering=0) as raw, io.TextIOWrapper(raw) as stream:
        for name in ("stdin", "stdout", "__stderr__"):
            monkeypatch.setattr(sys, name, stream)
        seen = can_draw()
        monkeypatch.undo()
    os.close(person)
    assert seen is drawn


def test_several_that_are_followed_say_whose_line_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Following ends when none of them works any more."""
    folders = []
    for name in ("first", "second"):
        path = write_events(tmp_path / name / "a" / "events.out.tfevents.1", [version(), *ramp(range(9))])
        os.utime(path, (1000.0, 1000.0))
        folders.append(str(tmp_path / name))
    watch(folders, plain=True, follow=True)
    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in lines} == {"first", "second"}


def test_one_phase_at_a_time_is_served(two: list[str]) -> None:
    """A browser's page has no second one to turn to."""
    with pytest.raises(ConfigError, match="one phase at a time"):
        watch(two, serve=True)


@pytest.mark.parametrize(
    "options",
    [{"serve": True, other: True} for other in ("once", "plain", "follow", "json")]
    + [{"follow": True, other: True} for other in ("once", "json")],
    ids=" ".join,
)
def test_no_option_is_passed_over_in_silence(two: list[str], options: dict[str, bool]) -> None:
    """A page that is served prints no document, and what is followed is not printed once."""
    with pytest.raises(ConfigError, match="exclude each other"):
        watch(two[:1], **options)
