"""A supervisor and a scheduler: what becomes of jobs that wait, are preempted, run into their limit, fail or are cancelled."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from brefine.identity import own_identity
from brefine.phasedir import Alert, JobRecord, JobWord, PhaseDir, Progress, RunState, RunStatus, Stage, SupervisorState
from brefine.run.control import request
from brefine.run.launch import stop_phase
from brefine.run.snapshot import ShownState
from brefine.run.store import PhaseStore
from tests.run.nursery import Forked, Nursery
from tests.run.toy_programs import RECIPE, behave, make_toy_phase
from tests.slurm.conftest import IS_REAL, Cluster, FakeCluster

pytestmark = pytest.mark.end_to_end

_DEADLINE_S = 180.0  # of a machine that is shared; nothing waits longer than it must
_RECIPE = (
    RECIPE
    + """
[budget]
price_usd_per_hour = 3600.0
[executor]
kind = "slurm"
gpus = 0
cpus = 1
time_minutes = 5
checkpoint_ahead_s = 30
poll_s = 0.3
array_tasks = 1
"""
)
_MLP_ALONE = _RECIPE.replace("[models.transformer]\n", "")
Start = Callable[[PhaseDir], Forked]


@pytest.fixture
def start(cluster: Cluster, nursery: Nursery) -> Iterator[Start]:
    """Starts supervisors of the toy programs; whatever still runs afterwards is ended."""
    started: list[Forked] = []

    def run(phase: PhaseDir) -> Forked:
        started.append(nursery.start(phase, poll_s=0.05))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.wait()


def wait_until(holds: Callable[[], object]) -> None:
    """Waits for something to become true; a test that waits in vain fails."""
    deadline_s = time.monotonic() + _DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.05)


def ends_with(process: Forked, phase: PhaseDir) -> int:
    """The supervisor's exit code."""
    try:
        return process.wait(_DEADLINE_S)
    except subprocess.TimeoutExpired:
        raise AssertionError(phase.supervisor_log.read_text()) from None


def status(phase: PhaseDir, model: str = "mlp") -> RunStatus:
    return RunStatus.read(phase.run(model).status)  # type: ignore[arg-type]


def job(phase: PhaseDir, model: str = "mlp") -> JobRecord:
    return JobRecord.read(phase.job(model))


def steps(phase: PhaseDir, model: str = "mlp") -> int:
    """How far a training is; 0 before its first word."""
    word = RunStatus.read_if_there(phase.run(model).status)  # type: ignore[arg-type]
    return 0 if word is None else word.step


def alerts(phase: PhaseDir) -> list[tuple[str, str | None, str]]:
    if not phase.alerts.exists():
        return []
    lines = [Alert.model_validate_json(line) for line in phase.alerts.read_text().splitlines()]
    return [(alert.kind, alert.model, alert.text) for alert in lines if alert.kind not in ("budget", "slow")]


def prepared_phase(folder: Path, recipe: str = _RECIPE, **behaviour: dict[str, object]) -> PhaseDir:
    """A phase whose trainings may begin: one job less to wait for."""
    phase = make_toy_phase(folder, recipe=recipe, **behaviour)
    now_unix_s, process = time.time(), own_identity()
    Progress(
        stage=Stage.PREPARE,
        state="finished",
        step="",
        done=1,
        total=1,
        started_unix_s=now_unix_s,
        unix_s=now_unix_s,
        process=process,
    ).write(phase.progress(Stage.PREPARE))
    return phase


def test_a_phase_of_jobs_ends_like_one_of_processes(tmp_path: Path, cluster: Cluster, start: Start) -> None:
    """Preparation, trainings and evaluation; allocated time is billed, and only that; pickles lie outside the phase."""
    phase = make_toy_phase(tmp_path, recipe=_RECIPE, transformer={"steps": 8, "step_s": 0.2}, mlp={"steps": 8, "step_s": 0.2})
    assert ends_with(start(phase), phase) == 0, phase.supervisor_log.read_text()
    assert {status(phase, model).state for model in ("transformer", "mlp")} == {RunState.FINISHED}
    assert (phase.path / "evaluate.models").read_text() == "transformer mlp"
    assert job(phase).state == "COMPLETED"
    assert job(phase).node
    assert JobWord.read(phase.job_word("mlp")).code == 0
    view = PhaseStore(phase.path).snapshot()
    assert [run.state for run in view.runs] == [ShownState.FINISHED, ShownState.FINISHED]
    sessions = [json.loads(line) for line in (tmp_path / "state/brefine/ledger.jsonl").read_text().splitlines()]
    opened = [entry["machine"] for entry in sessions if entry["kind"] == "open"]
    assert len(opened) == len(set(opened)) >= 2
    assert all(machine.startswith("slurm job ") for machine in opened)
    assert view.budget.spent_usd > 2.0  # at a dollar a second
    folder = phase.path.parent / ".submitit" / phase.path.name
    assert folder.stat().st_mode & 0o777 == 0o700
    assert not list(phase.path.rglob("*.pkl"))


