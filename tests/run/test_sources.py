"""What a recipe names and is not there: told by the plan of a launch as by the launch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from brefine.config import PhaseConfig, parse_config, prepared_corpus_path, with_absolute_paths
from brefine.errors import DataError
from brefine.phasedir import CORPUS_FILE, SPLITS, CorpusManifest
from brefine.run.gpu import NoGpu
from brefine.run.plan import plan_phase
from brefine.run.sources import refuse_missing


def _recipe(root: Path, *overrides: str) -> PhaseConfig:
    text = f'schema = 1\n[corpus]\nkind = "simulated"\nroot = "{root}"\n[models.mlp]\n'
    return parse_config(text, where="here", overrides=overrides)


def _plan(recipe: PhaseConfig) -> object:
    return plan_phase(recipe, gpus=NoGpu("none here"), n_cores=2)


@pytest.mark.parametrize("ask", [refuse_missing, _plan])
def test_all_that_is_missing_is_told_by_its_key(tmp_path: Path, ask: Callable[[PhaseConfig], object]) -> None:
    """Folders of voices, of hypotheses and of a corpus of one's own, and errors that neither ship nor are a file."""
    with pytest.raises(DataError, match=r"simulation.voices: .*/nobody(?s:.*)hypothesis.errors: .*: unheard-of"):
        ask(_recipe(tmp_path, f"corpus.simulation.voices={tmp_path}/nobody", "hypothesis.errors=unheard-of"))
    own = ["corpus.kind=folder", f"corpus.train={tmp_path}", f"corpus.gate={tmp_path}/gone"]
    with pytest.raises(DataError, match=r"corpus.gate: .*/gone(?s:.*)hypothesis.folder: .*/said") as refused:
        ask(_recipe(tmp_path, *own, "hypothesis.source=folder", f"hypothesis.folder={tmp_path}/said"))
    assert "corpus.train" not in str(refused.value)


def test_what_is_there_ships_or_is_not_needed_is_not_missed(tmp_path: Path) -> None:
    """Voices that nothing is simulated with, for one, and whatever a prepared corpus was made from."""
    (tmp_path / "errors.json").touch()
    refuse_missing(_recipe(tmp_path, f"corpus.simulation.voices={tmp_path}", f"hypothesis.errors={tmp_path}/errors.json"))
    unneeded = ["corpus.simulation.voices=gone", "hypothesis.errors=gone", "hypothesis.source=builtin"]
    refuse_missing(_recipe(tmp_path, "corpus.kind=voxconverse", "corpus.synthetic_per_real=0", *unneeded))
    recipe = _recipe(tmp_path, "corpus.simulation.voices=gone")
    CorpusManifest(
        title="", evidence="simulated", hypothesis_source="", splits={split: [] for split in SPLITS}, sources={}
    ).write(prepared_corpus_path(with_absolute_paths(recipe)) / CORPUS_FILE)
    refuse_missing(recipe)
