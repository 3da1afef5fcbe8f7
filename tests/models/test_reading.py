"""What a model says of boundaries, before it is weighed with what is known of the system."""

from __future__ import annotations

import pytest
import torch

from brefine.models.error_prior import ErrorPrior, posterior
from brefine.models.reading import SCALES_S, Reading, describe_training, laplace_bins, read, sharpened, trained_on

HOP_S, T = 0.01, 200


def said(logits_BK: torch.Tensor) -> Reading:
    """Onsets of which a model says this, none of them a side of a change."""
    yes_B = torch.ones(len(logits_BK), dtype=torch.bool)
    zeros_B = torch.zeros(len(yes_B))
    return read(
        logits_BK,
        trained_on({}),
        onset_B=yes_B,
        change_B=~yes_B,
        centre_B=zeros_B,
        beyond_BR=zeros_B[:, None],
        hop_s=HOP_S,
    )


def test_the_laplace_bins_of_each_scale_sum_to_one_around_their_place() -> None:
    """Every scale is a distribution over the window, and its median is the location."""
    bins_JT = laplace_bins(T, HOP_S, 0.1)
    assert torch.allclose(bins_JT.sum(dim=1), torch.ones(len(SCALES_S)))
    assert (bins_JT[:3, : T // 2 + 10].sum(dim=1) - 0.5).abs().max() < 1e-3


def test_a_cards_training_errors_are_found_again() -> None:
    """Errors drawn from one scale are described by it; a card without a description has a default."""
    generator = torch.Generator().manual_seed(0)
    errors_s = torch.distributions.Exponential(1 / 0.12).sample((4000,)) * torch.sign(torch.randn(4000, generator=generator))
    described = trained_on(describe_training(errors_s))
    assert described[3] > 0.7
    assert sum(trained_on({})) == pytest.approx(1.0)


def test_a_twentieth_of_what_training_has_shown_is_taken_to_be_flat() -> None:
    """Nothing beyond the matching cap was ever shown: what a model says there is noise, and stays small."""
    trained_T = 0.95 * (torch.tensor(trained_on({})) @ laplace_bins(T, HOP_S, 0.0)) + 0.05 / T
    torch.testing.assert_close(said(torch.zeros(1, T + 1)).ratio_BT[0], 1.0 / T / trained_T)


def test_what_a_place_is_worth_does_not_depend_on_whether_there_is_one() -> None:
    """Two boundaries heard at one place for sure, of which the second is probably none."""
    logits_BK = torch.zeros(2, T + 1)
    logits_BK[:, 100] = 20.0
    logits_BK[1, -1] = 21.0
    assert said(logits_BK).worth_B.tolist() == pytest.approx([1.0, 1.0])


def test_a_sharper_reading_says_the_same_more_firmly() -> None:
    """The likeliest place and what training assumed stay as they are; doubt shrinks, and what is certain or flat stays so."""
    weights = trained_on({})
    logits_BK = torch.zeros(2, T + 1)
    logits_BK[0, 70:80] = torch.linspace(1.0, 4.0, 10)
    logits_BK[0, -1] = -1.0
    reading = said(logits_BK)
    sharp = sharpened(reading, weights, power=1.25)
    trained_T = torch.softmax(logits_BK[0, :-1], dim=0) / reading.ratio_BT[0]
    said_T, firmly_T = reading.ratio_BT[0] * trained_T, sharp.ratio_BT[0] * trained_T
    assert firmly_T.sum() == pytest.approx(1.0, abs=1e-5)
    assert firmly_T.argmax() == said_T.argmax() == 79
    assert firmly_T.max() > 1.1 * said_T.max()
    assert sharp.there_B[0] > reading.there_B[0]
    torch.testing.assert_close(sharp.ratio_BT[1] * trained_T, torch.full((T,), 1.0 / T))


def test_nothing_said_of_a_place_is_no_danger() -> None:
    """Logits so far apart that most probabilities are zero: everything stays finite."""
    logits_BK = torch.full((2, T + 1), -200.0)
    logits_BK[0, 30], logits_BK[1, -1] = 200.0, 200.0
    sharp = sharpened(said(logits_BK), trained_on({}), power=1.25)
    assert torch.isfinite(sharp.ratio_BT).all()
    assert sharp.there_B.tolist() == pytest.approx([1.0, 0.0])
    frames_BT, _ = posterior(sharp, ErrorPrior())
    assert torch.isfinite(frames_BT).all()
