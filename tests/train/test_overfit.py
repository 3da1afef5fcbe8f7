"""The check before a long training looks for the corpus that was prepared, and else simulates as the recipe says."""

from __future__ import annotations

from pathlib import Path

import pytest

from brefine.config import PhaseConfig, with_absolute_paths
from brefine.train import overfit as check
from tests.refusals import refusals
from tests.tiny_corpus import make_tiny_corpus, tiny_recipe


def test_a_recipe_with_relative_paths_finds_its_prepared_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others prepare with the absolute paths; nothing is simulated instead."""
    monkeypatch.chdir(tmp_path)
    config = tiny_recipe(Path("data"), corpus={"simulation": {"voices": "bank"}})
    make_tiny_corpus(with_absolute_paths(config))
    monkeypatch.setattr(check, "_MAX_STEPS", 1)

    def refuse(*_: object, **__: object) -> Path:
        raise AssertionError("it was prepared already")

    monkeypatch.setattr(check, "prepare", refuse)
    (result,) = check.overfit(config)
    assert (result.model, result.steps) == ("mlp", 1)


@pytest.mark.parametrize(("source", "errors"), [("replayed", "mine.json"), ("builtin", "vbx-voxconverse")])
def test_without_a_corpus_it_simulates_with_the_recipes_voices_and_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, errors: str
) -> None:
    """Only numbers and lengths are the check's own; a diarizer, which would take its time, is not asked."""
    asked: list[PhaseConfig] = []

    def note(config: PhaseConfig, *, out: Path) -> Path:
        asked.append(config)
        return make_tiny_corpus(tiny_recipe(tmp_path / "tiny"))

    monkeypatch.setattr(check, "prepare", note)
    monkeypatch.setattr(check, "_MAX_STEPS", 1)
    own = {"voices": "bank", "room_probability": 0.0}
    hypothesis = {"source": source, "errors": "mine.json", "builtin_share": 0.5 if source == "replayed" else 0.0}
    check.overfit(tiny_recipe(tmp_path, corpus={"simulation": own}, hypothesis=hypothesis))
    (config,) = asked
    assert config.hypothesis.builtin_share == 0.0
    simulation = config.corpus.simulation
    assert (simulation.voices, simulation.room_probability, simulation.n_train) == ("bank", 0.0, 4)
    assert (config.hypothesis.source, config.hypothesis.errors) == ("replayed", errors)


def test_what_cannot_be_trained_is_refused_before_torch_is_loaded(tmp_path: Path) -> None:
    """That takes seconds: a recipe that is not there, or is none, and a run that is no phase's or has been trained."""
    (tmp_path / "none.toml").write_text("]")
    trained = tmp_path / "phase" / "mlp" / "checkpoints" / "last.state"
    trained.parent.mkdir(parents=True)
    trained.touch()
    asked = ["overfit nowhere.toml", "overfit none.toml", "nophase/mlp", "phase/mlp"]
    assert refusals("brefine.train.__main__", asked, folder=tmp_path) == [
        "there is no such recipe: False",
        "this is not TOML: Invalid statement (at line 1, column 1): False",
        "there is no such recipe: False",
        "this run has a checkpoint already: False",
    ]
