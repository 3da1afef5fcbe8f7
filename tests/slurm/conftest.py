"""Two schedulers for the same tests: the fake one, and with BREFINE_SLURM=1 (`make test-slurm`) a real Slurm of one node."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Protocol

import pytest

from tests.slurm.fake_slurm import FakeSlurm

IS_REAL = os.environ.get("BREFINE_SLURM") == "1"


class Cluster(Protocol):
    """What befalls jobs that nobody has asked for."""

    def cancel(self, job_id: str) -> None:
        """Somebody else's `scancel`."""

    def preempt(self, job_id: str) -> None:
        """A job of more worth takes the node; Slurm requeues this one."""

    def limit_is_near(self, job_id: str) -> None:
        """The signal that Slurm sends ahead of the time limit."""


class FakeCluster:
    """`FakeSlurm` on the PATH."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._slurm = FakeSlurm(home / "slurm")
        monkeypatch.setenv("PATH", f"{self._slurm.programs}{os.pathsep}{os.environ['PATH']}")

    def cancel(self, job_id: str) -> None:
        self._slurm.ask("scancel", "--full", job_id)

    def preempt(self, job_id: str) -> None:
        self._slurm.ask("scancel", "--preempt", job_id)

    def limit_is_near(self, job_id: str) -> None:
        self._slurm.ask("scancel", "--signal=USR2", job_id)

    def fail_node(self, job_id: str, *, requeue: bool) -> None:
        """The node of a job goes down."""
        self._slurm.ask("scancel", "--fail-node" if requeue else "--kill-node", job_id)

    def end_all(self) -> None:
        """Leaves no process behind."""
        self._slurm.close()


class RealCluster:
    """The Slurm that SLURM_CONF names; see `one_node.sh`."""

    def cancel(self, job_id: str) -> None:
        subprocess.run(["scancel", job_id], check=True)

    def preempt(self, job_id: str) -> None:
        subprocess.run(["sbatch", "--partition=urgent", "--cpus-per-task=2", "--output=/dev/null", "--wrap=sleep 2"], check=True)

    def limit_is_near(self, job_id: str) -> None:
        subprocess.run(["scancel", "--signal=USR2", job_id], check=True)


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """The scheduler of this test run."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    if IS_REAL:
        yield RealCluster()
        return
    fake = FakeCluster(tmp_path, monkeypatch)
    yield fake
    fake.end_all()


def put(folder: Path, monkeypatch: pytest.MonkeyPatch, **programs: str) -> None:
    """Shell scripts in place of Slurm's programs, and nothing else of them."""
    (folder / "bin").mkdir(exist_ok=True)
    for name, script in programs.items():
        path = folder / "bin" / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:/usr/bin:/bin")
