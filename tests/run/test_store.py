"""Snapshots of phase directories and of foreign folders."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest

from brefine.config import ModelName
from brefine.errors import BrefineError
from brefine.identity import own_identity
from brefine.phasedir import Alert, LockHolder, PhaseDir, Progress, RunState, Stage, SupervisorState, Tag, Validation
from brefine.run import gate_turns
from brefine.run import store as store_module
from brefine.run.alerts import AlertLog
from brefine.run.folder_store import FolderStore
from brefine.run.snapshot import PhaseState, ShownState
from brefine.run.store import PhaseStore, open_store
from brefine.run.watch_json import snapshot_to_json
from tests.run.honest_phase import HonestPhase
from tests.run.records import evaluation, integration, status
from tests.run.tail.event_writing import ramp, scalar, version, write_events
from tests.run.toy_programs import RECIPE, make_toy_phase


@pytest.fixture
def phase(tmp_path: Path) -> PhaseDir:
    return make_toy_phase(tmp_path)


def supervised(phase: PhaseDir, stage: Stage, state: str = "running") -> None:
    """The test's own process plays the supervisor: it is alive."""
    SupervisorState(process=own_identity(), stage=stage, state=state, started_unix_s=1.0, heartbeat_unix_s=time.time()).write(
        phase.supervisor
    )


def test_a_new_phase_is_preparing_and_its_runs_are_pending(phase: PhaseDir) -> None:
    """Before the first word of any process everything is there, and empty."""
    snapshot = PhaseStore(phase.path).snapshot()
    assert snapshot.state is PhaseState.PREPARING
    assert [(run.name, run.state) for run in snapshot.runs] == [("transformer", ShownState.PENDING), ("mlp", ShownState.PENDING)]
    assert snapshot.simulated and snapshot.title == "simulated conversations"


def test_a_list_of_phases_reads_curves_only_where_the_best_is_in_them_alone(phase: PhaseDir) -> None:
    """Event files are most of what there is to read of a phase; a training that has told its best is asked for none of them."""
    values = [scalar(step, value, Tag.VALIDATION_MAE_MS) for step, value in enumerate((120.0, 90.0, 95.0))]
    for name in ("transformer", "mlp"):
        write_events(phase.run(name).path / "events.out.tfevents.1", [version(), *values])
    shares = dict.fromkeys(("within_50ms", "within_100ms", "within_200ms"), 0.8)
    best = Validation(step=1, epoch=1, loss=1.0, mae_ms=88.0, median_ms=40.0, **shares)
    status("mlp", RunState.FINISHED).model_copy(update={"best": best}).write(phase.run("mlp").status)
    runs = PhaseStore(phase.path, curves=False).snapshot().runs
    assert [(run.name, run.best_mae_ms, bool(run.curves)) for run in runs] == [("transformer", 90.0, True), ("mlp", 88.0, False)]
    assert all(run.curves for run in PhaseStore(phase.path).snapshot().runs)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (RunState.RUNNING, PhaseState.TRAINING),
        (RunState.FINISHED, PhaseState.STOPPED),
        (RunState.STOPPED, PhaseState.STOPPED),
        (RunState.FAILED, PhaseState.STOPPED),
    ],
)
def test_a_training_in_the_foreground_comes_to_an_end(phase: PhaseDir, told: RunState, expected: PhaseState) -> None:
    """`brefine train` has no supervisor; when its process has ended nothing works any more, and who follows it may go."""
    status("mlp", told, unix_s=time.time()).write(phase.run("mlp").status)
    assert PhaseStore(phase.path).snapshot().state is expected


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        (Stage.PREPARE, PhaseState.PREPARING),
        (Stage.TRAIN, PhaseState.TRAINING),
        (Stage.EVALUATE, PhaseState.EVALUATING),
    ],
)
def test_a_living_supervisors_stage_is_the_phases_state(phase: PhaseDir, stage: Stage, expected: PhaseState) -> None:
    """Whatever older files say, what goes on now is what is shown."""
    supervised(phase, stage)
    evaluation("mlp", 90.0).write(phase.evaluation("mlp", "validation"))
    assert PhaseStore(phase.path).snapshot().state is expected


