"""Boundary figures: a hand-made case, additivity, and before against after."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given

from brefine.core.boundaries import Shift, Side, moved_ends_s
from brefine.core.boundary_error import BoundaryErrors, ErrorChange
from brefine.core.matching import match_boundaries
from brefine.core.turns import Diarization, Turn
from brefine.phasedir import BoundaryFigures
from tests.core.conftest import Pair
from tests.core.strategies import diarization, diarizations

REFERENCE = diarization((1.0, 5.0, "A"), (5.5, 9.0, "B"), (20.0, 22.0, "A"))
HYPOTHESIS = diarization((1.05, 5.15, "x"), (5.3, 9.0, "y"), (30.0, 31.0, "x"))


def test_figures_of_a_hand_made_pair() -> None:
    """Errors +50, +150, −200, 0 ms; two reference and two hypothesised boundaries without a partner."""
    figures = BoundaryErrors.of(match_boundaries(REFERENCE, HYPOTHESIS)).figures()
    assert figures["n_reference"] == figures["n_hypothesis"] == 6
    assert figures["n_matched"] == 4
    assert figures["recall"] == figures["precision"] == pytest.approx(4 / 6)
    assert figures["mae_ms"] == pytest.approx(100.0)
    assert figures["median_ms"] == pytest.approx(100.0)
    assert figures["p90_ms"] == pytest.approx(185.0)
    assert figures["bias_ms"] == pytest.approx(0.0)
    assert (figures["within_50ms"], figures["within_100ms"], figures["within_200ms"]) == (0.5, 0.5, 1.0)
    assert figures["capped_mean_ms"] == pytest.approx((50 + 150 + 200 + 0 + 1000 + 1000) / 6)
    assert figures["by_side"]["onset"]["mae_ms"] == pytest.approx(125.0)
    assert figures["by_side"]["offset"]["bias_ms"] == pytest.approx(75.0)
    assert figures["by_kind"]["change"]["n_reference"] == 4  # 5.0, 5.5, 9.0 and 20.0: the other speaker is next
    assert figures["by_kind"]["overlap"]["mae_ms"] is None


def test_a_boundary_too_many_counts_under_its_own_side_and_kind() -> None:
    """A false turn within another's: one onset and one offset, both of overlap."""
    spoken = diarization((1.0, 10.0, "A"))
    figures = BoundaryErrors.of(match_boundaries(spoken, diarization((1.0, 10.0, "x"), (3.0, 4.0, "y")))).figures()
    assert [figures["by_side"][side]["n_hypothesis"] for side in Side] == [2, 2]
    assert {kind: part["n_hypothesis"] for kind, part in figures["by_kind"].items() if part["n_hypothesis"]} == {
        "pause": 2,
        "overlap": 2,
    }


def test_what_the_cut_of_a_recording_has_made_can_be_left_out() -> None:
    """A talk that is cut within two turns: their ends at the cut go with their partners, and one that says too much there."""
    reference = diarization((0.0, 4.0, "A"), (6.0, 10.0, "B"))
    hypothesis = diarization((0.0, 4.2, "x"), (5.9, 9.7, "y"), (9.8, 10.0, "z"))
    errors = BoundaryErrors.of(match_boundaries(reference, hypothesis, regions_s=[(0.0, 10.0)]))
    spoken = errors.without_cuts().figures()
    assert (errors.figures()["n_matched"], errors.figures()["mae_ms"]) == (4, pytest.approx(150.0))
    assert [spoken[key] for key in ("n_reference", "n_hypothesis", "n_matched", "mae_ms")] == [2, 3, 2, pytest.approx(150.0)]
    assert spoken["by_kind"]["edge"]["n_hypothesis"] == 0
    taken = BoundaryErrors.of(
        match_boundaries(diarization((1.0, 9.8, "A")), diarization((1.0, 10.0, "x")), regions_s=[(0.0, 10.0)])
    )
    assert taken.without_cuts().figures()["mae_ms"] == pytest.approx(
        100.0
    )  # the speaker stops; that he is heard until the cut is wrong


def test_figures_are_exactly_those_of_the_phase_directory() -> None:
    """Nothing is missing and nothing is lost on the way into a file."""
    figures = BoundaryErrors.of(match_boundaries(REFERENCE, HYPOTHESIS)).figures()
    assert set(figures) == set(BoundaryFigures.model_fields)
    written = BoundaryFigures.model_validate(figures).model_dump()
    assert written["mae_ms"] == figures["mae_ms"]
    assert written["by_kind"]["change"]["n_matched"] == figures["by_kind"]["change"]["n_matched"]


def test_nothing_to_match_gives_counts_and_no_figures() -> None:
    """Silence on one side is not a division by zero."""
    figures = BoundaryErrors.of(match_boundaries(REFERENCE, diarization())).figures()
    assert (figures["recall"], figures["precision"], figures["mae_ms"]) == (0.0, None, None)
    assert figures["capped_mean_ms"] == pytest.approx(1000.0)
    assert BoundaryErrors.of(match_boundaries(diarization(), diarization())).figures()["capped_mean_ms"] is None


