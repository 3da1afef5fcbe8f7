"""The supervisor with real processes that really crash, hang, are killed and taken over."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from brefine.errors import ProcessError
from brefine.identity import is_alive, own_identity
from brefine.phasedir import Alert, PhaseDir, Progress, RunState, RunStatus, Stage, SupervisorState, find_phase
from brefine.run import launch, supervise
from brefine.run import lock as lock_module
from brefine.run.alerts import AlertLog
from brefine.run.budget import Ledger
from brefine.run.children import Child
from brefine.run.control import request
from brefine.run.launch import resume_phase, stop_phase
from brefine.run.lock import is_supervised, phase_lock
from brefine.run.meter import Meter
from brefine.run.road import go_the_road
from brefine.run.snapshot import PhaseState, ShownState
from brefine.run.stages import StageProcess
from brefine.run.store import PhaseStore
from brefine.run.supervise import Supervisor
from brefine.run.workers import working_process
from tests.run.nursery import Forked, Nursery
from tests.run.records import status as running_word
from tests.run.tail.event_writing import ramp, scalar, version, write_events
from tests.run.toy_programs import RECIPE, ToyPrograms, behave, make_toy_phase

pytestmark = pytest.mark.end_to_end

_REPOSITORY = Path(__file__).parents[2]
_DEADLINE_S = 120.0  # of a machine that is shared; nothing waits longer than it must
Start = Callable[..., Forked]


@pytest.fixture
def start(tmp_path: Path, nursery: Nursery) -> Iterator[Start]:
    """Starts supervisors of the toy programs in processes of their own; whatever still runs afterwards is ended."""
    started: list[Forked] = []

    def run(phase: PhaseDir, *, stop_grace_s: float = 60.0) -> Forked:
        started.append(nursery.start(phase, poll_s=0.02, stop_grace_s=stop_grace_s, events_every_s=0.2))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.wait()
    for path in tmp_path.rglob("status.json"):
        status = RunStatus.read(path)
        if is_alive(status.process):
            os.kill(status.process.pid, signal.SIGKILL)


def wait_until(holds: Callable[[], object]) -> None:
    """Waits for something to become true; a test that waits in vain fails."""
    deadline_s = time.monotonic() + _DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.02)


def status(phase: PhaseDir, model: str) -> RunStatus | None:
    return RunStatus.read_if_there(phase.run(model).status)


def step(phase: PhaseDir, model: str) -> int:
    found = status(phase, model)
    return 0 if found is None else found.step


def leads(phase: PhaseDir, supervisor: Forked) -> bool:
    """Whether it has taken the phase over."""
    word = SupervisorState.read_if_sound(phase.supervisor)
    return word is not None and word.process.pid == supervisor.pid


def alerts(phase: PhaseDir) -> list[Alert]:
    lines = phase.alerts.read_text().splitlines() if phase.alerts.exists() else []
    return [Alert.model_validate_json(line) for line in lines if line]


@contextlib.contextmanager
def handlers_put_back() -> Iterator[None]:
    """Signal handlers are afterwards what they were before."""
    earlier = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def run_here(phase: PhaseDir, *, stop_grace_s: float = 60.0) -> int:
    """A supervisor in this process."""
    with handlers_put_back():
        supervisor = Supervisor(phase, programs=ToyPrograms(), poll_s=0.02, stop_grace_s=stop_grace_s)
        return supervisor.run(supervisor.take_over())


def pipe_without_reader() -> int:
    """The end that is written into, of a pipe whose other end is closed."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    return write_end


def test_a_phase_is_prepared_trained_and_evaluated(tmp_path: Path) -> None:
    """The stages follow one another, and the state says so at the end."""
    phase = make_toy_phase(tmp_path)
    assert run_here(phase) == 0
    assert (phase.path / "evaluate.models").read_text() == "transformer mlp"
    final = SupervisorState.read(phase.supervisor)
    assert (final.state, final.error, final.restarts) == ("finished", None, {})
    assert alerts(phase) == []