def test_the_road_after_training_is_proved_by_its_files(phase: PhaseDir) -> None:
    """Evaluated, selected, integrated, decided: each file moves the phase on; choosing another model moves it back."""
    from brefine.run.decide import choose
    from brefine.run.gate_report import Answer, write_gate

    supervised(phase, Stage.EVALUATE, "finished")
    store = PhaseStore(phase.path)
    assert store.snapshot().state is PhaseState.STOPPED
    for model in ("transformer", "mlp"):
        evaluation(model, 90.0 if model == "mlp" else 120.0).write(phase.evaluation(model, "validation"))
    assert store.snapshot().state is PhaseState.TO_SELECT
    choose(phase)
    assert store.snapshot().state is PhaseState.TO_INTEGRATE
    integration("mlp").write(phase.integration)
    assert store.snapshot().state is PhaseState.TO_DECIDE
    write_gate(phase, {"go-on": Answer(False)})
    assert store.snapshot().state is PhaseState.DECIDED
    choose(phase, "transformer", why="its errors are rarer in overlap")
    assert store.snapshot().state is PhaseState.TO_INTEGRATE


@pytest.mark.parametrize(("age_s", "shown"), [(0.0, ShownState.RUNNING), (1e4, ShownState.STALLED)])
def test_a_training_that_goes_on_without_its_supervisor_goes_before_the_road(
    phase: PhaseDir, age_s: float, shown: ShownState
) -> None:
    """Evaluated, selected and integrated meanwhile, it is paid for and nobody guards it; once it has ended the road counts."""
    from brefine.run.decide import choose

    gone = own_identity().model_copy(update={"start_ticks": 1})
    SupervisorState(process=gone, stage=Stage.TRAIN, state="running", started_unix_s=1.0, heartbeat_unix_s=2.0).write(
        phase.supervisor
    )
    status("mlp", unix_s=time.time() - age_s).write(phase.run("mlp").status)
    evaluation("mlp", 90.0).write(phase.evaluation("mlp", "validation"))
    choose(phase)
    integration("mlp").write(phase.integration)
    store = PhaseStore(phase.path)
    snapshot = store.snapshot()
    assert (snapshot.state, snapshot.runs[1].state, snapshot.budget.guarded) == (PhaseState.TRAINING, shown, False)
    assert [alert.id for alert in snapshot.alerts if alert.kind == "lost"] == ["lost:supervisor:2"]
    status("mlp", RunState.STOPPED).write(phase.run("mlp").status)
    assert store.snapshot().state is PhaseState.TO_DECIDE


@pytest.mark.parametrize("sealed", [True, False], ids=["by its seal", "by its time"])
def test_a_verdict_counts_for_the_integration_that_it_judged(phase: PhaseDir, sealed: bool) -> None:
    """The same model trained further and integrated again is undecided; so it is beside a record without a seal."""
    from brefine.run.gate_report import Answer, write_gate

    supervised(phase, Stage.EVALUATE, "finished")
    store = PhaseStore(phase.path)
    integration("mlp").write(phase.integration)
    record = write_gate(phase, {"go-on": Answer(False)})
    if not sealed:
        record.model_copy(update={"integration_seal": None}).write(phase.gate)
    assert (store.snapshot().state, store.snapshot().standing_gate is not None) == (PhaseState.DECIDED, True)
    integration("mlp").model_copy(update={"unix_s": record.unix_s + 1.0}).write(phase.integration)
    snapshot = store.snapshot()
    assert (snapshot.state, snapshot.standing_gate) == (PhaseState.TO_DECIDE, None)
    assert snapshot.gate is not None and snapshot.gate.verdict == "fail"  # the report tells what is on file