def test_moved_boundaries_are_scored_on_their_old_pairs() -> None:
    """After a move the same boundaries have new errors, however far away they are."""
    match = match_boundaries(REFERENCE, HYPOTHESIS)
    shifts = [Shift(0, Side.ONSET, -0.05, 1.0), Shift(1, Side.OFFSET, 2.5, 1.0)]
    moved = moved_ends_s(HYPOTHESIS, shifts, duration_s=40.0)
    before, after = BoundaryErrors.of(match), BoundaryErrors.of(match, moved_ends_s=moved)
    assert after.abs_error_s == pytest.approx([0.0, 0.15, 0.2, 2.5])
    assert after.capped_s[3] == 1.0
    change = ErrorChange.between(before, after)
    assert (change.improved, change.worsened, change.unchanged) == (1, 1, 2)
    assert change.good_harm_ms == pytest.approx((2500 - 50) / 2)


def test_a_change_of_a_millisecond_is_none() -> None:
    """Either way, though 0.053 − 0.052 is more than 0.001 in floating point."""
    match = match_boundaries(diarization((1.0, 5.0, "A"), (6.0, 9.0, "A")), diarization((1.0, 5.0, "x"), (6.0, 9.0, "x")))
    before = replace(BoundaryErrors.of(match), error_s=np.array([0.052, 0.053, 0.052, 0.050]))
    change = ErrorChange.between(before, replace(before, error_s=np.array([0.053, 0.052, 0.050, 0.052])))
    assert (change.improved, change.worsened, change.unchanged) == (1, 1, 2)


@given(diarizations(), diarizations(), diarizations(), diarizations())
def test_two_recordings_score_as_their_parts(a: Diarization, b: Diarization, c: Diarization, d: Diarization) -> None:
    """Counts add up and means are weighted by them."""
    first, second = BoundaryErrors.of(match_boundaries(a, b)), BoundaryErrors.of(match_boundaries(c, d))
    both = (first + second).figures()
    for count in ("n_reference", "n_hypothesis", "n_matched"):
        assert both[count] == first.figures()[count] + second.figures()[count]
    if both["n_matched"]:
        total_ms = sum(1000 * part.abs_error_s.sum() for part in (first, second))
        assert both["mae_ms"] == pytest.approx(total_ms / both["n_matched"])
    for parts in (both["by_side"], both["by_kind"]):
        for count in ("n_reference", "n_hypothesis", "n_matched"):
            assert sum(part[count] for part in parts.values()) == both[count]


@given(diarizations(), diarizations(max_turns=6))
def test_deleting_turns_never_lowers_the_capped_mean(reference: Diarization, hypothesis: Diarization) -> None:
    """Under one speaker map, less hypothesis cannot have less capped error."""
    one = Diarization("a", tuple(Turn(t.onset_s, t.offset_s, "A") for t in reference.unioned().turns)).unioned()
    other = Diarization("a", tuple(Turn(t.onset_s, t.offset_s, "A") for t in hypothesis.turns)).unioned()
    fewer = Diarization("a", other.turns[1:])
    whole = BoundaryErrors.of(match_boundaries(one, other)).capped_s.sum()
    left = BoundaryErrors.of(match_boundaries(one, fewer)).capped_s.sum()
    assert left >= whole - 1e-9


def test_different_windows_cannot_be_joined() -> None:
    """A mean over two caps would mean nothing."""
    parts = [BoundaryErrors.of(match_boundaries(REFERENCE, HYPOTHESIS, window_s=window_s)) for window_s in (0.5, 1.0)]
    with pytest.raises(ValueError, match="window"):
        BoundaryErrors.joined(parts)
    with pytest.raises(ValueError, match="window"):
        BoundaryErrors.joined([])


def test_changes_need_the_same_pairs() -> None:
    """Before and after of different recordings are a caller's bug."""
    parts = [BoundaryErrors.of(match_boundaries(REFERENCE, other)) for other in (HYPOTHESIS, diarization())]
    with pytest.raises(ValueError, match="same matched"):
        ErrorChange.between(*parts)


def test_vbx_on_voxconverse_in_figures(vbx_pairs: list[Pair]) -> None:
    """All 216 recordings joined: MAE 172, median 99, recall 62.2 %, and 83 ms at a cap of 0.25 s without any refinement."""
    figures = BoundaryErrors.joined(BoundaryErrors.of(match_boundaries(*pair)) for pair in vbx_pairs).figures()
    assert round(figures["mae_ms"]) == 172
    assert round(figures["median_ms"]) == 99
    assert round(100 * figures["recall"], 1) == 62.2
    assert round(100 * figures["precision"], 1) == 87.7
    narrow = BoundaryErrors.joined(BoundaryErrors.of(match_boundaries(*pair, window_s=0.25)) for pair in vbx_pairs)
    assert round(narrow.figures()["mae_ms"]) == 83
    assert np.isnan(narrow.error_s).mean() > 0.5
