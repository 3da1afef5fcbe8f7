"""What is minimised."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from brefine.models.heads import ModelOutput, target_distribution
from brefine.train.losses import refiner_loss, side_contrast

T = 128


def two_sided(change: int) -> torch.Tensor:
    """Embeddings that turn by a right angle at one frame."""
    embeddings = torch.zeros(1, T, 4)
    embeddings[:, :change, 0] = 1.0
    embeddings[:, change:, 1] = 1.0
    return embeddings


def test_the_contrast_is_least_when_the_embeddings_change_at_the_true_boundary() -> None:
    """A change 40 frames off costs more, no change at all costs more still than the right one."""
    true = torch.tensor([0.0])
    right, wrong = side_contrast(two_sided(64), true), side_contrast(two_sided(24), true)
    flat = side_contrast(functional.normalize(torch.ones(1, T, 4), dim=2), true)
    assert right < wrong
    assert right < flat


def test_frames_far_from_the_boundary_have_no_side() -> None:
    """They may belong to another turn: what is heard more than 64 frames away changes nothing, what is nearer does."""
    embeddings = functional.normalize(torch.randn(1, 4 * T, 8, generator=torch.Generator().manual_seed(0)), dim=2)
    far, near = embeddings.clone(), embeddings.clone()
    far[:, : 2 * T - 64] = far[:, 2 * T + 65 :] = near[:, 2 * T - 56 : 2 * T] = functional.normalize(torch.ones(8), dim=0)
    whole, elsewhere, here = (side_contrast(heard, torch.tensor([0.0])) for heard in (embeddings, far, near))
    assert torch.equal(whole, elsewhere)
    assert not torch.isclose(whole, here)


@pytest.mark.parametrize("offset_frames", [20.0, 24.0, 25.0])
def test_the_contrast_is_that_of_the_paper(offset_frames: float) -> None:
    """Anchor by anchor: −1/|P| Σ log of a positive's share among all others, at a temperature of 0.2; a weight of 0.3.

    An anchor may lie half a frame before the boundary, or half a frame behind it.
    """
    embeddings = functional.normalize(torch.randn(1, T, 8, generator=torch.Generator().manual_seed(0)), dim=2)
    true = torch.tensor([offset_frames])
    distance = {place: place + 0.5 - T / 2 - offset_frames for place in range(0, T, 8)}
    places = [place for place in distance if abs(distance[place]) <= 64]
    losses = []
    for anchor in places:
        others = [place for place in places if place != anchor]
        like = {place: float(embeddings[0, anchor] @ embeddings[0, place]) / 0.2 for place in others}
        total = math.log(sum(math.exp(one) for one in like.values()))
        side = [like[place] - total for place in others if (distance[place] > 0) == (distance[anchor] > 0)]
        losses.append(-sum(side) / len(side))
    wanted = sum(losses) / len(losses)
    assert side_contrast(embeddings, true).item() == pytest.approx(wanted, rel=1e-4)
    # logits that are all alike cost the logarithm of their number
    logits = torch.zeros(1, T + 1)
    with_it = refiner_loss(ModelOutput(logits, embeddings), target_distribution(true, T, 2.0), true).item()
    assert with_it == pytest.approx(math.log(T + 1) + 0.3 * wanted, rel=1e-4)


def test_a_model_with_embeddings_is_told_where_they_should_change() -> None:
    """With the same logits it costs more to have them change elsewhere."""
    offset = torch.tensor([0.0])
    target = target_distribution(offset, T, 2.0)
    right, wrong = (refiner_loss(ModelOutput(target, two_sided(change)), target, offset) for change in (64, 24))
    assert refiner_loss(ModelOutput(target), target, offset) < right < wrong


def test_windows_without_a_boundary_have_no_sides() -> None:
    """They add nothing, and a batch of them alone is no division by zero."""
    none = torch.tensor([float("nan")])
    assert side_contrast(two_sided(64), none).item() == 0.0
    both = side_contrast(two_sided(64).repeat(2, 1, 1), torch.tensor([0.0, float("nan")]))
    torch.testing.assert_close(both, side_contrast(two_sided(64), torch.tensor([0.0])))


def test_the_contrast_has_finite_gradients() -> None:
    """Also where a boundary lies so near the edge that one side is empty."""
    embeddings = functional.normalize(torch.randn(2, T, 8), dim=2).requires_grad_()
    side_contrast(embeddings, torch.tensor([-63.9, float("nan")])).backward()
    assert embeddings.grad is not None
    assert torch.isfinite(embeddings.grad).all()


def test_cross_entropy_is_least_where_the_logits_are_the_target() -> None:
    """Then it is the target's own entropy; even logits cost the logarithm of the number of bins."""
    offset = torch.tensor([5.0, float("nan")])
    target = target_distribution(offset, T, 2.0)
    exact = refiner_loss(ModelOutput(torch.log(target + 1e-12)), target, offset).item()
    entropy = -(target * torch.log(target + 1e-12)).sum(dim=1).mean().item()
    assert exact == pytest.approx(entropy, abs=1e-3)
    assert refiner_loss(ModelOutput(torch.zeros(2, T + 1)), target, offset).item() == pytest.approx(math.log(T + 1), abs=1e-4)
