"""Headroom: hand-made cases, the published arithmetic of the gate, and what can be reached at all."""

from __future__ import annotations

import json

import pytest
from hypothesis import given

from brefine.core.der import COLLARS_S, DerParts, score_der
from brefine.core.gate import CriterionId, Thresholds
from brefine.core.headroom import (
    ANY_END,
    NOTHING,
    PERFECT,
    Found,
    Headroom,
    Reach,
    Remedy,
    measure_headroom,
    oracle_refine,
    reachable,
)
from brefine.core.turns import Diarization
from tests.core.conftest import Pair
from tests.core.strategies import diarization, diarizations

REFERENCE = diarization((0.0, 10.0, "A"), (12.0, 20.0, "B"), (30.0, 32.0, "A"))
HYPOTHESIS = diarization((0.4, 10.0, "x"), (12.0, 20.8, "y"), (40.0, 41.0, "y"))


def test_each_remedy_mends_what_it_says() -> None:
    """0.4 s missed and 0.8 s false at boundaries, a missed turn of 2 s, a false turn of 1 s, of 20 s of speech."""
    headroom = Headroom((measure_headroom(REFERENCE, HYPOTHESIS),))
    left_s = {
        NOTHING: 0.4 + 0.8 + 2.0 + 1.0,
        Remedy(0.5): 0.2 + 0.4 + 2.0 + 1.0,
        PERFECT: 2.0 + 1.0,
        Remedy(1.0, add=True): 1.0,
        Remedy(1.0, drop=True): 2.0,
        Remedy(1.0, add=True, drop=True): 0.0,
    }
    for remedy, error_s in left_s.items():
        assert headroom.parts(remedy, 0.0).error_s == pytest.approx(error_s, abs=1e-9), remedy
    assert headroom.relative(PERFECT, 0.0) == pytest.approx(1 - 3.0 / 4.2)


def test_the_parts_of_the_der_add_up() -> None:
    """Boundary part + missed + false alarm + confusion = DER."""
    figures = Headroom((measure_headroom(REFERENCE, HYPOTHESIS),)).figures(Thresholds())
    for parts, der in zip(figures["parts"], (at for at in figures["at"] if at["reduction"] == 0.0), strict=True):
        assert sum(parts[name] for name in ("boundary", "missed", "false_alarm", "confusion")) == pytest.approx(der["der"])


def test_somebody_whom_the_hypothesis_does_not_know_is_added() -> None:
    """A speaker without a partner is a missed turn, under a name that collides with nobody's."""
    reference = diarization((0.0, 5.0, "A"), (6.0, 9.0, "B"))
    headroom = Headroom((measure_headroom(reference, diarization((0.0, 5.0, "B"))),))
    assert headroom.parts(Remedy(1.0, add=True), 0.0).error_s == pytest.approx(0.0, abs=1e-9)


def test_a_perfect_hypothesis_has_no_headroom() -> None:
    """No error, no improvement, no interval; nothing divides by zero."""
    headroom = Headroom((measure_headroom(REFERENCE, REFERENCE),))
    figures = headroom.figures(Thresholds())
    assert (figures["der"], figures["oracle_der"], figures["relative"], figures["interval"]) == (0.0, 0.0, 0.0, None)


def test_silence_on_either_side_is_scored() -> None:
    """Empty diarizations are recordings too."""
    for pair in ((diarization(), diarization()), (REFERENCE, diarization()), (diarization(), HYPOTHESIS)):
        json.dumps(Headroom((measure_headroom(*pair),)).figures(Thresholds()), allow_nan=False)


@given(diarizations(), diarizations())
def test_adding_and_dropping_only_help(reference: Diarization, hypothesis: Diarization) -> None:
    """No missed turn that is added and no false turn that is dropped makes the DER worse."""
    headroom = Headroom((measure_headroom(reference, hypothesis),))
    least = headroom.parts(Remedy(1.0, add=True, drop=True), 0.0).error_s
    for remedy in (Remedy(1.0, add=True), Remedy(1.0, drop=True)):
        assert headroom.parts(remedy, 0.0).error_s <= headroom.parts(PERFECT, 0.0).error_s + 1e-6
        assert least <= headroom.parts(remedy, 0.0).error_s + 1e-6


def found(reaches: tuple[Reach, ...], criterion: CriterionId) -> Reach:
    return next(reach for reach in reaches if reach.id is criterion)


