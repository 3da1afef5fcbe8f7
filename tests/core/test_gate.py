"""Gate 4: what passes, what fails, what stays open, and all the ways in which it cannot be fooled."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brefine.core.bootstrap import Interval
from brefine.core.gate import Answer, CriterionId, Evidence, Finding, Measured, Outcome, Thresholds, Verdict, criteria, judge

THRESHOLDS = Thresholds()
GOOD = Evidence(
    simulated=False,
    recordings=tuple(f"test{i:02}" for i in range(30)),
    trained_on=frozenset({"dev00", "dev01"}),
    diarizer_trained_on=frozenset(),
    mae_ms=Measured(172.0, 85.0, Interval(80.0, 91.0)),
    recall=0.62,
    window_s=1.0,
    der=Measured(0.034, 0.028, Interval(0.12, 0.24)),
    der_after=Interval(0.025, 0.0299),
    collar_s=0.0,
    oracle_der=0.02,
    least_der=0.015,
)
YES = {CriterionId.GO_ON: Answer(yes=True)}


def found(verdict: Verdict, criterion: CriterionId) -> Finding:
    return next(finding for finding in verdict.findings if finding.criterion.id is criterion)


def test_everything_met_on_real_evidence_and_a_yes_pass() -> None:
    """The one way through."""
    verdict = judge(GOOD, THRESHOLDS, YES)
    assert verdict.verdict == "pass"
    assert verdict.recommendation.startswith("ship")
    assert [finding.criterion.id for finding in verdict.findings] == list(CriterionId)
    assert found(verdict, CriterionId.DER).value == pytest.approx(1 - 0.028 / 0.034)


def test_without_an_answer_the_gate_stays_open() -> None:
    """Figures do not decide that a project goes on."""
    verdict = judge(GOOD, THRESHOLDS)
    assert verdict.verdict == "open"
    assert "a person has to agree" in verdict.recommendation


def test_a_no_fails_whatever_the_figures() -> None:
    """The person's note is in the recommendation."""
    verdict = judge(GOOD, THRESHOLDS, {CriterionId.GO_ON: Answer(yes=False, note="no customer needs it")})
    assert verdict.verdict == "fail"
    assert verdict.recommendation == "stop: a person decided against going on (no customer needs it)"


def test_nothing_measured_is_open() -> None:
    """A gate may be opened before there is evidence."""
    verdict = judge(None, THRESHOLDS)
    assert verdict.verdict == "open"
    assert {finding.outcome for finding in verdict.findings} == {Outcome.UNKNOWN}
    assert verdict.recommendation.startswith("iterate on the evidence")


def test_answers_never_change_findings() -> None:
    """A yes to a criterion that is not met is kept, and the gate fails all the same."""
    bad = replace(GOOD, mae_ms=Measured(172.0, 120.0, Interval(110.0, 130.0)))
    answers = YES | {CriterionId.MAE: Answer(yes=True, note="close enough")}
    verdict = judge(bad, THRESHOLDS, answers)
    assert verdict.verdict == "fail"
    assert found(verdict, CriterionId.MAE).outcome is Outcome.NOT_MET
    assert found(verdict, CriterionId.MAE).answer == Answer(yes=True, note="close enough")


def test_a_no_to_a_met_criterion_fails() -> None:
    """Whoever doubts the figures can say so."""
    verdict = judge(GOOD, THRESHOLDS, YES | {CriterionId.DER: Answer(yes=False)})
    assert verdict.verdict == "fail"
    assert "doubts (der)" in verdict.recommendation


def test_a_no_to_figures_that_are_not_known_does_not_make_them_met() -> None:
    """Of three recordings nothing is known; whoever says no to that is told what is missing, not that it was there."""
    few = replace(GOOD, recordings=GOOD.recordings[:3])
    verdict = judge(few, THRESHOLDS, YES | {CriterionId.DER: Answer(yes=False)})
    assert found(verdict, CriterionId.DER).outcome is Outcome.UNKNOWN
    assert verdict.recommendation == "iterate on the evidence: 3 recordings are fewer than the 20 demanded"


