"""The commands with which the operator half starts the other half."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from brefine.io.interpreter import python_command
from brefine.phasedir import PhaseDir, RunDir, Stage


class Programs(Protocol):
    """The commands that a supervisor starts; tests give it other programs, which are real processes as well."""

    def prepare(self, phase: PhaseDir) -> list[str]: ...

    def train(self, run: RunDir, *, resume: bool) -> list[str]: ...

    def evaluate(self, phase: PhaseDir, models: Sequence[str]) -> list[str]: ...


class BrefinePrograms:
    """brefine's own programs, in this interpreter's environment."""

    def prepare(self, phase: PhaseDir) -> list[str]:
        progress = phase.progress(Stage.PREPARE)
        return python_command("-m", "brefine.data", "prepare", phase.config, "--progress", progress)

    def train(self, run: RunDir, *, resume: bool) -> list[str]:
        return python_command("-m", "brefine.train", run.path, *(["--resume"] if resume else []))

    def evaluate(self, phase: PhaseDir, models: Sequence[str]) -> list[str]:
        chosen = [part for model in models for part in ("--model", model)]
        words = [phase.path, *chosen, "--split", "validation", "--progress", phase.progress(Stage.EVALUATE)]
        return python_command("-m", "brefine.evaluate", "evaluate", *words)

    def integrate(self, phase: PhaseDir, model: str) -> list[str]:
        progress = phase.progress(Stage.INTEGRATE)
        return python_command("-m", "brefine.evaluate", "integrate", phase.path, "--model", model, "--progress", progress)


BREFINE = BrefinePrograms()
