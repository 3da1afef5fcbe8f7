"""The verdict as one line of a person's own log."""

from __future__ import annotations

from pathlib import Path

from brefine.phasedir import PhaseDir
from brefine.run.gate_page import log_line
from tests.tui import memory_phases


def test_it_is_one_item_with_verdict_evidence_and_findings() -> None:
    """Whatever the recommendation holds, the log stays a list of single lines."""
    record = memory_phases.gate().model_copy(update={"recommendation": "iterate\non | the <b>model</b>"})
    line = log_line(PhaseDir(Path("/runs/20261125T000000Z-phase3")), record)
    assert line.startswith("- ")
    assert "\n" not in line
    assert f"gate 4 **{record.verdict}** (20261125T000000Z-phase3" in line
    assert "mae " in line
    assert "<b>" not in line
