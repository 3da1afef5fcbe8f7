"""SIGKILL at any moment, then go on: the same result, bit for bit."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from brefine.config import PhaseConfig
from brefine.identity import is_alive
from brefine.phasedir import RunDir, RunState, RunStatus, SupervisorState
from brefine.run.launch import create_phase, start_supervisor, stop_phase
from brefine.train import __main__ as trainer
from brefine.train.signals import StopSignal
from tests.train.killed_trainings import curves, differences

pytestmark = pytest.mark.end_to_end

_KILLS = ["step:1", "step:7", "validation:1", "half-written:7", "checkpoint:1", "step:16", "link:1", "rename:14", "validation:2"]


@pytest.fixture
def train_whole(monkeypatch: pytest.MonkeyPatch) -> Callable[[RunDir], None]:
    """Trains to the end in this process, which has loaded torch already; its signals are left to pytest."""
    monkeypatch.setattr(StopSignal, "listen", lambda _: None)

    def train(run: RunDir) -> None:
        assert trainer._train(run, "mlp", resume=False) == 0

    return train


def test_killed_trainings_end_as_if_nothing_had_happened(
    make_run: Callable[..., tuple[RunDir, PhaseConfig]], train_whole: Callable[[RunDir], None]
) -> None:
    """Killed at steps, in validation, and before, in and after the writing of files, one training after the other.

    And the other models at random points, a sample of `make kills`, in bfloat16 where the processor has it; all of them in one
    process that may fork.
    """
    whole, config = make_run("whole")
    parts, _ = make_run("parts")
    train_whole(whole)
    chains = ["--models", "transformer,contrastive", "--chains", "1", "--epochs", "2"]
    command = [sys.executable, "-m", "tests.train.killed_trainings", str(parts.path), *_KILLS, *chains]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stdout + done.stderr
    n_killed = sum(line.endswith(" killed") for line in done.stdout.splitlines())
    assert n_killed >= len(_KILLS) // 2  # the rest were not reached before the end
    assert differences(parts, whole, config) == []
    assert done.stdout.count("equal, bit for bit") == 2


def test_a_phase_whose_processes_are_all_killed_goes_on_by_the_command(
    make_run: Callable[..., tuple[RunDir, PhaseConfig]], train_whole: Callable[[RunDir], None], tmp_path: Path
) -> None:
    """SIGKILL to supervisor and trainer, then `brefine resume`: the files are those of a training that nobody killed."""
    whole, config = make_run("whole", train={"epochs": 8}, supervisor={"max_restarts": 0})
    train_whole(whole)
    phase = create_phase(config.model_copy(update={"runs": str(tmp_path / "runs")}))
    run = phase.run("mlp")
    start_supervisor(phase)
    _wait_until(run.training_state.exists)
    supervisor, trainer = SupervisorState.read(phase.supervisor), RunStatus.read(run.status)
    for process in (supervisor.process, trainer.process):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    _wait_until(lambda: not is_alive(supervisor.process) and not is_alive(trainer.process))
    assert RunStatus.read(run.status).state is RunState.RUNNING  # killed in the middle
    command = [sys.executable, "-m", "brefine", "resume", str(phase.path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert (done.returncode, "training mlp" in done.stderr) == (0, True), done.stderr
    _wait_until(lambda: RunStatus.read(run.status).state is RunState.FINISHED)
    for name in ("best", "last"):
        assert run.weights(name).read_bytes() == whole.weights(name).read_bytes()
    assert curves(run) == curves(whole)
    stop_phase(phase)


def _wait_until(condition: Callable[[], bool], timeout_s: float = 120.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "it did not come true in time"
        time.sleep(0.02)
