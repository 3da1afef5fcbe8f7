"""The benchmark of an hour writes the hour whole, and tells memory that grows."""

from __future__ import annotations

from pathlib import Path

from brefine.io.atomic import write_text_atomic
from brefine.phasedir import PhaseDir
from brefine.run.tail.run import RunTail
from brefine.tui.bench_soak import _write, bench_lines
from brefine.tui.bench_watch import RECIPE


def test_every_step_is_written(tmp_path: Path) -> None:
    """However fast the hour passes, every training writes each step of it once."""
    write_text_atomic(tmp_path / "phase.toml", RECIPE)
    _write(PhaseDir(tmp_path), 0.1, 500)
    tail = RunTail(tmp_path / "mlp")
    while tail.poll():
        pass
    assert {tuple(curve.steps.tolist()) for curve in tail.curves().values()} == {tuple(range(1, 501))}


def test_memory_that_grows_is_told() -> None:
    """The verdict stands beside the growth."""
    result = {"seconds": 60.0, "n_scalars": 216_000, "memory_bytes": [1e8, 2e8], "growth_bytes": 1e8, "target_growth_bytes": 16e6}
    assert "100.0 MB" in list(bench_lines(result))[-1] and "missed" in list(bench_lines(result))[-1]
