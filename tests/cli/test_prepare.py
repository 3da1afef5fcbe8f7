"""`brefine prepare`: what its options make of the recipe."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from brefine.cli import app
from brefine.cli import prepare as command
from brefine.config import HypothesisConfig, load_config


@pytest.mark.parametrize("told_by", ["option", "override", "recipe"])
def test_the_gate_of_a_folder_is_told_by_option_override_or_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told_by: str
) -> None:
    """Any of them will do."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train").mkdir()
    recipe = tmp_path / "mine.toml"
    recipe.write_text('schema = 1\n[corpus]\nkind = "folder"\ngate = "behind"\n[models.mlp]\n')
    found: list[str | None] = []

    def worker(module: str, action: str, recipe: str, *options: object) -> int:
        found.append(load_config(Path(recipe)).corpus.gate)
        return 0

    monkeypatch.setattr(command, "run_worker", worker)
    telling = {"option": ["--gate", "behind"], "override": ["--set", "corpus.gate=behind"], "recipe": ["--config", str(recipe)]}
    ended = CliRunner().invoke(app, ["prepare", "train", *telling[told_by]])
    assert ended.exit_code == 0, ended.output
    assert found == [str(tmp_path / "behind")]


def test_a_recipe_beside_a_gate_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may come from a pipe, and the one that was installed is told of on stderr."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train").mkdir()
    monkeypatch.setattr(command, "run_worker", lambda *_: 0)
    ended = CliRunner().invoke(app, ["prepare", "train", "--gate", "behind", "--config", "configs/demo.toml"])
    assert ended.exit_code == 0, ended.output
    assert ended.stderr.count("configs/demo.toml is not here") == 1


@pytest.mark.parametrize(("word", "source"), [("hyp", "folder"), ("./builtin", "folder"), ("builtin", "builtin")])
def test_hypotheses_come_from_a_folder_or_a_diarizer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str, source: str
) -> None:
    """A folder that is there is where the RTTMs lie; the words of the recipe keep their meaning beside one of that name."""
    monkeypatch.chdir(tmp_path)
    for name in ("hyp", "builtin", "train", "gate"):
        (tmp_path / name).mkdir()
    found: list[HypothesisConfig] = []

    def worker(module: str, action: str, recipe: str, *options: object) -> int:
        found.append(load_config(Path(recipe)).hypothesis)
        return 0

    monkeypatch.setattr(command, "run_worker", worker)
    ended = CliRunner().invoke(app, ["prepare", "train", "--gate", "gate", "--hypothesis-from", word])
    assert ended.exit_code == 0, ended.output
    (hypothesis,) = found
    assert hypothesis.source == source
    assert hypothesis.folder == (str((tmp_path / word).absolute()) if source == "folder" else None)