REFUSED: dict[str, tuple[dict[str, Any], CriterionId, str]] = {
    "trained on by the refiner": ({"trained_on": frozenset({"test03", "x"})}, CriterionId.MAE, "the refiner was trained on 1 of"),
    "trained on by the diarizer": ({"diarizer_trained_on": frozenset({"test04"})}, CriterionId.DER, "the diarizer was trained"),
    "too few recordings": ({"recordings": ("a", "b")}, CriterionId.DER_TARGET, "2 recordings are fewer than the 20"),
    "the same few recordings many times": ({"recordings": ("a", "b") * 20}, CriterionId.DER, "2 recordings are fewer"),
    "nobody speaks": (
        {"silent": frozenset(f"test{i:02}" for i in range(11))},
        CriterionId.MAE,
        "19 recordings are fewer than the 20 demanded; in 11 of these recordings: test00, test01, test02 and 8 more, nobody",
    ),
    "no boundary": (
        {"unmatched": frozenset(f"test{i:02}" for i in range(11))},
        CriterionId.MAE,
        "19 recordings are fewer than the 20 demanded; in 11 of these recordings: test00, test01, test02 and 8 more, no boundary",
    ),
    "no error": (
        {"faultless": frozenset(f"test{i:02}" for i in range(11))},
        CriterionId.DER,
        "19 recordings are fewer than the 20 demanded; in 11 of these recordings: test00, test01, test02 and 8 more, no error",
    ),
    "too few that count for an interval": (
        {"unmatched": frozenset(f"test{i:02}" for i in range(27)), "mae_ms": Measured(172.0, 85.0, None)},
        CriterionId.MAE,
        "3 recordings are fewer than the 20 demanded; in 27 of these recordings: test00, test01, test02 and 24 more, no boundary",
    ),
    "trained on, and without an interval": (
        {"trained_on": frozenset({"test01"}), "der": Measured(0.034, 0.028, None)},
        CriterionId.DER,
        "the refiner was trained on 1 of these recordings: test01; measured: 3.40 % → 2.80 %",
    ),
    "recall hidden": ({"recall": None}, CriterionId.MAE, "recall of the matching is not told"),
    "recall not a number": ({"recall": float("nan")}, CriterionId.MAE, "recall of the matching is not told"),
    "recall low": ({"recall": 0.1}, CriterionId.MAE, "only 10 % of the reference boundaries"),
    "no interval of the error": ({"mae_ms": Measured(172.0, 85.0, None)}, CriterionId.MAE, "may be chance"),
    "another window": ({"window_s": 0.25}, CriterionId.MAE, "matched within 0.25 s instead of 1 s"),
    "another collar": ({"collar_s": 0.25}, CriterionId.DER, "at collar 0.25 s"),
    "another collar for the target": ({"collar_s": 0.25}, CriterionId.DER_TARGET, "at collar 0.25 s"),
    "no interval": ({"der": Measured(0.034, 0.028, None)}, CriterionId.DER, "may be chance"),
    "nothing matched": ({"mae_ms": Measured(None, None, None)}, CriterionId.MAE, "nothing was matched"),
    "faults": ({"faults": ("the corpus is gone", "so are the turns")}, CriterionId.MAE, "the corpus is gone; so are the turns"),
    "not a number": ({"mae_ms": Measured(172.0, float("nan"), None)}, CriterionId.MAE, "nothing was matched"),
    "no DER": ({"der": Measured(0.0, 0.0, None)}, CriterionId.DER, "no DER before and after"),
    "DER not a number": ({"der": Measured(0.03, float("nan"), None)}, CriterionId.DER_TARGET, "no DER after"),
}


@pytest.mark.parametrize(("change", "criterion", "why"), REFUSED.values(), ids=REFUSED.keys())
def test_evidence_that_proves_nothing_leaves_the_gate_open(change: dict[str, Any], criterion: CriterionId, why: str) -> None:
    """The criterion is unknown with the reason, and no answer opens the gate."""
    verdict = judge(replace(GOOD, **change), THRESHOLDS, YES)
    assert verdict.verdict == "open"
    assert found(verdict, criterion).outcome is Outcome.UNKNOWN
    assert why in found(verdict, criterion).why


def test_a_finding_tells_how_many_recordings_it_counts() -> None:
    """Each once, and none in which nobody speaks."""
    verdict = judge(replace(GOOD, recordings=GOOD.recordings * 2, silent=frozenset({"test00"})), THRESHOLDS, YES)
    assert [finding.n_recordings for finding in verdict.findings] == [29, 29, 29, None]