def test_a_phase_goes_on_though_its_starter_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted while the supervisor starts, a launch leaves nobody who could be told that the phase is taken."""
    phase = make_toy_phase(tmp_path)
    monkeypatch.setattr(supervise, "Supervisor", partial(Supervisor, programs=ToyPrograms(), poll_s=0.02))
    with handlers_put_back():
        assert supervise.main([str(phase.path), "--ready", str(pipe_without_reader())]) == 0
    assert SupervisorState.read(phase.supervisor).state == "finished"


def test_why_a_supervisor_cannot_start_is_in_its_log_though_its_starter_is_gone(tmp_path: Path) -> None:
    """Not that nobody listened: that is no fault."""
    phase = make_toy_phase(tmp_path)
    phase.config.write_text("schema = 1\n[corp")
    write_end = pipe_without_reader()
    command = [sys.executable, "-m", "brefine.run.supervise", str(phase.path), "--ready", str(write_end)]
    environment = {**os.environ, "PYTHONPATH": str(_REPOSITORY)}
    ended = subprocess.run(command, pass_fds=[write_end], env=environment, capture_output=True, text=True, check=False)
    os.close(write_end)
    assert ended.returncode == 1
    assert "phase.toml" in ended.stderr


def test_a_crash_is_restarted_from_the_checkpoint_and_told(tmp_path: Path) -> None:
    """A trainer that crashes once finishes after all; its last words are in the alert."""
    phase = make_toy_phase(tmp_path, mlp={"steps": 5, "crash_at": 3, "once": True})
    assert run_here(phase) == 0
    (alert,) = alerts(phase)
    assert (alert.kind, alert.model, alert.level) == ("crashed", "mlp", "error")
    assert "toy: crashed as told" in alert.text
    assert SupervisorState.read(phase.supervisor).restarts == {"mlp": 1}


def test_out_of_memory_is_called_by_its_name(tmp_path: Path) -> None:
    """The words of the crash decide its kind."""
    phase = make_toy_phase(tmp_path, mlp={"oom_at": 2, "once": True})
    run_here(phase)
    assert [alert.kind for alert in alerts(phase)] == ["out-of-memory"]


def test_a_non_finite_training_is_given_up_and_the_others_go_on(tmp_path: Path) -> None:
    """One model is lost, the phase is not."""
    phase = make_toy_phase(tmp_path, mlp={"nonfinite_at": 2})
    assert run_here(phase) == 0
    assert [(alert.kind, alert.text) for alert in alerts(phase) if alert.level == "error"] == [("nonfinite", "the loss is nan")]
    assert (phase.path / "evaluate.models").read_text() == "transformer"
    assert SupervisorState.read(phase.supervisor).error == "mlp: the training failed"


def test_each_supervisor_tells_of_its_own_crashes(tmp_path: Path) -> None:
    """In a container that is started afresh the next supervisor has the same pid, as it has here."""
    phase = make_toy_phase(tmp_path, mlp={"nonfinite_at": 2})
    for n_told in (1, 2):
        run_here(phase)
        assert len([alert for alert in alerts(phase) if alert.text == "the loss is nan"]) == n_told


def test_the_tiers_of_a_raised_cap_are_told_anew(tmp_path: Path) -> None:
    """A cap that stays is told once, however many supervisors see it spent; another one has tiers of its own."""
    phase = make_toy_phase(tmp_path, evaluate={"until": str(tmp_path / "never")})  # or it might end before the first look
    for cap_usd, n_told in ((0.001, 1), (0.001, 1), (0.002, 2)):
        money = f"[budget]\nprice_usd_per_hour = 360000.0\ncap_usd = {cap_usd}\n"
        phase.config.write_text(RECIPE + money)
        assert run_here(phase) == 5
        assert [alert.level for alert in alerts(phase) if alert.kind == "budget"] == ["error"] * n_told


@pytest.mark.parametrize("at_work", [False, True])
def test_an_old_failure_is_not_shown_under_new_trainings(tmp_path: Path, start: Start, at_work: bool) -> None:
    """Once trainings are resumed the evaluation is still to come; one that somebody runs meanwhile keeps its word."""
    phase = make_toy_phase(tmp_path, mlp={"steps": 10_000}, transformer={"steps": 10_000})
    Progress(
        stage=Stage.EVALUATE,
        state="running" if at_work else "failed",
        step="",
        done=0,
        total=1,
        started_unix_s=1.0,
        unix_s=9.0,
        process=own_identity(),
        error=None if at_work else "there are no such weights",
    ).write(phase.progress(Stage.EVALUATE))
    supervisor = start(phase)
    wait_until(lambda: step(phase, "mlp") > 0 and step(phase, "transformer") > 0)
    wait_until(lambda: SupervisorState.read(phase.supervisor).stage is Stage.TRAIN)
    assert (Stage.EVALUATE in PhaseStore(phase.path).snapshot().progress) is at_work
    request(phase, "stop")
    assert supervisor.wait(_DEADLINE_S) == 0


def test_a_failed_preparation_ends_the_phase_with_its_words(tmp_path: Path) -> None:
    """What the stage wrote into its progress is what the person reads."""
    phase = make_toy_phase(tmp_path, prepare={"fail": "audio is missing for 3 recordings"})
    assert run_here(phase) == 4
    final = SupervisorState.read(phase.supervisor)
    assert (final.state, final.error) == ("failed", "prepare: audio is missing for 3 recordings")


def test_a_hanging_trainer_is_told_ended_and_started_again(tmp_path: Path) -> None:
    """A process that lives but does nothing costs as much as one that works."""
    recipe = RECIPE.replace("stall_after_s = 30.0", "stall_after_s = 2.0")
    phase = make_toy_phase(tmp_path, recipe=recipe, mlp={"hang_at": 2, "once": True}, transformer={"step_s": 0.01})
    assert run_here(phase) == 0
    stalled = [alert for alert in alerts(phase) if alert.kind == "stalled" and alert.model == "mlp"]
    assert list(dict.fromkeys(alert.level for alert in stalled)) == ["warning", "error"]  # a busy machine stalls too
    assert SupervisorState.read(phase.supervisor).restarts == {"mlp": 1}


def test_a_hanging_stage_is_told(tmp_path: Path) -> None:
    """It may only be slow: the person is told, nobody ends it, and it comes to its own end."""
    recipe = RECIPE.replace("stall_after_s = 30.0", "stall_after_s = 0.05")
    phase = make_toy_phase(tmp_path, recipe=recipe, prepare={"seconds": 1.0, "fail": "no audio"})
    assert run_here(phase) == 4
    assert [alert.text.partition(" gives ")[0] for alert in alerts(phase) if alert.kind == "stalled"][-1] == "the stage prepare"
    assert SupervisorState.read(phase.supervisor).error == "prepare: no audio"


def test_a_training_that_is_given_up_is_shown_as_failed(tmp_path: Path, start: Start) -> None:
    """A trainer that dies at every try leaves "running" as its last word; the person reads that it has failed, at once."""
    phase = make_toy_phase(tmp_path, mlp={"crash_at": 2}, transformer={"steps": 10_000})
    supervisor = start(phase)
    store = PhaseStore(phase.path)
    wait_until(lambda: phase.supervisor.exists() and SupervisorState.read(phase.supervisor).ended == {"mlp": "failed"})
    assert status(phase, "mlp").state is RunState.RUNNING
    assert {run.name: run.state for run in store.snapshot().runs}["mlp"] is ShownState.FAILED
    request(phase, "stop")
    assert supervisor.wait(_DEADLINE_S) == 0
    assert {run.name: run.state for run in store.snapshot().runs}["mlp"] is ShownState.FAILED


def test_killed_trainers_are_started_again(tmp_path: Path, start: Start) -> None:
    """SIGKILL from outside: the training goes on from its checkpoint and finishes."""
    phase = make_toy_phase(tmp_path, mlp={"steps": 10_000}, transformer={"steps": 3})
    supervisor = start(phase)
    wait_until(lambda: step(phase, "mlp") > 3)
    behave(phase, mlp={"steps": step(phase, "mlp") + 10})
    os.kill(status(phase, "mlp").process.pid, signal.SIGKILL)
    assert supervisor.wait(_DEADLINE_S) == 0
    assert status(phase, "mlp").state is RunState.FINISHED
    (alert,) = alerts(phase)
    assert (alert.kind, alert.text.partition(":")[0]) == ("crashed", "the training was killed (signal 9)")


def test_a_killed_supervisor_is_followed_by_one_that_takes_over(tmp_path: Path, start: Start) -> None:
    """Training goes on without its supervisor; the next one adopts the very same processes and finishes the phase."""
    gate = tmp_path / "go"
    phase = make_toy_phase(tmp_path, **{model: {"steps": 5, "until": str(gate)} for model in ("mlp", "transformer")})
    first = start(phase)
    wait_until(lambda: step(phase, "mlp") > 3 and step(phase, "transformer") > 3)
    first.send_signal(signal.SIGKILL)
    first.wait()
    before = {model: status(phase, model).process for model in ("mlp", "transformer")}
    store = PhaseStore(phase.path)
    assert all(is_alive(process) for process in before.values())
    snapshot = store.snapshot()
    assert snapshot.state is PhaseState.TRAINING
    assert not snapshot.supervisor.alive and "brefine resume" in str(snapshot.supervisor.error)
    second = start(phase)
    wait_until(partial(leads, phase, second))
    gate.touch()
    assert second.wait(_DEADLINE_S) == 0
    assert {model: status(phase, model).process for model in before} == before
    assert all(status(phase, model).state is RunState.FINISHED for model in before)
    assert alerts(phase) == []


@pytest.mark.parametrize("before", [None, RunState.RUNNING], ids=["first start", "started again"])
def test_a_trainer_that_has_not_spoken_yet_is_taken_over(tmp_path: Path, start: Start, before: RunState | None) -> None:
    """Its supervisor dies while it still loads: it is shown as starting, adopted, and nobody starts a second one."""
    gate = tmp_path / "go"
    phase = make_toy_phase(tmp_path, mlp={"mute_until": str(gate)}, transformer={"mute_until": str(gate)})
    if before is not None:
        gone = own_identity().model_copy(update={"start_ticks": 1})
        running_word("mlp", before, process=gone).write(phase.run("mlp").status)
    first = start(phase)
    wait_until(lambda: phase.supervisor.exists() and "mlp" in SupervisorState.read(phase.supervisor).processes)
    first.kill()
    first.wait()
    mute = SupervisorState.read(phase.supervisor).processes["mlp"]
    snapshot = PhaseStore(phase.path).snapshot()
    assert {run.name: run.state for run in snapshot.runs}["mlp"] is ShownState.STARTING
    told = {alert.id for alert in alerts(phase)}  # by the first supervisor, of what it had found
    assert [alert.model for alert in snapshot.alerts if alert.id not in told] == [
        None
    ]  # the supervisor is gone, and nothing else
    second = start(phase)
    wait_until(lambda: is_supervised(phase) and SupervisorState.read(phase.supervisor).process.pid == second.pid)
    gate.touch()
    assert second.wait(_DEADLINE_S) == 0
    assert status(phase, "mlp").process == mute
    assert {line.split()[0] for line in (phase.run("mlp").path / "steps").read_text().splitlines()} == {str(mute.pid)}


@pytest.mark.parametrize("subject", ["mlp", "prepare"])
def test_what_has_not_spoken_yet_is_stopped(tmp_path: Path, start: Start, subject: str) -> None:
    """`brefine stop` reaches a process that its supervisor has left before the first word, too."""
    phase = make_toy_phase(tmp_path, **{subject: {"mute_until": str(tmp_path / "never")}})
    first = start(phase)
    wait_until(lambda: phase.supervisor.exists() and subject in SupervisorState.read(phase.supervisor).processes)
    first.kill()
    first.wait()
    mute = SupervisorState.read(phase.supervisor).processes[subject]
    assert is_alive(mute)
    stop_phase(phase)
    assert not is_alive(mute)


@pytest.mark.parametrize("stage", ["prepare", "evaluate"])
def test_a_stage_without_its_supervisor_is_taken_over(tmp_path: Path, start: Start, stage: str) -> None:
    """Its process goes on; the next supervisor waits for that one instead of starting a second that writes the same files."""
    gate = tmp_path / "go"
    phase = make_toy_phase(tmp_path, **{stage: {"until": str(gate)}})
    first = start(phase)
    wait_until(lambda: working_process(phase, Stage(stage)) is not None)
    first.kill()
    first.wait()
    worker = working_process(phase, Stage(stage))
    second = start(phase)

    def has_taken_over() -> bool:
        found = SupervisorState.read(phase.supervisor)
        return (found.process.pid, found.stage) == (second.pid, stage)

    wait_until(has_taken_over)
    gate.touch()
    assert second.wait(_DEADLINE_S) == 0
    assert Progress.read(phase.progress(Stage(stage))).process == worker
    assert alerts(phase) == []


def test_an_evaluation_by_hand_is_not_taken_for_the_supervisors(tmp_path: Path) -> None:
    """It may judge other checkpoints on another split; taken over, it would end the phase with nothing to select from."""
    phase = make_toy_phase(tmp_path)
    run_here(phase)
    (phase.path / "evaluate.models").unlink()
    by_hand = StageProcess(phase, Stage.EVALUATE, ["sleep", "90"])
    try:
        assert run_here(phase) == 0
        assert by_hand.exit_code() is None  # nobody has waited for it
    finally:
        by_hand.end()
    assert (phase.path / "evaluate.models").read_text() == "transformer mlp"


def test_a_stage_without_its_supervisor_is_stopped(tmp_path: Path, start: Start) -> None:
    """Whoever stops a phase leaves nothing behind that costs money."""
    phase = make_toy_phase(tmp_path, prepare={"until": str(tmp_path / "never")})
    first = start(phase)
    wait_until(lambda: working_process(phase, Stage.PREPARE) is not None)
    first.kill()
    first.wait()
    worker = working_process(phase, Stage.PREPARE)
    stop_phase(phase)
    assert not is_alive(worker)


@pytest.mark.parametrize("damaged", ["mlp/status.json", "supervisor.json"])
def test_a_damaged_word_keeps_no_phase_from_being_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damaged: str) -> None:
    """A power cut may leave zeros in a file; checkpoints decide from where a training goes on, not its status."""
    phase = make_toy_phase(tmp_path)
    run_here(phase)
    (phase.path / damaged).write_bytes(b"\0" * 100)
    supervisors: list[PhaseDir] = []
    monkeypatch.setattr(launch, "start_supervisor", supervisors.append)
    resume_phase(phase)
    assert supervisors == [phase]
    run_here(phase)
    assert SupervisorState.read(phase.supervisor).state == "finished"


def test_a_second_supervisor_is_refused(tmp_path: Path, start: Start) -> None:
    """One phase, one supervisor; the refusal names the process that has it."""
    phase = make_toy_phase(tmp_path, mlp={"steps": 10_000}, transformer={"steps": 10_000})
    first = start(phase)
    wait_until(lambda: is_supervised(phase))
    with pytest.raises(ProcessError, match=f"supervised already.*process {first.pid}"), phase_lock(phase):
        pass
    second = start(phase)
    assert second.wait(_DEADLINE_S) == 1
    assert first.poll() is None


@pytest.mark.parametrize("has_room", [True, False])
def test_a_supervisor_whose_word_is_damaged_is_found_by_its_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: Start, has_room: bool
) -> None:
    """It is shown, refuses a second one, and is stopped by a request, or by a signal where there is no room for one."""
    phase = make_toy_phase(tmp_path, mlp={"steps": 10_000}, transformer={"steps": 10_000})
    supervisor = start(phase)
    wait_until(lambda: step(phase, "mlp") > 2 and step(phase, "transformer") > 2)
    supervisor.send_signal(signal.SIGSTOP)  # or it would write its word anew
    phase.supervisor.write_bytes(b"")
    view = PhaseStore(phase.path).snapshot().supervisor
    assert (view.alive, view.pid) == (True, supervisor.pid)
    with pytest.raises(ProcessError, match=f"supervised already.*process {supervisor.pid}"):
        resume_phase(phase)

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if not has_room:
        monkeypatch.setattr(launch, "request", refuse)
    threading.Timer(0.5, supervisor.send_signal, [signal.SIGCONT]).start()
    assert stop_phase(phase)
    assert SupervisorState.read(phase.supervisor).state == "stopped"
    assert [status(phase, model).state for model in ("mlp", "transformer")] == [RunState.STOPPED] * 2


@pytest.mark.parametrize("set_back_s", [0.0, 3600.0])
def test_a_wish_to_a_supervisor_that_takes_the_phase_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, set_back_s: float
) -> None:
    """Only those are void that were made before: what is asked meanwhile is asked of the new one, whose lock names it already.

    So it is where the clock is set back before the new one comes.
    """
    phase = make_toy_phase(tmp_path)
    request(phase, "pause", "mlp")
    now_ns = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now_ns() - int(set_back_s * 1e9))
    monkeypatch.setattr(time, "time", lambda: time.time_ns() / 1e9)
    with phase_lock(phase) as void:
        request(phase, "resume", "mlp")
        supervisor = Supervisor(phase, void=void, programs=ToyPrograms())
        request(phase, "stop")
        supervisor.take_over()
    assert sorted(path.name.partition("-")[2] for path in phase.control.iterdir()) == ["resume-mlp.json", "stop.json"]


def test_of_two_resumed_at_once_the_second_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both looked before either had the phase; the log, which they share, tells the second nothing but the first one's words."""
    phase = make_toy_phase(tmp_path)
    looks = iter([False])
    monkeypatch.setattr(launch, "is_supervised", lambda phase: next(looks, True) and is_supervised(phase))
    with phase_lock(phase):
        refused = f"^{phase.path}: this phase is supervised already \\(got process {os.getpid()} on"
        with pytest.raises(ProcessError, match=refused):
            launch.start_supervisor(phase)


