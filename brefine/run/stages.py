"""Starts a stage as a process, and waits for it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from brefine.config import ModelName
from brefine.errors import CheckpointError, ConfigError, FormatError, ProcessError
from brefine.identity import ProcessIdentity, is_alive
from brefine.io.lock import held
from brefine.phasedir import (
    EvaluationReport,
    IntegrationReport,
    PhaseDir,
    Progress,
    Stage,
    way_to_first_checkpoint,
    way_to_weights,
)
from brefine.run.documents import WatchedDocument
from brefine.run.executor import executor_of
from brefine.run.lock import sign
from brefine.run.programs import BREFINE
from brefine.run.work import Executor, Order, Work
from brefine.run.workers import working_process

_POLL_S: Final = 0.2


@contextmanager
def stage_taken(phase: PhaseDir, stage: Stage) -> Iterator[int]:
    """Takes the lock of a stage for a process that is about to start and inherits it; yields the lock's descriptor.

    Raises:
        ProcessError: the stage is at work already; a second process would write the same files.
    """
    with held(phase.stage_lock(stage), wait=False) as lock:
        worker = working_process(phase, stage)
        if worker is not None and is_alive(worker):
            raise at_work_already(phase, stage, f"process {worker.pid}")
        if lock is None:
            raise at_work_already(phase, stage, "another process")
        yield lock


def find_or_start(
    executor: Executor,
    phase: PhaseDir,
    stage: Stage,
    command: Sequence[str],
    *,
    process: ProcessIdentity | None,
    holds: tuple[int, ...] = (),
) -> Work:
    """The work of a stage: one that was started before and has not ended, with its progress so far, or else a new one.

    Args:
        process: the process that is at work here by the files of the phase, if it may be taken over.
        holds: descriptors that a new process keeps open.

    Raises:
        OSError: the work cannot be started, or a scheduler does not answer.
    """
    log = phase.stage_log(stage)
    found = executor.find(stage, log=log, process=process)
    if found is not None:
        return found
    phase.progress(stage).unlink(missing_ok=True)  # the progress of one that has ended
    return executor.start(Order(stage, tuple(command), log, divisible=True, holds=holds))


class StageProcess:
    """One stage at work: its progress, its end, its error.

    Raises:
        ProcessError: the stage is at work already; a second process would write the same files.
    """

    def __init__(self, phase: PhaseDir, stage: Stage, command: Sequence[str]) -> None:
        self.stage = stage
        self.log: Path = phase.stage_log(stage)
        self.error: str | None = None
        self._code: int | None = None
        self._progress = WatchedDocument(phase.progress(stage), Progress)
        executor = executor_of(phase, phase.load_config())
        with stage_taken(phase, stage) as lock:
            self._work = find_or_start(executor, phase, stage, command, process=None, holds=(lock,))
            if self._work.process is not None:
                sign(lock, self._work.process)  # its own first status comes only after seconds

    def progress(self) -> Progress | None:
        """How far it is; None before its first report."""
        return self._progress.read()

    def exit_code(self) -> int | None:
        """The exit code; None while it works. `error` is set if the code is not 0."""
        if self._code is None and (ended := self._work.ended()) is not None:
            self._code = ended.code if ended.code is not None else 1
            if self._code != 0:
                progress = self._progress.read()
                told = None if progress is None else progress.error
                self.error = told or ended.text or f"it ended with exit code {self._code}"
        return self._code

    def stop(self) -> None:
        """Asks it to end."""
        self._work.stop(by_force=False)

    def end(self) -> None:
        """Asks it to end, and waits until it has, unless interrupted."""
        self.stop()
        with contextlib.suppress(KeyboardInterrupt):
            while self.exit_code() is None:
                time.sleep(_POLL_S)

    def wait(self, on_progress: Callable[[Progress], None] | None = None) -> None:
        """Waits for its end, and calls `on_progress` with every new report. If the wait is interrupted, the process is ended.

        Raises:
            ProcessError: the stage failed.
        """
        seen: Progress | None = None
        try:
            while True:
                code = self.exit_code()
                progress = self.progress()
                if on_progress is not None and progress is not None and progress != seen:
                    on_progress(progress)
                    seen = progress
                if code is not None:
                    break
                time.sleep(_POLL_S)
        except BaseException:
            self.end()
            raise
        if self.error is not None:
            raise ProcessError(f"{self.stage} failed: {self.error}", where=self.log, hint="its log tells more")


def at_work_already(phase: PhaseDir, stage: Stage, who: str) -> ProcessError:
    """The error for whoever tries to start a stage a second time."""
    return ProcessError(
        f"{stage} is at work already", where=phase.path, got=who, hint=f"watch it: brefine watch {phase.argument}"
    )


def model_of(phase: PhaseDir, name: str) -> ModelName:
    """The model of the phase's recipe that has this name.

    Raises:
        ConfigError: no model has this name.
    """
    return named_model(name, phase.models(), "this model is not in the phase's recipe", phase)


def named_model(name: str, known: Sequence[ModelName], otherwise: str, phase: PhaseDir) -> ModelName:
    """The known model that has this name.

    Raises:
        ConfigError: no model has this name; the message is `otherwise`.
    """
    for model in known:
        if name == model:
            return model
    raise ConfigError(otherwise, where=phase.path.name, expected=" or ".join(known), got=name)


def start_evaluation(phase: PhaseDir) -> StageProcess:
    """Evaluates every model that has a checkpoint on the validation split.

    Raises:
        ProcessError: no model has a checkpoint.
    """
    models = [model for model in phase.models() if phase.run(model).weights("best").exists()]
    if not models:
        raise ProcessError("no model has a checkpoint yet", where=phase.path, hint=way_to_first_checkpoint(phase))
    return StageProcess(phase, Stage.EVALUATE, BREFINE.evaluate(phase, models))


def start_integration(phase: PhaseDir, model: ModelName) -> StageProcess:
    """Runs the model behind the diarizer on the gate split.

    Raises:
        CheckpointError: it has no best weights; the record of an earlier integration is kept.
    """
    weights = phase.run(model).weights("best")
    if not weights.exists():
        raise CheckpointError("there are no such weights", where=weights, hint=way_to_weights(phase, model))
    return StageProcess(phase, Stage.INTEGRATE, BREFINE.integrate(phase, model))


def evaluation_reports(phase: PhaseDir) -> dict[str, EvaluationReport]:
    """The existing reports on the validation split, in the order of the recipe.

    Raises:
        FormatError: a report is damaged.
    """
    try:
        found = {model: EvaluationReport.read_if_there(phase.evaluation(model, "validation")) for model in phase.models()}
    except FormatError as error:
        raise error.with_hint(f"evaluate again: brefine evaluate --phase {phase.argument}") from None
    return {model: report for model, report in found.items() if report is not None}


def integration_report(phase: PhaseDir) -> IntegrationReport:
    """The report of the integration.

    Raises:
        ProcessError: there is none yet.
        FormatError: it is damaged.
    """
    try:
        report = IntegrationReport.read_if_there(phase.integration)
    except FormatError as error:
        raise error.with_hint(f"integrate again: brefine integrate --phase {phase.argument}") from None
    if report is None:
        raise ProcessError("nothing is integrated yet", where=phase.path, hint=f"run: brefine integrate --phase {phase.argument}")
    return report