def test_a_verdict_counts_for_the_selection_that_it_judged(phase: PhaseDir) -> None:
    """The same model selected anew, for other weights perhaps, is undecided; so is a verdict whose integration has gone."""
    from brefine.run.decide import choose
    from brefine.run.gate_report import Answer, write_gate

    supervised(phase, Stage.EVALUATE, "finished")
    store = PhaseStore(phase.path)
    evaluation("mlp", 90.0).write(phase.evaluation("mlp", "validation"))
    choose(phase)
    integration("mlp").write(phase.integration)
    record = write_gate(phase, {"go-on": Answer(False)})
    assert store.snapshot().standing_gate is not None
    choose(phase)
    assert (store.snapshot().state, store.snapshot().standing_gate) == (PhaseState.TO_DECIDE, None)
    record.model_copy(update={"selection_seal": None}).write(phase.gate)  # of an earlier version
    assert store.snapshot().state is PhaseState.DECIDED
    phase.integration.unlink()
    assert (store.snapshot().state, store.snapshot().standing_gate) == (PhaseState.TO_INTEGRATE, None)


@pytest.mark.parametrize(("answer", "stands"), [(True, False), (False, True)])
def test_a_verdict_counts_for_the_turns_that_it_judged(
    honest: HonestPhase, monkeypatch: pytest.MonkeyPatch, answer: bool, stands: bool
) -> None:
    """A pass of other turns is none, as the gate has it, and that is looked for once a minute; a person's no stands."""
    from brefine.run.gate_report import Answer, judge_phase, write_gate

    verdict = write_gate(honest.phase, {"go-on": Answer(answer)}).verdict
    store = PhaseStore(honest.phase.path)
    assert (store.snapshot().state, store.snapshot().standing_gate is not None) == (PhaseState.DECIDED, True)
    honest.refine(4.06)
    assert store.snapshot().state is PhaseState.DECIDED
    monkeypatch.setattr(gate_turns, "_EVERY_S", 0.0)
    snapshot = store.snapshot()
    assert (snapshot.state is PhaseState.DECIDED, snapshot.standing_gate is not None) == (stands, stands)
    assert snapshot.gate is not None and snapshot.gate.verdict == verdict
    assert (judge_phase(honest.phase).verdict == verdict) is stands
    shutil.rmtree(honest.corpus)
    assert store.snapshot().state is PhaseState.DECIDED  # nobody knows


@pytest.mark.parametrize("sealed", [True, False], ids=["by seals", "by times"])
def test_a_choice_that_was_overtaken_leaves_nothing_decided(phase: PhaseDir, sealed: bool) -> None:
    """Evaluated anew the chosen model waits for a new choice, as the gate has it; another model takes no verdict back."""
    from brefine.run.decide import choose
    from brefine.run.gate_report import Answer, judge_phase, write_gate
    from brefine.run.report import write_report

    supervised(phase, Stage.EVALUATE, "finished")
    store = PhaseStore(phase.path)
    for model, mae_ms in (("transformer", 120.0), ("mlp", 90.0)):
        evaluation(model, mae_ms).write(phase.evaluation(model, "validation"))
    selection = choose(phase)
    if not sealed:  # of an earlier version
        selection = selection.model_copy(update={"evaluations": None})
        selection.write(phase.selection)
    integration("mlp").write(phase.integration)

    def evaluated_anew(model: ModelName) -> None:
        later = evaluation(model, 90.0).model_copy(update={"unix_s": selection.unix_s + 1.0})
        later.write(phase.evaluation(model, "validation"))

    evaluated_anew("transformer")
    assert store.snapshot().state is PhaseState.TO_SELECT
    write_gate(phase, {"go-on": Answer(False)})
    snapshot = store.snapshot()
    assert (snapshot.state, snapshot.standing_selection) == (PhaseState.DECIDED, None)
    assert snapshot.standing_gate is not None and snapshot.standing_gate.verdict == judge_phase(phase).verdict == "fail"
    evaluated_anew("mlp")
    snapshot = store.snapshot()
    assert (snapshot.state, snapshot.standing_gate) == (PhaseState.TO_SELECT, None)
    judged_since = write_gate(phase).model_copy(update={"unix_s": selection.unix_s + 2.0})
    judged_since.write(phase.gate)
    snapshot = store.snapshot()
    assert snapshot.state is PhaseState.TO_SELECT
    assert snapshot.standing_gate is not None and snapshot.standing_gate.verdict == judge_phase(phase).verdict
    assert "verdict on file" not in write_report(phase).read_text()
    choose(phase)
    snapshot = store.snapshot()
    assert snapshot.state is PhaseState.TO_DECIDE and snapshot.standing_selection is not None


