"""One weights file out of a phase."""

from __future__ import annotations

from pathlib import Path

import torch

from brefine.evaluate.shipping import ship
from brefine.models.error_prior import SCALES_S, trained_on
from brefine.models.weights import load_refiner, read_weights
from brefine.phasedir import PhaseDir


def test_a_phases_models_become_one_calibrated_refiner(phase: PhaseDir, tmp_path: Path) -> None:
    """All members in half precision, each with a temperature, and a description of the errors they were trained on."""
    out = tmp_path / "refiner.safetensors"
    card = ship(phase, ["mlp", "contrastive"], out, device="cpu")
    tensors, _ = read_weights(out)
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    assert (tensors["temperature_M"] > 0.0).all()
    assert len(tensors["temperature_M"]) == len(card.members) == 2
    assert len([key for key in card.prior if key.startswith("trained_")]) == len(SCALES_S)
    assert abs(sum(trained_on(card.prior)) - 1.0) < 0.01
    assert load_refiner(out).card == card
