"""The table of runs, read as text."""

from __future__ import annotations

from dataclasses import replace

import pytest

from brefine.phasedir import JobRecord
from brefine.run.snapshot import ShownState
from brefine.tui.widgets.run_table import RunTable
from tests.tui.memory_phases import phase, training_runs


def job(state: str, *, reason: str | None = None, node: str | None = None) -> JobRecord:
    waits = state == "PENDING"
    return JobRecord(
        name="mlp", job_id="17", state=state, waits=waits, is_over=False, reason=reason, node=node,
        price_usd_per_hour=2.0, unix_s=1.0,
    )  # fmt: skip


@pytest.mark.parametrize("width", [80, 120])
def test_a_job_that_waits_says_why(width: int) -> None:
    """The scheduler's reason stands where figures would be, whatever the width; a job that runs says where, given room."""
    first, second, *rest = training_runs()
    waiting = replace(first, state=ShownState.PENDING, status=None, job=job("PENDING", reason="Resources"))
    working = replace(second, job=job("RUNNING", node="gpu3"))
    snapshot = phase(runs=(waiting, working, *rest))
    _, *lines = RunTable().text(snapshot, width, 5).plain.splitlines()
    assert "waits: Resources" in lines[0]
    assert ("on gpu3" in lines[1]) == (width == 120)
    assert all(len(line) <= width for line in lines)
