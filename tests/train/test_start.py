"""A training that begins with the weights that ship."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from brefine.config import MODEL_NAMES, ModelName, PhaseConfig, format_config
from brefine.errors import CheckpointError, ConfigError
from brefine.io.shipped import shipped_weights
from brefine.models import build_model
from brefine.models.weights import read_member, read_weights
from brefine.phasedir import CheckpointCard, RunDir, RunState, RunStatus
from brefine.run.gpu import NoGpu
from brefine.run.launch import create_phase
from brefine.run.plan import plan_phase
from brefine.train import __main__ as trainer
from brefine.train.signals import StopSignal
from tests.tiny_corpus import make_tiny_corpus, tiny_recipe

SHIPPED = {"features": {"speech": True}, "examples": {"context_s": 2.0}}


@pytest.fixture(autouse=True)
def _signals_are_left_to_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StopSignal, "listen", lambda _: None)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a tiny corpus whose frames are like those of the weights that ship."""
    root = tmp_path_factory.mktemp("corpus")
    make_tiny_corpus(tiny_recipe(root, **SHIPPED))
    return root


def trained(recipe: PhaseConfig, run: RunDir) -> RunStatus:
    run.path.mkdir(parents=True)
    (run.path.parent / "phase.toml").write_text(format_config(recipe), encoding="utf-8")
    assert trainer._train(run, "mlp", resume=False) == 0
    return RunStatus.read(run.status)


def test_the_weights_that_ship_are_validated_first_and_stay_the_best_where_training_wins_nothing(
    root: Path, tmp_path: Path
) -> None:
    """With a learning rate of next to nothing they come out as they went in, and the card tells where they are from."""
    run = RunDir(tmp_path / "phase" / "mlp")
    status = trained(tiny_recipe(root, **SHIPPED, train={"start": "shipped", "epochs": 1, "lr": 1e-12}), run)
    begun_with = read_member(shipped_weights(), "mlp")
    for name, tensor in load_file(run.weights("best")).items():
        torch.testing.assert_close(tensor, begun_with.tensors[name], rtol=0.0, atol=1e-6)
    card = CheckpointCard.read(run.card("best"))
    assert card.started_from_sha256 == begun_with.sha256 == read_weights(shipped_weights())[1].weights_sha256
    assert status.best is not None
    assert (status.state, status.best.epoch, status.best.step) == (RunState.FINISHED, 0, 0)


def test_a_training_with_another_start_is_another_training(root: Path, tmp_path: Path) -> None:
    """A checkpoint of random beginnings is not gone on from as if it had begun with the weights that ship."""
    run = RunDir(tmp_path / "phase" / "mlp")
    trained(tiny_recipe(root, **SHIPPED, train={"epochs": 1}), run)
    assert CheckpointCard.read(run.card("best")).started_from_sha256 is None
    recipe = tiny_recipe(root, **SHIPPED, train={"epochs": 1, "start": "shipped"})
    (run.path.parent / "phase.toml").write_text(format_config(recipe), encoding="utf-8")
    with pytest.raises(CheckpointError, match="belongs to another training"):
        trainer._train(run, "mlp", resume=True)


@pytest.mark.parametrize("model", MODEL_NAMES)
def test_each_model_is_there_to_begin_with(model: ModelName) -> None:
    """All its weights and nothing else, in what optimisers compute in."""
    config = tiny_recipe(Path("nowhere"), **SHIPPED)
    tensors = read_member(shipped_weights(), model).tensors
    build_model(model, config.features, config.examples).load_state_dict(tensors)
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}


def test_weights_of_one_model_start_no_other(root: Path, tmp_path: Path) -> None:
    """They say which they are."""
    run = RunDir(tmp_path / "phase" / "mlp")
    trained(tiny_recipe(root, **SHIPPED, train={"epochs": 1}), run)
    assert read_member(run.weights("best"), "mlp").sha256 == CheckpointCard.read(run.card("best")).weights_sha256
    with pytest.raises(CheckpointError, match=r"another model[\s\S]*contrastive[\s\S]*mlp"):
        read_member(run.weights("best"), "contrastive")


def test_a_recipe_whose_models_see_something_else_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    """What has to be set is named, as it is typed."""
    recipe = tiny_recipe(tmp_path, train={"start": "shipped"}, runs=str(tmp_path / "runs"))
    for attempt in (create_phase, lambda recipe: plan_phase(recipe, gpus=NoGpu("none here"), n_cores=2)):
        with pytest.raises(ConfigError, match=r"--set features.speech=true --set examples.context_s=2.0"):
            attempt(recipe)
    assert not (tmp_path / "runs").exists()
    assert create_phase(tiny_recipe(tmp_path, **SHIPPED, train={"start": "shipped"}, runs=str(tmp_path / "runs"))).path.is_dir()
