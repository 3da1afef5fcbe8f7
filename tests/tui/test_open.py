"""Opening the dashboard, and how the command ends when it is closed."""

from __future__ import annotations

import contextlib
import os
import pty
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from textual.pilot import Pilot
from typer.testing import CliRunner

from brefine.cli import app, gate4
from brefine.errors import ProcessError
from brefine.phasedir import PhaseDir
from brefine.tui import open as opening
from brefine.tui.app import DashboardApp
from tests.run.tail.event_writing import ramp, version, write_events
from tests.run.toy_programs import make_toy_phase
from tests.tui.memory_phases import evaluation, gate, integration, selection


class _Broken(DashboardApp):
    """Divides by zero as soon as it stands."""

    def on_mount(self) -> None:
        raise ZeroDivisionError


def test_the_way_back_names_what_is_not_the_newest_phase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bare `brefine watch` opens the newest phase of the folder that is looked into; any other place is named."""
    monkeypatch.delenv("BREFINE_RUNS", raising=False)
    monkeypatch.chdir(tmp_path)
    for name, mtime_s in (("old", 1), ("new", 2), ("else where", 3)):
        recipe = tmp_path / ("" if " " in name else "runs") / name / "phase.toml"
        recipe.parent.mkdir(parents=True)
        recipe.touch()
        os.utime(recipe, (mtime_s, mtime_s))
    assert opening.way_back(Path("runs/new")) == "brefine watch"
    assert opening.way_back(Path("runs/old")) == "brefine watch old"
    assert opening.way_back(Path("else where")) == "brefine watch 'else where'"
    assert opening.way_back(Path("logs")) == "brefine watch logs"
    monkeypatch.setenv("BREFINE_RUNS", "mine")
    assert opening.way_back(Path("runs/new")) == "brefine watch runs/new"


def test_a_dashboard_that_crashes_was_not_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script that waits for `brefine watch` is told by the exit code; the person, how to go on watching."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(opening, "DashboardApp", _Broken)
    monkeypatch.setattr(_Broken, "run", lambda app: DashboardApp.run(app, headless=True), raising=False)
    with pytest.raises(ProcessError, match="the dashboard has crashed"):
        opening.open_dashboard(make_toy_phase(tmp_path).path)


def test_whoever_turns_the_page_keeps_his_colours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Phases are compared in the theme that was chosen on the first of them."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    themes: list[str] = []

    async def choose_and_turn(pilot: Pilot[int]) -> None:
        themes.append(pilot.app.theme)
        pilot.app.theme = "brefine-light"
        await pilot.press("greater_than_sign" if len(themes) == 1 else "q")

    run = DashboardApp.run
    monkeypatch.setattr(DashboardApp, "run", lambda app: run(app, headless=True, auto_pilot=choose_and_turn))
    paths = [make_toy_phase(tmp_path / name).path for name in ("one", "other")]
    opening.open_dashboard(*paths)
    assert themes == ["brefine", "brefine-light"]


@contextlib.contextmanager
def dashboard_at_a_terminal(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """`brefine watch` on a terminal of its own, and what a person there reads from and types into."""
    person, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30", "XDG_STATE_HOME": str(folder)}
    command = [sys.executable, "-m", "brefine", "watch", str(folder)]
    process = subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, env=environment)
    os.close(terminal)
    patience = threading.Timer(60.0, process.kill)
    patience.start()
    try:
        yield process, person
    finally:
        patience.cancel()
        process.kill()
        process.wait()
        os.close(person)


def read_until(person: int, words: bytes) -> bytes:
    """What is drawn until these words are; a terminal whose program has ended gives all that was."""
    drawn = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while words not in drawn:
            drawn += os.read(person, 65536)
    return drawn


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A folder of event files: enough to watch."""
    write_events(tmp_path / "logs" / "lr-3e-4" / "events.out.tfevents.1", [version(), *ramp(range(40))])
    return tmp_path / "logs"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_the_dashboard_gives_the_terminal_back(logs: Path, number: signal.Signals) -> None:
    """After `timeout` or `kill` it is no longer told of the mouse, shows what is typed, and says how to come back."""
    with dashboard_at_a_terminal(logs) as (process, person):
        assert b"lr-3e-4" in read_until(person, b"lr-3e-4")
        process.send_signal(number)
        rest = read_until(person, b"shows the folder again")
        assert b"\x1b[?1003l" in rest and b"\x1b[?1049l" in rest  # mouse, second screen
        assert process.wait() == 130