CUT_SHORT = diarization((0.0, 10.0, "A")), diarization((0.0, 8.5, "x"))
"""The onset is right, and the offset further off than W = 1 s."""


@pytest.mark.parametrize("pair", [(REFERENCE, HYPOTHESIS), CUT_SHORT])
def test_too_few_recordings_tell_nothing_of_the_reach(pair: Pair) -> None:
    """The gate would not pass on them however good they were; that puts nothing out of reach."""
    reaches = reachable(Headroom((measure_headroom(*pair),)), Thresholds())
    for criterion in (CriterionId.MAE, CriterionId.DER, CriterionId.DER_TARGET):
        reach = found(reaches, criterion)
        assert (reach.found, reach.reachable) == (Found.UNKNOWN, False)
        assert reach.why.startswith("the gate demands 20 recordings, these are 1; ")
    assert found(reaches, CriterionId.GO_ON).reachable


@pytest.mark.parametrize(
    ("error_s", "expected"), [(0.0, Found.OUT), (1e-7, Found.OUT), (0.001, Found.WITHIN), (0.05, Found.WITHIN)]
)
def test_an_error_of_nothing_cannot_be_lessened(error_s: float, expected: Found) -> None:
    """The gate demands less than before: from 0 ms nothing leads there, from 1 ms a refiner may."""
    pair = diarization((1.0, 10.0, "A")), diarization((1.0 + error_s, 10.0 - error_s, "x"))
    reach = found(reachable(Headroom((measure_headroom(*pair),) * 20), Thresholds()), CriterionId.MAE)
    assert reach.found is expected
    assert ("nothing to lessen" in reach.why) == (expected is Found.OUT)
    assert ("small enough already" in reach.why) == (expected is Found.WITHIN)


def test_what_a_cut_has_made_does_not_lessen_the_error_to_be_shrunk() -> None:
    """One speaker from the start of each recording on, who stops 400 ms early: that is what the gate will judge."""
    pair = diarization((0.0, 10.0, "A")), diarization((0.0, 9.6, "x"))
    reach = found(reachable(Headroom((measure_headroom(*pair),) * 20), Thresholds()), CriterionId.MAE)
    assert reach.why == "400 ms at W = 1 s, 100 % of the reference boundaries matched: errors must shrink by 75 %"


def test_what_moving_an_unmatched_end_would_win_is_within_reach() -> None:
    """The matched boundaries are right already, and win nothing; one move of 1 s takes the DER from 15 to 5 %."""
    headroom = Headroom((measure_headroom(*CUT_SHORT),) * 20)
    figures = headroom.figures(Thresholds(der_target=0.06))
    assert (figures["der"], figures["oracle_der"]) == pytest.approx((0.15, 0.15))
    movement = {"collar_s": 0.0, "shift_s": 1.0, "der": 0.05, "relative": 2 / 3, "least_der": 0.05, "most_relative": 2 / 3}
    assert figures["movement"][0].pop("interval") == pytest.approx([2 / 3, 2 / 3])
    assert figures["movement"][0] == pytest.approx(movement)
    assert [item["reach"] for item in figures["criteria"]] == ["out", "within", "within", "within"]
    assert "the matched boundaries alone win 0.0 %, so others have to move as well" in figures["criteria"][1]["why"]


@pytest.mark.parametrize(
    ("offset_s", "target", "reaches"),
    [(8.5, 0.04, (Found.WITHIN, Found.OUT)), (10.0, 0.03, (Found.OUT, Found.WITHIN)), (-2.0, 0.25, (Found.OUT, Found.OUT))],
)
def test_out_of_reach_is_what_no_movement_can_give(offset_s: float, target: float, reaches: tuple[Found, Found]) -> None:
    """5 % where 4 are demanded; no improvement where nothing is wrong; and whatever is said by nobody of the hypothesis."""
    hypothesis = diarization((0.0, offset_s, "x")) if offset_s > 0.0 else diarization()
    headroom = Headroom((measure_headroom(CUT_SHORT[0], hypothesis),) * 20)
    answers = reachable(headroom, Thresholds(der_target=target))
    assert tuple(found(answers, criterion).found for criterion in (CriterionId.DER, CriterionId.DER_TARGET)) == reaches


UNDECIDED = diarization((0.0, 10.0, "A"), (10.0, 20.0, "B")), diarization((0.0, 15.0, "x"), (10.9, 20.0, "y"))
"""From 10 to 14 s somebody speaks who cannot stop there: where the right one spoke as well, it were a false alarm instead."""


