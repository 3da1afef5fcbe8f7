"""What a reader knows of a phase's supervisor at one moment, and what only a reader can report: that it was killed, or hangs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from brefine.identity import ProcessIdentity
from brefine.phasedir import Alert, SupervisorState
from brefine.run.snapshot import PhaseState, SupervisorView

_GONE: Final = "the supervisor is gone; `brefine resume` starts a new one that takes the trainings over"
_SILENT: Final = (
    "the supervisor gives no sign of life for {:,.0f} s: it hangs, or cannot write supervisor.json. Perhaps nobody restarts a "
    "training or stops the phase at its cap; `brefine stop` stops it all the same, and `brefine resume` goes on from there"
)


@dataclass(frozen=True, slots=True)
class SeenSupervisor:
    """What a reader knows of the supervisor at one moment.

    Attributes:
        word: its supervisor.json; None if there is none that can be read.
        process: the process that supervises the phase now; None if none does.
        silent_s: for how long that process has given no sign of life; None while it works.
    """

    word: SupervisorState | None
    process: ProcessIdentity | None
    silent_s: float | None

    @property
    def is_at_work(self) -> bool:
        """Whether the phase is stopped at its cap: the supervisor lives and does not hang."""
        return self.process is not None and self.silent_s is None

    def view(self) -> SupervisorView:
        """The supervisor by its supervisor.json; if that cannot be read, only its process is known."""
        word, process, alive = self.word, self.process, self.process is not None
        if word is None:
            return SupervisorView(alive, None if process is None else process.pid, heartbeat_unix_s=None, error=None)
        error = _GONE if word.state == "running" and not alive else word.error
        return SupervisorView(alive, (process or word.process).pid, word.heartbeat_unix_s, error, self.silent_s)

    def desertion(self, state: PhaseState) -> tuple[Alert, ...]:
        """An alert if it was killed or hangs: nothing is restarted, reported or stopped at the cap; only a reader can say so."""
        left = (PhaseState.PREPARING, PhaseState.TRAINING, PhaseState.EVALUATING, PhaseState.STOPPED)
        if self.word is None or self.word.state != "running" or state not in left:
            return ()
        told = self.word.heartbeat_unix_s
        if self.process is None:
            return (Alert(id=f"lost:supervisor:{told:.0f}", level="error", kind="lost", text=_GONE, unix_s=told),)
        if self.silent_s is None:
            return ()
        text = _SILENT.format(self.silent_s)
        return (Alert(id=f"stalled:supervisor:{told:.0f}", level="error", kind="stalled", text=text, unix_s=told),)

    def hindrances(self) -> tuple[str, ...]:
        """What it says that it cannot do, while it lives; undelivered alerts also after it has ended."""
        if self.word is None:
            return ()
        error = None if self.process is None else self.word.error
        return tuple(problem for problem in (error, self.word.undelivered) if problem)
