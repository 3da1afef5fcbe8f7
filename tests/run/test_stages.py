"""Stations as processes: one process a station."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from brefine.errors import ProcessError
from brefine.identity import is_alive, own_identity
from brefine.phasedir import Progress, Stage
from brefine.run import stages
from brefine.run.launch import stop_phase
from brefine.run.stages import StageProcess
from brefine.run.work import Order
from brefine.run.workers import working_process
from brefine.tui.actions import PhaseActions
from tests.run.records import status
from tests.run.test_store import supervised
from tests.run.toy_programs import make_toy_phase


def test_a_station_that_is_at_work_is_not_started_again(tmp_path: Path) -> None:
    """Two processes would write the same files; the progress of the first one stays."""
    phase = make_toy_phase(tmp_path)
    working = Progress(
        stage=Stage.INTEGRATE, state="running", step="", done=0, total=1, started_unix_s=1.0, unix_s=1.0, process=own_identity()
    )
    working.write(phase.progress(Stage.INTEGRATE))
    with pytest.raises(ProcessError, match=f"integrate is at work already.*process {os.getpid()}"):
        StageProcess(phase, Stage.INTEGRATE, ["false"])
    assert Progress.read(phase.progress(Stage.INTEGRATE)) == working
    working.model_copy(update={"process": own_identity().model_copy(update={"start_ticks": 1})}).write(
        phase.progress(Stage.INTEGRATE)
    )
    StageProcess(phase, Stage.INTEGRATE, ["true"]).wait()


def test_a_station_that_has_not_said_a_word_yet_is_not_started_again(tmp_path: Path) -> None:
    """Its first word comes when its libraries are loaded; until then, and when nobody looks after it, its lock speaks for it."""
    phase = make_toy_phase(tmp_path)
    first = StageProcess(phase, Stage.INTEGRATE, ["sleep", "60"])
    with pytest.raises(ProcessError, match="integrate is at work already"):
        StageProcess(phase, Stage.INTEGRATE, ["true"])
    StageProcess(phase, Stage.EVALUATE, ["true"]).wait()
    first.end()
    StageProcess(phase, Stage.INTEGRATE, ["true"]).wait()


def test_a_station_that_a_scheduler_runs_already_keeps_what_it_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job on another node says how far it is in a file that a second command must not remove; no second job is started."""

    class Scheduler:
        def find(self, *_: object, **__: object) -> Found:
            return Found()

        def start(self, order: Order) -> Found:
            raise AssertionError(f"{order.name} was started a second time")

    class Found:
        process = None

    phase = make_toy_phase(tmp_path)
    elsewhere = own_identity().model_copy(update={"host": "another", "start_ticks": 1})
    said = Progress(
        stage=Stage.EVALUATE, state="running", step="mlp", done=1, total=3, started_unix_s=1.0, unix_s=1.0, process=elsewhere
    )
    said.write(phase.progress(Stage.EVALUATE))
    monkeypatch.setattr(stages, "executor_of", lambda phase, config: Scheduler())
    assert StageProcess(phase, Stage.EVALUATE, ["false"]).progress() == said


@pytest.mark.end_to_end
def test_an_evaluation_whose_command_was_killed_is_found_and_stopped(tmp_path: Path) -> None:
    """Its worker has not said a word; the lock that it goes on holding names it, to a second evaluation and to `brefine stop`."""
    phase = make_toy_phase(tmp_path)
    command = [sys.executable, "-m", "tests.run.signalled_worker", "parent", str(phase.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "listening\n"
        process.kill()
        process.wait()
        worker = working_process(phase, Stage.EVALUATE)
        assert worker is not None and worker.pid != process.pid
        with pytest.raises(ProcessError, match=f"evaluate is at work already.*process {worker.pid}"):
            StageProcess(phase, Stage.EVALUATE, ["true"])
        assert stop_phase(phase)
        assert process.stdout.readline() == "heard\n"
    assert not is_alive(worker)
    StageProcess(phase, Stage.EVALUATE, ["true"]).wait()


def test_a_key_that_is_pressed_twice_starts_one_station(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process has not said a word yet, and the person does not see that it has begun."""
    phase = make_toy_phase(tmp_path)
    monkeypatch.setattr(stages, "start_evaluation", lambda phase: StageProcess(phase, Stage.EVALUATE, ["cat", str(pipe)]))
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    actions = PhaseActions(phase)
    actions.evaluate()
    with pytest.raises(ProcessError, match="evaluate is at work already"):
        actions.evaluate()
    (first,) = actions._started
    pipe.write_text("")  # lets it end
    first.wait()
    actions.evaluate()
    (second,) = actions._started
    second.stop()
    with pytest.raises(ProcessError, match="evaluate failed"):
        second.wait()


def test_what_has_not_begun_is_not_said_to_be_checkpointed(tmp_path: Path) -> None:
    """A training that is stopped while the corpus is prepared has written nothing."""
    phase = make_toy_phase(tmp_path)
    supervised(phase, Stage.PREPARE)
    actions = PhaseActions(phase)
    assert actions.control("stop", "mlp") == "mlp is kept from starting"
    assert actions.control("stop", None) == "every training is kept from starting"
    status("mlp").write(phase.run("mlp").status)
    assert actions.control("stop", "mlp") == "mlp is checkpointed and stopped in a moment"
    assert actions.control("stop", "transformer") == "transformer is kept from starting"
