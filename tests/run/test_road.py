"""The road without a person, interrupted: what is told is what is true."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from brefine.phasedir import PhaseDir, Stage
from brefine.run import road
from brefine.run.road import go_the_road
from brefine.run.snapshot import PhaseSnapshot
from brefine.run.stages import StageProcess
from tests.run.records import evaluation, integration
from tests.run.test_store import supervised
from tests.run.toy_programs import make_toy_phase


@pytest.fixture
def evaluated(tmp_path: Path) -> PhaseDir:
    """A phase whose supervisor has done its work."""
    phase = make_toy_phase(tmp_path)
    supervised(phase, Stage.EVALUATE, "finished")
    evaluation("mlp", 90.0).write(phase.evaluation("mlp", "validation"))
    return phase


def test_an_interrupted_integration_is_not_called_a_training(evaluated: PhaseDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has ended when the command does, and the words say so: nothing goes on, and where the phase stands."""
    started: list[StageProcess] = []

    def integrate(phase: PhaseDir, model: str) -> StageProcess:
        started.append(StageProcess(phase, Stage.INTEGRATE, ["sleep", "60"]))
        return started[0]

    def follow(read: Callable[[], PhaseSnapshot], write: object, **options: object) -> PhaseSnapshot:
        if "until" in options:
            raise KeyboardInterrupt
        return read()

    monkeypatch.setattr(road, "start_integration", integrate)
    monkeypatch.setattr(road, "follow", follow)
    told: list[str] = []
    assert go_the_road(evaluated, told.append) == 130
    (process,) = started
    assert process.exit_code() is not None
    assert "nothing goes on. The phase is at: to integrate." in told[-1]
    assert not any("Training goes on" in line for line in told)


def test_the_verdict_is_told_last(evaluated: PhaseDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script reads it with `tail -1`: recommendation, times and files stand before it."""

    def integrate(phase: PhaseDir, model: str) -> StageProcess:
        integration().write(phase.integration)
        return StageProcess(phase, Stage.INTEGRATE, ["true"])

    monkeypatch.setattr(road, "start_integration", integrate)
    told: list[str] = []
    assert go_the_road(evaluated, told.append) == 0
    assert told[-1].startswith("gate 4: OPEN (")
    for words in ("recommendation: ", "times: ", "written: "):
        assert sum(line.startswith(words) for line in told[:-1]) == 1