@pytest.mark.parametrize(
    ("stage", "working"),
    [
        (Stage.PREPARE, PhaseState.PREPARING),
        (Stage.EVALUATE, PhaseState.EVALUATING),
        (Stage.INTEGRATE, PhaseState.INTEGRATING),
    ],
)
def test_a_stage_without_supervisor_is_a_living_process(tmp_path: Path, stage: Stage, working: PhaseState) -> None:
    """Started by hand, or left by a supervisor that was killed: while it lives, the phase works and the machine is not idle."""
    recipe = 'schema = 1\n[corpus]\nkind = "simulated"\n[models.mlp]\n[budget]\nprice_usd_per_hour = 36.0\n'
    phase = make_toy_phase(tmp_path, recipe=recipe)
    supervised(phase, Stage.EVALUATE, "finished")
    choice = PhaseStore(phase.path)
    for process, expected in (
        (own_identity(), working),
        (own_identity().model_copy(update={"boot_id": "before"}), PhaseState.STOPPED),
    ):
        Progress(stage=stage, state="running", step="", done=0, total=1, started_unix_s=1.0, unix_s=1.0, process=process).write(
            phase.progress(stage)
        )
        snapshot = choice.snapshot()
        assert snapshot.state is expected
        assert (snapshot.budget.idle_s is None) is (expected is working)


@pytest.mark.parametrize("change", [{"start_ticks": 1}, {"boot_id": "before"}], ids=["killed", "rebooted"])
def test_a_stage_whose_process_is_gone_is_not_shown_at_work(phase: PhaseDir, change: dict[str, object]) -> None:
    """A stopped preparation has no last word; its bar and the minutes left would stand there for ever."""
    supervised(phase, Stage.PREPARE, "stopped")
    for process, shown in ((own_identity(), [Stage.PREPARE]), (own_identity().model_copy(update=change), [])):
        Progress(
            stage=Stage.PREPARE, state="running", step="", done=1, total=2, started_unix_s=1.0, unix_s=9.0, process=process
        ).write(phase.progress(Stage.PREPARE))
        assert list(PhaseStore(phase.path).snapshot().progress) == shown


def test_a_stage_that_was_started_by_hand_starts_until_its_first_word(phase: PhaseDir) -> None:
    """The lock names who works at it, and does so at once."""
    lock = phase.stage_lock(Stage.INTEGRATE)
    lock.parent.mkdir(exist_ok=True)
    for process, starting in ((own_identity(), {Stage.INTEGRATE}), (own_identity().model_copy(update={"start_ticks": 1}), set())):
        LockHolder(process=process).write(lock)
        assert PhaseStore(phase.path).snapshot().starting == starting
    LockHolder(process=own_identity()).write(lock)
    Progress(
        stage=Stage.INTEGRATE, state="running", step="", done=1, total=2, started_unix_s=1.0, unix_s=9.0, process=own_identity()
    ).write(phase.progress(Stage.INTEGRATE))
    assert PhaseStore(phase.path).snapshot().starting == set()


