"""Gate 4 of a phase: its evidence gathered, judged, answered and written down.

The judgement is `core.gate`'s. Here it meets the files: what the integration measured, what the person answered so far, and
the records `gate4.json`, `gate4.md` and `decisions.jsonl`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

from brefine.config import GateConfig, PhaseConfig
from brefine.core.bootstrap import Interval
from brefine.core.gate import Answer, CriterionId, Evidence, Finding, Measured, Thresholds, judge
from brefine.errors import ConfigError
from brefine.io.atomic import write_text_atomic
from brefine.phasedir import (
    Decision,
    GateCriterion,
    GateRecord,
    IntegrationReport,
    Manifest,
    PhaseDir,
    SelectionRecord,
)
from brefine.run.gate_page import gate_page


def judge_phase(phase: PhaseDir, answers: Mapping[str, Answer] | None = None) -> GateRecord:
    """Judges what can be judged, with earlier answers and these; writes nothing.

    Args:
        answers: criterion id → answer; they replace earlier ones.

    Raises:
        ConfigError: an id is none of the criteria.
    """
    config = phase.load_config()
    selection = SelectionRecord.read_if_there(phase.selection)
    report = _current_integration(phase, selection)
    evidence = None if report is None else _evidence(report, config)
    given = {**_earlier_answers(phase), **{_criterion(name): answer for name, answer in (answers or {}).items()}}
    verdict = judge(evidence, thresholds_of(config.gate), given)
    winner = report.model if report is not None else None if selection is None else selection.model
    return GateRecord(
        verdict=verdict.verdict,
        evidence=None if report is None else report.evidence,
        winner=winner,
        criteria=[_to_record(finding) for finding in verdict.findings],
        recommendation=verdict.recommendation,
        unix_s=time.time(),
    )


def write_gate(phase: PhaseDir, answers: Mapping[str, Answer] | None = None) -> GateRecord:
    """Judges, and writes `gate4.json`, `gate4.md` and one line of `decisions.jsonl` for each new answer."""
    record = judge_phase(phase, answers)
    record.write(phase.gate)
    selection = SelectionRecord.read_if_there(phase.selection)
    report = _current_integration(phase, selection)
    manifest = Manifest.read_if_there(phase.manifest)
    write_text_atomic(phase.gate_page, gate_page(phase, record, manifest, selection, report))
    for criterion in record.criteria:
        if criterion.id in (answers or {}) and criterion.answer is not None:
            evidence = f"{criterion.finding}: {criterion.why} [{criterion.threshold}; {criterion.convention}]"
            phase.record_decision(
                Decision(
                    unix_s=record.unix_s,
                    question=f"gate 4, {criterion.id}: {criterion.question}",
                    evidence=evidence,
                    answer=criterion.answer,
                    note=criterion.note,
                )
            )
    return record


def _current_integration(phase: PhaseDir, selection: SelectionRecord | None) -> IntegrationReport | None:
    """The integration of the model that is selected now; that of another model proves nothing about it."""
    report = IntegrationReport.read_if_there(phase.integration)
    if report is None or (selection is not None and selection.model != report.model):
        return None
    return report


def _evidence(report: IntegrationReport, config: PhaseConfig) -> Evidence:
    comparison = report.comparison
    at_collar = [item for item in report.der if math.isclose(item.collar_s, config.gate.der_collar_s)]
    der = next(iter(at_collar or report.der), None)
    mae_interval = comparison.intervals.get("mae_ms")
    return Evidence(
        simulated=report.evidence == "simulated",
        recordings=tuple(item.recording for item in report.recordings),
        trained_on=frozenset(report.trained_on),
        diarizer_trained_on=frozenset(config.gate.diarizer_trained_on),
        mae_ms=Measured(
            comparison.before.mae_ms, comparison.after.mae_ms, None if mae_interval is None else Interval(*mae_interval)
        ),
        recall=comparison.before.recall,
        window_s=comparison.before.window_s,
        der=Measured(None, None, None) if der is None else Measured(der.before.der, der.after.der, Interval(*der.interval)),
        collar_s=config.gate.der_collar_s if der is None else der.collar_s,
    )


def thresholds_of(gate: GateConfig) -> Thresholds:
    """The recipe's `[gate]` as the values that `core.gate` judges with."""
    return Thresholds(
        mae_ms=gate.mae_ms,
        window_s=gate.window_s,
        der_relative=gate.der_relative,
        der_collar_s=gate.der_collar_s,
        der_target=gate.der_target,
        min_recordings=gate.min_recordings,
        min_recall=gate.min_recall,
    )


def _earlier_answers(phase: PhaseDir) -> dict[CriterionId, Answer]:
    earlier = GateRecord.read_if_there(phase.gate)
    if earlier is None:
        return {}
    return {CriterionId(item.id): Answer(item.answer == "yes", item.note) for item in earlier.criteria if item.answer is not None}


def _criterion(name: str) -> CriterionId:
    try:
        return CriterionId(name)
    except ValueError:
        known = ", ".join(item.value for item in CriterionId)
        raise ConfigError("the gate has no such criterion", where="--answer", expected=known, got=name) from None


def _to_record(finding: Finding) -> GateCriterion:
    criterion, answer = finding.criterion, finding.answer
    return GateCriterion(
        id=criterion.id.value,
        question=criterion.question,
        threshold=criterion.threshold,
        value=finding.value,
        interval=None if finding.interval is None else (finding.interval.low, finding.interval.high),
        n_recordings=finding.n_recordings,
        convention=criterion.convention,
        finding=finding.outcome.value,
        why=finding.why,
        answer=None if answer is None else "yes" if answer.yes else "no",
        note=None if answer is None else answer.note,
    )