def test_a_recording_counts_for_the_figures_of_which_it_says_something() -> None:
    """Without a boundary it has no MAE, without an error none can be lessened; the rate of errors it has, and that is told."""
    padded = replace(
        GOOD,
        silent=frozenset({"test00"}),
        unmatched=frozenset({"test00", "test01", "elsewhere"}),
        faultless=frozenset({"test00", "test01", "test02"}),
    )
    verdict = judge(padded, THRESHOLDS, YES)
    assert [finding.n_recordings for finding in verdict.findings] == [28, 27, 29, None]
    assert found(verdict, CriterionId.DER_TARGET).why.endswith(
        "; in 2 of these recordings: test01, test02, no error is made, before or after"
    )
    assert verdict.verdict == "pass"


def test_too_small_an_improvement_is_not_met_without_an_interval() -> None:
    """No interval could make it large enough."""
    verdict = judge(replace(GOOD, der=Measured(0.034, 0.033, None)), THRESHOLDS, YES)
    assert verdict.verdict == "fail"


def test_errors_where_nothing_was_wrong_are_no_improvement() -> None:
    """Of 0 % there is no relative change, but 2 % are worse."""
    finding = found(judge(replace(GOOD, der=Measured(0.0, 0.02, None)), THRESHOLDS, YES), CriterionId.DER)
    assert (finding.outcome, finding.value, finding.why) == (
        Outcome.NOT_MET,
        None,
        "0.00 % → 2.00 %, nothing was wrong before",
    )


def test_an_improvement_that_may_be_chance_is_none() -> None:
    """18 % with an interval down to −2 % is not met."""
    verdict = judge(replace(GOOD, der=Measured(0.034, 0.028, Interval(-0.02, 0.3))), THRESHOLDS, YES)
    assert verdict.verdict == "fail"
    assert "not above 0" in found(verdict, CriterionId.DER).why


PAST: dict[CriterionId, tuple[dict[str, Any], str]] = {
    CriterionId.MAE: ({"mae_ms": Measured(172.0, 99.0, Interval(70.0, 131.0))}, "the interval reaches 100 ms and more"),
    CriterionId.DER: ({"der": Measured(0.034, 0.028, Interval(0.02, 0.3))}, "the interval reaches 10 % and less"),
    CriterionId.DER_TARGET: ({"der_after": Interval(0.025, 0.031)}, "[2.50 %, 3.10 %]; the interval reaches 3 % and more"),
}


@pytest.mark.parametrize("criterion", PAST)
def test_an_interval_that_reaches_past_the_threshold_is_told(criterion: CriterionId) -> None:
    """The figure is met, and its reader sees that chance may have met it; where it does not reach there, nothing is said."""
    change, why = PAST[criterion]
    finding = found(judge(replace(GOOD, **change), THRESHOLDS, YES), criterion)
    assert finding.outcome is Outcome.MET
    assert finding.why.endswith(why)
    assert "reaches" not in found(judge(GOOD, THRESHOLDS, YES), criterion).why


def test_the_interval_of_the_der_is_that_of_its_target() -> None:
    """An older integration told none: then the figure alone is judged."""
    assert found(judge(GOOD, THRESHOLDS, YES), CriterionId.DER_TARGET).interval == Interval(0.025, 0.0299)
    older = judge(replace(GOOD, der_after=None), THRESHOLDS, YES)
    assert (found(older, CriterionId.DER_TARGET).why, older.verdict) == ("2.80 %", "pass")


@pytest.mark.parametrize("mae_ms", [100.0, 100.4, 250.0])
def test_the_threshold_itself_is_not_below_it(mae_ms: float) -> None:
    """`< 100 ms` means less than 100 ms, not what rounds to it."""
    verdict = judge(replace(GOOD, mae_ms=Measured(172.0, mae_ms, None)), THRESHOLDS, YES)
    assert found(verdict, CriterionId.MAE).outcome is Outcome.NOT_MET


EDGES: dict[str, tuple[dict[str, Any], CriterionId, Outcome]] = {
    "the recall demanded": ({"recall": THRESHOLDS.min_recall}, CriterionId.MAE, Outcome.MET),
    "the number of recordings demanded": ({"recordings": GOOD.recordings[:20]}, CriterionId.MAE, Outcome.MET),
    "the improvement": ({"der": Measured(0.5, 0.375, Interval(0.2, 0.3))}, CriterionId.DER, Outcome.NOT_MET),
    "no improvement": ({"der": Measured(0.034, 0.024, Interval(0.0, 0.5))}, CriterionId.DER, Outcome.NOT_MET),
    "the target": ({"der": Measured(0.05, 0.03, Interval(0.3, 0.5))}, CriterionId.DER_TARGET, Outcome.NOT_MET),
}