@pytest.mark.parametrize(
    ("told", "age_s", "alive", "expected"),
    [
        (RunState.RUNNING, 0.0, True, ShownState.RUNNING),
        (RunState.RUNNING, 60.0, True, ShownState.STALLED),
        (RunState.RUNNING, 0.0, False, ShownState.LOST),
        (RunState.FINISHED, 9000.0, False, ShownState.FINISHED),
        (RunState.STOPPED, 9000.0, False, ShownState.STOPPED),
        (RunState.NONFINITE, 9000.0, False, ShownState.NONFINITE),
    ],
)
def test_stalled_and_lost_are_found_out_by_the_reader(
    phase: PhaseDir, told: RunState, age_s: float, alive: bool, expected: ShownState
) -> None:
    """A trainer that runs must live and have spoken lately; one that has ended need not."""
    process = own_identity() if alive else own_identity().model_copy(update={"start_ticks": 1})
    status("mlp", told, unix_s=time.time() - age_s, process=process).write(phase.run("mlp").status)
    snapshot = PhaseStore(phase.path).snapshot()
    assert snapshot.runs[1].state is expected
    kinds = [alert.kind for alert in snapshot.alerts]
    assert kinds == ([expected.value] if expected in (ShownState.STALLED, ShownState.LOST) else [])


def test_a_living_supervisor_answers_for_processes_that_are_gone(phase: PhaseDir) -> None:
    """Between a crash and the restart nobody cries LOST."""
    supervised(phase, Stage.TRAIN)
    gone = own_identity().model_copy(update={"start_ticks": 1})
    status("mlp", unix_s=time.time(), process=gone).write(phase.run("mlp").status)
    assert PhaseStore(phase.path).snapshot().runs[1].state is ShownState.STARTING


@pytest.mark.parametrize(
    ("supervisor", "age_s", "expected"),
    [
        ("there", 1.0, ShownState.RUNNING),
        ("there", 25.0, ShownState.RUNNING),
        ("there", 35.0, ShownState.STALLED),
        ("here", 25.0, ShownState.STARTING),
        (None, 1.0, ShownState.RUNNING),
        (None, 100.0, ShownState.LOST),
    ],
)
def test_a_training_on_another_machine_is_judged_by_its_heartbeat(
    phase: PhaseDir, supervisor: str | None, age_s: float, expected: ShownState
) -> None:
    """Watched over a shared disk, it runs and has an ETA; where its supervisor is another than before, it starts anew."""
    there = own_identity().model_copy(update={"boot_id": "there", "host": "there"})
    supervised(phase, Stage.TRAIN, "running" if supervisor else "finished")
    if supervisor == "there":
        SupervisorState.read(phase.supervisor).model_copy(update={"process": there}).write(phase.supervisor)
    status("mlp", unix_s=time.time() - age_s, process=there).write(phase.run("mlp").status)
    snapshot = PhaseStore(phase.path).snapshot()
    assert snapshot.runs[1].state is expected
    assert snapshot.eta_s == (60.0 if expected is ShownState.RUNNING else None)


def test_a_phase_that_is_moved_away_is_not_said_to_be_prepared(phase: PhaseDir) -> None:
    """Who follows it is told, instead of waiting for a phase that will never come."""
    store = PhaseStore(phase.path)
    away = phase.path.rename(phase.path.with_name("moved"))
    with pytest.raises(BrefineError, match="the phase is no longer there"):
        store.snapshot()
    away.rename(phase.path)
    assert store.snapshot().state is PhaseState.PREPARING


@pytest.mark.parametrize("told", [None, RunState.RUNNING], ids=["without a word", "killed"])
@pytest.mark.parametrize("supervisor", ["running", "finished"])
@pytest.mark.parametrize("ended", ["stopped", "failed"])
def test_what_the_supervisor_has_ended_is_over(phase: PhaseDir, told: RunState | None, supervisor: str, ended: str) -> None:
    """A training that is given up, or was ended by force, could not say so: it neither starts nor is it lost."""
    supervised(phase, Stage.TRAIN, supervisor)
    SupervisorState.read(phase.supervisor).model_copy(update={"ended": {"mlp": ended}}).write(phase.supervisor)
    if told is not None:
        gone = own_identity().model_copy(update={"start_ticks": 1})
        status("mlp", told, unix_s=time.time(), process=gone).write(phase.run("mlp").status)
    snapshot = PhaseStore(phase.path).snapshot()
    assert snapshot.runs[1].state is ShownState(ended)
    assert (snapshot.alerts, snapshot.eta_s) == ((), None)