def test_hangup_does_nothing_and_sigterm_checkpoints_everything(tmp_path: Path, start: Start) -> None:
    """The terminal may close; SIGTERM to the supervisor ends every training in order, resumable."""
    phase = make_toy_phase(tmp_path, mlp={"steps": 10_000}, transformer={"steps": 10_000})
    supervisor = start(phase)
    wait_until(lambda: step(phase, "mlp") > 2 and step(phase, "transformer") > 2)
    supervisor.send_signal(signal.SIGHUP)
    now = step(phase, "mlp")
    wait_until(lambda: step(phase, "mlp") > now + 2)
    supervisor.send_signal(signal.SIGTERM)
    assert supervisor.wait(_DEADLINE_S) == 0
    assert SupervisorState.read(phase.supervisor).state == "stopped"
    for model in ("mlp", "transformer"):
        found = status(phase, model)
        assert found.state is RunState.STOPPED and phase.run(model).training_state.read_text() == str(found.step)
    assert PhaseStore(phase.path).snapshot().state is PhaseState.STOPPED


def test_pause_resume_and_restart_by_request(tmp_path: Path, start: Start) -> None:
    """Requests are files, consumed once, and act on the model they name."""
    phase = make_toy_phase(tmp_path, mlp={"steps": 10_000}, transformer={"steps": 3})
    supervisor = start(phase)
    store = PhaseStore(phase.path)

    def shown() -> ShownState:
        return {run.name: run.state for run in store.snapshot().runs}["mlp"]

    wait_until(lambda: step(phase, "mlp") > 2)
    request(phase, "pause", "mlp")
    wait_until(lambda: shown() is ShownState.PAUSED)
    paused_at, process = step(phase, "mlp"), status(phase, "mlp").process
    assert not is_alive(process) and supervisor.poll() is None
    request(phase, "resume", "mlp")
    wait_until(lambda: step(phase, "mlp") > paused_at and shown() is ShownState.RUNNING)
    resumed = status(phase, "mlp").process
    behave(phase, mlp={"steps": step(phase, "mlp") + 10})
    request(phase, "restart", "mlp")
    wait_until(lambda: status(phase, "mlp").process != resumed and step(phase, "mlp") > paused_at)
    (phase.control / "1-nonsense.json").write_text("{")
    assert supervisor.wait(_DEADLINE_S) == 0
    assert list(phase.control.iterdir()) == []