@pytest.mark.parametrize(("change", "criterion", "outcome"), EDGES.values(), ids=EDGES.keys())
def test_a_figure_at_its_threshold_is_judged_as_the_line_says(
    change: dict[str, Any], criterion: CriterionId, outcome: Outcome
) -> None:
    """At least so many are met by so many; what has to be more, less or above is not met by as much."""
    verdict = judge(replace(GOOD, **change), replace(THRESHOLDS, der_relative=0.25), YES)
    assert found(verdict, criterion).outcome is outcome


AT: dict[CriterionId, dict[str, Any]] = {
    CriterionId.MAE: {"mae_ms": Measured(172.0, 85.0, Interval(80.0, 100.0))},
    CriterionId.DER: {"der": Measured(0.034, 0.028, Interval(0.1, 0.3))},
    CriterionId.DER_TARGET: {"der_after": Interval(0.025, 0.03)},
}


@pytest.mark.parametrize("criterion", AT)
def test_an_interval_that_ends_at_the_threshold_reaches_it(criterion: CriterionId) -> None:
    """The bound is one of the figures that may be true."""
    assert "the interval reaches" in found(judge(replace(GOOD, **AT[criterion]), THRESHOLDS, YES), criterion).why


def test_headroom_that_is_no_more_than_what_is_demanded_is_none() -> None:
    """More than a quarter is asked for, and perfect movement would give a quarter."""
    evidence = replace(GOOD, der=Measured(0.5, 0.49, Interval(0.01, 0.03)), least_der=0.375)
    assert judge(evidence, replace(THRESHOLDS, der_relative=0.25)).recommendation.startswith("stop moving boundaries")


@pytest.mark.parametrize("simulated", [True, False])
def test_a_no_ends_a_simulation_as_well(simulated: bool) -> None:
    """Nobody has to measure on real recordings to decide against it."""
    verdict = judge(replace(GOOD, simulated=simulated), THRESHOLDS, {CriterionId.GO_ON: Answer(yes=False)})
    assert (verdict.verdict, verdict.recommendation) == ("fail", "stop: a person decided against going on")


@pytest.mark.parametrize("criterion", [CriterionId.MAE, CriterionId.DER, CriterionId.DER_TARGET])
def test_a_recipe_cannot_ask_for_fewer_recordings_than_an_interval_needs(criterion: CriterionId) -> None:
    """`min_recordings = 1` and one recording: nothing is known, and the line says how many are demanded."""
    verdict = judge(replace(GOOD, recordings=("talk",)), Thresholds(min_recordings=1), YES)
    assert verdict.verdict == "open"
    assert found(verdict, criterion).outcome is Outcome.UNKNOWN
    assert "1 recording is fewer than the 5 demanded" in found(verdict, criterion).why
    assert "at least 5 recordings" in found(verdict, criterion).criterion.convention


def test_trained_on_recordings_are_named() -> None:
    """The first three, and how many more."""
    verdict = judge(replace(GOOD, trained_on=frozenset(GOOD.recordings)), THRESHOLDS, YES)
    assert "30 of these recordings: test00, test01, test02 and 27 more" in found(verdict, CriterionId.MAE).why
    assert "test00" in verdict.recommendation


@pytest.mark.parametrize("after_ms", [60.0, 99.0])
def test_an_error_that_refinement_makes_no_smaller_is_not_met(after_ms: float) -> None:
    """60 ms become 60 or 99 ms: below the threshold, but not for the refiner's sake."""
    verdict = judge(replace(GOOD, mae_ms=Measured(60.0, after_ms, Interval(50.0, 99.5))), THRESHOLDS, YES)
    assert verdict.verdict == "fail"
    assert found(verdict, CriterionId.MAE).why.endswith(
        "60 ms before, on 62 % of the reference boundaries: refinement makes it no better"
    )
    assert verdict.recommendation.startswith("iterate on the model: refinement makes boundaries no better")


@pytest.mark.parametrize(("high_ms", "told"), [(0.0, "+0.0 ms"), (0.4, "+0.4 ms"), (float("nan"), "+nan ms")])
def test_a_smaller_error_that_may_be_chance_is_not_met(high_ms: float, told: str) -> None:
    """One boundary of 576 moved: 28.662 → 28.631 ms, and the change may as well be none."""
    idle = replace(GOOD, mae_ms=Measured(28.662, 28.631, Interval(20.0, 38.0)), mae_change_ms=Interval(-0.125, high_ms))
    verdict = judge(idle, THRESHOLDS, YES)
    assert verdict.verdict == "fail"
    assert found(verdict, CriterionId.MAE).outcome is Outcome.NOT_MET
    why = f": the interval of the change, [-0.1 ms, {told}], is not below 0, so it may be chance"
    assert found(verdict, CriterionId.MAE).why.endswith(why)
    assert verdict.recommendation == (
        "iterate on the model: that boundaries are better may be chance; it takes a larger gain, or more recordings"
    )


