"""Whether a supervisor whose process lives also works: it may be suspended, or be waiting for a disk that does not answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from brefine.identity import ProcessIdentity, is_same
from brefine.phasedir import SupervisorState

_SILENT_S: Final = 75.0
"""A supervisor with an older heartbeat is silent; waiting for a scheduler that does not answer takes it up to a minute."""


class Pulse:
    """How long a supervisor has been silent, as one reader has seen it.

    The age of a heartbeat from before the reader's first look is taken from the wall clock. From then on the reader counts the
    seconds in which it could have seen a new one, so neither a machine that slept nor a clock that was set makes a silence.

    Args:
        clock: monotonic seconds, which do not pass while the machine sleeps.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._beat_unix_s: float | None = None
        self._looked_s = 0.0
        self._age_s = 0.0

    def silence_s(self, word: SupervisorState | None, process: ProcessIdentity | None, now_unix_s: float) -> float | None:
        """For how long the supervisor has given no sign of life; None if it gives some, or if that is unknown.

        Args:
            word: what is known of supervisor.json.
            process: the process that supervises the phase now; None if none does.
        """
        if word is None or process is None or word.state != "running" or not is_same(word.process, process):
            return None
        now_s = self._clock()
        waited_s, self._looked_s = now_s - self._looked_s, now_s
        if word.heartbeat_unix_s == self._beat_unix_s:
            self._age_s += waited_s
        else:
            age_s = max(0.0, now_unix_s - word.heartbeat_unix_s)
            self._age_s = age_s if self._beat_unix_s is None else min(age_s, waited_s)
            self._beat_unix_s = word.heartbeat_unix_s
        return self._age_s if self._age_s > _SILENT_S else None
