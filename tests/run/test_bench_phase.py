"""The benchmark of a whole phase runs its real trainers."""

from __future__ import annotations

from pathlib import Path

import pytest

from brefine.run.bench_phase import bench_lines, bench_phase

pytestmark = pytest.mark.end_to_end

_RECIPE = """
schema = 1
[corpus]
kind = "simulated"
[examples]
context_s = 0.64
n_train = 160
[train]
epochs = 4
batch_size = 16
precision = "float32"
[models.mlp]
[budget]
price_usd_per_hour = 36.0
"""


def test_a_part_is_trained_and_the_whole_is_projected(tmp_path: Path) -> None:
    """Time grows with examples and epochs, cost with time; what it started and wrote is gone."""
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(_RECIPE, encoding="utf-8")
    result = bench_phase(recipe, n_examples=80, n_epochs=2)
    (model,) = result["models"]
    assert (result["n_examples"], result["epochs"], result["complete"]) == (160, {"mlp": 4}, False)
    assert model["projected_s"] == pytest.approx(4 * model["training_s"])
    assert result["phase_s"] == pytest.approx(result["trained"]["loading_s"] + model["projected_s"])
    assert result["phase_usd"] == pytest.approx(result["phase_s"] / 100)
    assert "projected" in bench_lines(result)[-1]
    assert "at $36.00 an hour" in bench_lines(result)[-1]
