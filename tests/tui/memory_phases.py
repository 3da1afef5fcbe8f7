"""Phases in memory: whole snapshots of every state, the same on every machine and at every time."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from brefine.config import MODEL_NAMES, ModelName
from brefine.core.bootstrap import Interval
from brefine.core.gate import Answer, CriterionId, Evidence, Measured, Thresholds, judge
from brefine.core.selection import Candidate, Ranking, select
from brefine.core.turns import Turn
from brefine.errors import BrefineError, DataError
from brefine.identity import ProcessIdentity
from brefine.phasedir import (
    Alert,
    BoundaryFigures,
    BoundaryRow,
    CalibrationBin,
    Comparison,
    DerComparison,
    DerFigures,
    EvaluationReport,
    GateRecord,
    IntegrationReport,
    Progress,
    RecordingChange,
    RunState,
    RunStatus,
    SelectionRecord,
    Speed,
    Stage,
    Tag,
    Validation,
    Wish,
)
from brefine.run.boundary_book import Excerpt
from brefine.run.gate_report import criterion_record
from brefine.run.snapshot import (
    BudgetView,
    Curve,
    GpuView,
    HostView,
    PhaseSnapshot,
    PhaseState,
    RunView,
    ShownState,
    SupervisorView,
)

START_UNIX_S = 1_795_356_120.0
_GIB = 1 << 30
_PROCESS = ProcessIdentity(pid=4242, started_unix_s=START_UNIX_S, boot_id="boot", host="gpu-1")
_FINAL_MS: Mapping[str, float] = {"transformer": 71.0, "mlp": 95.0, "contrastive": 88.0}
_STEPS_AN_EPOCH = 400
_PATIENCE_S = 60.0


def curve(tag: str, values: Sequence[float], *, every_steps: int = _STEPS_AN_EPOCH) -> Curve:
    """A curve with one value every `every_steps` steps and four seconds."""
    n = len(values)
    steps = np.arange(1, n + 1, dtype=np.int64) * every_steps
    return Curve(tag, steps, np.asarray(values, dtype=np.float64), START_UNIX_S + 4.0 * np.arange(1, n + 1))


_OWN_WORDS = {
    ShownState.PENDING: RunState.RUNNING,
    ShownState.STALLED: RunState.RUNNING,
    ShownState.LOST: RunState.RUNNING,
    ShownState.PAUSED: RunState.STOPPED,
}
"""What a trainer says of itself where the person is told something else."""


def run(
    model: ModelName,
    *,
    state: ShownState = ShownState.RUNNING,
    n_epochs_done: int = 31,
    nan_at: int | None = None,
    message: str | None = None,
    error: str | None = None,
    log_tail: Sequence[str] = (),
) -> RunView:
    """A training after some epochs; its curves fall from 172 ms to the model's own figure."""
    epochs = np.arange(1, n_epochs_done + 1)
    mae_ms = _FINAL_MS[model] + (172.0 - _FINAL_MS[model]) * np.exp(-(epochs - 1) / 8.0)
    n_losses = 10 * n_epochs_done
    wobble = 0.08 * np.sin(np.arange(n_losses) * (1.7 + 0.1 * len(model)))
    loss = 1.2 + 3.0 * np.exp(-np.arange(n_losses) / 60.0) + wobble
    if nan_at is not None:
        loss[10 * nan_at] = np.nan
        mae_ms[nan_at] = np.nan
    within = 0.9 - mae_ms / 700.0
    last = Validation(
        step=n_epochs_done * _STEPS_AN_EPOCH,
        epoch=n_epochs_done,
        loss=1.4,
        mae_ms=float(mae_ms[-1]),
        median_ms=30.0,
        within_50ms=0.6,
        within_100ms=float(within[-1]),
        within_200ms=0.92,
    )
    status = RunStatus(
        model=model,
        state=_OWN_WORDS.get(state) or RunState(state.value),
        process=_PROCESS,
        step=n_epochs_done * _STEPS_AN_EPOCH,
        n_steps=50 * _STEPS_AN_EPOCH,
        epoch=n_epochs_done,
        n_epochs=50,
        started_unix_s=START_UNIX_S,
        heartbeat_unix_s=START_UNIX_S + 600,
        device="cuda:0",
        loss=float(loss[-1]) if np.isfinite(loss[-1]) else None,
        examples_per_s={"transformer": 3100.0, "mlp": 18_900.0, "contrastive": 4_200.0}[model],
        steps_per_s=20.0,
        eta_s=(50 - n_epochs_done) * 120.0,
        unrefined_mae_ms=172.0,
        last=last,
        best=last,
        n_nonfinite=0 if nan_at is None else 1,
        message=message,
        error=error,
    )
    curves = {
        Tag.LOSS: curve(Tag.LOSS, loss, every_steps=_STEPS_AN_EPOCH // 10),
        Tag.VALIDATION_MAE_MS: curve(Tag.VALIDATION_MAE_MS, mae_ms),
        Tag.WITHIN_100MS: curve(Tag.WITHIN_100MS, within),
        Tag.VALIDATION_LOSS: curve(Tag.VALIDATION_LOSS, 1.3 + 2.0 * np.exp(-epochs / 9.0)),
        Tag.GRADIENT_NORM: curve(Tag.GRADIENT_NORM, 0.5 + np.abs(wobble), every_steps=_STEPS_AN_EPOCH // 10),
    }
    return RunView(model, state, status, curves, tuple(log_tail))


def training_runs() -> tuple[RunView, ...]:
    """Three runs: one well, one well ahead, one that was rolled back after a NaN."""
    return (
        run(
            "transformer", log_tail=[f"epoch {epoch:2d}  loss 1.{epoch:02d}  MAE {172 - 3 * epoch} ms" for epoch in range(1, 32)]
        ),
        run("mlp", n_epochs_done=44),
        run("contrastive", n_epochs_done=27, nan_at=18, message="rolled back to step 7,200 (non-finite gradient)"),
    )


def nan_alert() -> Alert:
    return Alert(
        id="nonfinite-contrastive-7600",
        level="error",
        kind="nonfinite",
        model="contrastive",
        step=7600,
        text="non-finite gradient; rolled back to step 7,200",
        unix_s=START_UNIX_S + 300,
    )


def stall_alert() -> Alert:
    return Alert(
        id="slow-mlp",
        level="warning",
        kind="slow",
        model="mlp",
        step=None,
        text="a step takes three times as long as an hour ago; is another program on the GPU?",
        unix_s=START_UNIX_S + 420,
    )


def progress(stage: Stage, step: str, done: int, total: int, *, state: str = "running", error: str | None = None) -> Progress:
    return Progress(
        stage=stage,
        state=state,
        step=step,
        done=done,
        total=total,
        started_unix_s=START_UNIX_S,
        unix_s=START_UNIX_S + 60,
        process=_PROCESS,
        error=error,
    )


def figures(mae_ms: float, *, n: int = 1204, scale: float = 1.0) -> BoundaryFigures:
    within_100ms = max(0.0, 0.95 - mae_ms / 400.0)
    return BoundaryFigures(
        window_s=1.0,
        n_reference=round(n / 0.62),
        n_hypothesis=round(n / 0.87),
        n_matched=n,
        recall=0.622,
        precision=0.877,
        mae_ms=mae_ms * scale,
        median_ms=0.45 * mae_ms,
        p90_ms=2.4 * mae_ms,
        bias_ms=-4.0,
        within_50ms=max(0.0, within_100ms - 0.16),
        within_100ms=within_100ms,
        within_200ms=min(1.0, within_100ms + 0.12),
        capped_mean_ms=430.0 + 0.3 * mae_ms,
    )


def figures_by_kind(mae_ms: float) -> BoundaryFigures:
    kinds = {"pause": 0.8, "change": 0.9, "overlap": 1.6, "edge": 0.7}
    counts = {"pause": 410, "change": 402, "overlap": 344, "edge": 48}
    parts = {kind: figures(mae_ms * factor, n=counts[kind]) for kind, factor in kinds.items()}
    return figures(mae_ms).model_copy(update={"by_kind": parts})


def evaluation(model: ModelName) -> EvaluationReport:
    mae_ms = _FINAL_MS[model]
    shares = np.linspace(0.0, 1.0, 101)
    before_ms, after_ms = 1000.0 * shares**4, 1000.0 * shares ** (4 * 172.0 / mae_ms / 1.6)
    return EvaluationReport(
        model=model,
        split="validation",
        evidence="simulated",
        hypothesis_source="replayed vbx-voxconverse",
        weights_sha256="ab" * 32,
        refine={},
        checkpoint_step=12_000,
        n_recordings=24,
        recordings=[f"validation-{index:03d}" for index in range(24)],
        comparison=Comparison(
            before=figures_by_kind(172.0),
            after=figures_by_kind(mae_ms),
            intervals={
                "mae_ms": (mae_ms - 4.0, mae_ms + 5.0),
                "median_ms": (0.4 * mae_ms, 0.5 * mae_ms),
                "within_100ms": (0.74, 0.80),
                "mae_change_ms": (mae_ms - 176.0, mae_ms - 168.0),
            },
            improved=812,
            worsened=263,
            unchanged=129,
            good_harm_ms=6.4,
        ),
        before_abs_error_quantiles_ms=before_ms.tolist(),
        after_abs_error_quantiles_ms=after_ms.tolist(),
        calibration=[CalibrationBin(confidence=0.5, n=100, within_100ms=0.6)],
        expected_calibration_error=0.05,
        speed=Speed(device="cpu", boundaries_per_s=310.0, seconds_per_audio_hour=21.0),
        unix_s=START_UNIX_S + 900,
    )


def selection(model: ModelName = "transformer", why: str | None = None) -> SelectionRecord:
    return SelectionRecord(
        model=model,
        recommended="transformer",
        reason="lowest MAE, and the interval against contrastive leaves out zero",
        override_reason=why,
        chosen_by="person",
        unix_s=START_UNIX_S + 1000,
    )


def integration() -> IntegrationReport:
    def der(collar_s: float, before: float, after: float, interval: tuple[float, float]) -> DerComparison:
        parts = [
            DerFigures(collar_s=collar_s, der=value, missed_s=10.0, false_alarm_s=8.0, confusion_s=4.0, reference_speech_s=1200.0)
            for value in (before, after)
        ]
        return DerComparison(collar_s=collar_s, before=parts[0], after=parts[1], relative=1 - after / before, interval=interval)

    recordings = [
        RecordingChange(
            recording=f"gate-{index:03d}",
            der_before=0.05 + 0.003 * index,
            der_after=0.043 + 0.0031 * index + (0.01 if index == 20 else 0.0),
            jer_before=0.12,
            jer_after=0.11,
            mae_before_ms=170.0 + index,
            mae_after_ms=70.0 + index,
        )
        for index in range(24)
    ]
    return IntegrationReport(
        model="transformer",
        weights_sha256="ab" * 32,
        refine={},
        trained_corpus_sha256="cd" * 32,
        corpus_sha256="cd" * 32,
        turns_sha256="ef" * 32,
        looks=[],
        split="gate",
        evidence="simulated",
        hypothesis_source="replayed vbx-voxconverse",
        n_recordings=24,
        recordings=recordings,
        trained_on=[],
        comparison=Comparison(
            before=figures(169.0),
            after=figures(73.0),
            intervals={"mae_ms": (69.0, 78.0)},
            improved=800,
            worsened=250,
            unchanged=120,
            good_harm_ms=5.0,
        ),
        der=[der(0.0, 0.0686, 0.0601, (0.092, 0.151)), der(0.25, 0.0344, 0.0331, (-0.004, 0.07))],
        der_without_overlap=[der(0.0, 0.0512, 0.0433, (0.11, 0.19)), der(0.25, 0.0211, 0.0214, (-0.04, -0.01))],
        jer_before=0.121,
        jer_after=0.113,
        jer_interval=(0.031, 0.098),
        n_boundaries=1377,
        n_moved=1190,
        unix_s=START_UNIX_S + 1300,
    )


def gate(answers: Mapping[str, Literal["yes", "no"]] | None = None) -> GateRecord:
    """The verdict on `integration()`, as the gate gives it."""
    given = answers or {}
    verdict = judge(
        Evidence(
            simulated=True,
            recordings=tuple(f"gate-{place}" for place in range(24)),
            trained_on=frozenset(),
            diarizer_trained_on=frozenset(),
            mae_ms=Measured(169.0, 73.0, Interval(69.0, 78.0)),
            recall=0.622,
            window_s=1.0,
            der=Measured(0.0686, 0.0601, Interval(0.092, 0.151)),
            der_after=None,
            collar_s=0.0,
        ),
        Thresholds(),
        {CriterionId(id_): Answer(answer == "yes") for id_, answer in given.items()},
    )
    return GateRecord(
        verdict=verdict.verdict,
        evidence="simulated",
        winner="transformer",
        criteria=[criterion_record(finding) for finding in verdict.findings],
        recommendation=verdict.recommendation,
        unix_s=START_UNIX_S + 1400,
    )


GPU = GpuView(
    index=0,
    name="NVIDIA H200",
    utilisation=0.87,
    memory_used_bytes=int(12.1 * _GIB),
    memory_total_bytes=139 * _GIB,
    power_w=412.0,
    temperature_c=61.0,
)


def phase(state: PhaseState = PhaseState.TRAINING, **changes: object) -> PhaseSnapshot:
    """A phase in a state, with everything that belongs to the states before it."""
    order = list(PhaseState)
    reached = order.index(state)
    runs = training_runs()
    if state is PhaseState.PREPARING:
        runs = tuple(RunView(model, ShownState.PENDING, None, {}, ()) for model in MODEL_NAMES)
    if reached > order.index(PhaseState.TRAINING):
        runs = tuple(run(model, state=ShownState.FINISHED, n_epochs_done=50) for model in MODEL_NAMES)
    evaluated = reached >= order.index(PhaseState.TO_SELECT)
    snapshot = PhaseSnapshot(
        unix_s=START_UNIX_S + 600,
        path=Path("/runs/20261122-140200-phase3"),
        name="20261122-140200-phase3",
        title="VoxConverse dev→test",
        simulated=False,
        state=state,
        started_unix_s=START_UNIX_S,
        eta_s=2460.0 if state is PhaseState.TRAINING else None,
        supervisor=SupervisorView(alive=True, pid=4200, heartbeat_unix_s=START_UNIX_S + 599, error=None),
        runs=runs,
        progress={Stage.PREPARE: progress(Stage.PREPARE, "simulating conversations", 74, 120)}
        if state is PhaseState.PREPARING
        else {},
        alerts=() if state is PhaseState.PREPARING else (nan_alert(), stall_alert()),
        gpus=(GPU,),
        gpu_note=None,
        host=HostView(
            cpu_utilisation=0.31, n_cores=16, memory_used_bytes=9 * _GIB, memory_total_bytes=128 * _GIB, disk_free_bytes=52 * _GIB
        ),
        budget=BudgetView(
            price_usd_per_hour=2.49,
            priced_on="2026-11-01",
            spent_usd=0.83,
            remaining_usd=998.45,
            projected_usd=2.55,
            cap_usd=10.0,
            total_usd=999.28,
        ),
        gate_mae_ms=100.0,
        evaluations={model: evaluation(model) for model in MODEL_NAMES} if evaluated else {},
        selection=selection() if reached >= order.index(PhaseState.TO_INTEGRATE) and evaluated else None,
        integration=integration() if reached >= order.index(PhaseState.TO_DECIDE) and evaluated else None,
        gate=gate() if state is PhaseState.DECIDED else None,
    )
    return replace(snapshot, **changes)  # type: ignore[arg-type]


def event_files(*names: str, tags: Sequence[str] = ("loss",)) -> PhaseSnapshot:
    """A folder of event files that brefine did not write: runs of these names, each with these scalars."""
    curves = {tag: curve(tag, [3.0, 2.0, 1.25]) for tag in tags}
    runs = tuple(RunView(name, ShownState.STOPPED, None, curves, ()) for name in names)
    return phase(PhaseState.STOPPED, foreign=True, runs=runs, path=Path("/logs"), name="logs", title="event files", alerts=())


class MemorySource:
    """Gives the first snapshot at once, and another when it is told one: what comes when does not go by a clock."""

    def __init__(self, snapshot: PhaseSnapshot) -> None:
        self._snapshot = snapshot
        self._error: BrefineError | None = None
        self._changed = threading.Condition()
        self._has_news = True
        self._ended = False
        self.n_asked = 0
        """How often it was asked for a snapshot: the last but one was dealt with by the next time."""

    def tell(self, snapshot: PhaseSnapshot) -> None:
        self._give(snapshot, None)

    def fail(self, error: BrefineError) -> None:
        self._give(self._snapshot, error)

    def end(self) -> None:
        """Keeps nobody waiting any more."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def snapshot(self) -> PhaseSnapshot:
        with self._changed:
            self.n_asked += 1
            self._changed.wait_for(lambda: self._has_news or self._ended)
            self._has_news = False
            if self._error is not None:
                raise self._error
            return self._snapshot

    def _give(self, snapshot: PhaseSnapshot, error: BrefineError | None) -> None:
        with self._changed:
            self._snapshot, self._error, self._has_news = snapshot, error, True
            self._changed.notify_all()


def already_set() -> threading.Event:
    """An event that nobody waits for, unless a test clears it."""
    event = threading.Event()
    event.set()
    return event


@dataclass
class MemoryBook:
    """Four boundaries, each worse than the one before it; the third is one of a pause, the last has no window.

    The audio is read when `may_read` is set, unless it is `unreadable`.
    Posteriors are computed when `may_compute` is set, or fail with `error`.
    """

    asked: list[tuple[object, ...]] = field(default_factory=list)
    may_compute: threading.Event = field(default_factory=threading.Event)
    error: BrefineError | OSError | None = None
    may_read: threading.Event = field(default_factory=already_set)
    unreadable: BrefineError | None = None

    def rows(self, model: ModelName) -> tuple[BoundaryRow, ...]:
        if model == "contrastive":
            raise DataError("the contrastive has no table of boundaries", where="contrastive.csv")
        return tuple(
            BoundaryRow(
                recording=f"rec-{index}",
                speaker="1",
                side="onset",
                kind="pause" if index == 2 else "change",
                reference_s=10.0 + index,
                hypothesis_s=10.5 + index,
                refined_s=10.1 + 1.1 * index,
                confidence=0.9,
                spread_s=0.084 if index == 0 else None,
            )
            for index in range(4)
        )

    def excerpt(self, model: ModelName, row: BoundaryRow, *, n_columns: int, n_bands: int) -> Excerpt:
        if not self.may_read.wait(_PATIENCE_S) or self.unreadable is not None:
            raise self.unreadable or TimeoutError
        start_s = row.reference_s - 2.0
        levels = np.linspace(0.0, 1.0, n_bands)[:, None] * np.ones(n_columns)
        computed = ("posteriors", model) in self.asked
        has_window = computed and row.recording != "rec-3"
        posterior = np.exp(-0.5 * ((np.arange(n_columns) - n_columns / 2) / 2.0) ** 2) if has_window else None
        turns = {
            "reference": (Turn(row.reference_s, start_s + 4.0, "anna"), Turn(start_s, row.reference_s, "ben")),
            "hypothesis": (Turn(row.hypothesis_s, start_s + 4.0, "anna"),),
            "refined": (Turn(row.refined_s, start_s + 4.0, "anna"),),
        }
        return Excerpt(start_s, start_s + 4.0, levels, turns, "anna", posterior, computed, Path("/audio/a talk.flac"))

    def compute_posteriors(self, model: ModelName) -> str:
        self.asked.append(("computing", model))
        self.may_compute.wait(_PATIENCE_S)
        if self.error is not None:
            raise self.error
        self.asked.append(("posteriors", model))
        return f"the posteriors of the {model} are there"


@dataclass
class RecordedActions:
    """Remembers what it was asked for."""

    asked: list[tuple[object, ...]] = field(default_factory=list)
    error: BrefineError | OSError | None = None
    answers: dict[str, Literal["yes", "no"]] = field(default_factory=dict)
    best: ModelName = "transformer"
    may_compute: threading.Event = field(default_factory=threading.Event)
    may_read: threading.Event = field(default_factory=already_set)
    may_answer: threading.Event = field(default_factory=already_set)
    unreadable: BrefineError | None = None
    fails_once: BrefineError | None = None
    """What the next judgement or comparison fails with."""

    def control(self, wish: Wish, model: str | None) -> str:
        return self._remember(f"{model or 'all'}: {wish} asked for", "control", wish, model)

    def evaluate(self) -> str:
        return self._remember("the evaluation runs", "evaluate")

    def recommend(self) -> Ranking:
        self._fail_once()
        means_ms = {model: 380.0 + _FINAL_MS[model] for model in MODEL_NAMES} | {self.best: 400.0}
        return select([Candidate(model, mean_ms, None, 300.0, 482.0) for model, mean_ms in means_ms.items()])

    def select(self, model: str, why: str | None, shown: Ranking | None) -> str:
        return self._remember(f"{model} selected", "select", model, why)

    def integrate(self) -> str:
        return self._remember("the integration runs", "integrate")

    def judge(self) -> GateRecord:
        self._fail_once()
        return gate()

    def answer(self, criterion: str, answer: Answer) -> GateRecord:
        self._remember("", "answer", criterion, answer)
        self.may_answer.wait(_PATIENCE_S)
        self._fail_once()
        self.answers[criterion] = "yes" if answer.yes else "no"
        return gate(self.answers)

    def book(self) -> MemoryBook:
        return MemoryBook(self.asked, self.may_compute, self.error, self.may_read, self.unreadable)

    def end(self) -> None:
        """Keeps nobody waiting any more."""
        self.may_compute.set()
        self.may_read.set()
        self.may_answer.set()

    def _fail_once(self) -> None:
        error, self.fails_once = self.fails_once, None
        if error is not None:
            raise error

    def _remember(self, words: str, *asked: object) -> str:
        self.asked.append(asked)
        if self.error is not None:
            raise self.error
        return words
