"""The score card: additive, and one set of regions for all scores."""

from __future__ import annotations

import pytest
from hypothesis import given

from brefine.core.scorecard import Scorecard
from brefine.core.turns import Diarization
from tests.core.strategies import diarization, diarizations


def test_regions_limit_all_scores_alike() -> None:
    """What is wrong outside the UEM appears in no figure."""
    reference = diarization((0.0, 5.0, "A"), (10.0, 15.0, "B"))
    hypothesis = diarization((0.0, 5.0, "x"), (10.8, 15.0, "y"))
    figures = Scorecard.of(reference, hypothesis, regions_s=[(0.0, 9.0)]).figures()
    assert (figures["der"], figures["jer"], figures["boundary"]["mae_ms"]) == (0.0, 0.0, 0.0)
    assert figures["boundary"]["n_reference"] == 2


@given(diarizations(), diarizations(), diarizations())
def test_cards_add_up_in_any_grouping(a: Diarization, b: Diarization, c: Diarization) -> None:
    """(x + y) + z is x + (y + z), and all of them joined."""
    cards = [Scorecard.of(a, b), Scorecard.of(b, c), Scorecard.of(c, a)]
    left, right = (cards[0] + cards[1]) + cards[2], cards[0] + (cards[1] + cards[2])
    for one in (left, right):
        assert one.n_recordings == 3
        assert one.boundary.figures() == Scorecard.joined(cards).boundary.figures()
        assert (one.der.der, one.jer.jer) == pytest.approx((Scorecard.joined(cards).der.der, Scorecard.joined(cards).jer.jer))


def test_scores_at_different_collars_cannot_be_joined() -> None:
    """Their seconds are of different kinds."""
    cards = [Scorecard.of(diarization(), diarization(), collar_s=collar_s) for collar_s in (0.0, 0.25)]
    with pytest.raises(ValueError, match="collar"):
        Scorecard.joined(cards)
