"""`brefine launch-phase3`: what the person is told of what was started."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
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


def test_a_recipe_that_can_prove_nothing_is_refused_before_its_headroom(tmp_path: Path) -> None:
    """The headroom of hundreds of recordings takes a while, and is no use to who has to launch again."""
    recipe = make_toy_phase(tmp_path / "other").config
    ended = CliRunner().invoke(app, ["launch-phase3", "--config", str(recipe), "--set", "gate.window_s=0.1"])
    assert "too narrow" in str(ended.exception)
    assert "headroom" not in ended.stderr


def test_without_a_home_for_the_ledger_no_phase_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, homeless: None) -> None:
    """Its supervisor could not start; what to set is said instead."""
    monkeypatch.setattr(launch_phase3, "start_supervisor", lambda phase: None)
    recipe = make_toy_phase(tmp_path / "other").config
    words = ["launch-phase3", "--config", str(recipe), "--no-headroom", "--detach", "--runs", str(tmp_path / "mine")]
    ended = CliRunner().invoke(app, words)
    assert "set [budget] ledger or XDG_STATE_HOME" in str(ended.exception)
    assert not (tmp_path / "mine").exists()


def test_a_folder_of_any_name_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line break in it must not look like another message, and an escape code not reach the terminal."""
    recipe = make_toy_phase(tmp_path / "other").config
    monkeypatch.setattr(launch_phase3, "start_supervisor", lambda phase: None)
    monkeypatch.setattr(launch_phase3, "create_phase", lambda *_, **__: PhaseDir(tmp_path / "red\x1b[31m" / "two\nlines"))
    ended = CliRunner().invoke(app, ["launch-phase3", "--config", str(recipe), "--no-headroom", "--detach"])
    place = f"{tmp_path}/red\\x1b[31m/two\\nlines"
    assert ended.stderr.splitlines() == [
        f"phase {place}",
        f"it runs in the background; watch it with: brefine watch '{place}'",
    ]


@pytest.mark.parametrize("command", ["watch", "stop", "gate4"])
def test_a_folder_of_any_name_that_is_refused_is_told_in_one_line(tmp_path: Path, command: str) -> None:
    """The place at fault stands before the words, whatever its name."""
    (tmp_path / "two\nlines").mkdir()
    error = CliRunner().invoke(app, [command, str(tmp_path / "two\nlines")]).exception
    assert str(error).splitlines()[0].startswith(f"{tmp_path}/two\\nlines: ")


def test_without_slurm_nothing_is_made_for_its_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a laptop: said before there is a phase or a batch that could not start, and of a phase that was copied there."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    phase = make_toy_phase(tmp_path / "other")
    recipe = tmp_path / "slurm.toml"
    recipe.write_text(phase.config.read_text(encoding="utf-8") + '\n[executor]\nkind = "slurm"\n', encoding="utf-8")
    talk, out = tmp_path / "talk.wav", tmp_path / "out"
    soundfile.write(talk, np.zeros(16000), 16000)
    (tmp_path / "talk.rttm").touch()
    recipe_of_phase = recipe.read_bytes()
    for words in (
        ["launch-phase3", "--config", recipe, "--no-headroom", "--detach", "--runs", tmp_path / "mine"],
        ["refine", talk, tmp_path / "talk.rttm", "-o", out, "--config", recipe],
        ["resume", phase.path],
    ):
        phase.config.write_bytes(recipe_of_phase)
        ended = CliRunner().invoke(app, [str(word) for word in words])
        assert "this machine cannot submit Slurm jobs" in str(ended.exception), ended.output
        assert "no sbatch, no squeue, no scancel" in str(ended.exception)
    assert not any(path.exists() for path in (tmp_path / "mine", out, tmp_path / "out.batch", phase.supervisor_log))
