"""The benchmark of the tailer measures two readers of one file that agree on every value."""

from __future__ import annotations

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from brefine.run.bench_tail import bench_lines, bench_tail
from brefine.run.synthetic_events import write_scalars


def test_the_file_is_one_that_tensorboard_reads(tmp_path: Path) -> None:
    """What is written fast is framed as TensorBoard frames it: its own reader finds every step of every tag."""
    write_scalars(tmp_path / "events.out.tfevents.1", ["a", "b/c"], 300, from_unix_s=1000.0)
    reader = EventAccumulator(str(tmp_path / "events.out.tfevents.1"))
    reader.Reload()
    assert sorted(reader.Tags()["scalars"]) == ["a", "b/c"]
    assert [event.step for event in reader.Scalars("b/c")] == list(range(300))


def test_both_readers_are_timed_on_the_same_values() -> None:
    """A small run gives the ratio and says whether the target is kept; a reader that lost a value would raise."""
    result = bench_tail(5_000)
    assert result["n_scalars"] == 5_000
    ours_s, theirs_s = result["tailer_cpu_s"], result["event_accumulator_cpu_s"]
    rounding = 0.0005 * (1.0 + result["ratio"]) / theirs_s + 0.0001  # seconds are told to the millisecond
    assert result["ratio"] == pytest.approx(ours_s / theirs_s, abs=rounding)
    assert "target 1/8" in list(bench_lines(result))[-1]
