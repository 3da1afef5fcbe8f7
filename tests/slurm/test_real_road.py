"""The whole road on a real Slurm: brefine's own trainers as jobs, one of them preempted and requeued, to the gate's verdict."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from brefine.phasedir import JobRecord, JobWord, PhaseDir, RunStatus, list_phases
from tests.end_to_end.test_road import Folder, make_voices, tiny_road
from tests.slurm.conftest import IS_REAL, Cluster

pytestmark = pytest.mark.skipif(not IS_REAL, reason="needs a real Slurm: make test-slurm")

_SITE = """price_usd_per_hour = 2.0
[executor]
kind = "slurm"
gpus = 0
cpus = 1
time_minutes = 10
checkpoint_ahead_s = 30
poll_s = 1.0
array_tasks = 2
"""


def test_a_preempted_phase_reaches_its_verdict(tmp_path: Path, cluster: Cluster) -> None:
    """Submit, watch, preempt, requeue from the checkpoint, finish, integrate as an array, gate; no epoch is lost."""
    make_voices(tmp_path / "voices")
    (tmp_path / "tiny.toml").write_text(tiny_road(epochs=30) + _SITE)
    words = ("launch-phase3", "--config", "tiny.toml", "--models", "mlp,contrastive", "--plain", "--no-input")
    with (tmp_path / "lines").open("w") as lines:
        launched = subprocess.Popen([sys.executable, "-m", "brefine", *words], cwd=tmp_path, stdout=lines, stderr=lines)
    deadline_s = time.monotonic() + 300.0
    phase: PhaseDir | None = None
    while phase is None or (status := RunStatus.read_if_there(phase.run("mlp").status)) is None or status.epoch < 5:
        assert time.monotonic() < deadline_s
        time.sleep(0.1)
        phase = next(iter(list_phases(tmp_path / "runs")), None)
    watched = json.loads(Folder(tmp_path).brefine("watch", "--once", "--json").stdout)
    assert {model["name"]: model["job"]["state"] for model in watched["models"]}["mlp"] == "RUNNING"
    first = JobRecord.read(phase.job("mlp")).job_id
    cluster.preempt(first)
    assert launched.wait(timeout=600) == 0, (tmp_path / "lines").read_text()
    said = (tmp_path / "lines").read_text()
    word = JobWord.read(phase.job_word("mlp"))
    assert (word.job_id, word.restarts) == (first, 1)
    assert "it is requeued and goes on from its last checkpoint" in said
    assert "from step" in phase.run("mlp").log.read_text()
    told = [line for line in phase.run("mlp").log.read_text().splitlines() if line.startswith("epoch ")]
    epochs = dict.fromkeys(told)  # killed between an epoch's line and its checkpoint, the training tells the very same line again
    assert [line.split(":")[0] for line in epochs] == [f"epoch {epoch}/30" for epoch in range(1, 31)]
    assert len(told) <= len(epochs) + 1
    for stage in ("prepare", "evaluate", "integrate"):
        assert [JobWord.read(phase.job_word(f"{stage}.{task}")).code for task in (0, 1)] == [0, 0]
    assert "gate 4: OPEN (the evidence is simulated)" in said
    budget = json.loads(Folder(tmp_path).brefine("watch", "--once", "--json").stdout)["budget"]
    assert 0.0 < budget["spent_usd"] < 2.0