def test_trainings_stopped_in_turn_before_they_have_learned_are_no_failure(tmp_path: Path, start: Start) -> None:
    """Nothing is evaluated and nothing crashes: the phase is stopped, and the plain road ends as an interrupted one."""
    phase = make_toy_phase(tmp_path, **{model: {"steps": 10_000, "dull": True} for model in ("mlp", "transformer")})
    supervisor = start(phase)
    for model in ("mlp", "transformer"):
        wait_until(lambda model=model: step(phase, model) > 0)
        request(phase, "stop", model)
    assert supervisor.wait(_DEADLINE_S) == 0
    assert (SupervisorState.read(phase.supervisor).state, alerts(phase)) == ("stopped", [])
    assert not phase.progress(Stage.EVALUATE).exists()
    assert go_the_road(phase, lambda _: None) == 130


def test_a_request_that_cannot_be_removed_is_heard_once(tmp_path: Path, start: Start) -> None:
    """A folder in the place of a request: the supervisor says so, and neither ends by it nor listens to it again."""
    phase = make_toy_phase(tmp_path, mlp={"steps": 10_000})
    (phase.control / "0-stop.json").mkdir()
    supervisor = start(phase)
    wait_until(lambda: step(phase, "mlp") > 2)
    (phase.control / "1-stop.json").mkdir()
    request(phase, "stop")
    assert supervisor.wait(_DEADLINE_S) == 0
    assert SupervisorState.read(phase.supervisor).state == "stopped"
    assert sorted(path.name for path in phase.control.iterdir()) == ["0-stop.json", "1-stop.json"]
    log = phase.supervisor_log.read_text()
    assert [log.count(f"{number}-stop.json: cannot be removed") for number in (0, 1)] == [1, 1]


