"""From logits to shifts."""

from __future__ import annotations

import pytest
import torch

from brefine.models.heads import confidence_at, decode, decode_frames, spread_s, target_distribution

HOP_S, T = 0.01, 200


def logits_for(*offsets_frames: float, sigma_frames: float = 2.0) -> torch.Tensor:
    return torch.log(target_distribution(torch.tensor(offsets_frames), T, sigma_frames) + 1e-9)


@pytest.mark.parametrize("offset_frames", [0.0, 0.3, -0.5, 12.25, -80.9])
def test_a_target_decodes_to_the_offset_it_was_made_for(offset_frames: float) -> None:
    """Sub-frame offsets survive: to 1 ms."""
    decoded = decode(logits_for(offset_frames), HOP_S)
    assert decoded.shift_s.item() == pytest.approx(offset_frames * HOP_S, abs=1e-3)
    assert decoded.confidence.item() > 0.99


def test_the_spread_is_a_standard_deviation_where_the_posterior_is_normal() -> None:
    """Of two frames and of ten; an even posterior is as vague as its window allows."""
    for sigma_frames in (2.0, 10.0):
        frames_BT = target_distribution(torch.tensor([3.25]), T, sigma_frames)[:, :-1]
        assert spread_s(frames_BT, HOP_S).item() == pytest.approx(sigma_frames * HOP_S, rel=0.03)
    assert spread_s(torch.full((1, T), 1 / T), HOP_S).item() == pytest.approx(0.34 * T * HOP_S, rel=1e-3)


def test_targets_are_distributions_and_no_boundary_is_certain() -> None:
    """Rows sum to one; not-a-number puts everything into the last bin."""
    target = target_distribution(torch.tensor([3.0, float("nan")]), T, 2.0)
    torch.testing.assert_close(target.sum(dim=1), torch.ones(2))
    assert target[1, -1] == 1.0
    assert target[0, -1] == 0.0


def test_the_median_minds_the_bulk_not_the_peak() -> None:
    """A narrow peak of 40 % far out does not pull the estimate away from 60 % at the hypothesis."""
    probabilities = torch.full((1, T + 1), 1e-9)
    probabilities[0, T // 2 - 10 : T // 2 + 10] = 0.6 / 20
    probabilities[0, T - 5] = 0.4
    assert abs(decode(torch.log(probabilities), HOP_S).shift_s.item()) < 0.1


def test_an_even_posterior_moves_nothing_and_is_not_confident() -> None:
    """A model that knows nothing leaves the boundary where it is."""
    decoded = decode(torch.zeros(1, T + 1), HOP_S)
    assert decoded.shift_s.item() == pytest.approx(0.0, abs=1e-4)
    assert decoded.confidence.item() == pytest.approx(20 / (T + 1), abs=0.01)


def test_a_bias_is_added_to_each_shift() -> None:
    """One number for all, or one a boundary."""
    logits = logits_for(0.0, 0.0)
    assert decode(logits, HOP_S, bias_s=0.03).shift_s.tolist() == pytest.approx([0.03, 0.03], abs=1e-3)
    each = decode(logits, HOP_S, bias_s=torch.tensor([0.01, -0.02])).shift_s
    assert each.tolist() == pytest.approx([0.01, -0.02], abs=1e-3)


def test_the_confidence_of_another_place_counts_from_there() -> None:
    """Of the median's own place it is the median's, whatever the bias; a tenth of a second off half of it, then none."""
    frames_BT, none_B = target_distribution(torch.tensor([12.0, -30.5]), T, 2.0)[:, :-1], torch.tensor([0.25, 0.0])
    bias_s = torch.tensor([0.08, -0.05])
    decoded = decode_frames(frames_BT, none_B, HOP_S, bias_s=bias_s)
    for off_s, share in ((0.0, 1.0), (0.1, 0.5), (-0.1, 0.5), (0.2, 0.0), (3.0, 0.0), (-3.0, 0.0)):
        found = confidence_at(frames_BT, none_B, decoded.shift_s + off_s, HOP_S, bias_s=bias_s)
        torch.testing.assert_close(found, share * decoded.confidence, atol=0.01, rtol=0.0)
    at_the_end = confidence_at(torch.full((1, T), 1 / T), torch.zeros(1), torch.tensor([1.0]), HOP_S, bias_s=torch.zeros(1))
    assert at_the_end.item() == pytest.approx(10 / T, abs=1e-5)  # nothing lies beyond the window


def test_where_no_boundary_is_likely_there_is_no_confidence() -> None:
    """A boundary that is hardly there has hardly any."""
    logits = logits_for(0.0)
    logits[0, -1] = 20.0
    assert decode(logits, HOP_S).confidence.item() < 0.01
