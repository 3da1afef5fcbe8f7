"""Which processes work on a phase, and until when, by the phase's files."""

from __future__ import annotations

from collections.abc import Iterator

from brefine.config import ModelName
from brefine.identity import ProcessIdentity, is_alive, is_same
from brefine.phasedir import PhaseDir, Progress, RunStatus, Stage, SupervisorState, read_statuses
from brefine.run.lock import holder


def training_process(phase: PhaseDir, model: ModelName) -> ProcessIdentity | None:
    """The process that trains a model, or did so last; the caller finds out whether it still lives."""
    told = RunStatus.read_if_sound(phase.run(model).status)
    return _newest(phase, model, None if told is None else told.process)


def models_in_training(phase: PhaseDir) -> tuple[ModelName, ...]:
    """The models whose trainers run on this machine, supervised or not, in the order of the recipe."""
    found = {model: training_process(phase, model) for model in phase.models()}
    return tuple(model for model, process in found.items() if process is not None and is_alive(process))


def working_process(phase: PhaseDir, stage: Stage) -> ProcessIdentity | None:
    """The process that works on a stage; the caller finds out whether it still lives."""
    if by_hand := holder(phase.stage_lock(stage)):
        return by_hand
    told = Progress.read_if_sound(phase.progress(stage))
    return _newest(phase, stage, told.process if told is not None and told.state == "running" else None)


def left_at_work_until_unix_s(phase: PhaseDir, supervisor: SupervisorState | None, now_unix_s: float) -> float | None:
    """Until when the processes of a supervisor that is gone went on working; None if it ended in order, or left none.

    A process that still lives counts until now, one that is gone until its last sign of life.
    """
    if supervisor is None or supervisor.state != "running":
        return None
    left = supervisor.processes.values()
    if any(map(is_alive, left)):
        return now_unix_s
    last_unix_s = [unix_s for writer, unix_s in signs_of_life(phase) if any(is_same(writer, process) for process in left)]
    return min(now_unix_s, max(last_unix_s)) if last_unix_s else None


def signs_of_life(phase: PhaseDir) -> Iterator[tuple[ProcessIdentity, float]]:
    """The processes that have worked on the phase, each with the time of its last sign of life."""
    yield from ((told.process, told.heartbeat_unix_s) for told in read_statuses(phase).values())
    stages = (Progress.read_if_sound(phase.progress(stage)) for stage in Stage)
    yield from ((told.process, told.unix_s) for told in stages if told is not None)


def _newest(phase: PhaseDir, name: str, writer: ProcessIdentity | None) -> ProcessIdentity | None:
    """The writer of the last status; if it is gone, the process that a supervisor started last, which may not have reported."""
    if writer is not None and is_alive(writer):
        return writer
    supervisor = SupervisorState.read_if_sound(phase.supervisor)
    return writer if supervisor is None else supervisor.processes.get(name, writer)