def test_a_phase_is_stopped_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: Start) -> None:
    """The request to stop is a file; where there is no room for it the supervisor hears a signal."""
    phase = make_toy_phase(tmp_path, mlp={"steps": 10_000}, transformer={"steps": 10_000})
    start(phase)
    wait_until(lambda: step(phase, "mlp") > 2 and step(phase, "transformer") > 2)

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(launch, "request", refuse)
    stop_phase(phase)
    assert SupervisorState.read(phase.supervisor).state == "stopped"
    assert [status(phase, model).state for model in ("mlp", "transformer")] == [RunState.STOPPED] * 2


@pytest.mark.parametrize("recipe", ["torn", "moved"])
def test_a_phase_whose_recipe_is_damaged_is_stopped(tmp_path: Path, start: Start, recipe: str) -> None:
    """The supervisor knows what it has started, and needs nothing but a request."""
    phase = make_toy_phase(tmp_path, mlp={"steps": 10_000}, transformer={"steps": 10_000})
    start(phase)
    wait_until(lambda: step(phase, "mlp") > 2 and step(phase, "transformer") > 2)
    if recipe == "torn":
        phase.config.write_text("schema = 1\n[corp")
    else:
        phase.config.rename(tmp_path / "moved.toml")
    assert stop_phase(find_phase(phase.path.name, tmp_path))
    assert SupervisorState.read(phase.supervisor).state == "stopped"
    assert [status(phase, model).state for model in ("mlp", "transformer")] == [RunState.STOPPED] * 2


