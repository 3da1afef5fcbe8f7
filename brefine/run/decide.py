"""The choice of the model: what the rule recommends, what the person takes, and the record of both."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from brefine.config import ModelName
from brefine.core.bootstrap import Interval
from brefine.core.figures import milliseconds
from brefine.core.selection import Candidate, Ranking, select
from brefine.errors import ConfigError, FormatError, ProcessError, words_of
from brefine.phasedir import CheckpointCard, Decision, EvaluationReport, PhaseDir, SelectionRecord
from brefine.run.stages import evaluation_reports, named_model


def recommend(phase: PhaseDir) -> Ranking:
    """Ranks the evaluated models by the rule of `core.selection`.

    Raises:
        ProcessError: no model is evaluated, one was trained further since, none has a figure to rank it by, or an earlier version
            evaluated some of them by another convention.
        FormatError: an evaluation is damaged.
    """
    return _rank(phase, _evaluated(phase))


def standing_choice(phase: PhaseDir, tell_fallen: Callable[[str], None] = lambda words: None) -> SelectionRecord | None:
    """The choice on record, if it is of this phase and no model was evaluated since; None if a choice is still to be made.

    Args:
        tell_fallen: called with words that name a choice that no longer counts, and why; or a file that cannot be read.

    Raises:
        ProcessError: a model was trained further since it was evaluated.
        FormatError: an evaluation is damaged.
    """
    reports = _evaluated(phase)
    try:
        found = SelectionRecord.read_if_there(phase.selection)
    except (FormatError, OSError) as error:
        what, *details = words_of(error).splitlines()
        tell_fallen("\n".join([f"{what}; the choice in it counts no longer", *details]))
        return None
    if found is None:
        return None
    anew = found.overtaken_by(reports.values())
    if found.phase not in (None, phase.launched_as()):
        fault = f"it was made in another phase ({found.phase})"
    elif found.model not in reports:
        fault = "this model has no evaluation"
    elif anew:
        fault = f"evaluated since: {', '.join(anew)}"
    else:
        return found
    because = f" ({found.override_reason})" if found.override_reason else ""
    tell_fallen(f"{found.model} was chosen by the {found.chosen_by} before{because}, which counts no longer: {fault}")
    return None


def choose(
    phase: PhaseDir,
    model: str | None = None,
    *,
    why: str | None = None,
    by: Literal["person", "rule"] = "person",
    shown: Ranking | None = None,
) -> SelectionRecord:
    """Writes down which model goes on; None takes the recommended one.

    Args:
        shown: the ranking that the person has seen, which is recorded as the evidence. None = the models are ranked now.

    Raises:
        ConfigError: the model is not evaluated, or it is not the recommended one and `why` is missing.
        ProcessError: no model is evaluated, one was trained further since, or its figures are not the ones that were shown.
    """
    reports = _evaluated(phase)
    if shown is not None:
        _refuse_other_figures(phase, reports, shown)
    ranking = _rank(phase, reports) if shown is None else shown
    recommended = _named(ranking.recommended, reports, phase)
    chosen = recommended if model is None else _named(model, reports, phase)
    reason = why.strip() if why else None
    if chosen != recommended and not reason:
        raise ConfigError(
            f"{recommended} is recommended, not {chosen}",
            where=phase.path.name,
            expected="a reason in one line, since later readers will ask",
            hint=ranking.reason,
        )
    record = SelectionRecord(
        model=chosen,
        recommended=recommended,
        reason=ranking.reason,
        override_reason=reason if chosen != recommended else None,
        chosen_by=by,
        unix_s=time.time(),
        phase=phase.launched_as(),
        evaluations={name: report.seal for name, report in reports.items() if report.seal is not None},
    )
    phase.record_decision(  # first: if this is killed in between, the choice is made again, and no answer is missing
        Decision(
            unix_s=record.unix_s,
            question="Which model goes on?",
            evidence=f"recommended: {ranking.reason}; capped means: {_means(ranking)}",
            answer=chosen,
            note=reason if by == "person" else "by the rule, nobody was asked",
        )
    )
    record.write(phase.selection)
    return record


def _evaluated(phase: PhaseDir) -> dict[str, EvaluationReport]:
    """The evaluations of the models; raises unless all of them are of the present weights."""
    reports = evaluation_reports(phase)
    stale = [report.model for report in reports.values() if _is_stale(phase, report)]
    if stale:
        raise ProcessError(
            "models have been trained further since they were evaluated, so their figures no longer describe their weights",
            where=phase.path,
            problems=stale,
            hint=f"run: brefine evaluate --phase {phase.argument}",
        )
    return reports


def _refuse_other_figures(phase: PhaseDir, reports: dict[str, EvaluationReport], shown: Ranking) -> None:
    """Refuses a choice whose evaluations changed while the person was choosing: it records those that it was made by."""
    seen = {one.model: one for one in shown.candidates}
    anew = [model for model, report in reports.items() if seen.get(model) != _candidate(report)]
    if anew:
        raise ProcessError(
            "models were evaluated again while you were choosing",
            where=phase.path,
            problems=anew,
            hint=f"see the new figures: brefine select --phase {phase.argument}",
        )


def no_better_than_start(model: str) -> str:
    """The words for a model whose best checkpoint is the one that its training began with."""
    return f"no epoch was better than the shipped weights that {model} began with"


def _refuse_two_conventions(phase: PhaseDir, reports: dict[str, EvaluationReport]) -> None:
    counting = [report.model for report in reports.values() if report.comparison.counts_cuts]
    if counting and len(counting) < len(reports):
        raise ProcessError(
            "an earlier version evaluated some of the models and counted boundaries that the cut of recordings has made, so that "
            "the models' figures cannot be compared",
            where=phase.path,
            problems=counting,
            hint=f"run: brefine evaluate --phase {phase.argument}",
        )


def _rank(phase: PhaseDir, reports: dict[str, EvaluationReport]) -> Ranking:
    _refuse_two_conventions(phase, reports)
    try:
        ranking = select([_candidate(report) for report in reports.values()])
    except ValueError as error:
        raise ProcessError(
            f"no model can be recommended: {error}", where=phase.path, hint=f"run: brefine evaluate --phase {phase.argument}"
        ) from None
    card = CheckpointCard.read_if_sound(phase.run(_named(ranking.recommended, reports, phase)).card("best"))
    if card is None or not card.is_its_start:
        return ranking
    return replace(ranking, reason=f"{ranking.reason}; {no_better_than_start(ranking.recommended)}")


def _is_stale(phase: PhaseDir, report: EvaluationReport) -> bool:
    """Whether the best checkpoint is not the one that was evaluated; False if its card cannot be read."""
    card = CheckpointCard.read_if_sound(phase.run(report.model).card("best"))
    return card is not None and card.weights_sha256 != report.weights_sha256


def _candidate(report: EvaluationReport) -> Candidate:
    interval = report.comparison.intervals.get("capped_mean_ms")
    return Candidate(
        model=report.model,
        capped_mean_ms=report.comparison.after.capped_mean_ms,
        interval_ms=None if interval is None else Interval(*interval),
        boundaries_per_s=report.speed.boundaries_per_s,
        unrefined_ms=report.comparison.before.capped_mean_ms,
        capped_sum_ms={
            one.recording: (one.n_reference, one.n_reference * (one.capped_mean_after_ms or 0.0)) for one in report.by_recording
        },
    )


def _named(model: str, reports: dict[str, EvaluationReport], phase: PhaseDir) -> ModelName:
    return named_model(model, [report.model for report in reports.values()], "this model is not evaluated", phase)


def _means(ranking: Ranking) -> str:
    known = [(item.model, item.capped_mean_ms) for item in ranking.candidates]
    return ", ".join(f"{model} {milliseconds(mean_ms)}" for model, mean_ms in known)
