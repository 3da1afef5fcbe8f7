"""Gate 4: pass, fail or unknown, and why.

What was measured is judged against thresholds; people's answers are kept beside the findings and never change them. The gate
passes only if every measured criterion is met on real evidence and a person says that the project goes on. It is open while
anything is unknown, and always open on simulated evidence. It fails if a criterion is not met, or if a person says no.

Figures are judged as they are, and a finding that is met says if its interval holds values that would not meet it. But an
improvement of the DER counts only if its interval is above 0, and a change of the MAE only if its interval is below 0.

A criterion is unknown, whatever its figures say, if they prove nothing: because the refiner or the diarizer was trained on these
recordings; because they are too few, for the recipe or for an interval; because the matching is not the one in the threshold, or
counts ends made by cuts; because the recall is hidden or too low to stand for the boundaries; or because the files are no longer
those that were measured.

A recording counts for a criterion if it says something about its figure: for `mae` if it has a matched boundary that no cut made,
for `der` if it has an error before or after. For `der-target` every recording with speech counts: one in which the system makes
no error is a part of its DER, too, and of its interval; a finding that is met names these.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from brefine.core.bootstrap import LEAST_RECORDINGS, Interval
from brefine.core.figures import counted, exact_percent, improvement, percent, signed_milliseconds, some_of

_N_NAMED = 3
"""Recordings named in a reason before it says how many more."""


class CriterionId(StrEnum):
    """The lines of the checklist."""

    MAE = "mae"
    DER = "der"
    DER_TARGET = "der-target"
    GO_ON = "go-on"


class Outcome(StrEnum):
    """What a criterion's figures say."""

    MET = "met"
    NOT_MET = "not-met"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What must hold; see the recipe's `[gate]`."""

    mae_ms: float = 100.0
    window_s: float = 1.0
    der_relative: float = 0.10
    der_collar_s: float = 0.0
    der_target: float = 0.03
    min_recordings: int = 20
    min_recall: float = 0.3

    @property
    def n_demanded(self) -> int:
        """Recordings that are demanded: never fewer than an interval needs."""
        return max(self.min_recordings, LEAST_RECORDINGS)


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure before and after refinement, with the interval of what is judged: the figure after, or the relative change."""

    before: float | None
    after: float | None
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was measured on the gate split."""

    simulated: bool
    recordings: tuple[str, ...]
    trained_on: frozenset[str]
    """Every recording that training or validation has seen."""
    diarizer_trained_on: frozenset[str]
    mae_ms: Measured
    """On the pairs matched before refinement."""
    recall: float | None
    """Share of the reference boundaries that these pairs hold."""
    window_s: float
    """The matching cap of `mae_ms` and `recall`."""
    der: Measured
    """Rates as fractions; the interval is that of the relative improvement, 1 − after/before."""
    der_after: Interval | None
    """Of the rate after; None also if the integration did not report it."""
    collar_s: float
    faults: tuple[str, ...] = ()
    """Why these figures are not those of the chosen model on the gate split as it is; found by whoever gathered them."""
    mae_change_ms: Interval | None = None
    """Of the change of `mae_ms`, after − before; None if the integration did not report it."""
    counts_cuts: bool = False
    """Whether ends that the cut of a recording has made are in `mae_ms` and `recall`, as earlier versions counted."""
    oracle_der: float | None = None
    """DER with the matched boundaries put where the reference has them; None if the headroom was not computed."""
    shift_s: float = 1.0
    """How far the refiner may move an end."""
    least_der: float | None = None
    """No movement of ends by at most `shift_s` gives a lower DER; None if that was not computed."""
    silent: frozenset[str] = frozenset()
    """Recordings without reference speech in what is scored: they say nothing about a refiner."""
    unmatched: frozenset[str] = frozenset()
    """Recordings in which no boundary is matched, except ends that the cut of the recording made."""
    faultless: frozenset[str] = frozenset()
    """Recordings without any error of `der`, before and after."""
    equal: frozenset[str] = frozenset()
    """Recordings whose hypothesis is the reference, boundary by boundary, with at least one that no cut made."""
    same_boundaries: tuple[int, int] = (0, 0)
    """Of the recordings not in `equal`: how many matched boundaries are the reference's to the millisecond, counted only in
    recordings where hardly any others are near it; and how many are matched in all."""

    def uncounted(self, criterion: CriterionId) -> Mapping[str, frozenset[str]]:
        """Why recordings are no evidence of this figure, in words → those recordings; each is under one reason only."""
        own = {CriterionId.MAE: ("no boundary is matched", self.unmatched), CriterionId.DER: ("no error is made", self.faultless)}
        words, found = own.get(criterion, ("", frozenset[str]()))
        among = frozenset(self.recordings)
        parts = {"nobody speaks": among & self.silent, words: (among & found) - self.silent}
        return {why: recordings for why, recordings in parts.items() if recordings}

    def n_counted(self, criterion: CriterionId) -> int:
        """How many recordings are evidence of this figure, each counted once."""
        return len(set(self.recordings).difference(*self.uncounted(criterion).values()))


