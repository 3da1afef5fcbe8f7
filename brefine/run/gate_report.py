"""Gate 4 of a phase: gathers its evidence, judges it, takes answers, and writes the record.

`core.gate` makes the judgement. This module reads what the integration measured and what the person has answered so far, and
writes `gate4.json`, `gate4.md`, `verdicts.jsonl` and `decisions.jsonl`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields

from pydantic import ValidationError

from brefine.config import GateConfig, PhaseConfig, prepared_corpus_path
from brefine.core.bootstrap import LEAST_RECORDINGS
from brefine.core.figures import milliseconds, percent
from brefine.core.gate import Answer, CriterionId, Evidence, Finding, Thresholds, judge
from brefine.core.kinship import crowding
from brefine.errors import ConfigError, FormatError, printable
from brefine.io.atomic import write_text_atomic
from brefine.io.lock import held
from brefine.phasedir import (
    CORPUS_FILE,
    Comparison,
    CorpusManifest,
    Decision,
    GateCriterion,
    GateRecord,
    IntegrationReport,
    Manifest,
    PhaseDir,
)
from brefine.run.gate_evidence import (
    GateAudio,
    GateFiles,
    evidence_of,
    notes_on_corpus,
    notes_on_hypotheses,
    notes_on_weights,
)
from brefine.run.gate_looks import notes_on_looks
from brefine.run.gate_page import gate_page
from brefine.run.gate_verdicts import Verdicts
from brefine.run.tables import amount_text, utc_text

_MOST_OF_ONE = 1 / 3
"""Largest share of the errors or of the speech that one recording may have; `core.bootstrap` says what uneven recordings do to an
interval."""


def judge_phase(phase: PhaseDir) -> GateRecord:
    """Judges what can be judged, with the earlier answers; writes nothing."""
    return _Case.of(phase, GateFiles.of(phase)).judged({})


def write_gate(phase: PhaseDir, answers: Mapping[str, Answer] | None = None) -> GateRecord:
    """Judges, and writes `gate4.json`, `gate4.md` and one line of `decisions.jsonl` for each new answer.

    Writers wait for each other before they read any file, so an answer that is given while another writer scores is not lost.

    Args:
        answers: criterion id → answer; they replace earlier ones.

    Raises:
        ConfigError: an id is not that of a criterion.
        OSError: a file cannot be written; if it is verdicts.jsonl, the record and its page have been written.
    """
    with held(phase.gate_lock):
        return _write(phase, GateFiles.of(phase), {_criterion(name): answer for name, answer in (answers or {}).items()})


def _write(phase: PhaseDir, files: GateFiles, answers: Mapping[CriterionId, Answer]) -> GateRecord:
    case = _Case.of(phase, files)
    shown, record = case.judged({}), case.judged(answers)
    for before, criterion in zip(shown.criteria, record.criteria, strict=True):
        if criterion.id in answers and criterion.answer is not None:
            evidence = f"{before.finding}: {before.why} [{before.threshold}; {before.convention}]"
            phase.record_decision(
                Decision(
                    unix_s=record.unix_s,
                    question=f"gate 4, {criterion.id}: {criterion.question}",
                    evidence=evidence,
                    answer=criterion.answer,
                    note=criterion.note,
                    criterion=criterion.id,
                    evidence_seal=_seal(files.report),
                )
            )
    record.write(phase.gate)
    write_text_atomic(phase.gate_page, gate_page(phase, record, _manifest(phase)[0], files.selection, files.report))
    case.verdicts.file(phase, record.filed())  # last: until then gate4.json has what it lacks; a stale gate4.json would mislead
    return record


@dataclass(frozen=True, slots=True)
class _Case:
    """What the gate judges. It is gathered and scored once, and judged twice: as the person was shown it, and with new answers.

    Attributes:
        given: earlier answers that count.
        stale: criterion → a note on its earlier answer, which does not count.
        notes: what a reader of the verdict must know, whatever the answers are.
        verdicts: the verdicts that were written down before.
    """

    thresholds: Thresholds
    evidence: Evidence | None
    files: GateFiles
    given: Mapping[CriterionId, Answer]
    stale: Mapping[str, str]
    notes: tuple[str, ...]
    verdicts: Verdicts

    @classmethod
    def of(cls, phase: PhaseDir, files: GateFiles) -> _Case:
        config, notes, faults = _agreed(phase)
        decisions = phase.decision_lines()
        given, stale = _earlier_answers(phase, decisions.after_loss, files.report)
        manifest = CorpusManifest.read_if_sound(prepared_corpus_path(config) / CORPUS_FILE)
        audio = GateAudio.of(config, manifest) if files.report is not None else GateAudio()
        evidence = evidence_of(phase, config, files, manifest, audio, faults)
        verdicts = Verdicts.of(phase)
        return cls(
            thresholds=thresholds_of(config.gate),
            evidence=evidence,
            files=files,
            given=given,
            stale=stale,
            notes=(
                *notes,
                *notes_on_corpus(config, manifest),
                *notes_on_hypotheses(evidence),
                *notes_on_weights(phase, config, files.report),
                *audio.notes(),
                *_left_out(files.report),
                *_met_before(files.report, config.gate),
                *_company(config, manifest),
                *_weight(files.report),
                *notes_on_looks(phase, files.report),
                *([] if decisions.loss is None else [f"{decisions.loss}; answers from before that do not count"]),
                *verdicts.notes(),
                *_edited(phase),
            ),
            verdicts=verdicts,
        )

    def judged(self, answers: Mapping[CriterionId, Answer]) -> GateRecord:
        """The record with these answers, which replace earlier ones."""
        given = {**self.given, **answers}
        missing = {} if self.files.problem is None else {"missing": self.files.problem}
        verdict = judge(self.evidence, self.thresholds, given, **missing)
        report, selection = self.files.report, self.files.selection
        winner = report.model if report is not None else None if selection is None else selection.model
        asked_anew = [note for criterion, note in self.stale.items() if criterion not in given]
        record = GateRecord(
            verdict=verdict.verdict,
            evidence=None if self.evidence is None else "simulated" if self.evidence.simulated else "real",
            winner=winner,
            criteria=[criterion_record(finding) for finding in verdict.findings],
            notes=[*self.notes, *asked_anew],
            recommendation=verdict.recommendation,
            unix_s=time.time(),
            integration_seal=_seal(report),
            selection_seal=None if selection is None else selection.seal,
        )
        return record.model_copy(update={"earlier": self.verdicts.before(record.filed())})


# --- what was agreed, what was answered -----------------------------------------------------------------------------------


def _agreed(phase: PhaseDir) -> tuple[PhaseConfig, list[str], list[str]]:
    """The recipe with the [gate] of the launch, a note on each threshold that differs now, and faults if that [gate] is unknown.

    A threshold that is changed once figures are known has no effect. Recordings that the diarizer was trained on may be added.
    """
    config = phase.load_config()
    agreed, problem = _thresholds_of_launch(phase)
    if agreed is None:
        return config, [], [f"{problem}: what was agreed at the launch is not known"]
    now, then = config.gate.model_dump(), agreed.model_dump()
    trained_on = tuple(sorted({*now.pop("diarizer_trained_on"), *then.pop("diarizer_trained_on")}))
    notes = [
        f"gate.{key} was changed after the launch ({then[key]:g} → {now[key]:g}); judged by {then[key]:g}"
        for key in then
        if now[key] != then[key]
    ]
    gate = agreed.model_copy(update={"diarizer_trained_on": trained_on})
    return config.model_copy(update={"gate": gate}), notes, []


def _thresholds_of_launch(phase: PhaseDir) -> tuple[GateConfig | None, str]:
    """The [gate] in the manifest; None, and the reason, if there is none."""
    manifest, problem = _manifest(phase)
    if manifest is None:
        return None, problem
    try:
        return GateConfig.model_validate_json(json.dumps(manifest.gate)), ""
    except ValidationError:
        return None, f"{phase.manifest.name}: its [gate] is not one that this version knows"


def _manifest(phase: PhaseDir) -> tuple[Manifest | None, str]:
    """The manifest; None, and the reason, if there is none."""
    try:
        return Manifest.read(phase.manifest), ""
    except FileNotFoundError:
        return None, f"{phase.manifest.name} is missing"
    except FormatError as error:
        return None, f"{phase.manifest.name}: {error.what}"


def _earlier_answers(
    phase: PhaseDir, decisions: Iterable[Decision], report: IntegrationReport | None
) -> tuple[dict[CriterionId, Answer], dict[str, str]]:
    """The last answer to each criterion, if it was given on this evidence; and a note on each answer that was given on other
    evidence, or to a criterion that the gate does not have.

    Answers are read from decisions.jsonl, of which `gate4.json` has only a copy. If lines of it cannot be read, the caller passes
    the decisions after the last such line: what is lost may have taken back an answer.
    """
    given: dict[CriterionId, Answer] = {}
    stale: dict[str, str] = {}
    for decision in decisions:
        if decision.criterion is None:
            continue
        if decision.criterion not in list(CriterionId):
            name, answer = printable(decision.criterion), printable(decision.answer)
            stale[name] = f"{name}: the gate has no such criterion; the {answer} to it in {phase.decisions.name} is ignored"
            continue
        criterion = _criterion(decision.criterion)
        given.pop(criterion, None)
        stale.pop(criterion, None)
        if decision.evidence_seal == _seal(report):
            given[criterion] = Answer(decision.answer == "yes", decision.note)
        else:
            when = utc_text(decision.unix_s)
            stale[criterion] = f"{criterion}: the {decision.answer} of {when} was given on other evidence; it is asked again"
    return given, stale


def _seal(report: IntegrationReport | None) -> str | None:
    return None if report is None else report.seal


def _left_out(report: IntegrationReport | None) -> Iterator[str]:
    if report is not None and report.scored is None:
        yield "an earlier version integrated, whose intervals are too narrow where recordings are few; integrate again"
    if report is not None and report.comparison.counts_cuts:
        yield _counted_cuts(report.comparison)
    if report is not None and report.scored is not None and report.scored.is_limited:
        n = report.scored.n_left_out
        ends = "" if n is None else f", ends of reference speech there: {n:,}"
        yield (
            f"a UEM limits what is scored to {amount_text(report.scored)} of the gate split "
            f"({report.scored.left_out_s:.1f} s left out{ends}); the verdict is about that alone"
        )


def _counted_cuts(comparison: Comparison) -> str:
    """The figures of an earlier version without the ends that the cut of recordings has made."""
    wholes = (comparison.before, comparison.after)
    cuts = [figures.by_kind["edge"] for figures in wholes]
    n_matched, n_reference = (getattr(wholes[0], key) - getattr(cuts[0], key) for key in ("n_matched", "n_reference"))
    spoken_ms = [
        (whole.n_matched * (whole.mae_ms or 0.0) - cut.n_matched * (cut.mae_ms or 0.0)) / n_matched if n_matched else None
        for whole, cut in zip(wholes, cuts, strict=True)
    ]
    return (
        f"an earlier version integrated, and counted {cuts[0].n_reference:,} boundaries that the cut of recordings has made: "
        f"without them the MAE is {' → '.join(map(milliseconds, spoken_ms))}, the recall "
        f"{percent(n_matched / n_reference if n_reference else None)}; integrate again"
    )


def _met_before(report: IntegrationReport | None, gate: GateConfig) -> Iterator[str]:
    if report is None:
        return
    before_ms, after_ms = report.comparison.before.mae_ms, report.comparison.after.mae_ms
    if before_ms is not None and after_ms is not None and max(before_ms, after_ms) < gate.mae_ms:
        yield (
            f"the MAE was below {gate.mae_ms:g} ms before refinement, too ({before_ms:.1f} ms): being below says nothing about "
            f"the refiner, only the change does"
        )


def _company(config: PhaseConfig, manifest: CorpusManifest | None) -> Iterator[str]:
    """A note if real recordings behind the gate share speakers, which no interval allows for."""
    real = [] if manifest is None else [one.speakers for one in manifest.gate if not one.simulated]
    crowd = crowding(real, config.corpus.local_speaker_names)
    if crowd is not None:
        yield f"behind the gate are {crowd}"


def _weight(report: IntegrationReport | None) -> Iterator[str]:
    """A note if one recording has so large a share of what is counted that intervals over recordings are too narrow."""
    changes = [] if report is None else report.recordings
    if len(changes) < LEAST_RECORDINGS:
        return
    for what, amounts_s in (
        ("the errors before", [one.error_before_s or 0.0 for one in changes]),
        ("the reference speech", [one.reference_speech_s or 0.0 for one in changes]),
    ):
        most_s, whole_s = max(amounts_s), sum(amounts_s)
        if most_s > _MOST_OF_ONE * whole_s:
            name = printable(changes[amounts_s.index(most_s)].recording)
            yield f"{name} alone has {percent(most_s / whole_s, 0)} of {what}: intervals over such recordings hold less than 95 %"


def _edited(phase: PhaseDir) -> Iterator[str]:
    try:
        GateRecord.read_if_there(phase.gate)
    except FormatError as error:
        yield f"{phase.gate.name}: {error.what}; what it said does not count"


# --- the recipe and the record ---------------------------------------------------------------------------------------------


def thresholds_of(gate: GateConfig) -> Thresholds:
    """The recipe's `[gate]` as the values that `core.gate` judges with."""
    return Thresholds(**{field.name: getattr(gate, field.name) for field in fields(Thresholds)})


def _criterion(name: str) -> CriterionId:
    try:
        return CriterionId(name)
    except ValueError:
        known = ", ".join(item.value for item in CriterionId)
        raise ConfigError("the gate has no such criterion", where="--answer", expected=known, got=name) from None


def criterion_record(finding: Finding) -> GateCriterion:
    """A finding as the gate's file stores it."""
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
