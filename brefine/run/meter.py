"""Bills one supervisor's machine time to the ledger."""

from __future__ import annotations

import time
from pathlib import Path

from brefine.config import BudgetConfig
from brefine.run.budget import TICK_S, Ledger, ledger_path


class Meter:
    """One session of the ledger. A machine that costs nothing is not billed and leaves the ledger alone.

    The session's length is counted from this process's start by a monotonic clock, so setting the clock bills nothing.

    Args:
        left_until_unix_s: until when work of the phase went on without a supervisor; the phase's last session is extended to it.

    Attributes:
        problem: why the ledger cannot be written. The phase goes on, and its cap is checked with what this process knows.
    """

    def __init__(self, budget: BudgetConfig, phase: Path, *, left_until_unix_s: float | None = None) -> None:
        self.problem: str | None = None
        self._price = budget.price_usd_per_hour
        self._ledger = Ledger(ledger_path(budget))
        self._phase = phase.resolve()
        self._began_unix_s = time.time()
        self._began_s = time.monotonic()
        self._ticked_s = float("-inf")
        self._session: str | None = None
        account = self._ledger.read()
        earlier = account.sessions_of(self._phase)
        self._owed = None if left_until_unix_s is None or not earlier else (earlier[-1].id, left_until_unix_s)
        self._before_usd = (account if self._owed is None else account.extended(*self._owed)).spent_on_usd(self._phase)
        self.tick()

    def tick(self, *, force: bool = False) -> None:
        """Writes down, once a minute, that the machine is in use; opens the session first if that could not be written before."""
        now_s = time.monotonic()
        if self._price == 0.0 or (not force and now_s - self._ticked_s < TICK_S):
            return
        self._ticked_s = now_s
        try:
            if self._session is None:
                if self._owed is not None:
                    self._ledger.tick(*self._owed)
                self._session = self._ledger.open_session(self._phase, self._price, self._began_unix_s)
            self._ledger.tick(self._session, self._began_unix_s + now_s - self._began_s)
            self.problem = None
        except OSError as error:
            self.problem = self._ledger.cannot_be_written(error)

    def spent_usd(self) -> float:
        """What the phase has cost: its earlier sessions, and this one up to now by a monotonic clock."""
        return self._before_usd + self._price * (time.monotonic() - self._began_s) / 3600.0