def test_a_job_without_a_place_waits_and_its_silence_means_nothing(tmp_path: Path, cluster: Cluster, start: Start) -> None:
    """Three trainings on two CPUs: one is shown as pending, with the scheduler's reason, and raises no alarm."""
    recipe = _RECIPE.replace("[models.mlp]", "[models.mlp]\n[models.contrastive]").replace("= 30.0", "= 5.0")
    phase = prepared_phase(
        tmp_path, recipe, **{model: {"steps": 5000, "step_s": 0.1} for model in ("transformer", "mlp", "contrastive")}
    )
    supervisor = start(phase)
    wait_until(lambda: phase.job("contrastive").exists() and job(phase, "contrastive").reason == "Resources")
    store = PhaseStore(phase.path)
    waiting = store.snapshot().runs[2]
    assert (waiting.name, waiting.state) == ("contrastive", ShownState.PENDING)
    assert waiting.job is not None
    assert waiting.job.reason == "Resources"
    wait_until(lambda: store.snapshot().runs[1].state is ShownState.RUNNING)
    began_s = time.monotonic()
    wait_until(lambda: time.monotonic() - began_s > 6.0)
    assert [(kind, model) for kind, model, _ in alerts(phase) if model == "contrastive"] == []
    request(phase, "stop")
    assert ends_with(supervisor, phase) == 0
    # the scheduler may call a job failed that was told to stop before it could listen; the person is told what it is
    assert {run.state for run in store.snapshot().runs} == {ShownState.STOPPED}


def test_a_preempted_training_goes_on_from_its_last_checkpoint(tmp_path: Path, cluster: Cluster, start: Start) -> None:
    """Slurm requeues the same job; it is pending meanwhile, told once, and counts as no crash."""
    phase = prepared_phase(tmp_path, _MLP_ALONE, mlp={"steps": 10_000, "step_s": 0.1})
    supervisor = start(phase)
    wait_until(lambda: steps(phase) >= 5)
    behave(phase, mlp={"steps": steps(phase) + 10})
    first = job(phase).job_id
    cluster.preempt(first)
    wait_until(lambda: job(phase).waits)
    assert PhaseStore(phase.path).snapshot().runs[0].state is ShownState.PENDING
    assert ends_with(supervisor, phase) == 0, phase.supervisor_log.read_text()
    word = JobWord.read(phase.job_word("mlp"))
    assert (word.job_id, word.restarts) == (first, 1)
    assert status(phase).state is RunState.FINISHED
    (told,) = [alert for alert in alerts(phase) if alert[1] == "mlp"]  # a real node is taken from both
    assert told[:2] == ("requeued", "mlp")
    assert "preempted" in told[2]
    assert SupervisorState.read(phase.supervisor).restarts == {}


def test_a_training_checkpoints_ahead_of_its_time_limit_and_is_requeued(tmp_path: Path, cluster: Cluster, start: Start) -> None:
    """Slurm's signal makes it write a checkpoint and end; submitit has it requeued; it loses no step."""
    phase = prepared_phase(tmp_path, _MLP_ALONE, mlp={"steps": 10_000, "step_s": 0.1})
    supervisor = start(phase)
    wait_until(lambda: steps(phase) >= 5)
    behave(phase, mlp={"steps": steps(phase) + 10})
    first = job(phase).job_id
    cluster.limit_is_near(first)
    wait_until(lambda: job(phase).waits)
    kept = int(phase.run("mlp").training_state.read_text())
    assert (status(phase).state, status(phase).step) == (RunState.STOPPED, kept)
    assert ends_with(supervisor, phase) == 0, phase.supervisor_log.read_text()
    assert JobWord.read(phase.job_word("mlp")).restarts == 1
    ((kind, model, text),) = alerts(phase)
    assert (kind, model) == ("requeued", "mlp")
    assert "time limit" in text


def test_a_training_that_somebody_else_cancels_is_not_started_again(tmp_path: Path, cluster: Cluster, start: Start) -> None:
    """It counts as stopped, its checkpoint is kept and judged, and the others go on."""
    phase = prepared_phase(tmp_path, transformer={"steps": 12, "step_s": 0.2}, mlp={"steps": 500, "step_s": 0.2})
    supervisor = start(phase)
    wait_until(lambda: steps(phase) >= 3)
    cluster.cancel(job(phase).job_id)
    assert ends_with(supervisor, phase) == 0, phase.supervisor_log.read_text()
    assert (phase.path / "evaluate.models").read_text() == "transformer mlp"
    assert [(kind, model) for kind, model, _ in alerts(phase)] == [("cancelled", "mlp")]
    assert job(phase).state == "CANCELLED"