def test_a_phase_that_is_moved_while_it_trains_is_stopped(tmp_path: Path, start: Start) -> None:
    """Nothing comes back under its old name, and under the new one it goes on from its checkpoints."""
    phase = make_toy_phase(tmp_path, mlp={"steps": 10_000}, transformer={"steps": 10_000})
    supervisor = start(phase)
    wait_until(lambda: step(phase, "mlp") > 2 and step(phase, "transformer") > 2)
    events = [version(), scalar(1, float("nan"), "validation/mae_ms")]
    write_events(phase.run("mlp").path / "events.out.tfevents.1700000000.brefine", events)
    wait_until(lambda: [alert.kind for alert in alerts(phase)] == ["nonfinite"])  # the supervisor has looked into that file
    moved = PhaseDir(phase.path.rename(tmp_path / "moved"))
    assert supervisor.wait(_DEADLINE_S) == 0
    assert not phase.path.exists()
    assert not any(is_alive(status(moved, model).process) for model in ("mlp", "transformer"))
    log = moved.supervisor_log.read_text()
    assert log.count(f"error: lost: phase: {phase.path}: the folder is not there any more: was it moved?") == 1
    assert "corrupt-events" not in log
    assert all(int(moved.run(model).training_state.read_text()) > 2 for model in ("mlp", "transformer"))
    (moved.path / "toy.json").write_text("{}")
    assert run_here(moved) == 0
    assert [status(moved, model).state for model in ("mlp", "transformer")] == [RunState.FINISHED] * 2


def test_a_deaf_trainer_is_ended_by_force(tmp_path: Path, start: Start) -> None:
    """Whoever ignores the request is killed when the grace is over; wishes to an earlier supervisor are void."""
    phase = make_toy_phase(tmp_path, mlp={"steps": 10_000, "deaf": True}, transformer={"steps": 2})
    request(phase, "stop")
    supervisor = start(phase, stop_grace_s=0.3)
    wait_until(lambda: step(phase, "mlp") > 2)
    assert list(phase.control.iterdir()) == []
    request(phase, "stop", "mlp")
    assert supervisor.wait(_DEADLINE_S) == 0
    assert not is_alive(status(phase, "mlp").process)
    assert (phase.path / "evaluate.models").read_text() == "transformer mlp"