def test_a_training_that_goes_on_by_hand_is_shown_as_it_is(phase: PhaseDir) -> None:
    """What an earlier supervisor said of it holds until its process speaks again."""
    supervised(phase, Stage.TRAIN, "finished")
    SupervisorState.read(phase.supervisor).model_copy(update={"ended": {"mlp": "failed"}}).write(phase.supervisor)
    status("mlp", unix_s=time.time()).write(phase.run("mlp").status)
    assert PhaseStore(phase.path).snapshot().runs[1].state is ShownState.RUNNING


@pytest.mark.parametrize(("alive", "told"), [(True, []), (False, ["lost"])])
def test_a_phase_whose_supervisor_was_killed_says_so(phase: PhaseDir, alive: bool, told: list[str]) -> None:
    """Its trainings go on as if all were well, but nobody restarts them, tells of them or keeps them from the cap."""
    supervised(phase, Stage.TRAIN)
    if not alive:
        gone = own_identity().model_copy(update={"start_ticks": 1})
        SupervisorState.read(phase.supervisor).model_copy(update={"process": gone}).write(phase.supervisor)
    status("mlp", unix_s=time.time()).write(phase.run("mlp").status)
    snapshot = PhaseStore(phase.path).snapshot()
    assert snapshot.state is PhaseState.TRAINING
    assert [alert.kind for alert in snapshot.alerts] == told
    assert all("brefine resume" in alert.text and alert.level == "error" for alert in snapshot.alerts)


@pytest.mark.parametrize("silent", [False, True])
def test_a_supervisor_that_hangs_is_shown(tmp_path: Path, silent: bool) -> None:
    """Its process lives, and nobody stops the phase at its cap: an alert, the time in JSON, and no word of a guarded cap."""
    phase = make_toy_phase(
        tmp_path, recipe=RECIPE + "[budget]\nprice_usd_per_hour = 3.0\npriced_on = 2026-11-01\ncap_usd = 1.0\n"
    )
    supervised(phase, Stage.TRAIN)
    if silent:
        earlier = SupervisorState.read(phase.supervisor)
        earlier.model_copy(update={"heartbeat_unix_s": time.time() - 100.0}).write(phase.supervisor)
    status("mlp", unix_s=time.time()).write(phase.run("mlp").status)
    snapshot = PhaseStore(phase.path).snapshot()
    assert snapshot.supervisor.alive and snapshot.state is PhaseState.TRAINING
    assert [(alert.kind, alert.level, alert.model) for alert in snapshot.alerts] == [("stalled", "error", None)] * silent
    assert all("no sign of life for 100 s" in alert.text and "brefine stop" in alert.text for alert in snapshot.alerts)
    told = snapshot_to_json(snapshot)["supervisor"]
    assert told["alive"] and (told["silent_s"] is not None) == silent
    assert snapshot.budget.guarded != silent