def test_a_dashboard_that_was_suspended_comes_back_whole(logs: Path) -> None:
    """ctrl+z leaves for the shell, and fg draws everything anew, also what has not changed meanwhile."""
    with dashboard_at_a_terminal(logs) as (process, person):
        read_until(person, b"close")
        os.write(person, b"\x1a")
        read_until(person, b"\x1b[?1049l")
        while psutil.Process(process.pid).status() != psutil.STATUS_STOPPED:
            time.sleep(0.01)
        process.send_signal(signal.SIGCONT)
        assert b"4 Integrate" in read_until(person, b"4 Integrate")


def answer(phase: PhaseDir) -> None:
    gate({"go-on": "no"}).write(phase.gate)


def integrate_again(phase: PhaseDir) -> None:
    answer(phase)
    later = integration()
    later.model_copy(update={"unix_s": later.unix_s + 1000}).write(phase.integration)


def evaluate_and_judge_again(phase: PhaseDir) -> None:
    later = evaluation("transformer")
    later = later.model_copy(update={"unix_s": later.unix_s + 5000})
    later.write(phase.evaluation("transformer", "validation"))
    gate({"go-on": "no"}).model_copy(update={"unix_s": later.unix_s + 1}).write(phase.gate)


def remove(phase: PhaseDir) -> None:
    shutil.rmtree(phase.path)


@pytest.mark.parametrize(
    ("happens", "told"),
    [
        (answer, ["gate 4: FAIL (the evidence is simulated)"]),
        (evaluate_and_judge_again, ["gate 4: FAIL (the evidence is simulated)"]),
        (integrate_again, []),
        (remove, []),
    ],
)
def test_behind_a_closed_dashboard_the_verdict_that_stands_is_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    happens: Callable[[PhaseDir], None],
    told: list[str],
) -> None:
    """Also one whose answer came after the last frame; none of what was integrated before, nor of a phase that is gone."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    phase = make_toy_phase(tmp_path)
    evaluation("transformer").write(phase.evaluation("transformer", "validation"))
    selection().write(phase.selection)
    integration().write(phase.integration)
    monkeypatch.setattr(DashboardApp, "run", lambda app: happens(phase))
    opening.open_dashboard(phase.path)
    assert capsys.readouterr().err.splitlines() == told


@pytest.mark.parametrize("filed", [True, False])
def test_gate4_tells_the_verdict_last_that_its_exit_code_goes_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, filed: bool
) -> None:
    """A pass on file whose evidence has changed since ends with 3, and not with the word PASS; nor is a 3 without a word."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(gate4, "can_draw", lambda: True)
    monkeypatch.setattr(DashboardApp, "run", lambda app: None)
    phase = make_toy_phase(tmp_path)
    evaluation("transformer").write(phase.evaluation("transformer", "validation"))
    selection().write(phase.selection)
    integration().write(phase.integration)
    if filed:
        gate().model_copy(update={"verdict": "pass"}).write(phase.gate)
    ended = CliRunner().invoke(app, ["gate4", str(phase.path), "--log", str(tmp_path / "LOG.md")])
    assert ended.exit_code == 3
    assert ended.stderr.startswith("gate 4: PASS") == filed
    assert ended.stderr.splitlines()[-1] == "gate 4: OPEN (the evidence is simulated): judged now, not on file"
    assert "gate 4 **open**" in (tmp_path / "LOG.md").read_text()
