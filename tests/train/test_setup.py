"""From a recipe and a prepared corpus to a training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from brefine.config import MODEL_NAMES, PhaseConfig, prepared_corpus_path
from brefine.data.batches import TrainingBatches
from brefine.data.splits import Split
from brefine.phasedir import CorpusManifest, RunDir
from brefine.train.device import Device
from brefine.train.setup import build_training, fresh_state, tables_and_examples
from tests.tiny_corpus import make_tiny_corpus, tiny_recipe

CPU = Device(torch.device("cpu"), torch.float32, "CPU")


@pytest.mark.parametrize(("model", "place"), [("mlp", 0), ("contrastive", 1), ("transformer", 2)])
def test_models_of_a_phase_validate_a_third_of_an_epoch_apart(
    make_run: Callable[..., tuple[RunDir, PhaseConfig]], model: str, place: int
) -> None:
    """In the order of the recipe; each is as long as its own section says, and no batch is larger than the corpus."""
    models = {"mlp": {"epochs": 3}, "contrastive": {"epochs": 3}, "transformer": {"epochs": 3, "batch_size": 10**6}}
    run, config = make_run(models=models)
    training, _ = build_training(RunDir(run.path.parent / model), model, config, resume=False)
    plan = training.plan
    assert (plan.n_epochs, plan.stagger) == (3, place * plan.steps_per_epoch // 3)
    assert (plan.batch_size, plan.steps_per_epoch == 1) == (training.batches.batch_size, model == "transformer")


def test_batches_are_drawn_by_the_recipes_seed_and_anew_where_the_corpus_says_so(tmp_path: Path) -> None:
    """Errors of one recording were drawn and may be drawn again each epoch; those of the others a diarizer has made."""
    config = tiny_recipe(tmp_path, seed=1)
    path = make_tiny_corpus(config) / "corpus.json"
    manifest = CorpusManifest.read(path)
    train = [
        one.model_copy(update={"simulated": True, "replayed": place == 0}) for place, one in enumerate(manifest.splits["train"])
    ]
    manifest.model_copy(update={"splits": {**manifest.splits, "train": train}}).write(path)
    training, _ = build_training(RunDir(tmp_path / "phase" / "mlp"), "mlp", config, resume=False)
    split = Split(prepared_corpus_path(config), "train", config.features)
    assert split.redrawable.tolist() == [True, False, False]

    def drawn(seed: int, *, redraw: object) -> list[list[tuple[int, float]]]:
        tables, examples = tables_and_examples(split, config, CPU)
        batches = TrainingBatches(tables, examples, config.examples, batch_size=8, seed=seed, redraw=redraw)
        return members_of(batches)

    def members_of(batches: TrainingBatches) -> list[list[tuple[int, float]]]:
        return [batches.members(step) for step in range(2 * batches.steps_per_epoch)]

    found = members_of(training.batches)
    assert found == drawn(1, redraw=split.redrawable)
    assert found != drawn(0, redraw=split.redrawable)
    assert found != drawn(1, redraw=False)


def test_no_two_models_or_seeds_begin_with_the_same_numbers() -> None:
    """And the same ones always do, whatever was drawn before."""
    models = {model: {} for model in MODEL_NAMES}
    torch.manual_seed(99)
    seeded = []
    for seed in range(3):
        for model in MODEL_NAMES:
            fresh_state(model, tiny_recipe(Path("nowhere"), seed=seed, models=models), CPU)
            seeded.append(torch.initial_seed())
    assert len(set(seeded)) == 9
    once, again = (fresh_state("mlp", tiny_recipe(Path("nowhere")), CPU).model.state_dict() for _ in range(2))
    assert all(torch.equal(once[name], again[name]) for name in once)
