"""Programs for a supervisor under test: real processes, without torch, that do what the test tells them to."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from brefine.config import parse_config
from brefine.io.atomic import write_text_atomic
from brefine.phasedir import PhaseDir, RunDir, Stage

RECIPE = """
schema = 1
name = "toy"
[corpus]
kind = "simulated"
[models.transformer]
[models.mlp]
[supervisor]
max_restarts = 2
restart_backoff_s = 0.05
stall_after_s = 30.0
"""


@dataclass(frozen=True, slots=True)
class ToyPrograms:
    """`toy_process.py` in its roles; what each does stands in `toy.json` of the phase."""

    def prepare(self, phase: PhaseDir) -> list[str]:
        return _stage(phase, Stage.PREPARE)

    def train(self, run: RunDir, *, resume: bool) -> list[str]:
        files = (run.path, run.status, run.training_state, run.weights("best"))
        return _toy("train", *map(str, files), *(["--resume"] if resume else []))

    def evaluate(self, phase: PhaseDir, models: Sequence[str]) -> list[str]:
        return _stage(phase, Stage.EVALUATE, *models)

    def integrate(self, phase: PhaseDir) -> list[str]:
        return _stage(phase, Stage.INTEGRATE)


def make_toy_phase(folder: Path, *, recipe: str = RECIPE, **behaviour: dict[str, object]) -> PhaseDir:
    """A phase directory whose processes behave as told: `mlp={"crash_at": 3}`."""
    phase = PhaseDir(folder / "20261122T000000Z-toy")
    parse_config(recipe, where="toy")
    phase.control.mkdir(parents=True)
    write_text_atomic(phase.config, recipe)
    behave(phase, **behaviour)
    return phase


def behave(phase: PhaseDir, **behaviour: dict[str, object]) -> None:
    """How the processes that start from now on behave: the next one need not go as far as the one that is to be stopped."""
    write_text_atomic(phase.path / "toy.json", json.dumps(behaviour))


def _stage(phase: PhaseDir, stage: Stage, *models: str) -> list[str]:
    return _toy("stage", str(phase.path), str(phase.progress(stage)), stage, *models)


def _toy(role: str, *arguments: str) -> list[str]:
    return [sys.executable, "-S", str(Path(__file__).with_name("toy_process.py")), role, *arguments]  # it needs no packages
