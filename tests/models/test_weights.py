"""Weights files: what is written is what is read, and what is not whole or not ours is refused."""

from __future__ import annotations

from dataclasses import replace
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
from brefine.models.error_prior import ErrorPrior
from brefine.models.reading import Reading
from brefine.models.weights import load_refiner, read_weights, save_weights
from brefine.phasedir import CheckpointCard, Validation

FEATURES, EXAMPLES = FeatureConfig(), ExampleConfig(context_s=0.64)
HYPOTHESIS = Diarization("r", (Turn(1.004, 3.0, "a"), Turn(3.2, 5.0, "b")))


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "best.safetensors"
    model = build_model("mlp", FEATURES, EXAMPLES)
    save_weights(path, "mlp", model.state_dict(), FEATURES, EXAMPLES)
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


@pytest.mark.parametrize(("at_home", "counts"), [(0.05, True), (0.9, False)])
def test_a_boundary_counts_where_the_model_is_surer_of_it_than_of_most_in_its_own_validation(
    tmp_path: Path, at_home: float, counts: bool
) -> None:
    """An untrained model is as vague as can be: what it says counts where it was vaguer still in validation."""
    torch.manual_seed(0)
    path = tmp_path / "best.safetensors"
    figures = dict.fromkeys(("loss", "mae_ms", "median_ms", "within_50ms", "within_100ms", "within_200ms"))
    validation = Validation(step=1, epoch=1, **figures, confidence=at_home)
    save_weights(path, "mlp", build_model("mlp", FEATURES, EXAMPLES).state_dict(), FEATURES, EXAMPLES, validation=validation)
    frames = np.random.default_rng(0).normal(size=(600, FEATURES.n_mels)).astype(np.float16)
    reading = load_refiner(path).read(frames, HYPOTHESIS, boundaries_of(HYPOTHESIS))
    assert (reading.worth_B > 0.0).tolist() == [counts] * len(reading)


def reading_at(*shifts_s: tuple[float, float]) -> Reading:
    """Boundaries that are surely there, heard at places with given probabilities: (shift in seconds, probability), …"""
    ratio_1T = torch.zeros(1, 128)
    for shift_s, share in shifts_s:
        ratio_1T[0, 64 + round(100 * shift_s)] = share
    yes_1, no_1 = torch.tensor([True]), torch.tensor([False])
    return Reading(ratio_1T, torch.ones(1), yes_1, no_1, torch.zeros(1), torch.ones(1), torch.zeros(1, 64), 0.01)


def test_every_boundary_gets_one_move_in_its_order(weights: Path) -> None:
    """Turn and side come back, so that `apply_shifts` finds the boundary again."""
    refiner = load_refiner(weights)
    frames = np.random.default_rng(0).normal(-5.0, 2.0, (600, 80)).astype(np.float32)
    boundaries = boundaries_of(HYPOTHESIS)
    shifts = refiner.propose(refiner.read(frames, HYPOTHESIS, boundaries), boundaries, ErrorPrior())
    assert [(shift.turn_index, shift.side) for shift in shifts] == [(b.turn_index, b.side) for b in boundaries]
    assert all(abs(shift.shift_s) <= 0.68 and 0.0 <= shift.confidence <= 1.0 for shift in shifts)
    assert refiner.propose(refiner.read(frames, Diarization("r"), ()), (), ErrorPrior()) == ()


def test_the_confidence_is_of_the_place_where_the_boundary_is_left(weights: Path) -> None:
    """Heard at two places alike, neither of them here, it stays; nothing then says that here is right."""
    refiner, boundary = load_refiner(weights), boundaries_of(HYPOTHESIS)[:1]
    far = ErrorPrior(weights=(0.0, 0.0, 0.0, 0.0, 1.0), doubt=0.0)
    (torn,) = refiner.propose(reading_at((0.2, 0.51), (-0.2, 0.49)), boundary, far)
    assert torn.shift_s == 0.0
    assert torn.confidence < 0.01
    (moved,) = refiner.propose(reading_at((0.2, 0.9), (-0.2, 0.1)), boundary, far)
    assert moved.shift_s == pytest.approx(0.2, abs=0.011)
    assert moved.confidence == pytest.approx(0.94, abs=0.02)  # what was said, 0.9, to the power that one model decides by


def test_a_move_counts_from_the_boundary_not_from_the_frame_edge_nearest_to_it(weights: Path) -> None:
    """The window's middle lies 4 ms behind the boundary: so does all that is heard in it."""
    refiner, boundary, prior = load_refiner(weights), boundaries_of(HYPOTHESIS)[:1], ErrorPrior()
    reading = reading_at((0.2, 1.0))
    moved = [
        refiner.propose(replace(reading, centre_B=torch.tensor([centre_s])), boundary, prior)[0].shift_s
        for centre_s in (0.0, 0.004)
    ]
    assert moved[1] - moved[0] == pytest.approx(0.004, abs=1e-5)


def test_the_spread_is_of_all_that_is_known_of_a_boundary(weights: Path) -> None:
    """Two places far apart are vaguer than one; a prior that knows of no such errors leaves little of the far one."""
    refiner, boundary = load_refiner(weights), boundaries_of(HYPOTHESIS)[:1]
    far, near = ErrorPrior(weights=(0.0, 0.0, 0.0, 0.0, 1.0), doubt=0.0), ErrorPrior(weights=(1.0, 0.0, 0.0, 0.0, 0.0), doubt=0.0)

    def spread_ms(prior: ErrorPrior, *heard: tuple[float, float]) -> float:
        (shift,) = refiner.propose(reading_at(*heard), boundary, prior)
        assert shift.spread_s is not None
        return 1000.0 * shift.spread_s

    assert spread_ms(far, (0.0, 1.0)) == pytest.approx(3.4, abs=0.1)  # a single frame of 10 ms
    assert spread_ms(far, (-0.2, 0.5), (0.2, 0.5)) == pytest.approx(200.0, abs=10.0)
    assert spread_ms(near, (0.0, 0.5), (0.2, 0.5)) < 10.0


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
