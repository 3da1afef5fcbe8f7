"""Since when a rented machine has been idle; any phase that works on it keeps it busy, not only the one that is watched."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from brefine.identity import ProcessIdentity, boot_id, is_alive
from brefine.phasedir import PhaseDir, Stage, SupervisorState, phases_beside, read_statuses
from brefine.run.budget import Account
from brefine.run.lock import holder, supervising
from brefine.run.workers import signs_of_life

BY_HAND: Final = (Stage.EVALUATE, Stage.INTEGRATE)
"""Stages that a person may start; their locks name the process that works on them."""
_LOOKS_EVERY_S: Final = 5.0


class OtherPhases:
    """The other phases on this machine, looked at only every few seconds, since a folder may contain hundreds."""

    def __init__(self, phase: PhaseDir) -> None:
        self._phase = phase
        self._looked_s = float("-inf")
        self._until_unix_s: float | None = None

    def worked_until_unix_s(self, account: Account) -> float | None:
        """The last time at which they worked since the machine was started: infinite while one works, None if none has."""
        if time.monotonic() - self._looked_s >= _LOOKS_EVERY_S:
            self._looked_s = time.monotonic()
            others = tuple(_others(self._phase, account))
            self._until_unix_s = (
                math.inf if any(map(_works_here, others)) else _latest(filter(None, map(_last_sign_unix_s, others)))
            )
        return self._until_unix_s


def others_at_work(phase: PhaseDir, account: Account) -> Iterator[PhaseDir]:
    """The other phases that work on this machine now, as far as the ledger or the folder of this phase knows them."""
    return filter(_works_here, _others(phase, account))


def last_sign_unix_s(signs: Iterable[tuple[ProcessIdentity, float]]) -> float | None:
    """The latest of these signs of life since this machine was started; None if there is none."""
    return _latest(unix_s for process, unix_s in signs if process.boot_id == boot_id())


def _others(phase: PhaseDir, account: Account) -> Iterator[PhaseDir]:
    billed = (Path(session.phase).resolve() for session in account.sessions if session.machine == boot_id())
    beside = (other.path.resolve() for other in phases_beside(phase))
    return (PhaseDir(path) for path in dict.fromkeys((*billed, *beside)) if path != phase.path.resolve())


def _works_here(phase: PhaseDir) -> bool:
    """Whether its supervisor lives on this machine, or a process that a supervisor has left, or one that a person has started."""
    word = SupervisorState.read_if_sound(phase.supervisor)
    supervisor = supervising(phase, word)
    started = [] if word is None else word.processes.values()
    trainers = (status.process for status in read_statuses(phase).values())
    by_hand = any(holder(phase.stage_lock(stage)) is not None for stage in BY_HAND)
    return by_hand or any(process is not None and is_alive(process) for process in (supervisor, *started, *trainers))


def _last_sign_unix_s(phase: PhaseDir) -> float | None:
    word = SupervisorState.read_if_sound(phase.supervisor)
    own = [] if word is None else [(word.process, word.heartbeat_unix_s)]
    return last_sign_unix_s([*signs_of_life(phase), *own])


def _latest(times_unix_s: Iterable[float]) -> float | None:
    return max(times_unix_s, default=None)
