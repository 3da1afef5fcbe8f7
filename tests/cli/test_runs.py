"""`brefine runs` and `brefine stop`: the phases there are, and whether anything is at work in them."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from functools import partial
from pathlib import Path

import pytest

from brefine.cli.runs import runs
from brefine.cli.stop import stop
from brefine.cli.watch import watch
from brefine.errors import FormatError
from brefine.identity import identity_of, own_identity
from brefine.phasedir import PhaseDir, Progress, RunState, RunStatus, Stage, SupervisorState, Tag
from tests.run.records import status
from tests.run.tail.event_writing import scalar, version, write_events
from tests.run.toy_programs import make_toy_phase
from tests.run.whole_phase import make_phase


@pytest.mark.parametrize("as_json", [False, True])
def test_a_damaged_phase_hides_none_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    """Its fault is told on stderr, with the file; stdout is the list of those that can be read."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    make_toy_phase(tmp_path / "runs")
    damaged = tmp_path / "runs" / "20260101T000000Z-damaged" / "phase.toml"
    damaged.parent.mkdir()
    damaged.write_text("schema = 1\nnonsense = 3\n")
    runs(json=as_json, runs=tmp_path / "runs")
    told = capsys.readouterr()
    assert str(damaged) in told.err and "nonsense" in told.err
    if as_json:
        assert [one["phase"] for one in json.loads(told.out)] == ["20261122T000000Z-toy"]
    else:
        assert "20261122T000000Z-toy" in told.out and "damaged" not in told.out


def test_the_best_is_the_one_that_the_dashboard_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the trainer's word is lost it is the least of the curve, here as there."""
    phase = make_toy_phase(tmp_path)
    values = [scalar(step, value, Tag.VALIDATION_MAE_MS) for step, value in enumerate((120.0, 90.0, 95.0))]
    write_events(phase.run("mlp").path / "events.out.tfevents.1", [version(), *values])
    runs(json=True, runs=tmp_path)
    (told,) = json.loads(capsys.readouterr().out)
    assert told["best_mae_ms"] == {"transformer": None, "mlp": 90.0}


@pytest.mark.parametrize("pid", [-1, 0])
def test_a_process_that_cannot_be_is_damage_like_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], pid: int
) -> None:
    """No such word, though of this very boot, breaks a look at the phase or reaches a process."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    phase = make_phase(tmp_path / "runs")
    documents = (
        (SupervisorState, phase.supervisor),
        (RunStatus, phase.run("mlp").status),
        (Progress, phase.progress(Stage.PREPARE)),
    )
    for kind, path in documents:
        path.write_text(json.dumps(json.loads(path.read_text()) | {"process": own_identity().model_dump() | {"pid": pid}}))
        with pytest.raises(FormatError, match=r"process\.pid: Input should be greater than or equal to 1"):
            kind.read(path)
    for command in (runs, partial(watch, [str(phase.path)], once=True), partial(stop, str(phase.path))):
        command(json=True, runs=tmp_path / "runs")
        assert phase.path.name in capsys.readouterr().out


def supervised(phase: PhaseDir, state: str) -> None:
    """A supervisor's word, by this very process."""
    SupervisorState(process=own_identity(), stage=Stage.EVALUATE, state=state, started_unix_s=1.0, heartbeat_unix_s=2.0).write(
        phase.supervisor
    )


def test_where_nothing_is_at_work_stop_says_so_and_what_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A phase that is finished was not stopped, cannot be resumed, and need not be the one that was meant."""
    finished, other = make_toy_phase(tmp_path / "runs"), PhaseDir(tmp_path / "runs" / "20260101T000000Z-other")
    other.path.mkdir()
    other.config.write_bytes(finished.config.read_bytes())
    for model in finished.models():
        gone = own_identity().model_copy(update={"boot_id": "an earlier one"})
        status(model, RunState.FINISHED, process=gone).write(finished.run(model).status)
    supervised(finished, "finished")
    supervised(other, "running")
    stop(str(finished.path), json=True, runs=tmp_path / "runs")
    told = capsys.readouterr()
    assert json.loads(told.out) == {"phase": finished.path.name, "stopped": True, "was_working": False}
    assert told.err.splitlines() == [
        f"nothing is at work in {finished.path.name}; there is nothing left to resume; "
        f"go on with: brefine evaluate --phase {finished.path}",
        f"another phase is at work; stop it with: brefine stop {other.path}",
    ]


def test_what_was_stopped_says_how_it_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A trainer without a supervisor is at work as well."""
    phase = make_toy_phase(tmp_path)
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as trainer:
        status("mlp", process=identity_of(trainer.pid)).write(phase.run("mlp").status)
        threading.Thread(target=trainer.wait, daemon=True).start()
        stop(str(phase.path), json=True, runs=tmp_path)
    told = capsys.readouterr()
    assert json.loads(told.out)["was_working"] is True
    assert told.err == f"{phase.path.name} is stopped; go on with: brefine resume {phase.path}\n"


def test_a_trainer_is_stopped_though_the_recipe_is_damaged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its own word says which process it is; what keeps it from going on is told. Jobs of a scheduler only the recipe names."""
    phase = make_toy_phase(tmp_path)
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as trainer:
        status("mlp", process=identity_of(trainer.pid)).write(phase.run("mlp").status)
        phase.config.write_text("schema = 1\n[corp")
        phase.jobs.mkdir()
        with pytest.raises(FormatError, match=r"phase.toml: this is not TOML"):
            stop(str(phase.path), runs=tmp_path)
        phase.jobs.rmdir()
        threading.Thread(target=trainer.wait, daemon=True).start()
        stop(str(phase.path), runs=tmp_path)
        assert trainer.wait(30) == -signal.SIGTERM
    told = capsys.readouterr().err
    assert told.startswith(f"{phase.path.name} is stopped; before it can go on: {phase.config}: this is not TOML")


def test_a_phase_that_has_lost_its_recipe_is_not_to_be_stopped_once_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everywhere else a lost recipe leads to `brefine stop`; from there only back to the recipe."""
    phase = make_toy_phase(tmp_path)
    supervised(phase, "stopped")
    gone = own_identity().model_copy(update={"boot_id": "an earlier one"})
    SupervisorState.read(phase.supervisor).model_copy(update={"process": gone}).write(phase.supervisor)
    phase.config.unlink()
    stop(str(phase.path), runs=tmp_path)
    assert capsys.readouterr().err.splitlines() == [
        f"nothing is at work in {phase.path.name}; before it can go on: {phase.config}: the phase has lost its recipe",
        "  → move it back",
    ]
