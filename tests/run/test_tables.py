"""Reports as plain tables."""

from __future__ import annotations

from brefine.run.tables import evaluation_table
from tests.tui.memory_phases import evaluation


def test_figures_are_written_as_everywhere() -> None:
    """A rate with a blank before its unit, and a dash where there is no figure, as `brefine score` writes them."""
    report = evaluation("mlp")
    after = report.comparison.after.model_copy(update={"median_ms": None, "recall": 0.813})
    told = report.model_copy(update={"comparison": report.comparison.model_copy(update={"after": after})})
    rows = {row.split("  ")[0]: row for row in evaluation_table({"mlp": told})}
    assert rows["recall"].endswith("81.3 %")
    assert rows["median"].endswith("–")