def test_what_nobody_has_shown_and_nothing_forbids_is_unknown() -> None:
    """The bound does not see that whoever speaks rightly beside somebody who cannot stop mends nothing."""
    headroom = Headroom((measure_headroom(*UNDECIDED),) * 20)
    assert headroom.least_der(0.0) < headroom.parts(ANY_END, 0.0).der
    threshold = 0.5 * (headroom.least_der(0.0) + headroom.parts(ANY_END, 0.0).der)
    before = headroom.parts(NOTHING, 0.0).der
    answers = reachable(headroom, Thresholds(der_target=threshold, der_relative=1.0 - threshold / before))
    for criterion in (CriterionId.DER, CriterionId.DER_TARGET):
        assert found(answers, criterion).found is Found.UNKNOWN


def test_without_matches_the_mae_criterion_is_out_of_reach() -> None:
    """A recall below what the gate demands stays there, since moving adds no turns."""
    reaches = reachable(Headroom((measure_headroom(REFERENCE, diarization()),) * 5), Thresholds(min_recordings=5))
    assert not found(reaches, CriterionId.MAE).reachable


def test_no_recordings_are_refused() -> None:
    """There is no headroom of nothing."""
    with pytest.raises(ValueError, match="recordings"):
        Headroom(())


@pytest.fixture(scope="module")
def vbx_headroom(vbx_pairs: list[Pair]) -> Headroom:
    return Headroom(tuple(measure_headroom(*pair) for pair in vbx_pairs))


@pytest.mark.parametrize(
    ("reduction", "collar_s", "gain_pct"),
    [
        (0.25, 0.0, 6.3),
        (0.5, 0.0, 13.1),
        (0.75, 0.0, 20.4),
        (1.0, 0.0, 28.4),
        (0.25, 0.25, 5.0),
        (0.5, 0.25, 9.1),
        (0.75, 0.25, 10.8),
        (1.0, 0.25, 10.8),
    ],
)
def test_the_arithmetic_of_the_gate_is_reproduced(
    vbx_headroom: Headroom, reduction: float, collar_s: float, gain_pct: float
) -> None:
    """VBx on VoxConverse dev, W = 1 s: every figure of the published table."""
    assert round(100 * vbx_headroom.relative(Remedy(reduction), collar_s), 1) == gain_pct


def test_the_oracle_der_is_reproduced(vbx_headroom: Headroom, vbx_pairs: list[Pair]) -> None:
    """4.91 %, by the table and by refining with the oracle directly."""
    assert round(100 * vbx_headroom.parts(PERFECT, 0.0).der, 2) == 4.91
    direct = sum((score_der(pair[0], oracle_refine(*pair)) for pair in vbx_pairs), DerParts())
    assert direct.der == pytest.approx(vbx_headroom.parts(PERFECT, 0.0).der)


def test_what_vbx_can_reach(vbx_headroom: Headroom) -> None:
    """100 ms and 10 % at collar 0 are within reach, 3 % or 47 % are not; at ±0.25 s more than 10.8 % takes unmatched ends."""
    reaches = reachable(vbx_headroom, Thresholds())
    assert [reach.reachable for reach in reaches] == [True, True, False, True]
    assert "4.91 %" in found(reaches, CriterionId.DER_TARGET).why
    assert "shrink by 42 %" in found(reaches, CriterionId.MAE).why
    with_collar = reachable(vbx_headroom, Thresholds(der_collar_s=0.25, der_relative=0.11))
    assert "the matched boundaries alone win 10.8 %, so others" in found(with_collar, CriterionId.DER).why
    assert [reach.found for reach in reachable(vbx_headroom, Thresholds(der_relative=0.47))][1] is Found.OUT


def test_what_any_end_moved_can_give_vbx(vbx_headroom: Headroom) -> None:
    """W = 1 s: 3.79 % at collar 0 and 2.08 % at ±0.25 s, and no movement gives less than 3.67 and 2.06 %."""
    ders = [(vbx_headroom.parts(ANY_END, collar_s).der, vbx_headroom.least_der(collar_s)) for collar_s in COLLARS_S]
    assert ders == [pytest.approx((0.0379, 0.0367), abs=5e-5), pytest.approx((0.0208, 0.0206), abs=5e-5)]
