"""Bills the allocations of a phase's jobs to the ledger: the price of a GPU-hour × GPUs × allocated time."""

from __future__ import annotations

import time
from pathlib import Path

from brefine.config import BudgetConfig
from brefine.run.budget import TICK_S, Ledger, ledger_path
from brefine.run.slurm_queue import JobLine


class SlurmBill:
    """One ledger session per allocation: a job that is requeued has several, and costs nothing while it waits.

    Attributes:
        problem: why the ledger cannot be written; the phase goes on.
    """

    def __init__(self, budget: BudgetConfig, phase: Path) -> None:
        self.problem: str | None = None
        self._price_usd_per_hour = budget.price_usd_per_hour
        self._ledger = Ledger(ledger_path(budget))
        self._phase = phase.resolve()
        self._gpus: dict[str, int] = {}
        self._open: dict[str, tuple[str, float]] = {}
        """Job → its session, and when that was last written."""
        self._seen_unix_s: dict[str, float] = {}
        """Job → when the scheduler last reported it."""
        self._settled: set[str] = set()

    def price(self, gpus: int) -> float:
        """Price of one job with so many GPUs, per hour."""
        return self._price_usd_per_hour * max(1, gpus)

    def watch(self, job_id: str, gpus: int) -> None:
        self._gpus[job_id] = gpus

    def saw(self, line: JobLine, *, now_unix_s: float | None = None) -> None:
        """Opens, extends or closes the session of a job, according to the scheduler's answer."""
        if self._price_usd_per_hour == 0.0 or line.job_id in self._settled:
            return
        now_unix_s = time.time() if now_unix_s is None else now_unix_s
        self._seen_unix_s[line.job_id] = now_unix_s
        allocated = not line.waits and line.elapsed_s > 0.0
        try:
            if allocated and line.job_id not in self._open:
                began_unix_s = now_unix_s - line.elapsed_s
                price = self.price(self._gpus[line.job_id])
                session = self._ledger.open_session(self._phase, price, began_unix_s, machine=f"slurm job {line.job_id}")
                self._open[line.job_id] = (session, began_unix_s)
            if line.job_id in self._open:
                session, written_unix_s = self._open[line.job_id]
                if line.waits or line.is_over or now_unix_s - written_unix_s >= TICK_S:
                    self._ledger.tick(session, now_unix_s)
                    self._open[line.job_id] = (session, now_unix_s)
            self.problem = None
        except OSError as error:
            self.problem = self._ledger.cannot_be_written(error)
            return
        if line.waits or line.is_over:
            self._open.pop(line.job_id, None)
        if line.is_over:
            self._settled.add(line.job_id)

    def forgot(self, job_id: str) -> None:
        """Closes the session of a job that the scheduler no longer knows, at the time when it last reported the job."""
        if job_id not in self._open:
            return
        session, _ = self._open.pop(job_id)
        self._settled.add(job_id)
        try:
            self._ledger.tick(session, self._seen_unix_s[job_id])
        except OSError as error:
            self.problem = self._ledger.cannot_be_written(error)

    def tick(self, *, force: bool = False) -> None:
        """With `force`, writes down that the open allocations are still in use; otherwise `saw` does that when it is due."""
        if not force:
            return
        try:
            for session, _ in self._open.values():
                self._ledger.tick(session, time.time())
        except OSError as error:
            self.problem = self._ledger.cannot_be_written(error)

    def spent_usd(self) -> float:
        """What the phase has cost so far, including its open allocations."""
        account, now_unix_s = self._ledger.read(), time.time()
        for session, _ in self._open.values():
            account = account.extended(session, now_unix_s)
        return account.spent_on_usd(self._phase)
