"""A machine is idle where no phase that is known to be on it works."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from brefine.identity import own_identity
from brefine.phasedir import LockHolder, PhaseDir, Progress, RunState, RunStatus, Stage, SupervisorState
from brefine.run.budget import Ledger
from brefine.run.idleness import others_at_work
from brefine.run.store import PhaseStore
from brefine.run.supervise import Supervisor
from tests.run.test_supervise import alerts
from tests.run.toy_programs import RECIPE, make_toy_phase

_GONE = own_identity().model_copy(update={"start_ticks": 1})


@pytest.fixture
def phase(tmp_path: Path) -> PhaseDir:
    """A phase that ended 1000 s ago on a machine with a price."""
    made = _phase_in(tmp_path / "runs", tmp_path)
    _word("finished", ended_s=1000.0).write(made.supervisor)
    return made


def _phase_in(folder: Path, ledger: Path) -> PhaseDir:
    money = f'[budget]\nprice_usd_per_hour = 36.0\nledger = "{ledger / "ledger.jsonl"}"\n'
    return make_toy_phase(folder, recipe=RECIPE + money)


def _word(state: str, *, ended_s: float = 0.0, **told: object) -> SupervisorState:
    process = own_identity() if state == "running" else _GONE
    heartbeat_unix_s = time.time() - ended_s
    values = {"process": process, "stage": "train", "state": state, "started_unix_s": 1.0, "heartbeat_unix_s": heartbeat_unix_s}
    return SupervisorState.model_validate(values | told)


def _beside(phase: PhaseDir) -> PhaseDir:
    other = PhaseDir(phase.path.with_name("20261123T000000Z-other"))
    other.path.mkdir()
    other.config.write_bytes(phase.config.read_bytes())
    return other


def _elsewhere(phase: PhaseDir) -> PhaseDir:
    """A phase in another folder, which the ledger knows on this machine."""
    ledger = phase.path.parents[1]
    other = _phase_in(ledger / "elsewhere", ledger)
    Ledger(ledger / "ledger.jsonl").open_session(other.path, 36.0, time.time() - 2000.0)
    return other


def _idle_s(phase: PhaseDir) -> float | None:
    return PhaseStore(phase.path).snapshot().budget.idle_s


@pytest.mark.parametrize("another", [_beside, _elsewhere])
def test_a_machine_that_another_phase_works_on_is_not_idle(phase: PhaseDir, another: object) -> None:
    """Whoever ended the machine would kill that phase; once it has ended, the idle time begins with its end."""
    other = another(phase)  # type: ignore[operator]
    _word("running").write(other.supervisor)
    assert _idle_s(phase) is None
    _word("stopped", ended_s=100.0).write(other.supervisor)
    assert _idle_s(phase) == pytest.approx(100.0, abs=30.0)
    before = other.supervisor.read_bytes().replace(own_identity().boot_id.encode(), b"before")
    other.supervisor.write_bytes(before)
    assert _idle_s(phase) == pytest.approx(1000.0, abs=30.0)


def test_work_without_a_supervisor_is_work(phase: PhaseDir) -> None:
    """What a killed supervisor has left of another phase, and a stage of it that a person has started."""
    other = _beside(phase)
    killed = {"process": _GONE.model_dump(), "processes": {"mlp": own_identity().model_dump()}}
    _word("running", **killed).write(other.supervisor)
    assert _idle_s(phase) is None
    other.supervisor.unlink()
    assert _idle_s(phase) is not None
    for stage in (Stage.EVALUATE, Stage.INTEGRATE):
        LockHolder(process=own_identity()).write(other.stage_lock(stage))
        assert _idle_s(phase) is None
        other.stage_lock(stage).unlink()


def test_a_training_in_the_foreground_is_work_and_one_that_was_left_behind_too(phase: PhaseDir) -> None:
    """Neither has a supervisor's word; idle time begins with their last heartbeat."""
    other = _beside(phase)
    run = other.run("mlp")
    run.status.parent.mkdir(parents=True)
    status = RunStatus(
        model="mlp",
        state=RunState.RUNNING,
        process=own_identity(),
        step=1,
        n_steps=9,
        epoch=1,
        n_epochs=9,
        started_unix_s=1.0,
        heartbeat_unix_s=time.time() - 100.0,
        device="cpu",
    )
    status.write(run.status)
    assert _idle_s(phase) is None
    status.model_copy(update={"process": _GONE}).write(run.status)
    assert _idle_s(phase) == pytest.approx(100.0, abs=5.0)


def test_idle_time_begins_with_the_last_stage_that_was_started_by_hand(phase: PhaseDir) -> None:
    """An evaluation after the supervisor's end was work; that of another machine says nothing of this one."""
    for boot_id, idle_s in ((_GONE.boot_id, 200.0), ("another", 1000.0)):
        process = _GONE.model_copy(update={"boot_id": boot_id})
        Progress(
            stage=Stage.EVALUATE, state="finished", step="", done=1, total=1, started_unix_s=1.0, unix_s=time.time() - 200.0,
            process=process,
        ).write(phase.progress(Stage.EVALUATE))  # fmt: skip
        assert _idle_s(phase) == pytest.approx(idle_s, abs=30.0)


def test_a_supervisor_that_ends_while_another_phase_works_tells_no_idle_machine(phase: PhaseDir) -> None:
    """The alert carries the command that ends the machine; the last phase to end tells it."""
    other = _beside(phase)
    _word("running").write(other.supervisor)
    assert [one.path for one in others_at_work(phase, Ledger(phase.path / "none").read())] == [other.path]
    supervisor = Supervisor(phase)
    supervisor._tell_idle_burn()
    assert alerts(phase) == []
    _word("finished").write(other.supervisor)
    supervisor._tell_idle_burn()
    assert [alert.kind for alert in alerts(phase)] == ["idle-burn"]


def test_idle_time_begins_with_the_last_sign_of_all_other_phases(phase: PhaseDir) -> None:
    """One beside this one and one in another folder; of each its supervisor's, its trainers' and its stages'."""
    near, far = _beside(phase), _elsewhere(phase)
    _word("stopped", ended_s=500.0).write(near.supervisor)
    _word("stopped", ended_s=300.0).write(far.supervisor)
    assert _idle_s(phase) == pytest.approx(300.0, abs=30.0)
    Progress(
        stage=Stage.EVALUATE, state="finished", step="", done=1, total=1, started_unix_s=1.0, unix_s=time.time() - 100.0,
        process=_GONE,
    ).write(near.progress(Stage.EVALUATE))  # fmt: skip
    assert _idle_s(phase) == pytest.approx(100.0, abs=30.0)


def test_a_phase_is_none_of_the_others(phase: PhaseDir) -> None:
    """Its own supervisor lives while it tells of the idle machine, and the ledger knows its session."""
    ledger = Ledger(phase.path.parents[1] / "ledger.jsonl")
    ledger.open_session(phase.path, 36.0, time.time() - 2000.0)
    _word("running").write(phase.supervisor)
    assert list(others_at_work(phase, ledger.read())) == []