@dataclass(frozen=True, slots=True)
class Answer:
    """A person's yes or no to one criterion."""

    yes: bool
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Criterion:
    """One line of the checklist, as it is asked."""

    id: CriterionId
    question: str
    threshold: str
    convention: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about one criterion, and what a person answered."""

    criterion: Criterion
    outcome: Outcome
    why: str
    value: float | None = None
    interval: Interval | None = None
    n_recordings: int | None = None
    answer: Answer | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """`verdict` is pass, fail or open; the recommendation is one of ship, iterate, stop, with its reason."""

    verdict: str
    findings: tuple[Finding, ...]
    recommendation: str


_NO_ANSWERS: Mapping[CriterionId, Answer] = {}


def criteria(thresholds: Thresholds) -> tuple[Criterion, ...]:
    """The checklist."""
    recall = f"recall ≥ {exact_percent(thresholds.min_recall)}"
    collar = f"collar {thresholds.der_collar_s:g} s on each side, overlap scored"
    enough = f"at least {thresholds.n_demanded} recordings"
    return (
        Criterion(
            CriterionId.MAE,
            f"Is the boundary error below {thresholds.mae_ms:g} ms?",
            f"MAE < {thresholds.mae_ms:g} ms, and less than before, interval of the change below 0",
            "pairs matched before refinement, without ends made by the cut of a recording, "
            f"W = {thresholds.window_s:g} s, {recall}, {enough}",
        ),
        Criterion(
            CriterionId.DER,
            f"Is the DER more than {exact_percent(thresholds.der_relative)} better?",
            f"relative improvement > {exact_percent(thresholds.der_relative)}, interval above 0",
            f"{collar}; 95 % paired bootstrap over recordings, {enough}",
        ),
        Criterion(
            CriterionId.DER_TARGET,
            f"Is the DER below {exact_percent(thresholds.der_target)}?",
            f"DER < {exact_percent(thresholds.der_target)}",
            f"{collar}; 95 % bootstrap over recordings, {enough}",
        ),
        Criterion(CriterionId.GO_ON, "Does the project go on with this refiner?", "a person's yes", "a decision, not a figure"),
    )


def judge(
    evidence: Evidence | None,
    thresholds: Thresholds,
    answers: Mapping[CriterionId, Answer] = _NO_ANSWERS,
    *,
    missing: str = "nothing has been measured on the gate split yet",
) -> Verdict:
    """Judges the evidence; None = nothing was measured, for the reason `missing`."""
    findings = tuple(
        _find(criterion, evidence, thresholds, answers.get(criterion.id), missing) for criterion in criteria(thresholds)
    )
    outcomes = [finding.outcome for finding in findings]
    refused = any(answer is not None and not answer.yes for answer in answers.values())
    simulated = evidence is not None and evidence.simulated
    if refused or (Outcome.NOT_MET in outcomes and not simulated):
        verdict = "fail"
    elif Outcome.UNKNOWN in outcomes or simulated:
        verdict = "open"
    else:
        verdict = "pass"
    return Verdict(verdict, findings, _recommendation(verdict, findings, evidence, thresholds))


# --- one criterion -----------------------------------------------------------------------------------------------------


def _find(
    criterion: Criterion, evidence: Evidence | None, thresholds: Thresholds, answer: Answer | None, missing: str
) -> Finding:
    if criterion.id is CriterionId.GO_ON:
        if answer is None:
            return Finding(criterion, Outcome.UNKNOWN, "nobody has answered yet")
        said = "a person said yes" if answer.yes else "a person said no"
        return Finding(criterion, Outcome.MET if answer.yes else Outcome.NOT_MET, said, answer=answer)
    if evidence is None:
        return Finding(criterion, Outcome.UNKNOWN, missing, answer=answer)
    outcome, why, value, interval = _MEASURES[criterion.id](evidence, thresholds)
    doubt = _doubt(criterion.id, evidence, thresholds)
    if doubt is not None:
        outcome, why = Outcome.UNKNOWN, f"{doubt}; measured: {why}"
    elif evidence.simulated:
        why += " (simulated recordings)"
    return Finding(criterion, outcome, why, value, interval, evidence.n_counted(criterion.id), answer)


_Measure = tuple[Outcome, str, float | None, Interval | None]


def _measure_mae(evidence: Evidence, thresholds: Thresholds) -> _Measure:
    mae, recall = evidence.mae_ms, evidence.recall
    value = _finite(mae.after)
    if value is None:
        return Outcome.UNKNOWN, "there is no boundary error: nothing was matched", None, None
    before = _finite(mae.before)
    figure = f"{value:.0f} ms{_range_ms(mae.interval)}{'' if before is None else f', {before:.0f} ms before'}"
    outcome = Outcome.UNKNOWN
    if not math.isclose(evidence.window_s, thresholds.window_s):
        why = f"{figure}, but matched within {evidence.window_s:g} s instead of {thresholds.window_s:g} s"
    elif evidence.counts_cuts:
        why = f"{figure}, but an earlier version counted ends made by the cut of recordings; integrate again"
    elif recall is None or not math.isfinite(recall):
        why = f"{figure}, but the recall of the matching is not told"
    elif recall < thresholds.min_recall:
        why = f"{figure}, but only {percent(recall, 0)} of the reference boundaries were matched"
    else:
        why = f"{figure}, on {percent(recall, 0)} of the reference boundaries"
        if value >= thresholds.mae_ms:
            outcome = Outcome.NOT_MET
        elif _is_no_better(mae):
            outcome, why = Outcome.NOT_MET, f"{why}: refinement makes it no better"
        elif mae.interval is None:
            why += ", but without an interval it may be chance"
        elif (change_ms := evidence.mae_change_ms) is not None and not change_ms.high < 0.0:
            bounds = f"[{signed_milliseconds(change_ms.low)}, {signed_milliseconds(change_ms.high)}]"
            outcome, why = Outcome.NOT_MET, f"{why}: the interval of the change, {bounds}, is not below 0, so it may be chance"
        else:
            outcome = Outcome.MET
            why += _reaching(f"{thresholds.mae_ms:g} ms and more", mae.interval.high >= thresholds.mae_ms)
    return outcome, why, value, mae.interval


def _is_no_better(figure: Measured) -> bool:
    before, after = _finite(figure.before), _finite(figure.after)
    return before is not None and after is not None and after >= before


def _measure_der(evidence: Evidence, thresholds: Thresholds) -> _Measure:
    before, after, interval = _finite(evidence.der.before), _finite(evidence.der.after), evidence.der.interval
    if before is None or after is None or max(before, after) <= 0.0:
        return Outcome.UNKNOWN, "there is no DER before and after to compare", None, None
    relative = 1.0 - after / before if before > 0.0 else None
    gain = "nothing was wrong before" if relative is None else improvement(relative, interval)
    figure = f"{percent(before, 2)} → {percent(after, 2)}, {gain}"
    if not math.isclose(evidence.collar_s, thresholds.der_collar_s):
        return Outcome.UNKNOWN, f"{figure}, but at collar {evidence.collar_s:g} s", relative, interval
    if relative is None or relative <= thresholds.der_relative:
        return Outcome.NOT_MET, figure, relative, interval
    if interval is None:
        return Outcome.UNKNOWN, f"{figure}, but without an interval it may be chance", relative, None
    if not interval.low > 0.0:
        return Outcome.NOT_MET, f"{figure}: the interval is not above 0, so it may be chance", relative, interval
    figure += _reaching(f"{exact_percent(thresholds.der_relative)} and less", interval.low <= thresholds.der_relative)
    return Outcome.MET, figure, relative, interval


def _measure_target(evidence: Evidence, thresholds: Thresholds) -> _Measure:
    after, interval = _finite(evidence.der.after), evidence.der_after
    if after is None:
        return Outcome.UNKNOWN, "there is no DER after refinement", None, None
    figure = f"{percent(after, 2)}" + ("" if interval is None else f" [{percent(interval.low, 2)}, {percent(interval.high, 2)}]")
    if not math.isclose(evidence.collar_s, thresholds.der_collar_s):
        return Outcome.UNKNOWN, f"{figure}, but at collar {evidence.collar_s:g} s", after, interval
    if after >= thresholds.der_target:
        return Outcome.NOT_MET, figure, after, interval
    reaches = interval is not None and interval.high >= thresholds.der_target
    figure += _reaching(f"{exact_percent(thresholds.der_target)} and more", reaches)
    faultless = frozenset(evidence.recordings) & evidence.faultless - evidence.silent
    if faultless:
        figure += f"; in {_named(faultless)}, no error is made, before or after"
    return Outcome.MET, figure, after, interval


_MEASURES = {
    CriterionId.MAE: _measure_mae,
    CriterionId.DER: _measure_der,
    CriterionId.DER_TARGET: _measure_target,
}


def _doubt(criterion: CriterionId, evidence: Evidence, thresholds: Thresholds) -> str | None:
    """Why this figure from these recordings proves nothing, or None."""
    if evidence.faults:
        return "; ".join(evidence.faults)
    recordings = frozenset(evidence.recordings)
    for seen, by in ((evidence.trained_on, "the refiner"), (evidence.diarizer_trained_on, "the diarizer")):
        if recordings & seen:
            return f"{by} was trained on {_named(recordings & seen)}"
    n_counted = evidence.n_counted(criterion)
    if n_counted < thresholds.n_demanded:
        few = f"{counted(n_counted, 'recording is', 'recordings are')} fewer than the {thresholds.n_demanded} demanded"
        return "; ".join([few, *(f"in {_named(own)}, {why}" for why, own in evidence.uncounted(criterion).items())])
    return None


# --- what to do next ---------------------------------------------------------------------------------------------------


def _recommendation(verdict: str, findings: tuple[Finding, ...], evidence: Evidence | None, thresholds: Thresholds) -> str:
    found = {finding.criterion.id: finding for finding in findings}
    go_on = found[CriterionId.GO_ON].answer
    measured = [finding for finding in findings if finding.criterion.id is not CriterionId.GO_ON]
    not_met = [finding for finding in measured if finding.outcome is Outcome.NOT_MET]
    unknown = [finding for finding in measured if finding.outcome is Outcome.UNKNOWN]
    denied = [finding for finding in measured if finding.answer is not None and not finding.answer.yes]
    if verdict == "pass":
        advice = "ship: every criterion is met on recordings that nobody trained on, and a person has agreed"
    elif go_on is not None and not go_on.yes:
        advice = f"stop: a person decided against going on{_noted(go_on)}"
    elif evidence is None:
        advice = "iterate on the evidence: run the chosen model behind the diarizer on the gate split"
    elif not_met:
        advice = _after_failure(found, evidence, thresholds)
    elif unknown:
        advice = _for_evidence(unknown[0])
    elif denied:
        names = ", ".join(finding.criterion.id for finding in denied)
        advice = f"iterate on what the person doubts ({names}): the figures are met, but the answer is no"
    elif evidence.simulated:
        advice = "iterate on the evidence: the figures are met on simulated recordings, which prove nothing about real ones"
    else:
        advice = "ship: every measured criterion is met; a person has to agree (go-on)"
    return advice


def _after_failure(found: Mapping[CriterionId, Finding], evidence: Evidence, thresholds: Thresholds) -> str:
    mae, der = found[CriterionId.MAE].outcome, found[CriterionId.DER].outcome
    unknown = [finding for finding in found.values() if finding.outcome is Outcome.UNKNOWN and finding.criterion.id in _MEASURES]
    gained = found[CriterionId.DER].value
    before, after = _finite(evidence.der.before), _finite(evidence.der.after)
    oracle, least = _finite(evidence.oracle_der), _finite(evidence.least_der)
    where = " on simulated recordings" if evidence.simulated else ""
    bound = ""
    if least is not None:
        bound = f"moving ends by up to {evidence.shift_s:g} s cannot give less than {percent(least, 2)}{where}"
    matched = "" if oracle is None else f"; the matched boundaries put right would give {percent(oracle, 2)}"
    if before is not None and after is not None and after > before:
        advice = f"iterate on the guard: refinement makes the DER worse{where}, so move fewer boundaries and move them less"
    elif mae is Outcome.NOT_MET and _is_no_better(evidence.mae_ms):
        advice = f"iterate on the model: refinement makes boundaries no better{where}; nothing else is worth changing before"
    elif mae is Outcome.NOT_MET and (after_ms := _finite(evidence.mae_ms.after)) is not None and after_ms < thresholds.mae_ms:
        advice = (
            f"iterate on the model: that boundaries are better{where} may be chance; it takes a larger gain, or more recordings"
        )
    elif mae is Outcome.NOT_MET:
        advice = f"iterate on the model: boundaries are still too far off{where}; nothing else is worth changing before"
    elif der is Outcome.NOT_MET and least is not None and before and 1.0 - least / before <= thresholds.der_relative:
        advice = (
            f"stop moving boundaries: {bound}; to go below, turns must be added, dropped, split or renamed, or ends move further"
        )
    elif der is not Outcome.NOT_MET and least is not None and least >= thresholds.der_target:
        advice = f"iterate on activity around boundaries (add, drop, merge turns): {bound}"
    elif unknown:
        advice = _for_evidence(unknown[0])
    elif der is Outcome.NOT_MET and gained is not None and gained > thresholds.der_relative:
        advice = (
            f"iterate on the evidence: the DER is better by enough{where}, but that may be chance; more recordings would tell"
        )
    elif der is Outcome.NOT_MET:
        advice = f"iterate on integration: boundaries are near enough{where}, but the DER does not follow{matched}"
    else:
        advice = (
            f"iterate on the model: the DER is better{where}, but not yet below {exact_percent(thresholds.der_target)}{matched}"
        )
    return advice


def _for_evidence(unknown: Finding) -> str:
    return f"iterate on the evidence: {unknown.why.split('; measured')[0]}"


# --- words -------------------------------------------------------------------------------------------------------------


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _range_ms(interval: Interval | None) -> str:
    return "" if interval is None else f" [{interval.low:.0f}, {interval.high:.0f}]"


def _reaching(bound: str, reached: bool) -> str:
    return f"; the interval reaches {bound}" if reached else ""


def _noted(answer: Answer) -> str:
    return f" ({answer.note})" if answer.note else ""


def _named(recordings: Collection[str]) -> str:
    names = sorted(recordings)
    return f"{len(names)} of these recordings: {some_of(names, _N_NAMED)}"