@pytest.mark.parametrize("subject", ["mlp", "prepare"])
def test_a_stop_that_fails_is_told_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subject: str) -> None:
    """A scheduler that does not answer hears neither the request nor the first force; what runs on costs money meanwhile."""
    stage = {"until": str(tmp_path / "never")} if subject == "prepare" else {}
    phase = make_toy_phase(tmp_path, recipe=RECIPE.replace("[models.transformer]\n", ""), mlp={"steps": 10_000}, prepare=stage)
    tries: list[bool] = []
    stop = Child.stop

    def refused_twice(child: Child, *, by_force: bool) -> None:
        tries.append(by_force)
        if len(tries) <= 2:
            raise OSError(errno.EIO, "scancel failed: no answer")
        stop(child, by_force=by_force)

    def ask() -> None:
        wait_until(lambda: working_process(phase, Stage.PREPARE) is not None if stage else step(phase, "mlp") > 2)
        request(phase, "stop")

    monkeypatch.setattr(Child, "stop", refused_twice)
    person = threading.Thread(target=ask)
    person.start()
    assert run_here(phase, stop_grace_s=0.3) == 0
    person.join()
    assert tries[:3] == [False, True, True]
    assert SupervisorState.read(phase.supervisor).state == "stopped"
    model = None if stage else "mlp"
    text = "it cannot be stopped and is tried again: scancel failed: no answer"
    assert [(alert.kind, alert.level, alert.model, alert.text) for alert in alerts(phase)] == [
        ("scheduler", "error", model, text)
    ]


def test_the_cap_of_the_budget_checkpoints_and_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A phase that has spent its cap ends with exit code 5, resumable, its tiers and the idle machine told."""
    money = '[budget]\nprice_usd_per_hour = 36000.0\ncap_usd = 0.5\nterminate = "lambda terminate"\n'
    phase = make_toy_phase(tmp_path, recipe=RECIPE + money, mlp={"steps": 10_000}, transformer={"steps": 10_000})
    spent_usd_by_now = Meter.spent_usd

    def spent_once_training(meter: Meter) -> float:
        """However slow this machine starts processes: money counts when both trainings have a checkpoint."""
        return spent_usd_by_now(meter) if min(step(phase, "mlp"), step(phase, "transformer")) > 1 else 0.0

    monkeypatch.setattr(Meter, "spent_usd", spent_once_training)
    assert run_here(phase) == 5
    assert SupervisorState.read(phase.supervisor).state == "budget"
    told = [alert for alert in alerts(phase) if alert.kind == "budget"]
    assert told[-1].level == "error" and "100 % of the cap" in told[-1].text
    assert "lambda terminate" in next(alert.text for alert in alerts(phase) if alert.kind == "idle-burn")
    assert status(phase, "mlp").state is RunState.STOPPED
    spent_usd = PhaseStore(phase.path).snapshot().budget.spent_usd
    assert spent_usd >= 0.5
    assert PhaseStore(phase.path).snapshot().budget.remaining_usd == pytest.approx(999.28 - spent_usd)


def test_a_phase_that_has_spent_its_cap_is_not_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be stopped again before it has begun; but a training that still runs is taken over, to be stopped in order."""
    ledger = Ledger(tmp_path / "ledger.jsonl")
    money = f'[budget]\nprice_usd_per_hour = 2.0\ncap_usd = 3.0\nledger = "{ledger.path}"\n'
    phase = make_toy_phase(tmp_path, recipe=RECIPE + money)
    session = ledger.open_session(phase.path, 2.0, 0.0)
    supervisors: list[PhaseDir] = []
    monkeypatch.setattr(launch, "start_supervisor", supervisors.append)
    ledger.tick(session, 1800.0)
    resume_phase(phase)
    assert supervisors == [phase]
    ledger.tick(session, 3 * 1800.0)
    with pytest.raises(ProcessError, match=r"(?s)phase.toml: this phase has spent its cap .*got \$3.00.*raise the cap"):
        resume_phase(phase)
    assert supervisors == [phase]
    running_word("mlp").write(phase.run("mlp").status)
    resume_phase(phase)
    assert supervisors == [phase, phase]


def test_a_rebooted_machine_is_noticed(tmp_path: Path) -> None:
    """A status of another boot names no process of this one, even if the pid is taken: LOST, and resumable."""
    phase = make_toy_phase(tmp_path, mlp={"steps": 4}, transformer={"steps": 4})
    run_here(phase)
    found = status(phase, "mlp")
    own = psutil.Process()
    old = found.process.model_copy(update={"pid": own.pid, "started_unix_s": own.create_time(), "boot_id": "another boot"})
    found.model_copy(update={"state": RunState.RUNNING, "process": old}).write(phase.run("mlp").status)
    state = SupervisorState.read(phase.supervisor)
    state.model_copy(update={"state": "running", "process": old, "heartbeat_unix_s": time.time() - 3600.0}).write(
        phase.supervisor
    )
    snapshot = PhaseStore(phase.path).snapshot()
    assert not snapshot.supervisor.alive
    assert {run.name: run.state for run in snapshot.runs}["mlp"] is ShownState.LOST
    assert [(alert.kind, alert.model) for alert in snapshot.alerts] == [("lost", "mlp"), ("lost", None)]
    assert run_here(phase) == 0
    assert status(phase, "mlp").state is RunState.FINISHED
    assert [(alert.kind, alert.model) for alert in alerts(phase)] == [("lost", "mlp")]


