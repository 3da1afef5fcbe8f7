"""Before against after, by hand."""

from __future__ import annotations

import pytest

from brefine.config import RefineConfig
from brefine.core.boundaries import Shift, Side
from brefine.core.boundary_error import BoundaryErrors
from brefine.core.matching import match_boundaries
from brefine.core.turns import Diarization, Turn
from brefine.evaluate.moves import decide_moves
from brefine.evaluate.score import ScoredRecording, abs_error_quantiles_ms, at_window, calibrate, compare, of_recording

DURATION_S = 20.0
REFERENCE = Diarization("talk", (Turn(2.0, 5.0, "A"), Turn(6.0, 9.0, "B"), Turn(12.0, 15.0, "A")))
HYPOTHESIS = Diarization("talk", (Turn(2.2, 5.03, "x"), Turn(5.9, 9.4, "y"), Turn(17.0, 18.0, "x")))


def scored(
    *shifts_s: float, confidence: float = 0.9, regions_s: tuple[tuple[float, float], ...] = ((0.0, 20.0),)
) -> ScoredRecording:
    """Moves the first boundaries of the hypothesis by `shifts_s`."""
    boundaries = match_boundaries(REFERENCE, HYPOTHESIS).hypothesis
    shifts = [Shift(b.turn_index, b.side, shift_s, confidence) for b, shift_s in zip(boundaries, shifts_s, strict=False)]
    refinement = decide_moves(HYPOTHESIS, shifts, duration_s=DURATION_S, config=RefineConfig())
    return ScoredRecording.of(REFERENCE, refinement, regions_s=regions_s, window_s=1.0)


def test_the_same_pairs_are_compared_before_and_after() -> None:
    """Four of six boundaries match: errors 200, 30, −100, 400 ms become 0, 80, −100, 200."""
    comparison = compare([scored(-0.2, 0.05, 0.0, -0.2)])
    assert comparison.before.mae_ms == pytest.approx(182.5)
    assert comparison.after.mae_ms == pytest.approx(95.0)
    assert (comparison.before.n_matched, comparison.after.n_matched, comparison.after.n_reference) == (4, 4, 6)
    assert (comparison.improved, comparison.worsened, comparison.unchanged) == (2, 1, 1)
    assert comparison.good_harm_ms == pytest.approx(50.0)
    assert comparison.after.capped_mean_ms == pytest.approx((4 * 95.0 + 2 * 1000.0) / 6)


def test_a_cut_makes_no_boundary_that_is_judged() -> None:
    """Cut amid its first turn and its last, the talk has the errors of the ends between; figures by kind tell the rest."""
    reference, hypothesis = (
        Diarization(
            "talk", tuple(Turn(turn.onset_s - 4.0, turn.offset_s - 4.0, turn.speaker) for turn in whole.clipped(4.0, 13.0).turns)
        )
        for whole in (REFERENCE, HYPOTHESIS)
    )
    refinement = decide_moves(hypothesis, [Shift(0, Side.OFFSET, 0.05, 0.9)], duration_s=9.0, config=RefineConfig())
    one = ScoredRecording.of(reference, refinement, regions_s=[(0.0, 9.0)], window_s=1.0)
    told = compare([one] * 5)
    errors_ms = [30.0, 100.0, 400.0], [80.0, 100.0, 400.0]
    assert (told.before.mae_ms, told.after.mae_ms) == tuple(pytest.approx(sum(own) / 3) for own in errors_ms)
    assert (told.before.n_matched, told.before.n_reference, told.before.recall) == (15, 20, 0.75)
    assert (told.before.by_kind["edge"].n_matched, told.before.by_kind["edge"].n_reference) == (5, 10)
    assert (told.improved, told.worsened, told.unchanged) == (0, 5, 10)
    assert told.intervals["mae_before_ms"] == pytest.approx((sum(errors_ms[0]) / 3,) * 2)
    assert (of_recording(one).n_matched, at_window([one]).mae_after_ms) == (3, pytest.approx(told.after.mae_ms))
    assert told.at_cuts == told.before.by_kind["edge"] and not told.counts_cuts
    assert len(one.rows()) == 4  # the list of boundaries has all of them, by kind


def test_the_interval_over_recordings_holds_the_figure() -> None:
    """Recordings with different outcomes give an interval around the change; the figure lies in it."""
    comparison = compare([scored(-0.2, 0.05, 0.0, -0.2), scored(), *[scored(-0.2, 0.0, 0.1, -0.4)] * 3])
    low, high = comparison.intervals["mae_change_ms"]
    assert low < comparison.after.mae_ms - comparison.before.mae_ms < high <= 0.0
    low, high = comparison.intervals["mae_ms"]
    assert low <= comparison.after.mae_ms <= high


