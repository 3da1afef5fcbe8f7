"""The benchmark of a whole phase runs its real trainers on as much as the phase has."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from brefine.config import load_config, prepared_corpus_path
from brefine.errors import DataError, RunError
from brefine.io.atomic import write_json_atomic
from brefine.phasedir import SPLITS, CorpusManifest, CorpusRecording
from brefine.run import bench_phase as benchmark
from brefine.run.bench_phase import bench_lines, bench_phase

_RECIPES = Path(__file__).parents[2] / "configs"
_RECIPE = """
schema = 1
[corpus]
kind = "simulated"
[examples]
context_s = 0.64
n_train = 160
negatives_per_positive = 0.25
[train]
epochs = 4
batch_size = 16
precision = "float32"
[models.mlp]
[budget]
price_usd_per_hour = 36.0
"""


@pytest.mark.end_to_end
def test_a_part_is_trained_and_the_whole_is_projected(tmp_path: Path) -> None:
    """Time grows with examples and epochs, cost with time; what it started and wrote is gone."""
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(_RECIPE, encoding="utf-8")
    result = bench_phase(recipe, n_examples=80, n_epochs=2)
    (model,) = result["models"]
    assert (result["n_examples"], result["epochs"], result["complete"]) == (200, {"mlp": 4}, False)
    assert model["projected_s"] == pytest.approx(5 * model["training_s"])
    assert result["phase_s"] == pytest.approx(result["trained"]["loading_s"] + model["projected_s"])
    assert result["phase_usd"] == pytest.approx(result["phase_s"] / 100)
    assert "projected" in bench_lines(result)[-1]
    assert "at $36.00 an hour" in bench_lines(result)[-1]


def _made(recipe: Path | None, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """How many boundaries of noise a machine with a GPU would train and validate on."""
    made: list[tuple[int, int]] = []

    def note(_: object, n_examples: int, n_validation: int) -> None:
        made.append((n_examples, n_validation))
        raise RunError("enough")

    monkeypatch.setattr(benchmark, "find_gpus", lambda: SimpleNamespace(read=lambda: [SimpleNamespace(name="one")]))
    monkeypatch.setattr(benchmark, "_prepare", note)
    with pytest.raises(RunError, match="enough"):
        bench_phase(recipe)
    return made[0]


def test_a_phase_is_as_large_as_its_plan_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Phase 3 has four fifths of 10,000 boundaries, two simulated ones for each, and a tenth more without a partner."""
    monkeypatch.chdir(tmp_path)
    assert _made(_RECIPES / "phase3.toml", monkeypatch) == (26_400, 2_200)
    assert _made(None, monkeypatch) == (26_400, 2_200)
    assert _made(_RECIPES / "demo.toml", monkeypatch) == (round(120 * 18 * 1.1), round(120 * 18 * 1.1 / 5))


def test_a_prepared_corpus_tells_how_large_its_phase_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its boundaries have been counted."""
    monkeypatch.chdir(tmp_path)
    corpus = prepared_corpus_path(load_config(_RECIPES / "demo.toml"))
    counts = {"n_matched": 2091, "n_hypothesis": 3000}
    write_json_atomic(corpus / "summary.json", {"splits": {"train": {"boundary": counts}}})
    splits: dict[str, list[CorpusRecording]] = {split: [] for split in SPLITS}
    CorpusManifest(title="t", evidence="simulated", hypothesis_source="h", splits=splits).write(corpus / "corpus.json")
    assert _made(_RECIPES / "demo.toml", monkeypatch) == (2300, 460)


def test_the_size_of_a_corpus_of_ones_own_is_not_guessed(tmp_path: Path) -> None:
    """What it costs to train on depends on nothing else."""
    recipe = tmp_path / "recipe.toml"
    own = 'kind = "folder"\ntrain = "here"\ngate = "there"'
    recipe.write_text(_RECIPE.replace('kind = "simulated"', own).replace("n_train = 160\n", ""), encoding="utf-8")
    with pytest.raises(DataError, match="not known before its corpus is prepared"):
        bench_phase(recipe)
