"""The phase directory: every path and every JSON schema, in one place for writers and readers.

    runs/<utc>-phase3/
      phase.toml  manifest.json  supervisor.json  decisions.jsonl  alerts.jsonl  alerts.sent  supervisor.log
      control/<nanoseconds>-<action>[-<model>].json            requests, consumed atomically by the supervisor
      progress/<stage>.json  logs/<stage>.log                  prepare, evaluate, integrate
      jobs/<model or stage>.json  <model or stage>.word.json   on a cluster: what the scheduler says of a job, and its node
      <model>/status.json  events.out.tfevents.*  train.log  checkpoints/{last,best}.{safetensors,json}  last.state
      evaluation/<model>/<split>.json  <split>.boundaries.csv  <split>.posteriors.npz    of `best`
      evaluation/<model>/<split>@<checkpoint>.json  …                                   of another checkpoint
      selection.json  integration.json  integration/<recording>.rttm  gate4.json  gate4.md  report.html

One writer a file. All but events and logs are replaced atomically. Every JSON document carries `"schema"`. A reader ignores
keys that it does not know and refuses a schema that it does not know.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from brefine.config import MODEL_NAMES, ModelName, PhaseConfig, load_config
from brefine.errors import BrefineError, FormatError
from brefine.identity import ProcessIdentity
from brefine.io.atomic import append_line, open_no_link, read_json, write_json_atomic
from brefine.io.filenames import file_stem
from brefine.io.jsontext import parse_json

SCHEMA: Final = 1

_MOST_DECISIONS_BYTES: Final = 16 << 20

UnixTime = Annotated[float, Field(ge=0.0, le=1e11)]
"""Seconds since 1970; later than the year 5000 is no time that a clock can have told."""


class Tag(StrEnum):
    """The scalars of a training, as named in its TensorBoard event files. `step` counts optimiser steps."""

    LOSS = "train/loss"
    LEARNING_RATE = "train/learning_rate"
    GRADIENT_NORM = "train/gradient_norm"
    EXAMPLES_PER_S = "train/examples_per_s"
    EPOCH = "train/epoch"
    VALIDATION_LOSS = "validation/loss"
    VALIDATION_MAE_MS = "validation/mae_ms"
    VALIDATION_MEDIAN_MS = "validation/median_ms"
    WITHIN_50MS = "validation/within_50ms"
    WITHIN_100MS = "validation/within_100ms"
    WITHIN_200MS = "validation/within_200ms"
    UNREFINED_MAE_MS = "validation/unrefined_mae_ms"
    DEVICE_MEMORY_BYTES = "system/device_memory_bytes"
    NONFINITE = "train/nonfinite"
    """Words, not a curve: what was caught, and every example of its batch."""


class RunState(StrEnum):
    """What a trainer says of itself. STALLED and LOST are derived by readers, never written."""

    PENDING = "pending"
    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    FINISHED = "finished"
    FAILED = "failed"
    NONFINITE = "nonfinite"


class Stage(StrEnum):
    """Stations of the road, in order. Training and the person's decisions have files of their own."""

    PREPARE = "prepare"
    TRAIN = "train"
    EVALUATE = "evaluate"
    INTEGRATE = "integrate"


class Document(BaseModel):
    """A JSON file of a phase directory."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, defer_build=True, allow_inf_nan=False)

    version: Annotated[Literal[1], Field(alias="schema")] = SCHEMA

    def write(self, path: Path) -> None:
        """Replaces the file atomically."""
        write_json_atomic(path, self.to_json())

    def to_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json", by_alias=True)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads and checks the file.

        Raises:
            FormatError: it is not JSON, has another schema, or lacks a key.
            FileNotFoundError: there is no such file.
        """
        tree = read_json(path)
        found = tree.get("schema") if isinstance(tree, dict) else None
        if found != SCHEMA:
            raise FormatError(
                "the file has another schema",
                where=path,
                expected=f'"schema": {SCHEMA}',
                got=repr(found),
                hint="it was written by another version of brefine; open the phase with that version",
            )
        try:
            return cls.model_validate(tree)
        except ValidationError as error:
            problems = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors(include_url=False)]
            raise FormatError(f"this is not a valid {cls.__name__}", where=path, problems=problems) from None

    @classmethod
    def read_if_there(cls, path: Path) -> Self | None:
        """Like `read`, but None where there is no such file."""
        try:
            return cls.read(path)
        except FileNotFoundError:
            return None


