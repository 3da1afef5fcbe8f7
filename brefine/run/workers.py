"""Who works at a phase, and until when, by the files that it leaves there."""

from __future__ import annotations

from collections.abc import Iterator

from brefine.config import ModelName
from brefine.identity import ProcessIdentity, is_alive, is_same
from brefine.phasedir import PhaseDir, Progress, RunStatus, Stage, SupervisorState, read_statuses
from brefine.run.lock import holder


def training_process(phase: PhaseDir, model: ModelName) -> ProcessIdentity | None:
    """The process that trains a model, or did so last; whether it still lives is for the caller to find out."""
    told = RunStatus.read_if_sound(phase.run(model).status)
    return _newest(phase, model, None if told is None else told.process)


def models_in_training(phase: PhaseDir) -> tuple[ModelName, ...]:
    """The models whose trainers run on this machine, supervised or not, in the order of the recipe."""
    found = {model: training_process(phase, model) for model in phase.models()}
    return tuple(model for model, process in found.items() if process is not None and is_alive(process))


def working_process(phase: PhaseDir, stage: Stage) -> ProcessIdentity | None:
    """The process that is at work at a stage; whether it still lives is for the caller to find out."""
    if by_hand := holder(phase.stage_lock(stage)):
        return by_hand
    told = Progress.read_if_sound(phase.progress(stage))
    return _newest(phase, stage, told.process if told is not None and told.state == "running" else None)


def left_at_work_until_unix_s(phase: PhaseDir, supervisor: SupervisorState | None, now_unix_s: float) -> float | None:
    """Until when the processes of a supervisor that is gone have worked on; None where it had ended in order, or left none.

    What still lives works until now; what is gone has worked until its last sign of life.
    """
    if supervisor is None or supervisor.state != "running":
        return None
    left = supervisor.processes.values()
    if any(map(is_alive, left)):
        return now_unix_s
    last_unix_s = [unix_s for writer, unix_s in signs_of_life(phase) if any(is_same(writer, process) for process in left)]
    return min(now_unix_s, max(last_unix_s)) if last_unix_s else None


def signs_of_life(phase: PhaseDir) -> Iterator[tuple[ProcessIdentity, float]]:
    """Who has worked in the phase, and when each of them said so last."""
    yield from ((told.process, told.heartbeat_unix_s) for told in read_statuses(phase).values())
    stages = (Progress.read_if_sound(phase.progress(stage)) for stage in Stage)
    yield from ((told.process, told.unix_s) for told in stages if told is not None)


def _newest(phase: PhaseDir, name: str, writer: ProcessIdentity | None) -> ProcessIdentity | None:
    """The writer of the last word; where it is gone, whom a supervisor has started, who may not have spoken yet."""
    if writer is not None and is_alive(writer):
        return writer
    supervisor = SupervisorState.read_if_sound(phase.supervisor)
    return writer if supervisor is None else supervisor.processes.get(name, writer)