def test_a_supervisor_that_ends_while_one_reads_is_not_called_gone(phase: PhaseDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last word came between the reading of its file and the look at its process."""
    supervised(phase, Stage.TRAIN)

    def end(*_: object) -> None:
        supervised(phase, Stage.TRAIN, "stopped")

    monkeypatch.setattr(store_module, "supervising", end)
    snapshot = PhaseStore(phase.path).snapshot()
    assert (snapshot.alerts, snapshot.supervisor.error) == ((), None)


def test_what_hinders_a_working_supervisor_is_a_problem(phase: PhaseDir) -> None:
    """A ledger that it cannot write: the money on the screen is not what the machine costs."""
    supervised(phase, Stage.TRAIN)
    words = "/ledger.jsonl: the ledger cannot be written: No space left on device"
    SupervisorState.read(phase.supervisor).model_copy(update={"error": words}).write(phase.supervisor)
    assert PhaseStore(phase.path).snapshot().problems == (words,)


def test_damage_and_numbers_that_are_none_become_alerts(phase: PhaseDir) -> None:
    """Nobody has to look into event files to learn that they are damaged or hold NaN."""
    records = [version(), *ramp(range(3)), scalar(3, float("nan")), b"\x07" * 50, *ramp([4])]
    write_events(phase.run("mlp").path / "events.out.tfevents.1", records)
    snapshot = PhaseStore(phase.path).snapshot(drain=True)
    assert sorted((alert.kind, alert.model, alert.step) for alert in snapshot.alerts) == [
        ("corrupt-events", "mlp", None),
        ("nonfinite", "mlp", 3),
    ]
    assert snapshot.runs[1].curves["train/loss"].steps.tolist() == [0, 1, 2, 3, 4]


def test_what_the_supervisor_told_is_not_told_again(phase: PhaseDir) -> None:
    """One cause, one alert."""
    told = Alert(id="x", level="warning", kind="nonfinite", model="mlp", step=3, text="rolled back", unix_s=1004.0)
    assert AlertLog(phase.alerts).tell(told) and not AlertLog(phase.alerts).tell(told)
    write_events(phase.run("mlp").path / "events.out.tfevents.1", [version(), scalar(3, float("nan"))])
    assert PhaseStore(phase.path).snapshot(drain=True).alerts == (told,)


def test_a_later_cause_of_the_same_kind_is_shown(phase: PhaseDir) -> None:
    """What was told of a step long past, of another record or of an earlier process hides nothing that came after it."""
    name, log = "events.out.tfevents.1", AlertLog(phase.alerts)
    bad = bytearray(scalar(901, 1.0))
    bad[-6] ^= 0x55
    write_events(phase.run("mlp").path / name, [version(), scalar(900, float("nan")), bytes(bad), *ramp([902])])
    status("mlp", unix_s=5000.0).write(phase.run("mlp").status)
    (damage,) = [alert for alert in PhaseStore(phase.path).snapshot(drain=True).alerts if alert.kind == "corrupt-events"]
    for kind, told in (("nonfinite", "rolled back"), ("stalled", "no sign of life"), ("corrupt-events", "another record")):
        assert log.tell(Alert(id=kind, level="warning", kind=kind, model="mlp", text=told, unix_s=1100.0))

    def seen() -> list[str]:
        return sorted(alert.kind for alert in PhaseStore(phase.path).snapshot(drain=True).alerts if alert.id not in told_ids)

    told_ids = {alert.id for alert in log.read()}
    assert seen() == ["corrupt-events", "nonfinite", "stalled"]
    for kind, unix_s in (("nonfinite", 1901.0), ("stalled", 5060.0)):
        log.tell(Alert(id=f"{kind} again", level="warning", kind=kind, model="mlp", text="and again", unix_s=unix_s))
    log.tell(damage)
    told_ids = {alert.id for alert in log.read()}
    assert seen() == []


@pytest.mark.parametrize("teller", ["nobody", "the supervisor"])
def test_a_stage_that_falls_silent_is_told_whoever_started_it(phase: PhaseDir, teller: str) -> None:
    """After ten times `stall_after_s`; what the supervisor told of it is not told a second time."""
    now_unix_s = time.time()

    def told(silent_s: float) -> list[str]:
        Progress(
            stage=Stage.INTEGRATE,
            state="running",
            step="refining",
            done=1,
            total=2,
            started_unix_s=1.0,
            unix_s=now_unix_s - silent_s,
            process=own_identity(),
        ).write(phase.progress(Stage.INTEGRATE))
        return [alert.id for alert in PhaseStore(phase.path).snapshot().alerts if alert.kind == "stalled"]

    if teller == "the supervisor":
        AlertLog(phase.alerts).tell(Alert(id="told", level="warning", kind="stalled", text="silent", unix_s=now_unix_s))
        assert told(310.0) == ["told"]
        return
    assert told(290.0) == []
    assert told(310.0) == [f"stalled:integrate:{now_unix_s - 310.0:.0f}"]


def test_an_unreadable_file_is_a_problem_and_the_last_good_word_stays(phase: PhaseDir) -> None:
    """A torn or foreign status neither crashes the reader nor empties the screen."""
    status("mlp", unix_s=time.time()).write(phase.run("mlp").status)
    store = PhaseStore(phase.path)
    before = store.snapshot().runs[1].status
    for content in ("{", json.dumps({"schema": 99}), json.dumps({"schema": 1, "model": "mlp"}), "[]"):
        phase.run("mlp").status.write_text(content)
        snapshot = store.snapshot()
        assert snapshot.runs[1].status == before
        assert len(snapshot.problems) == 1 and "status.json" in snapshot.problems[0]
    status("mlp", unix_s=time.time(), step=11).write(phase.run("mlp").status)
    snapshot = store.snapshot()
    assert snapshot.problems == () and snapshot.runs[1].status is not None and snapshot.runs[1].status.step == 11


def test_the_eta_is_the_longest_and_projects_the_money(tmp_path: Path) -> None:
    """The phase trains until its last training ends."""
    recipe = 'schema = 1\n[corpus]\nkind = "simulated"\n[models.mlp]\n[models.transformer]\n[budget]\nprice_usd_per_hour = 36.0\n'
    phase = make_toy_phase(tmp_path, recipe=recipe)
    status("mlp", unix_s=time.time(), eta_s=50.0).write(phase.run("mlp").status)
    status("transformer", unix_s=time.time(), eta_s=100.0).write(phase.run("transformer").status)
    snapshot = PhaseStore(phase.path).snapshot()
    assert snapshot.eta_s == 100.0
    assert snapshot.budget.projected_usd == pytest.approx(1.0)


def test_a_foreign_folder_is_watched_by_its_event_files(tmp_path: Path) -> None:
    """Each folder with event files is a run; new ones are found, and nothing but curves and alerts is claimed."""
    write_events(tmp_path / "logs" / "a" / "events.out.tfevents.1", [version(), *ramp(range(5), "acc"), scalar(5, float("inf"))])
    write_events(tmp_path / "logs" / "b" / "events.out.tfevents.1", [version(), *ramp(range(3))])
    store = open_store(tmp_path / "logs")
    assert isinstance(store, FolderStore)
    snapshot = store.snapshot(drain=True)
    assert snapshot.foreign and [run.name for run in snapshot.runs] == ["a", "b"]
    assert snapshot.runs[0].curves["acc"].steps.tolist() == [0, 1, 2, 3, 4]
    assert [(alert.kind, alert.model) for alert in snapshot.alerts] == [("nonfinite", "a")]
    assert snapshot.runs[0].status is None and snapshot.state is PhaseState.TRAINING


def test_a_foreign_root_and_a_folder_of_its_name_are_two_runs(tmp_path: Path) -> None:
    """No name is shown that a terminal would obey."""
    for name in ("train", "tr\x1b[31main"):
        for folder in (tmp_path / name, tmp_path / name / name):
            write_events(folder / "events.out.tfevents.1", [version(), *ramp(range(3))])
    shown = [[run.name for run in open_store(tmp_path / name).snapshot().runs] for name in ("train", "tr\x1b[31main")]
    assert shown == [["train", "./train"], [r"tr\x1b[31main", r"./tr\x1b[31main"]]


def test_what_is_neither_is_refused_in_words(tmp_path: Path) -> None:
    """An empty folder and a missing one are told apart."""
    with pytest.raises(BrefineError, match="there is nothing to watch"):
        open_store(tmp_path)
    with pytest.raises(BrefineError, match="there is no such folder"):
        open_store(tmp_path / "missing")
