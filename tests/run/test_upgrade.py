"""Phases that an earlier brefine has written are read; those of an unknown schema are refused with the way out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from brefine.phasedir import PhaseDir
from brefine.run.gpu import NoGpu
from brefine.run.report import write_report
from brefine.run.snapshot import PhaseSnapshot, PhaseState, ShownState
from brefine.run.store import PhaseStore

_GOLDEN = Path(__file__).parents[1] / "golden"


def snapshot_of(folder: Path) -> PhaseSnapshot:
    return PhaseStore(folder, gpus=NoGpu("none")).snapshot(drain=True)


@pytest.fixture
def golden(tmp_path: Path) -> PhaseDir:
    """A copy of a phase as schema 1 wrote it."""
    return PhaseDir(shutil.copytree(_GOLDEN / "phase-schema-1", tmp_path / "20260101T000000Z-golden"))


def test_a_phase_of_schema_1_is_read_whole(golden: PhaseDir) -> None:
    """Every document, curve, line and table of the kept directory means what it meant when it was written."""
    snapshot = snapshot_of(golden.path)
    assert snapshot.problems == ()
    assert snapshot.state in (PhaseState.TO_DECIDE, PhaseState.DECIDED)
    (run,) = snapshot.runs
    assert (run.name, run.state, run.status.step if run.status else None) == ("mlp", ShownState.STALLED, 10)  # its job "runs"
    assert run.curves["train/loss"].values.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert snapshot.evaluations["mlp"].comparison.after.mae_ms == 100.0
    assert snapshot.integration is not None and snapshot.integration.n_recordings == 24
    assert [alert.text for alert in snapshot.alerts if alert.id == "a"] == ["slow"]
    assert [one.note for one in golden.read_decisions()] == ["n"]
    assert write_report(golden).read_text().endswith("</html>\n")


@pytest.mark.parametrize("schema", [0, 2])
@pytest.mark.parametrize(
    "name",
    ["mlp/status.json", "supervisor.json", "selection.json", "integration.json", "gate4.json", "evaluation/mlp/validation.json"],
)
def test_another_schema_is_refused_with_the_way_out(golden: PhaseDir, name: str, schema: int) -> None:
    """The file is named, the screen stays up, and what to do is said."""
    path = golden.path / name
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": schema}))
    (problem,) = snapshot_of(golden.path).problems
    assert str(path) in problem and "open the phase with that version" in problem


def test_keys_that_a_later_version_adds_are_passed_over(golden: PhaseDir) -> None:
    """Within one schema keys may come; nobody has to know them."""
    path = golden.run("mlp").status
    path.write_text(json.dumps(json.loads(path.read_text()) | {"added_later": {"x": 1}}))
    assert snapshot_of(golden.path).problems == ()