def test_a_change_below_nought_is_met_and_an_older_integration_tells_none() -> None:
    """Where there is no interval of the change, that of the error is all that is judged."""
    for change_ms in (Interval(-90.0, -1e-9), None):
        assert judge(replace(GOOD, mae_change_ms=change_ms), THRESHOLDS, YES).verdict == "pass"


ADVICE: dict[str, tuple[dict[str, Any], str]] = {
    "harm": ({"der": Measured(0.034, 0.036, Interval(-0.1, -0.02))}, "iterate on the guard"),
    "no harm": ({"der": Measured(0.034, 0.034, Interval(-0.1, 0.1))}, "iterate on integration"),
    "boundaries still off": ({"mae_ms": Measured(172.0, 150.0, None)}, "iterate on the model"),
    "no headroom": ({"der": Measured(0.034, 0.033, Interval(0.01, 0.05)), "least_der": 0.032}, "stop moving boundaries"),
    "none at matched boundaries": (
        {"der": Measured(0.034, 0.033, Interval(0.01, 0.05)), "oracle_der": 0.034},
        "does not follow; the matched boundaries put right would give 3.40 %",
    ),
    "headroom left": ({"der": Measured(0.034, 0.033, Interval(0.01, 0.05))}, "iterate on integration"),
    "target out of reach": ({"der": Measured(0.069, 0.055, Interval(0.1, 0.3)), "least_der": 0.049}, "iterate on activity"),
    "target beyond matched boundaries": (
        {"der": Measured(0.069, 0.055, Interval(0.1, 0.3)), "oracle_der": 0.049},
        "not yet below 3 %; the matched boundaries put right would give 4.90 %",
    ),
    "target not below reach": ({"der": Measured(0.069, 0.055, Interval(0.1, 0.3)), "least_der": 0.03}, "iterate on activity"),
    "nothing was wrong": ({"der": Measured(0.0, 0.02, None)}, "iterate on the guard: refinement makes the DER worse"),
    "a large gain that may be chance": (
        {"der": Measured(0.1, 0.085, Interval(-0.05, 0.3)), "oracle_der": 0.06, "least_der": 0.04},
        "iterate on the evidence: the DER is better by enough, but that may be chance; more recordings would tell",
    ),
    "an error of few boundaries": (
        {"recall": 0.2, "der": Measured(0.1, 0.095, Interval(0.01, 0.1))},
        "iterate on the evidence: 85 ms [80, 91], 172 ms before, but only 20 % of the reference boundaries were matched",
    ),
    "no error": (
        {"mae_ms": Measured(None, None, None), "der": Measured(0.1, 0.095, Interval(0.01, 0.1))},
        "iterate on the evidence: there is no boundary error: nothing was matched",
    ),
    "a gain without an interval": (
        {"der": Measured(0.2, 0.1, None)},
        "iterate on the evidence: 20.00 % → 10.00 %, 50.0 % better, but without an interval it may be chance",
    ),
    "target out of reach, gain without an interval": ({"der": Measured(0.2, 0.1, None), "least_der": 0.05}, "on activity"),
    "target within reach": ({"der": Measured(0.069, 0.055, Interval(0.1, 0.3))}, "not yet below 3 %"),
}


@pytest.mark.parametrize(("change", "advice"), ADVICE.values(), ids=ADVICE.keys())
def test_a_failure_says_what_to_work_on(change: dict[str, Any], advice: str) -> None:
    """Guard, model, integration, activity, or nothing at all."""
    verdict = judge(replace(GOOD, **change), THRESHOLDS, YES)
    assert verdict.verdict == "fail"
    assert advice in verdict.recommendation