def test_few_recordings_have_figures_without_intervals() -> None:
    """Four recordings, or a crowd of which four have a matched boundary: nobody can tell how sure that is."""
    nobody = ScoredRecording.of(
        REFERENCE,
        decide_moves(Diarization("talk"), [], duration_s=DURATION_S, config=RefineConfig()),
        regions_s=[(0.0, DURATION_S)],
        window_s=1.0,
    )
    assert compare([scored(-0.2)] * 4).intervals == {}
    assert set(compare([*[scored(-0.2)] * 4, *[nobody] * 9]).intervals) == {"capped_mean_ms"}


def test_nothing_matched_is_no_error_but_no_figure() -> None:
    """Where no boundary has a partner there are no figures, no intervals and no quantiles."""
    nobody = Diarization("talk")
    one = ScoredRecording.of(
        REFERENCE,
        decide_moves(nobody, [], duration_s=DURATION_S, config=RefineConfig()),
        regions_s=[(0.0, DURATION_S)],
        window_s=1.0,
    )
    comparison = compare([one])
    assert comparison.before.mae_ms is None
    assert comparison.good_harm_ms is None
    assert comparison.intervals == {}
    assert comparison.before.capped_mean_ms == pytest.approx(1000.0)
    assert abs_error_quantiles_ms(one.before) == []


def test_the_rows_hold_what_the_figures_are_made_of() -> None:
    """Each matched boundary is one row, with reference, hypothesis and refined time."""
    rows = scored(-0.2, 0.05).rows()
    assert [(row.reference_s, row.hypothesis_s, round(row.refined_s, 6)) for row in rows] == [
        (2.0, 2.2, 2.0), (5.0, 5.03, 5.08), (6.0, 5.9, 5.9), (9.0, 9.4, 9.4),
    ]  # fmt: skip
    assert [row.side for row in rows] == ["onset", "offset", "onset", "offset"]
    assert rows[0].speaker == "x"
    assert [row.spread_s for row in rows] == [None] * 4  # whoever proposed these moves did not say


def test_boundaries_outside_the_scored_regions_do_not_count() -> None:
    """A pair counts by its reference boundary, a boundary without partner by itself."""
    one = scored(regions_s=((0.0, 5.5), (8.0, 16.0)))
    assert [round(one.match.reference[here].time_s, 6) for here, _ in one.match.pairs] == [2.0, 5.0, 9.0]
    assert one.before.figures()["n_reference"] == 5
    assert one.before.figures()["n_hypothesis"] == 3


def test_the_whole_recording_as_region_changes_nothing() -> None:
    """Regions that hold everything leave the match as it was."""
    whole = match_boundaries(REFERENCE, HYPOTHESIS)
    assert scored(regions_s=((0.0, DURATION_S),)).match == whole


def test_quantiles_run_from_the_least_to_the_largest_error() -> None:
    """101 values from 0 to 100 %, in milliseconds."""
    quantiles = abs_error_quantiles_ms(BoundaryErrors.of(match_boundaries(REFERENCE, HYPOTHESIS)))
    assert len(quantiles) == 101
    assert (quantiles[0], quantiles[50], quantiles[100]) == (pytest.approx(30.0), pytest.approx(150.0), pytest.approx(400.0))


def test_a_proposal_is_right_within_100_ms_of_a_partner() -> None:
    """Proposals for boundaries without a partner are wrong, however confident."""
    outcomes = scored(-0.2, 0.05, 0.2, -0.4, 0.0, 0.0).outcomes()
    assert [right for _, right in outcomes] == [True, True, True, True, False, False]
    assert {confidence for confidence, _ in outcomes} == {0.9}


def test_calibration_compares_confidence_with_truth() -> None:
    """Two bins by hand: (2 · |0.5 − 0.25| + 2 · |1 − 0.95|) / 4 = 0.15."""
    bins, expected_error = calibrate([(0.2, False), (0.25, True), (0.95, True), (0.95, True)])
    assert [(one.n, one.within_100ms) for one in bins] == [(2, 0.5), (2, 1.0)]
    assert expected_error == pytest.approx((2 * abs(0.5 - 0.225) + 2 * abs(1.0 - 0.95)) / 4)
    assert calibrate([]) == ([], None)
    assert calibrate([(1.0, True)])[1] == pytest.approx(0.0)
