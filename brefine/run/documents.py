"""JSON documents that are read again only when they have changed."""

from __future__ import annotations

from pathlib import Path
from typing import Generic, TypeVar

from brefine.config import ModelName
from brefine.errors import FormatError
from brefine.identity import ProcessIdentity, is_alive, is_same
from brefine.phasedir import Document, PhaseDir, Progress, RunStatus, Stage, SupervisorState, read_statuses
from brefine.run.lock import holder

D = TypeVar("D", bound=Document)


class WatchedDocument(Generic[D]):
    """One file: its newest readable content, and what is wrong with it now."""

    def __init__(self, path: Path, kind: type[D]) -> None:
        self._path = path
        self._kind = kind
        self._stamp: tuple[int, int, int] | None = None
        self._content: D | None = None
        self.problem: str | None = None

    def read(self) -> D | None:
        """The content; None where the file is not there. An unreadable file keeps its last readable content."""
        try:
            found = self._path.stat()
            stamp = (found.st_ino, found.st_mtime_ns, found.st_size)
            if stamp != self._stamp:
                self._content = self._kind.read(self._path)
                self._stamp, self.problem = stamp, None
        except FileNotFoundError:
            self._stamp, self._content, self.problem = None, None, None
        except FormatError as error:
            self._stamp, self.problem = stamp, str(error)
        except OSError as error:
            self._stamp = None  # read again as soon as it can be, though it has not changed
            self.problem = f"{self._path}: cannot be read: {error.strerror}"
        return self._content


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
    stages = (Progress.read_if_sound(phase.progress(stage)) for stage in Stage)
    signs = [(told.process, told.heartbeat_unix_s) for told in read_statuses(phase).values()]
    signs += [(told.process, told.unix_s) for told in stages if told is not None]
    last_unix_s = [unix_s for writer, unix_s in signs if any(is_same(writer, process) for process in left)]
    return min(now_unix_s, max(last_unix_s)) if last_unix_s else None


def _newest(phase: PhaseDir, name: str, writer: ProcessIdentity | None) -> ProcessIdentity | None:
    """The writer of the last word; where it is gone, whom a supervisor has started, who may not have spoken yet."""
    if writer is not None and is_alive(writer):
        return writer
    supervisor = SupervisorState.read_if_sound(phase.supervisor)
    return writer if supervisor is None else supervisor.processes.get(name, writer)