def test_a_crash_on_a_node_is_told_with_its_last_words_and_resubmitted(tmp_path: Path, cluster: Cluster, start: Start) -> None:
    """The supervisor's rule for local crashes holds: a new job, from the checkpoint."""
    phase = prepared_phase(tmp_path, _MLP_ALONE, mlp={"steps": 6, "crash_at": 3, "once": True})
    assert ends_with(start(phase), phase) == 0, phase.supervisor_log.read_text()
    ((kind, model, text),) = alerts(phase)
    assert (kind, model) == ("crashed", "mlp")
    assert "crashed as told" in text
    assert SupervisorState.read(phase.supervisor).restarts == {"mlp": 1}
    assert status(phase).state is RunState.FINISHED


def test_jobs_outlive_their_supervisor_and_are_taken_over(tmp_path: Path, cluster: Cluster, start: Start) -> None:
    """A killed supervisor ends no job; the next one finds it by its name and starts it no second time."""
    phase = prepared_phase(tmp_path, _MLP_ALONE, mlp={"steps": 30, "step_s": 0.1})
    supervisor = start(phase)
    wait_until(lambda: steps(phase) >= 3)
    first = job(phase).job_id
    supervisor.kill()
    supervisor.wait()
    assert ends_with(start(phase), phase) == 0, phase.supervisor_log.read_text()
    assert (job(phase).job_id, status(phase).state) == (first, RunState.FINISHED)
    assert SupervisorState.read(phase.supervisor).restarts == {}


def test_stop_checkpoints_every_job_and_resume_goes_on(tmp_path: Path, cluster: Cluster, start: Start) -> None:
    """A stopped phase has no job left; the next supervisor trains from the checkpoints."""
    phase = prepared_phase(tmp_path, **{model: {"steps": 10_000, "step_s": 0.1} for model in ("transformer", "mlp")})
    supervisor = start(phase)
    wait_until(lambda: steps(phase) >= 3 and steps(phase, "transformer") >= 3)
    request(phase, "stop")
    assert ends_with(supervisor, phase) == 0
    assert {status(phase, model).state for model in ("transformer", "mlp")} == {RunState.STOPPED}
    assert job(phase).is_over
    kept = steps(phase)
    assert kept >= 3
    behave(phase, **{model: {"steps": steps(phase, model) + 3, "step_s": 0.1} for model in ("transformer", "mlp")})
    assert ends_with(start(phase), phase) == 0
    assert {status(phase, model).state for model in ("transformer", "mlp")} == {RunState.FINISHED}


def test_stop_reaches_jobs_that_nobody_supervises(tmp_path: Path, cluster: Cluster, start: Start) -> None:
    """`brefine stop` asks the scheduler where no supervisor is left to ask."""
    phase = prepared_phase(tmp_path, _MLP_ALONE, mlp={"steps": 500, "step_s": 0.2})
    supervisor = start(phase)
    wait_until(lambda: steps(phase) >= 3)
    supervisor.kill()
    supervisor.wait()
    stop_phase(phase, timeout_s=_DEADLINE_S)
    assert status(phase).state is RunState.STOPPED


@pytest.mark.skipif(IS_REAL, reason="a real node is not taken down for a test")
@pytest.mark.parametrize("requeue", [True, False])
def test_a_training_whose_node_fails_goes_on_elsewhere(tmp_path: Path, cluster: FakeCluster, start: Start, requeue: bool) -> None:
    """Whether Slurm requeues the job or gives it up: it goes on from its checkpoint, and the person is told why."""
    phase = prepared_phase(tmp_path, _MLP_ALONE, mlp={"steps": 10_000, "step_s": 0.1})
    supervisor = start(phase)
    wait_until(lambda: steps(phase) >= 5)
    behave(phase, mlp={"steps": steps(phase) + 10})
    cluster.fail_node(job(phase).job_id, requeue=requeue)
    assert ends_with(supervisor, phase) == 0, phase.supervisor_log.read_text()
    assert status(phase).state is RunState.FINISHED
    ((kind, model, text),) = alerts(phase)
    assert (kind, model) == ("requeued" if requeue else "lost", "mlp")
    assert "node" in text


@pytest.mark.skipif(IS_REAL, reason="the fake scheduler refuses on demand")
def test_a_refused_job_says_why(tmp_path: Path, cluster: Cluster, start: Start) -> None:
    """A partition that does not exist ends the phase with the scheduler's own words."""
    recipe = _RECIPE.replace('kind = "slurm"', 'kind = "slurm"\npartition = "nowhere"')
    phase = make_toy_phase(tmp_path, recipe=recipe, mlp={"steps": 2})
    assert ends_with(start(phase), phase) == 4
    assert "invalid partition" in (SupervisorState.read(phase.supervisor).error or "")
