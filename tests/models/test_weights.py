"""Weights files: what is written is what is read, and what is not whole or not ours is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from brefine.config import ExampleConfig, FeatureConfig
from brefine.core.boundaries import boundaries_of
from brefine.core.turns import Diarization, Turn
from brefine.data.batches import n_channels_of
from brefine.errors import CheckpointError
from brefine.models import build_model
from brefine.models.weights import load_refiner, read_weights, save_weights
from brefine.phasedir import CheckpointCard

FEATURES, EXAMPLES = FeatureConfig(), ExampleConfig(context_s=0.64)
HYPOTHESIS = Diarization("r", (Turn(1.004, 3.0, "a"), Turn(3.2, 5.0, "b")))


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "best.safetensors"
    model = build_model("mlp", FEATURES, EXAMPLES)
    save_weights(path, "mlp", model.state_dict(), FEATURES, EXAMPLES, prior={"onset_bias_s": 0.01, "offset_bias_s": -0.02})
    return path


def test_a_refiner_is_rebuilt_from_its_file_alone(weights: Path) -> None:
    """The card inside suffices: the copy beside it may be lost."""
    torch.manual_seed(0)
    model = build_model("mlp", FEATURES, EXAMPLES).eval()
    weights.with_suffix(".json").unlink()
    refiner = load_refiner(weights)
    features = torch.randn(2, 128, n_channels_of(FEATURES))
    with torch.inference_mode():
        assert torch.equal(refiner.model(features).logits_BK, model(features).logits_BK)
    assert (refiner.features, refiner.examples) == (FEATURES, EXAMPLES)


def test_the_card_beside_the_weights_equals_the_one_inside(weights: Path) -> None:
    """Nobody needs torch to choose a checkpoint."""
    assert CheckpointCard.read(weights.with_suffix(".json")) == read_weights(weights)[1]


def test_shifts_count_from_the_boundary_and_carry_the_fitted_biases(weights: Path) -> None:
    """An even posterior leaves a window's middle where it is; the shift then is the bias alone, also off the 10 ms grid."""
    refiner = load_refiner(weights)
    boundaries = boundaries_of(HYPOTHESIS)
    decoded = refiner.decode(torch.zeros(len(boundaries), 129), boundaries)
    for boundary, shift_s in zip(boundaries, decoded.shift_s.tolist(), strict=True):
        bias_s = 0.01 if boundary.side == "onset" else -0.02
        to_grid_s = round(boundary.time_s, 2) - boundary.time_s
        assert shift_s == pytest.approx(bias_s + to_grid_s, abs=1e-4)


def test_every_boundary_gets_one_shift_in_its_order(weights: Path) -> None:
    """Turn and side come back, so that `apply_shifts` finds the boundary again."""
    refiner = load_refiner(weights)
    frames = np.random.default_rng(0).normal(-5.0, 2.0, (600, 80)).astype(np.float32)
    boundaries = boundaries_of(HYPOTHESIS)
    shifts = refiner.shifts(frames, HYPOTHESIS, boundaries)
    assert [(shift.turn_index, shift.side) for shift in shifts] == [(b.turn_index, b.side) for b in boundaries]
    assert all(abs(shift.shift_s) <= 0.68 and 0.0 <= shift.confidence <= 1.0 for shift in shifts)
    assert refiner.shifts(frames, Diarization("r"), ()) == ()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.999])
def test_a_torn_file_is_refused(weights: Path, share: float) -> None:
    """Wherever the writing stopped."""
    content = weights.read_bytes()
    weights.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(CheckpointError, match="torn"):
        load_refiner(weights)


def test_a_flipped_bit_is_refused(weights: Path) -> None:
    """The digest covers every tensor."""
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    with pytest.raises(CheckpointError, match="do not match their card"):
        load_refiner(weights)


def test_foreign_and_missing_weights_are_refused(tmp_path: Path) -> None:
    """Each says what it is instead."""
    save_file({"layer": torch.zeros(3)}, tmp_path / "foreign.safetensors")
    with pytest.raises(CheckpointError, match="not written by brefine"):
        load_refiner(tmp_path / "foreign.safetensors")
    with pytest.raises(CheckpointError, match="no such weights"):
        load_refiner(tmp_path / "missing.safetensors")


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    """A card that names one model beside another's tensors."""
    model = build_model("contrastive", FEATURES, EXAMPLES)
    save_weights(tmp_path / "mixed.safetensors", "mlp", model.state_dict(), FEATURES, EXAMPLES)
    with pytest.raises(CheckpointError, match="do not fit this version's mlp"):
        load_refiner(tmp_path / "mixed.safetensors")
