"""Several refiners as one."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from brefine.config import ExampleConfig, FeatureConfig, ModelName
from brefine.data.batches import n_channels_of
from brefine.models import build_model
from brefine.models.ensemble import Ensemble
from brefine.models.reading import read, sharpened, trained_on
from brefine.models.weights import Refiner, load_refiner, save_weights

FEATURES, EXAMPLES = FeatureConfig(n_mels=20), ExampleConfig(context_s=0.64)


def ensemble() -> Ensemble:
    torch.manual_seed(0)
    return Ensemble({name: build_model(name, FEATURES, EXAMPLES) for name in ("mlp", "contrastive")}).eval()  # type: ignore[arg-type]


def test_an_ensemble_says_the_mean_of_its_members_probabilities() -> None:
    """Each member's logits are divided by its temperature first."""
    model = ensemble()
    model.temperature_M = torch.tensor([2.0, 1.0])
    features = torch.randn(3, 128, n_channels_of(FEATURES))
    with torch.inference_mode():
        mlp, contrastive = (member(features).logits_BK for member in model.members.values())
        wanted = 0.5 * (torch.softmax(mlp / 2.0, dim=1) + torch.softmax(contrastive, dim=1))
        assert torch.allclose(torch.softmax(model(features).logits_BK, dim=1), wanted, atol=1e-6)


def test_an_ensemble_is_rebuilt_from_half_precision(tmp_path: Path) -> None:
    """One file holds all members and their temperatures; what it loses in precision is not heard."""
    model, path = ensemble(), tmp_path / "both.safetensors"
    model.temperature_M = torch.tensor([1.5, 0.75])
    state = {name: tensor.half() for name, tensor in model.state_dict().items()}
    save_weights(path, "mlp", state, FEATURES, EXAMPLES, members=("mlp", "contrastive"))
    refiner = load_refiner(path)
    features = torch.randn(3, 128, n_channels_of(FEATURES))
    with torch.inference_mode():
        before, after = torch.softmax(model(features).logits_BK, 1), torch.softmax(refiner.model(features).logits_BK, 1)
    assert (before - after).abs().max() < 0.01
    assert refiner.card.members == ["mlp", "contrastive"]


def test_a_model_decides_more_sharply_than_it_reads_and_an_ensemble_more_so(tmp_path: Path) -> None:
    """What is vague in a mean is not vague in each of its members."""
    both = saved(tmp_path / "both.safetensors", ensemble(), ["mlp", "contrastive"])
    alone = saved(tmp_path / "alone.safetensors", build_model("mlp", FEATURES, EXAMPLES), [])
    logits_BK = torch.zeros(1, 129)
    logits_BK[0, 70] = 5.0
    likeliest = []
    for refiner, power in ((both, 1.5), (alone, 1.25)):
        weights = trained_on(refiner.card.prior)
        yes_1, zero_1 = torch.tensor([True]), torch.zeros(1)
        reading = read(
            logits_BK, weights, onset_B=yes_1, change_B=~yes_1, centre_B=zero_1, beyond_BR=torch.zeros(1, 1), hop_s=FEATURES.hop_s
        )
        expected = sharpened(reading, weights, power=power)
        torch.testing.assert_close(refiner.decisive(reading).ratio_BT, expected.ratio_BT, rtol=1e-4, atol=1e-6)
        likeliest += [float(refiner.decisive(reading).ratio_BT.max()), float(reading.ratio_BT.max())]
    assert likeliest[0] > likeliest[2] > likeliest[1] == likeliest[3]


def saved(path: Path, model: nn.Module, members: list[ModelName]) -> Refiner:
    save_weights(path, "mlp", model.state_dict(), FEATURES, EXAMPLES, members=members)
    return load_refiner(path)
