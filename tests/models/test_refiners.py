"""The three architectures: their size, their output, and what makes each what it is called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from brefine.config import MODEL_NAMES, ExampleConfig, FeatureConfig, ModelName, load_config
from brefine.data.batches import n_channels_of
from brefine.models import build_model, contrastive, count_parameters, mlp, transformer
from brefine.models.__main__ import main as print_counts

FEATURES = FeatureConfig()
WANTED = {"transformer": transformer.N_PARAMETERS, "mlp": mlp.N_PARAMETERS, "contrastive": contrastive.N_PARAMETERS}
RECIPES = sorted((Path(__file__).parents[2] / "configs").glob("*.toml"))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_each_model_has_the_parameters_it_is_known_for(recipe: Path) -> None:
    """1.4 M, 822 K and 357 K, within 3 %, in every recipe that ships."""
    config = load_config(recipe)
    for name in MODEL_NAMES:
        found = count_parameters(build_model(name, config.features, config.examples))
        assert abs(found / WANTED[name] - 1.0) < 0.03, (name, found)


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_the_recipe_of_a_single_model_tells_its_size(name: ModelName) -> None:
    """As `brefine models` counts it, to the digits that are given."""
    recipe = Path(__file__).parents[2] / "configs" / f"{name}.toml"
    config = load_config(recipe)
    found = count_parameters(build_model(name, config.features, config.examples))
    written = f"{found / 1e6:.1f} M" if found > 1e6 else f"{found / 1e3:.0f} K"
    assert f"({written} parameters)" in recipe.read_text(encoding="utf-8").splitlines()[0]


def test_the_counts_name_the_inputs_that_they_are_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A phase with other inputs has other counts, by up to a thousand."""
    monkeypatch.setattr("sys.argv", ["brefine.models"])
    print_counts()
    *counts, inputs = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in counts] == list(MODEL_NAMES)
    assert inputs.startswith("for features.n_mels = 80, hop_s = 0.01, speech = false, pitch = false, and examples.context_s = 2;")


@pytest.mark.parametrize("context_s", [0.5, 0.77, 4.0])
@pytest.mark.parametrize("name", MODEL_NAMES)
def test_any_window_gives_one_logit_a_frame_and_one_for_none(name: ModelName, context_s: float) -> None:
    """Also windows that no stride divides; the size stays what it is."""
    model = build_model(name, FEATURES, ExampleConfig(context_s=context_s))
    n_frames = 2 * round(context_s / 0.01)
    output = model(torch.randn(2, n_frames, n_channels_of(FEATURES)))
    assert output.logits_BK.shape == (2, n_frames + 1)
    assert abs(count_parameters(model) / WANTED[name] - 1.0) < 0.03


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_every_parameter_takes_part_in_learning(name: ModelName) -> None:
    """None is dead weight that only fills the count."""
    torch.manual_seed(0)
    model = build_model(name, FEATURES, ExampleConfig(context_s=0.64))
    output = model(torch.randn(4, 128, n_channels_of(FEATURES)))
    (output.logits_BK * torch.randn_like(output.logits_BK)).sum().backward()
    idle = [key for key, parameter in model.named_parameters() if parameter.grad is None or not parameter.grad.abs().sum() > 0]
    assert idle == []


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_examples_of_a_batch_do_not_see_each_other(name: ModelName) -> None:
    """The same window gives the same logits whatever it is batched with."""
    torch.manual_seed(0)
    model = build_model(name, FEATURES, ExampleConfig(context_s=0.64)).eval()
    features = torch.randn(3, 128, n_channels_of(FEATURES))
    with torch.inference_mode():
        torch.testing.assert_close(model(features).logits_BK[1:2], model(features[1:2]).logits_BK, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("transformer", (-0.53851, -0.68243, -1.11519, -0.16898, 0.85024, -0.56854)),
        ("mlp", (3.88711, -2.26189, 3.35687, 2.85716, 0.1307, 0.71361)),
        ("contrastive", (-3.32414, -1.64919, 0.60049, -1.81042, -0.3747, 0.69488)),
    ],
)
def test_weights_mean_what_they_meant(name: ModelName, expected: tuple[float, ...]) -> None:
    """Kept weights fit a net of the same shapes that reckons otherwise, too, and then put every boundary somewhere else."""
    model = build_model(name, FEATURES, ExampleConfig(context_s=0.64)).eval()
    for place, (_, parameter) in enumerate(sorted(model.named_parameters())):
        drawn = np.random.RandomState(place).standard_normal(tuple(parameter.shape))
        fan_in = parameter[0].numel() if parameter.ndim > 1 else 1
        parameter.data = torch.from_numpy(drawn / fan_in**0.5).float()
    features = torch.from_numpy(np.random.RandomState(99).standard_normal((1, 128, n_channels_of(FEATURES)))).float()
    with torch.inference_mode():
        found = model(features).logits_BK[0, [0, 3, 40, 64, 127, 128]]
    assert found.tolist() == pytest.approx(expected, abs=3e-4)


def test_only_the_contrastive_model_has_embeddings_and_they_have_unit_length() -> None:
    """Dissimilarity is 1 − cosine."""
    for name in MODEL_NAMES:
        output = build_model(name, FEATURES, ExampleConfig(context_s=0.64))(torch.randn(2, 128, n_channels_of(FEATURES)))
        if name == "contrastive":
            torch.testing.assert_close(output.embeddings_BTD.norm(dim=2), torch.ones(2, 128), atol=1e-3, rtol=0)
        else:
            assert output.embeddings_BTD is None


def test_the_contrastive_logits_are_the_dissimilarity_of_left_and_right() -> None:
    """Embeddings that change once put the highest logit at the change; embeddings that never change say nothing."""
    embeddings = torch.zeros(1, 128, contrastive._EMBEDDING)
    embeddings[:, :40, 0] = 1.0
    embeddings[:, 40:, 1] = 1.0
    profile = contrastive.dissimilarity(embeddings, (3, 8, 20, 50)).sum(dim=1)
    assert profile.argmax().item() in (39, 40)
    assert contrastive.dissimilarity(torch.ones(1, 128, contrastive._EMBEDDING), (3, 50)).abs().max() < 1e-5


@pytest.mark.parametrize("n_frames", [2, 30, 400])
def test_dissimilarity_compares_the_means_of_what_is_there(n_frames: int) -> None:
    """Also at the window's ends, in windows shorter than a span, and under bfloat16, where running sums would lose digits."""
    embeddings_BTE = functional.normalize(torch.randn(2, n_frames, 40), dim=2)
    with torch.autocast("cpu", torch.bfloat16):
        found_BST = contrastive.dissimilarity(embeddings_BTE, (3, 50))
    for place, span in enumerate((3, 50)):
        for k in {0, 1, n_frames // 2, n_frames - 2, n_frames - 1}:
            before_BTE = embeddings_BTE[:, max(0, k - span) : k] if k > 0 else embeddings_BTE[:, :1]
            after_BTE = embeddings_BTE[:, k + 1 : k + 1 + span] if k < n_frames - 1 else embeddings_BTE[:, -1:]
            wanted_B = 1.0 - functional.cosine_similarity(before_BTE.mean(dim=1), after_BTE.mean(dim=1))
            torch.testing.assert_close(found_BST[:, place, k], wanted_B, atol=1e-5, rtol=0)
