"""The jobs of a phase, against a scheduler that says what a test lets it say."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from brefine.phasedir import PhaseDir, Stage
from brefine.run.executor import executor_of
from brefine.run.launch import stop_phase
from brefine.run.supervise import Supervisor
from brefine.run.work import Order
from tests.run.toy_programs import RECIPE, make_toy_phase
from tests.slurm.conftest import put

_TASKS = "7_0|RUNNING|None|gpu1|1:00:00\\n7_1|RUNNING|None|gpu1|1:00:00\\n7_2|PENDING|Resources||0:00\\n"
_WHOLE = "8|PENDING|Dependency||0:00\\n"


def cluster_phase(folder: Path, monkeypatch: pytest.MonkeyPatch) -> PhaseDir:
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    recipe = RECIPE + '[budget]\nprice_usd_per_hour = 2.0\n[executor]\nkind = "slurm"\npoll_s = 0.01\narray_tasks = 3\n'
    return make_toy_phase(folder, recipe=recipe)


def a_station_as_an_array(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An integration, of which an array does the shares until it is cancelled; then the scheduler has forgotten both."""
    squeue = f"""test -e {folder}/cancelled && grep -q 8 {folder}/cancelled && exit 0
case "$*" in *integrate-array*) printf '{_TASKS}';; *integrate) printf '{_WHOLE}';; *--jobs*) printf '{_TASKS}{_WHOLE}';; esac"""
    put(folder, monkeypatch, squeue=squeue, scancel=f'echo "$*" >> {folder}/cancelled', sacct="exit 1")


def test_stop_reaches_the_array_of_a_station_that_another_process_has_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The work is found again by its names: that of the array as well."""
    phase = cluster_phase(tmp_path, monkeypatch)
    a_station_as_an_array(tmp_path, monkeypatch)
    assert stop_phase(phase)
    assert (tmp_path / "cancelled").read_text().split() == ["7", "8"]


def test_the_tasks_of_an_array_that_is_found_again_are_billed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two have had an allocation for an hour, at $2 a GPU-hour."""
    phase = cluster_phase(tmp_path, monkeypatch)
    a_station_as_an_array(tmp_path, monkeypatch)
    executor = executor_of(phase, phase.load_config())
    assert executor.find(Stage.INTEGRATE, log=phase.stage_log(Stage.INTEGRATE), process=None) is not None
    executor.news()
    assert executor.billing().spent_usd() == pytest.approx(4.0, abs=0.1)


def test_a_full_disk_under_a_jobs_record_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record is for readers; the job goes on, and so does whoever watches it."""
    phase = cluster_phase(tmp_path, monkeypatch)
    a_station_as_an_array(tmp_path, monkeypatch)
    (phase.path / "jobs").write_text("no folder can be made here")
    executor = executor_of(phase, phase.load_config())
    work = executor.find(Stage.INTEGRATE, log=phase.stage_log(Stage.INTEGRATE), process=None)
    assert work is not None
    assert work.waits()


def test_a_phase_is_not_taken_over_while_the_scheduler_is_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether its trainings run nobody knows then: the launch fails with the scheduler's words, and the phase stays as it was."""
    phase = cluster_phase(tmp_path, monkeypatch)
    put(tmp_path, monkeypatch, squeue="echo 'Socket timed out' >&2; exit 1")
    with pytest.raises(OSError, match="squeue does not answer: Socket timed out"):
        Supervisor(phase).take_over()
    assert not phase.supervisor.exists()


def test_a_job_that_the_scheduler_has_forgotten_costs_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long its supervisor lives."""
    phase = cluster_phase(tmp_path, monkeypatch)
    a_station_as_an_array(tmp_path, monkeypatch)
    executor = executor_of(phase, phase.load_config())
    work = executor.find(Stage.INTEGRATE, log=phase.stage_log(Stage.INTEGRATE), process=None)
    executor.news()
    assert work is not None
    work.stop(by_force=True)
    later_unix_s = time.time() + 10 * 3600.0
    monkeypatch.setattr("time.time", lambda: later_unix_s)
    assert executor.billing().spent_usd() == pytest.approx(4.0, abs=0.1)


def test_a_job_imports_nothing_from_the_folder_that_it_starts_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is the folder in which it was submitted, whatever lies there."""
    phase = cluster_phase(tmp_path, monkeypatch)
    put(tmp_path, monkeypatch, sbatch=f"cp $1 {tmp_path}/script; echo Submitted batch job 9", srun="", squeue="", sacct="exit 1")
    executor_of(phase, phase.load_config()).start(Order("mlp", ("true",), phase.run("mlp").log))
    assert f"{sys.executable} -P -u -m submitit.core._submit" in (tmp_path / "script").read_text()
