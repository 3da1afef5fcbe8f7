"""`brefine train`: every option counts, or is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from brefine.cli import app
from brefine.cli import train as command
from brefine.errors import ConfigError
from brefine.phasedir import list_phases
from tests.run.toy_programs import RECIPE, make_toy_phase


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """The workers that would have been started; `toy.toml` lies in the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toy.toml").write_text(RECIPE)
    calls: list[tuple[object, ...]] = []

    def worker(*words: object, **_: object) -> int:
        calls.append(words)
        return 0

    monkeypatch.setattr(command, "run_worker", worker)
    return calls


@pytest.mark.parametrize("how", ["option", "environment", "recipe"])
def test_a_training_goes_where_it_is_told(
    tmp_path: Path, started: list[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """--runs and BREFINE_RUNS are what the other commands look into; without them the recipe's folder counts."""
    monkeypatch.delenv("BREFINE_RUNS", raising=False)
    words = {"option": ["--runs", "mine"], "environment": [], "recipe": ["--set", "runs=mine"]}[how]
    if how == "environment":
        monkeypatch.setenv("BREFINE_RUNS", "mine")
    ended = CliRunner().invoke(app, ["train", "--config", "toy.toml", "--model", "mlp", *words])
    assert ended.exit_code == 0, ended.output
    (phase,) = list_phases(tmp_path / "mine")
    assert started[-1] == ("brefine.train", phase.run("mlp").path)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--config", "toy.toml"], "one of transformer, mlp"),
        (["--config", "toy.toml", "--model", "mlp,transformer"], "one of transformer, mlp"),
        ([], "--config FILE, or --run-dir PHASE/MODEL"),
        (["--run-dir", "20261122T000000Z-toy/mlp", "--set", "train.lr=1"], "--set: an existing run keeps its own settings"),
        (["--run-dir", "20261122T000000Z-toy/mlp", "--model", "transformer"], "--model: an existing run"),
    ],
)
def test_what_would_not_count_is_refused(tmp_path: Path, started: list[tuple[object, ...]], words: list[str], told: str) -> None:
    """Nothing is started, and no phase is made whose other models stay pending."""
    make_toy_phase(tmp_path)
    ended = CliRunner().invoke(app, ["train", *words])
    assert isinstance(ended.exception, ConfigError)
    assert told in str(ended.exception)
    assert started == []
    assert not (tmp_path / "runs").exists()


def test_a_run_goes_on_by_the_recipe_of_its_phase(tmp_path: Path, started: list[tuple[object, ...]]) -> None:
    """Another recipe that is given beside it is said not to be read."""
    run = make_toy_phase(tmp_path).run("mlp").path
    ended = CliRunner().invoke(app, ["train", "--config", "toy.toml", "--run-dir", str(run), "--resume"])
    assert ended.exit_code == 0, ended.output
    assert started == [("brefine.train", run, "--resume")]
    assert f"the recipe is {run.parent}/phase.toml; toy.toml is not read" in ended.stderr