def test_damaged_curves_are_told_although_nobody_watches(tmp_path: Path) -> None:
    """The supervisor follows the event files itself: a flipped byte and a validation that is no number are alerts."""
    phase = make_toy_phase(tmp_path)
    folder = phase.run("mlp").path
    folder.mkdir()
    path = write_events(
        folder / "events.out.tfevents.1", [version(), *ramp(range(30)), scalar(30, float("nan"), "validation/mae_ms")]
    )
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    assert run_here(phase) == 0
    assert sorted((alert.kind, alert.model) for alert in alerts(phase)) == [("corrupt-events", "mlp"), ("nonfinite", "mlp")]
    assert run_here(phase) == 0
    assert len(alerts(phase)) == 2


def test_alerts_that_do_not_arrive_are_a_problem_of_the_phase(tmp_path: Path) -> None:
    """Whoever looks learns that nobody was told."""
    phase = make_toy_phase(tmp_path, recipe=RECIPE + '[alerts]\ncommand = "no-such-program-anywhere"\n')
    AlertLog(phase.alerts).tell(Alert(id="crashed:1", level="error", kind="crashed", text="the training ended", unix_s=1.0))
    supervisor = Supervisor(phase, programs=ToyPrograms())
    supervisor._write()
    assert PhaseStore(phase.path).snapshot().problems == ()
    supervisor._notifier.tick()
    supervisor._write()
    (problem,) = PhaseStore(phase.path).snapshot().problems
    assert problem.startswith("alerts do not arrive by the alert command")


def test_an_alert_reaches_the_person_through_the_supervisor(tmp_path: Path) -> None:
    """Nobody looks at any screen; the command of the recipe is run all the same, once."""
    kept = tmp_path / "kept"
    command = f'{sys.executable} -c "import sys; open(sys.argv[1], chr(97)).write(sys.stdin.read() + chr(10))" {kept}'
    recipe = RECIPE + f"[alerts]\ncommand = {json.dumps(command)}\n"
    phase = make_toy_phase(tmp_path, recipe=recipe, mlp={"steps": 5, "crash_at": 3, "once": True})
    assert run_here(phase) == 0
    (message,) = [json.loads(line) for line in kept.read_text().splitlines()]
    assert message["title"] == f"brefine {phase.path.name}: crashed"
    assert "toy: crashed as told" in message["text"]


def test_what_a_killed_supervisor_had_not_sent_the_next_one_sends(tmp_path: Path, start: Start) -> None:
    """One message an hour: the second alert waits for it when its supervisor is killed. Nothing is lost, nothing comes twice."""
    kept = tmp_path / "kept"
    command = f'{sys.executable} -c "import sys; open(sys.argv[1], chr(97)).write(sys.stdin.read() + chr(10))" {kept}'
    recipe = RECIPE + f"[alerts]\ncommand = {json.dumps(command)}\nper_hour = 1\n"
    phase = make_toy_phase(
        tmp_path, recipe=recipe, mlp={"steps": 10_000, "crash_at": 3, "once": True}, transformer={"steps": 10_000}
    )

    def arrived() -> list[str]:
        messages = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
        return [alert["model"] for message in messages for alert in message["alerts"] if alert["kind"] == "crashed"]

    first = start(phase)
    wait_until(lambda: arrived() == ["mlp"] and phase.alerts_sent.exists() and step(phase, "transformer") > 0)
    os.kill(status(phase, "transformer").process.pid, signal.SIGKILL)
    wait_until(lambda: len(alerts(phase)) == 2)
    first.kill()
    first.wait()
    assert arrived() == ["mlp"]
    for _ in range(2):
        following = start(phase)
        wait_until(partial(leads, phase, following))  # a wish from before that moment may be void
        wait_until(lambda: len(arrived()) == 2)
        request(phase, "stop")
        assert following.wait(_DEADLINE_S) == 0
    assert arrived() == ["mlp", "transformer"]
    sent = [json.loads(line) for line in phase.alerts_sent.read_text().splitlines()]
    assert sorted(sent) == sorted(alert.id for alert in alerts(phase))


def test_a_supervisor_on_another_machine_keeps_the_phase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a shared disk the kernel's lock may not reach; a fresh heartbeat of another boot does."""
    phase = make_toy_phase(tmp_path)
    Supervisor(phase, programs=ToyPrograms()).take_over()
    monkeypatch.setattr(lock_module, "boot_id", lambda: "this machine")
    with pytest.raises(ProcessError, match="supervised already"), phase_lock(phase):
        pass


def test_a_copied_phase_directory_is_a_phase_of_its_own(tmp_path: Path) -> None:
    """A copy of a finished phase is watched without error, and its old processes are not taken for living ones."""
    phase = make_toy_phase(tmp_path)
    run_here(phase)
    copy = PhaseDir(tmp_path / "copy")
    subprocess.run(["cp", "-r", str(phase.path), str(copy.path)], check=True)
    for path in copy.path.rglob("*.json"):
        with contextlib.suppress(KeyError, TypeError):
            tree = json.loads(path.read_text())
            tree["process"] |= {"boot_id": "elsewhere", "host": "elsewhere"}
            path.write_text(json.dumps(tree))
    snapshot = PhaseStore(copy.path).snapshot()
    assert [run.state for run in snapshot.runs] == [ShownState.FINISHED] * 2
    assert snapshot.problems == ()