class SealedDocument(Document):
    """A file that a verdict rests on: it carries a digest of itself, so that nothing written by hand is taken for measured."""

    seal: str | None = None

    def to_json(self) -> dict[str, Any]:
        tree = super().to_json()
        return {**tree, "seal": _seal_of(tree)}

    @classmethod
    def read(cls, path: Path) -> Self:
        found = super().read(path)
        if found.seal != _seal_of(read_json(path)):
            raise FormatError(
                "the file was changed after brefine had written it",
                where=path,
                expected="the seal of its content",
                got=found.seal or "no seal",
                hint="let brefine write it anew",
            )
        return found


def _seal_of(tree: dict[str, Any]) -> str:
    content = {key: value for key, value in tree.items() if key != "seal"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class Part(BaseModel):
    """A piece of a document."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, defer_build=True, allow_inf_nan=False)


# --- written by the launcher -----------------------------------------------------------------------------------------


class Manifest(SealedDocument):
    """What was started, by whom, from which code and data. Written once."""

    phase: str
    created_unix_s: UnixTime
    argv: list[str]
    git_commit: str | None
    git_dirty: bool | None
    versions: dict[str, str]
    """Package → version, of brefine and what decides its results."""
    seed: int
    models: list[ModelName]
    corpus: str
    """The prepared corpus folder, absolute."""
    price_usd_per_hour: float
    priced_on: str | None
    gate: dict[str, Any]
    """The recipe's [gate] at the launch: what was agreed before there was anything to see."""


# --- written by the supervisor ---------------------------------------------------------------------------------------


class SupervisorState(Document):
    """The supervisor's own word; whether it is alive is for the reader to find out from `process` and `heartbeat_unix_s`."""

    process: ProcessIdentity
    stage: Stage
    state: Literal["running", "finished", "failed", "stopped", "budget"]
    started_unix_s: UnixTime
    heartbeat_unix_s: UnixTime
    restarts: dict[str, int] = {}
    """Model → how often its trainer was restarted."""
    paused: list[ModelName] = []
    """Models that the person paused: their trainers are checkpointed and gone until they are resumed."""
    error: str | None = None


AlertKind = Literal[
    "nonfinite", "corrupt-events", "stalled", "crashed", "lost", "out-of-memory", "diverging", "slow", "disk-full", "budget",
    "idle-burn", "requeued", "cancelled", "scheduler",
]  # fmt: skip
AlertLevel = Literal["info", "warning", "error"]


class Alert(Document):
    """One line of alerts.jsonl. `id` is stable, so that one cause is told once."""

    id: str
    level: AlertLevel
    kind: AlertKind
    model: str | None = None
    step: int | None = None
    text: str
    unix_s: UnixTime


class ControlRequest(Document):
    """A wish of the person, one file each in control/, deleted by the supervisor when it has acted."""

    action: Literal["stop", "pause", "resume", "restart"]
    model: ModelName | None = None
    """None = all models."""
    unix_s: UnixTime


class JobRecord(Document):
    """A job of a cluster, as its scheduler sees it; written by whoever has submitted it, as long as that lives."""

    name: str
    """The model or the stage."""
    job_id: str
    state: str
    """The scheduler's own word: PENDING, RUNNING, COMPLETED, TIMEOUT, …"""
    waits: bool
    is_over: bool
    reason: str | None = None
    """Why it waits or ended, in the scheduler's words: Resources, Priority, …"""
    node: str | None = None
    price_usd_per_hour: float = 0.0
    """Of its allocation."""
    unix_s: UnixTime


# --- written by a job on its node ----------------------------------------------------------------------------------------


class JobWord(Document):
    """What the node says of the command that it runs for a job."""

    job_id: str
    restarts: int
    """How often the scheduler had started this job before."""
    process: ProcessIdentity
    code: int | None = None
    """The command's exit code, negative for a signal; None while it runs."""
    asked: Literal["time limit", "terminate"] | None = None
    """What the scheduler has sent it."""
    unix_s: UnixTime


# --- written by prepare, in the prepared corpus's own folder ----------------------------------------------------------------

SPLITS: Final = ("train", "validation", "gate")


def _file_stem(name: str) -> str:
    """Files are named after a recording wherever it goes: a name that leads out of its folder is refused at once."""
    try:
        return file_stem(name)
    except FormatError as error:
        raise ValueError(f"no file can be named after this recording: {error.got}") from None


class CorpusRecording(Part):
    """One recording of a prepared corpus. Paths are relative to corpus.json's folder, or absolute where they lie elsewhere."""

    name: Annotated[str, AfterValidator(_file_stem)]
    audio: str
    reference: str
    hypothesis: str
    duration_s: float
    regions_s: list[tuple[float, float]]
    """What is scored; the whole recording where no UEM says otherwise."""
    speakers: list[str]
    """Who speaks: names of voices where brefine made the audio, else the reference's names, unique only within it."""
    simulated: bool = False
    """brefine made the audio."""
    replayed: bool = False
    """The hypothesis is measured errors drawn anew, which know nothing of the audio."""


class CorpusManifest(Document):
    """corpus.json: what a phase trains, validates and gates on. Written last, so its presence means that all is there."""

    title: str
    """`simulated conversations`, `VoxConverse dev→test`."""
    evidence: Literal["real", "simulated"]
    hypothesis_source: str
    splits: dict[str, list[CorpusRecording]]
    """train, validation, gate → recordings."""

    def fingerprint(self) -> str:
        """A digest of what is in which split, and of what kind; the same wherever the files lie."""
        kept = {"name", "duration_s", "regions_s", "simulated", "replayed"}
        content = {name: [one.model_dump(mode="json", include=kept) for one in own] for name, own in self.splits.items()}
        return hashlib.sha256(json.dumps([self.evidence, content], sort_keys=True).encode()).hexdigest()


# --- written by the stage processes (prepare, evaluate, integrate) -----------------------------------------------------


class Progress(Document):
    """How far a stage is. The last one written has `state` finished or failed."""

    stage: Stage
    state: Literal["running", "finished", "failed"]
    step: str
    """What is being done, for people: `simulating conversations`."""
    done: int
    total: int
    started_unix_s: UnixTime
    unix_s: UnixTime
    process: ProcessIdentity
    error: str | None = None


# --- written by a trainer --------------------------------------------------------------------------------------------


class Validation(Part):
    """One pass over the validation examples (matched boundaries within the model's context)."""

    step: int
    epoch: int
    loss: float | None
    mae_ms: float | None
    median_ms: float | None
    within_50ms: float | None
    within_100ms: float | None
    within_200ms: float | None


class RunStatus(Document):
    """A trainer's word about itself."""

    model: ModelName
    state: RunState
    process: ProcessIdentity
    step: int
    n_steps: int
    epoch: int
    n_epochs: int
    started_unix_s: UnixTime
    heartbeat_unix_s: UnixTime
    device: str
    loss: float | None = None
    examples_per_s: float | None = None
    steps_per_s: float | None = None
    eta_s: float | None = None
    unrefined_mae_ms: float | None = None
    """MAE of the same validation examples when nothing is moved."""
    last: Validation | None = None
    best: Validation | None = None
    n_nonfinite: int = 0
    nonfinite_batch: list[str] = []
    """The examples of the last batch that was not finite: `ES2011a at 3.20 s`, hypothesised times."""
    message: str | None = None
    """What the person should know now: `rolled back to step 9,400 (non-finite gradient)`."""
    error: str | None = None


class CheckpointCard(Document):
    """The metrics beside the weights: nobody needs torch to choose a checkpoint."""

    model: ModelName
    n_parameters: int
    validation: Validation | None
    weights_sha256: str
    config: dict[str, Any]
    """The sections that rebuild the model and its inputs: features, examples."""
    members: list[ModelName] = []
    """The architectures of an ensemble, of which `model` is the first; none = a single model."""
    prior: dict[str, float] = {}
    """Decoding constants fitted on the validation split, e.g. scale_s, onset_bias_s, offset_bias_s."""
    corpus_sha256: str | None = None
    """Fingerprint of the prepared corpus that it was trained on."""


# --- written by evaluate and integrate ----------------------------------------------------------------------------------


class BoundaryFigures(Part):
    """The boundary figures of ARCHITECTURE's section 4, always shown together. Rates 0–1; None where nothing matched."""

    window_s: float
    n_reference: int
    n_hypothesis: int
    n_matched: int
    recall: float | None
    precision: float | None
    mae_ms: float | None
    median_ms: float | None
    p90_ms: float | None
    bias_ms: float | None
    within_50ms: float | None
    within_100ms: float | None
    within_200ms: float | None
    capped_mean_ms: float | None
    by_side: dict[str, BoundaryFigures] = {}
    by_kind: dict[str, BoundaryFigures] = {}


class BoundaryRow(Part):
    """One matched boundary before and after, in seconds; a row of `<split>.boundaries.csv`."""

    recording: str
    speaker: str
    side: Literal["onset", "offset"]
    kind: Literal["pause", "change", "overlap", "edge"]
    reference_s: float
    hypothesis_s: float
    refined_s: float
    confidence: float


class Comparison(Part):
    """Before against after, on the pairs that were matched before refinement."""

    before: BoundaryFigures
    after: BoundaryFigures
    intervals: dict[str, tuple[float, float]]
    """95 % paired bootstrap over recordings: mae_ms, median_ms, within_50ms, …, of `after`; `mae_change_ms` = after − before."""
    improved: int
    worsened: int
    unchanged: int
    """Boundaries whose absolute error fell by more than 1 ms, rose by more than 1 ms, or neither."""
    good_harm_ms: float | None
    """Mean change of the absolute error of boundaries that were within 50 ms before."""


class CalibrationBin(Part):
    confidence: float
    n: int
    within_100ms: float


class Speed(Part):
    device: str
    boundaries_per_s: float
    seconds_per_audio_hour: float


class WindowFigures(Part):
    """What another matching cap would have said."""

    window_s: float
    recall: float | None
    mae_before_ms: float | None
    mae_after_ms: float | None
    capped_mean_before_ms: float | None
    capped_mean_after_ms: float | None


class RecordingBoundaries(Part):
    """One recording's boundaries, at the report's cap."""

    recording: str
    n_reference: int
    n_matched: int
    mae_before_ms: float | None
    mae_after_ms: float | None
    capped_mean_before_ms: float | None
    capped_mean_after_ms: float | None


class EvaluationReport(SealedDocument):
    """One model on one split."""

    model: ModelName
    split: Literal["validation", "gate"]
    evidence: Literal["real", "simulated"]
    hypothesis_source: str
    checkpoint: str = "best"
    """best, last, or for a file its stem and the start of its weights' digest."""
    checkpoint_step: int
    weights_sha256: str
    refine: dict[str, Any]
    """The recipe's [refine] with which boundaries were moved."""
    n_recordings: int
    recordings: list[str]
    comparison: Comparison
    before_abs_error_quantiles_ms: list[float]
    after_abs_error_quantiles_ms: list[float]
    """101 quantiles, 0 to 100 %, of the absolute error: the CDFs of the dashboard."""
    at_windows: list[WindowFigures] = []
    by_recording: list[RecordingBoundaries] = []
    calibration: list[CalibrationBin]
    expected_calibration_error: float | None
    speed: Speed
    speed_on_cpu: Speed | None = None
    """Where `speed` is that of a GPU: one recording on the CPU beside it."""
    unix_s: UnixTime


class DerFigures(Part):
    """Diarization error of a corpus. Times in seconds, `der` a fraction."""

    collar_s: float
    der: float
    missed_s: float
    false_alarm_s: float
    confusion_s: float
    reference_speech_s: float


class DerComparison(Part):
    collar_s: float
    before: DerFigures
    after: DerFigures
    relative: float
    """1 − after/before, positive = better; 0 where before is 0."""
    interval: tuple[float, float]
    """95 % paired bootstrap over recordings of `relative`."""


class RecordingChange(Part):
    """One recording: DER at collar 0 with overlap scored, JER, and the MAE of its matched boundaries."""

    recording: str
    der_before: float
    der_after: float
    jer_before: float | None = None
    jer_after: float | None = None
    mae_before_ms: float | None = None
    mae_after_ms: float | None = None


class SelectionRecord(SealedDocument):
    """Which model goes on, who said so, and why."""

    model: ModelName
    recommended: ModelName
    reason: str
    """The rule's reason for its recommendation."""
    override_reason: str | None = None
    """The person's reason, where `model` is not the recommended one."""
    chosen_by: Literal["person", "rule"]
    unix_s: UnixTime


class Look(Part):
    """One scoring of the gate split."""

    model: ModelName
    weights_sha256: str
    refine: dict[str, Any]
    """The recipe's [refine] with which boundaries were moved."""
    unix_s: UnixTime


class IntegrationReport(SealedDocument):
    """The chosen model behind the diarizer on the gate split."""

    model: ModelName
    weights_sha256: str
    refine: dict[str, Any]
    """The recipe's [refine] with which boundaries were moved."""
    trained_corpus_sha256: str | None
    """Fingerprint of the corpus on which these weights were trained; None where they do not tell."""
    corpus_sha256: str
    """Fingerprint of the corpus whose gate split this is."""
    turns_sha256: str
    """Digest of the gate split's references, hypotheses and refined turns; see `PhaseDir.gate_turns`."""
    looks: list[Look]
    """Every integration so far, one for each set of weights and settings, this one last."""
    split: Literal["gate"]
    evidence: Literal["real", "simulated"]
    hypothesis_source: str
    n_recordings: int
    recordings: list[RecordingChange]
    trained_on: list[str]
    """Every recording that training or validation has seen."""
    comparison: Comparison
    der: list[DerComparison]
    """At collar 0 and 0.25, overlap scored: what the gate judges."""
    der_without_overlap: list[DerComparison] = []
    """The same where several reference speakers at once are left out."""
    jer_before: float
    jer_after: float
    jer_interval: tuple[float, float] | None = None
    """95 % paired bootstrap over recordings of the relative improvement of the JER."""
    n_boundaries: int
    n_moved: int
    unix_s: UnixTime


# --- written by the gate ------------------------------------------------------------------------------------------------


class GateCriterion(Part):
    """One line of the checklist: what was found, and what the person answered."""

    id: Literal["mae", "der", "der-target", "go-on"]
    question: str
    threshold: str
    value: float | None
    interval: tuple[float, float] | None
    n_recordings: int | None
    convention: str
    finding: Literal["met", "not-met", "unknown"]
    why: str
    answer: Literal["yes", "no"] | None = None
    note: str | None = None


class GateRecord(SealedDocument):
    gate: Literal[4] = 4
    verdict: Literal["pass", "fail", "open"]
    evidence: Literal["real", "simulated"] | None
    winner: ModelName | None
    criteria: list[GateCriterion]
    notes: list[str] = []
    """What a reader of the verdict has to know beside the findings: changed thresholds, answers that no longer count, …"""
    recommendation: str
    unix_s: UnixTime


class Decision(Document):
    """One line of decisions.jsonl: a question, the evidence that was shown, and the answer."""

    unix_s: UnixTime
    question: str
    evidence: str
    answer: str
    note: str | None = None
    criterion: str | None = None
    """The gate's criterion that was answered."""
    evidence_seal: str | None = None
    """Seal of the integration that was shown; None = there was none."""


# --- paths ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RunDir:
    """One training's folder."""

    path: Path

    @property
    def status(self) -> Path:
        return self.path / "status.json"

    @property
    def log(self) -> Path:
        return self.path / "train.log"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    def weights(self, name: Literal["last", "best"]) -> Path:
        return self.checkpoints / f"{name}.safetensors"

    def card(self, name: Literal["last", "best"]) -> Path:
        return self.checkpoints / f"{name}.json"

    @property
    def training_state(self) -> Path:
        return self.checkpoints / "last.state"


@dataclass(frozen=True, slots=True)
class PhaseDir:
    """One phase's folder."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "phase.toml"

    @property
    def manifest(self) -> Path:
        return self.path / "manifest.json"

    @property
    def supervisor(self) -> Path:
        return self.path / "supervisor.json"

    @property
    def supervisor_log(self) -> Path:
        return self.path / "supervisor.log"

    @property
    def decisions(self) -> Path:
        return self.path / "decisions.jsonl"

    @property
    def alerts(self) -> Path:
        return self.path / "alerts.jsonl"

    @property
    def alerts_sent(self) -> Path:
        """The ids of the alerts that have left for the person's services, one a line."""
        return self.path / "alerts.sent"

    @property
    def control(self) -> Path:
        return self.path / "control"

    def run(self, model: ModelName) -> RunDir:
        return RunDir(self.path / model)

    def progress(self, stage: Stage) -> Path:
        return self.path / "progress" / f"{stage}.json"

    def stage_log(self, stage: Stage) -> Path:
        return self.path / "logs" / f"{stage}.log"

    def job(self, name: str) -> Path:
        return self.path / "jobs" / f"{name}.json"

    def job_word(self, name: str) -> Path:
        return self.path / "jobs" / f"{name}.word.json"

    def evaluation(self, model: ModelName, split: str, checkpoint: str = "best") -> Path:
        return self.path / "evaluation" / model / f"{_of_checkpoint(split, checkpoint)}.json"

    def heard(self, model: ModelName) -> Path:
        """Where the tasks of an array leave what a model says of recordings, until the evaluation has taken it in."""
        return self.path / "evaluation" / model / "heard"

    def boundaries(self, model: ModelName, split: str, checkpoint: str = "best") -> Path:
        return self.path / "evaluation" / model / f"{_of_checkpoint(split, checkpoint)}.boundaries.csv"

    def posteriors(self, model: ModelName, split: str) -> Path:
        """Where the model puts each boundary, as `evaluate.posterior` writes it on demand."""
        return self.path / "evaluation" / model / f"{split}.posteriors.npz"

    @property
    def selection(self) -> Path:
        return self.path / "selection.json"

    @property
    def integration(self) -> Path:
        return self.path / "integration.json"

    @property
    def refined(self) -> Path:
        """Folder of the refined RTTMs of the gate split."""
        return self.path / "integration"

    def gate_turns(self, corpus: Path, manifest: CorpusManifest) -> list[Path]:
        """Every file of turns that the gate's figures rest on: reference, hypothesis and refined, recording by recording."""
        return [
            path
            for one in manifest.splits["gate"]
            for path in (corpus / one.reference, corpus / one.hypothesis, self.refined / f"{one.name}.rttm")
        ]

    @property
    def gate(self) -> Path:
        return self.path / "gate4.json"

    @property
    def gate_page(self) -> Path:
        return self.path / "gate4.md"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    def load_config(self) -> PhaseConfig:
        return load_config(self.config)

    def models(self) -> tuple[ModelName, ...]:
        """The models of the phase in the order of the recipe."""
        return tuple(self.load_config().models)

    def record_decision(self, decision: Decision) -> None:
        append_line(self.decisions, json.dumps(decision.to_json(), allow_nan=False))

    def read_decisions(self) -> list[Decision]:
        """The readable lines of decisions.jsonl, oldest first; a torn one is left out."""
        try:
            with open_no_link(self.decisions) as file:
                lines = file.read(_MOST_DECISIONS_BYTES).splitlines()
        except OSError:
            return []
        found = []
        for line in lines:
            with contextlib.suppress(FormatError, ValidationError):
                found.append(Decision.model_validate(parse_json(line, where=self.decisions)))
        return found


def _of_checkpoint(split: str, checkpoint: str) -> str:
    return split if checkpoint == "best" else f"{split}@{checkpoint}"


def find_phase(name: str | None, runs: Path) -> PhaseDir:
    """Finds a phase by its directory, by its folder's name under `runs`, or, for None, the newest.

    Raises:
        BrefineError: there is none, or the directory is not a phase.
    """
    if name is None:
        phases = list_phases(runs)
        if not phases:
            raise BrefineError(
                "there is no phase yet", where=runs, hint="start one: brefine launch-phase3 --config configs/demo.toml"
            )
        return phases[-1]
    for path in (Path(name), runs / name):
        if is_phase(path):
            return PhaseDir(path)
    there = Path(name).exists() or (runs / name).exists()
    raise BrefineError(
        "this is not a phase directory" if there else "there is no such phase",
        where=name,
        expected="a folder with phase.toml",
        hint="`brefine runs` lists the phases there are",
    )


def list_phases(runs: Path) -> list[PhaseDir]:
    """The phases under `runs`, oldest first (their names start with the UTC time of their creation)."""
    if not runs.is_dir():
        return []
    return [PhaseDir(path) for path in sorted(runs.iterdir()) if is_phase(path)]


def is_phase(path: Path) -> bool:
    return (path / "phase.toml").is_file()


def run_model(path: Path) -> ModelName:
    """The model that a run directory belongs to, from its name.

    Raises:
        BrefineError: the folder is not named after a model.
    """
    for name in MODEL_NAMES:
        if path.resolve().name == name:
            return name
    raise BrefineError(
        "this is not a run directory", where=path, expected=f"a folder named {', '.join(MODEL_NAMES)}", got=path.name
    )
