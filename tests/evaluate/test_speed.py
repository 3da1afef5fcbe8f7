"""How fast a refiner is said to be."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from brefine.evaluate import speed
from brefine.evaluate.evaluation import load_checkpoint
from brefine.io import schedstat
from brefine.phasedir import PhaseDir


def test_loading_a_detector_is_no_part_of_the_speed(phase: PhaseDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first analysis takes long, as it loads what it works with; the second is timed."""
    clock = SimpleNamespace(now_s=0.0, left_s=[50.0, 1.0])

    def frames_of(*_: object) -> tuple[np.ndarray, float]:
        clock.now_s += clock.left_s.pop(0)
        return np.zeros((1000, 20), np.float16), 10.0

    monkeypatch.setattr(speed, "frames_of", frames_of)
    monkeypatch.setattr(speed, "own_s", lambda: clock.now_s)
    refiner = load_checkpoint(phase, "mlp", "best", "cpu")
    found = speed.speed_of(refiner, refining_s=2.0, n_boundaries=10, audio_s=20.0, sample=Path("talk.wav"))
    assert (found.seconds_per_audio_hour, found.boundaries_per_s) == (pytest.approx(3600.0 * (1.0 / 10.0 + 2.0 / 20.0)), 5.0)


def test_what_other_programs_take_is_no_part_of_the_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of eight seconds by the clock five were spent waiting for a core, while something else ran there."""
    clock = SimpleNamespace(now_s=100.0, waited_ns=7_000_000_000)
    monkeypatch.setattr(schedstat, "time", SimpleNamespace(perf_counter=lambda: clock.now_s))
    monkeypatch.setattr(schedstat, "_waited_ns", lambda: clock.waited_ns)
    stopwatch = speed.Stopwatch()
    with stopwatch:
        clock.now_s += 8.0
        clock.waited_ns += 5_000_000_000
    assert stopwatch.seconds == pytest.approx(3.0)
