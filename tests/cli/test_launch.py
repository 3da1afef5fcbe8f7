"""`brefine launch-phase3`: what the person is told of what was started."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from brefine.cli import app, launch_phase3
from brefine.phasedir import PhaseDir
from tests.run.toy_programs import make_toy_phase


def test_an_interrupted_start_names_what_may_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C doesn't reach the supervisor, whose hours cost money: the phase was named before, and its end is one command."""
    phase = make_toy_phase(tmp_path)
    monkeypatch.setattr(launch_phase3, "create_phase", lambda *_, **__: phase)

    def start(phase: PhaseDir) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(launch_phase3, "start_supervisor", start)
    ended = CliRunner().invoke(app, ["launch-phase3", "--config", str(phase.config), "--no-headroom", "--detach"])
    assert ended.exit_code == 130
    assert f"phase {phase.path}" in ended.stderr
    assert f"brefine stop {phase.path}" in ended.stderr


@pytest.mark.parametrize("how", ["option", "environment"])
def test_a_phase_goes_where_the_other_commands_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """--runs and BREFINE_RUNS, also from another folder than the recipe's `runs` is meant for."""
    recipe = make_toy_phase(tmp_path / "other").config
    started: list[PhaseDir] = []
    monkeypatch.setattr(launch_phase3, "start_supervisor", started.append)
    monkeypatch.setenv("BREFINE_RUNS", str(tmp_path / ("mine" if how == "environment" else "not mine")))
    words = ["--runs", str(tmp_path / "mine")] if how == "option" else []
    ended = CliRunner().invoke(app, ["launch-phase3", "--config", str(recipe), "--no-headroom", "--detach", *words])
    assert ended.exit_code == 0, ended.output
    assert [phase.path.parent for phase in started] == [tmp_path / "mine"]