@pytest.mark.parametrize(
    ("rate", "told"), [(0.025, "2.5 %"), (0.0125, "1.25 %"), (0.125, "12.5 %"), (0.005, "0.5 %"), (0.07, "7 %")]
)
def test_the_question_has_the_threshold_that_is_judged(rate: float, told: str) -> None:
    """To the last digit: whoever is asked whether the DER is below 2 % answers another question than one of 2.5 %."""
    thresholds = Thresholds(der_target=rate, der_relative=rate, min_recall=rate)
    mae, der, target, _ = criteria(thresholds)
    assert f"recall ≥ {told}" in mae.convention
    assert (der.question, der.threshold) == (
        f"Is the DER more than {told} better?",
        f"relative improvement > {told}, interval above 0",
    )
    assert (target.question, target.threshold) == (f"Is the DER below {told}?", f"DER < {told}")
    reaching = replace(GOOD, der=Measured(1.0, rate / 2, Interval(0.0001, 0.9)), der_after=Interval(0.0, 1.0))
    bounds = [found(judge(reaching, thresholds, YES), name).why for name in (CriterionId.DER, CriterionId.DER_TARGET)]
    assert [why.rpartition("reaches ")[2] for why in bounds] == [f"{told} and less", f"{told} and more"]


def test_every_line_names_its_convention() -> None:
    """Cap and recall for the error, collar and overlap for the DER."""
    conventions = {finding.criterion.id: finding.criterion.convention for finding in judge(None, THRESHOLDS).findings}
    assert "W = 1 s" in conventions[CriterionId.MAE]
    assert "recall" in conventions[CriterionId.MAE]
    assert "collar 0 s on each side, overlap scored" in conventions[CriterionId.DER]
    assert "collar" in conventions[CriterionId.DER_TARGET]


_FIGURES = st.none() | st.floats() | st.floats(0.0, 0.1)
_INTERVALS = st.none() | st.builds(Interval, st.floats(), st.floats())
_ANSWERS = st.just(YES) | st.dictionaries(
    st.sampled_from(CriterionId), st.builds(Answer, st.booleans(), st.none() | st.text(max_size=5))
)
# Good evidence with any of its parts replaced by anything.
_EVIDENCE = st.fixed_dictionaries(
    {},
    optional={
        "simulated": st.booleans(),
        "recordings": st.lists(st.sampled_from(GOOD.recordings), max_size=40).map(tuple),
        "trained_on": st.frozensets(st.sampled_from(("test00", "dev00")), max_size=2),
        "diarizer_trained_on": st.frozensets(st.sampled_from(("test01", "dev00")), max_size=2),
        "mae_ms": st.builds(Measured, _FIGURES, _FIGURES, _INTERVALS),
        "mae_change_ms": _INTERVALS,
        "recall": _FIGURES,
        "window_s": st.sampled_from([0.25, 1.0]),
        "der": st.builds(Measured, _FIGURES, _FIGURES, _INTERVALS),
        "collar_s": st.sampled_from([0.0, 0.25]),
        "oracle_der": _FIGURES,
        "least_der": _FIGURES,
    },
).map(lambda change: replace(GOOD, **change))


@given(_EVIDENCE, _ANSWERS)
def test_only_real_sufficient_unseen_evidence_ever_passes(evidence: Evidence, answers: dict[CriterionId, Answer]) -> None:
    """Whatever the figures and answers are, infinite and not-a-number included."""
    verdict = judge(evidence, THRESHOLDS, answers)
    assert verdict.recommendation.split()[0] in {"ship:", "iterate", "stop:", "stop"}
    if verdict.verdict == "pass":
        assert not evidence.simulated
        assert not set(evidence.recordings) & (evidence.trained_on | evidence.diarizer_trained_on)
        assert len(set(evidence.recordings)) >= THRESHOLDS.min_recordings
        assert evidence.recall is not None and evidence.recall >= THRESHOLDS.min_recall
        assert evidence.mae_ms.after is not None and evidence.mae_ms.after < THRESHOLDS.mae_ms
        assert evidence.der.interval is not None and evidence.der.interval.low > 0.0
        assert answers[CriterionId.GO_ON].yes


@given(_ANSWERS.filter(lambda answers: all(answer.yes for answer in answers.values())))
def test_simulated_evidence_is_always_open(answers: dict[CriterionId, Answer]) -> None:
    """Good or bad, it proves nothing about real recordings; only a person's no ends it."""
    for evidence in (GOOD, replace(GOOD, mae_ms=Measured(200.0, 300.0, None))):
        verdict = judge(replace(evidence, simulated=True), THRESHOLDS, answers)
        assert verdict.verdict == "open"
        assert "simulated" in found(verdict, CriterionId.MAE).why
        assert "simulated" in verdict.recommendation
