"""The executor that gives its work to Slurm, through `submitit`.

A job runs the same command line as a local process would (`slurm_job.JobCommand`). What submitit pickles for its node (that
command line, and at the end its exit code) is in `<runs>/.submitit/<phase>/`, outside the phase directory, a folder that only its
user can enter. Only submitit reads it, on the node; nothing here ever unpickles.

The supervisor stays on the login node. It asks `squeue` for the jobs' states, writes them into the phase directory for readers
(`JobRecord`), and relies on the files of the phase directory for everything else.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import shlex
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from brefine.config import ExecutorConfig, ModelName, PhaseConfig
from brefine.errors import ProcessError
from brefine.identity import ProcessIdentity, is_same
from brefine.io.interpreter import python_command
from brefine.phasedir import JobRecord, JobWord, PhaseDir, Stage
from brefine.run.children import LastWords
from brefine.run.documents import WatchedDocument
from brefine.run.slurm_bill import SlurmBill
from brefine.run.slurm_job import JobCommand
from brefine.run.slurm_queue import JobLine, SlurmQueue, ask_slurm, jobs_named
from brefine.run.supervision import Ended, Tell
from brefine.run.work import Billing, Order, Work

_RECORD_EVERY_S: Final = 30.0
_LAST_WORD_S: Final = 15.0
"""How long the node's last word may take to arrive over the shared disk after the scheduler has reported the end."""
_ENDINGS: Final = {
    "FAILED": "failed though its command did not: it could not be requeued",
    "CANCELLED": "was cancelled from outside",
    "TIMEOUT": "ran into its time limit",
    "PREEMPTED": "was preempted and not requeued",
    "OUT_OF_MEMORY": "took more memory than it was given",
    "NODE_FAIL": "lost its node",
    "BOOT_FAIL": "never got its node",
}
"""Slurm's state → what has happened to the job, in plain words."""


class SlurmExecutor:
    """Jobs of one phase."""

    price_goes_on = False

    def __init__(self, phase: PhaseDir, config: PhaseConfig) -> None:
        self._phase = phase
        self._config = config.executor
        self.poll_s = config.executor.poll_s
        self._models = tuple(config.models)
        self._queue = SlurmQueue(every_s=config.executor.poll_s)
        self._bill = SlurmBill(config.budget, phase.path)
        self._works: list[SlurmWork] = []
        self._news: list[Tell] = []
        self._told_problem = False

    def start(self, order: Order) -> Work:
        """Submits a job; if the order can be divided, an array that does its shares goes before it.

        Raises:
            OSError: the scheduler did not accept it.
        """
        self._phase.job_word(order.name).unlink(missing_ok=True)
        n_tasks = self._config.array_tasks
        gpus = self._gpus(order.name)
        job = self._command(order.command, order.again or order.command, order.log, self._phase.job_word(order.name))
        if not order.divisible or n_tasks == 1:
            (job_id,) = self._submit(self._name(order.name), [job], gpus)
            return self._watched(order.name, job_id, order.log, gpus)
        shares = []
        for task in range(n_tasks):
            share = (*order.command, "--part", f"{task}/{n_tasks}")
            name = f"{order.name}.{task}"
            shares.append(self._command(share, share, order.log.with_suffix(f".{task}.log"), self._phase.job_word(name)))
        parent = self._watched_array(self._submit(self._array(order.name), shares, gpus), gpus)
        (job_id,) = self._submit(self._name(order.name), [job], gpus, after=parent)
        return self._watched(order.name, job_id, order.log, gpus, shares=parent)

    def find(self, name: str, *, log: Path, process: ProcessIdentity | None) -> Work | None:
        """The job of this name that waits or runs, with the array before it, as the scheduler knows them.

        Raises:
            OSError: the scheduler does not answer.
        """
        try:
            found = jobs_named(self._name(name))
            array = jobs_named(self._array(name)) if found and name not in self._models else []
        except subprocess.SubprocessError as error:
            raise OSError(errno.EIO, f"squeue does not answer: {error}") from None
        if not found:
            return None
        gpus = self._gpus(name)
        shares = self._watched_array([task.job_id for task in array], gpus) if array else None
        return self._watched(name, found[-1].job_id, log, gpus, shares=shares)

    def billing(self) -> Billing:
        return self._bill

    def news(self) -> Sequence[Tell]:
        """Alerts about jobs that were requeued, and about a scheduler that does not answer."""
        self.look()
        if self._queue.problem is not None and not self._told_problem:
            self._news.append(Tell("scheduler", "warning", self._queue.problem, f"{time.time():.0f}"))
        self._told_problem = self._queue.problem is not None
        news, self._news = self._news, []
        return news

    def look(self, *, now: bool = False) -> None:
        """Asks the scheduler if it is time to, and writes down what it says."""
        if self._queue.ask(now=now):
            for line in self._queue.lines():
                self._bill.saw(line)
            for job_id in self._queue.forgotten():
                self._bill.forgot(job_id)
        for work in list(self._works):
            self._news += work.saw(self._queue.line(work.job_id))
            if work.is_over:
                self._works.remove(work)

    def _watched(self, name: str, job_id: str, log: Path, gpus: int, *, shares: str | None = None) -> SlurmWork:
        self._queue.watch(job_id)
        self._bill.watch(job_id, gpus)
        model = next((model for model in self._models if model == name), None)
        work = SlurmWork(
            self, self._phase, name, job_id, log, model=model, shares=shares, price_usd_per_hour=self._bill.price(gpus)
        )
        self._works.append(work)
        work.saw(self._queue.line(job_id))
        return work

    def _watched_array(self, job_ids: Sequence[str], gpus: int) -> str:
        """Watches and bills every task of an array; returns the array's own id."""
        for job_id in job_ids:
            self._queue.watch(job_id)
            self._bill.watch(job_id, gpus)
        return job_ids[0].partition("_")[0]

    def _command(self, command: Sequence[str], again: Sequence[str], log: Path, word: Path) -> JobCommand:
        return JobCommand(tuple(command), tuple(again), log.absolute(), word.absolute(), 0.9 * self._config.checkpoint_ahead_s)

    def _gpus(self, name: str) -> int:
        return 0 if name == Stage.PREPARE else self._config.gpus

    def _submit(self, name: str, jobs: Sequence[JobCommand], gpus: int, *, after: str | None = None) -> list[str]:
        folder = self._phase.path.parent / ".submitit" / self._phase.path.name
        return submit(self._config, folder, name, jobs, gpus=gpus, after=after)

    def _name(self, name: str) -> str:
        """The job's name: the same for every supervisor of this phase, and for no other phase of this user."""
        path = hashlib.sha256(str(self._phase.path.resolve()).encode()).hexdigest()[:6]
        return f"brefine-{self._phase.path.name}-{path}-{name}"

    def _array(self, name: str) -> str:
        """The name of the array that does a job's shares."""
        return f"{self._name(name)}-array"


class SlurmWork:
    """One job.

    Args:
        model: the model that it trains; None for a stage.
        shares: id of the array that does its shares first.
        price_usd_per_hour: price of its allocation.
    """

    def __init__(
        self,
        executor: SlurmExecutor,
        phase: PhaseDir,
        name: str,
        job_id: str,
        log: Path,
        *,
        model: ModelName | None,
        shares: str | None,
        price_usd_per_hour: float,
    ) -> None:
        self.job_id = job_id
        self.process = None
        self.is_over = False
        self._executor = executor
        self._name = name
        self._last_words = LastWords(log)
        self._model = model
        self._shares = shares
        self._price_usd_per_hour = price_usd_per_hour
        self._record = phase.job(name)
        self._word = WatchedDocument(phase.job_word(name), JobWord)
        self._line: JobLine | None = None
        self._recorded_s = float("-inf")
        self._over_s: float | None = None

    def wrote(self, writer: ProcessIdentity) -> bool:
        """Whether the job's process is the writer of a status, on whatever machine."""
        word = self._own_word()
        return word is not None and is_same(word.process, writer)

    def waits(self) -> bool:
        """Whether it has no node: not yet, or no longer."""
        self._executor.look()
        return self._line is not None and self._line.waits

    def ended(self) -> Ended | None:
        """How it ended, from the scheduler's state, the node's word and the log; None while it waits or runs."""
        self._executor.look()
        if not self.is_over:
            return None
        if self._over_s is None:
            self._over_s = time.monotonic()
        word = self._own_word()
        orderly = self._line is not None and self._line.state in ("COMPLETED", "FAILED")
        if orderly and (word is None or word.code is None) and time.monotonic() - self._over_s < _LAST_WORD_S:
            return None
        return ended_job(self.job_id, self._line, word, self._last_words.of_end(1))

    def stop(self, *, by_force: bool) -> None:
        """Asks the command to checkpoint and end; cancels a job that waits, or, `by_force`, one that has not ended when asked."""
        ask = [] if by_force or self.waits() else ["--signal=TERM"]
        try:
            if self._shares is not None:
                ask_slurm("scancel", self._shares)
            ask_slurm("scancel", *ask, self.job_id)
        except subprocess.SubprocessError as error:
            raise OSError(errno.EIO, f"scancel failed: {error}") from None
        self._executor.look(now=True)

    def saw(self, line: JobLine | None) -> list[Tell]:
        """Takes the scheduler's newest answer; returns what the person should know about it."""
        before, self._line = self._line, line
        self.is_over = line is None or line.is_over
        if line != before or time.monotonic() - self._recorded_s > _RECORD_EVERY_S:
            self._write(line)
        if before is not None and line is not None and before.node and line.waits and not before.waits:
            return [self._requeued(before)]
        return []

    def _requeued(self, before: JobLine) -> Tell:
        word = self._own_word()
        asked = None if word is None else word.asked
        silent = word is not None and word.code is None  # it was at work, and the scheduler has sent it nothing
        why = {"time limit": "its time limit or a preemption was near", "terminate": "it was preempted"}.get(
            asked or "", f"its node {before.node} failed" if silent else "Slurm took its node away"
        )
        text = f"job {self.job_id}: {why}; it is requeued and goes on from its last checkpoint"
        restarts = 0 if word is None else word.restarts
        return Tell("requeued", "info", text, f"{self.job_id}:{restarts}", self._model)

    def _own_word(self) -> JobWord | None:
        word = self._word.read()
        return word if word is not None and word.job_id == self.job_id else None

    def _write(self, line: JobLine | None) -> None:
        self._recorded_s = time.monotonic()
        record = JobRecord(
            name=self._name,
            job_id=self.job_id,
            state="FORGOTTEN" if line is None else line.state,
            waits=line is not None and line.waits,
            is_over=self.is_over,
            reason=None if line is None else line.reason,
            node=None if line is None else line.node,
            price_usd_per_hour=self._price_usd_per_hour,
            unix_s=time.time(),
        )
        with contextlib.suppress(OSError):  # a full disk must not end the supervisor; only readers need the record
            record.write(self._record)


def submit(
    config: ExecutorConfig, folder: Path, name: str, jobs: Sequence[JobCommand], *, gpus: int, after: str | None = None
) -> list[str]:
    """Submits a job to Slurm, or an array for several; returns the ids.

    Args:
        folder: where submitit keeps its files; made accessible to its user only.
        after: a job (or array) that must have ended first, in whatever way.

    Raises:
        ProcessError: this machine has no Slurm.
        OSError: the scheduler did not accept the job; the message says why.
    """
    import submitit

    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    try:
        executor = submitit.SlurmExecutor(folder, max_num_timeout=config.max_timeouts, python=_interpreter(config))
    except RuntimeError:
        raise ProcessError(
            "this machine has no Slurm", where="[executor] kind", expected="srun on the PATH", hint="launch on a login node"
        ) from None
    wanted: dict[str, Any] = {
        "job_name": name,
        "partition": config.partition,
        "account": config.account,
        "cpus_per_task": config.cpus,
        "gpus_per_node": gpus or None,
        "mem": None if config.memory_gb is None else f"{round(config.memory_gb * 1024)}M",
        "time": config.time_minutes,
        "signal_delay_s": config.checkpoint_ahead_s,
        "array_parallelism": len(jobs),
        "setup": list(config.setup),
        "stderr_to_stdout": True,
        "wckey": "brefine",
        "additional_parameters": {"requeue": True, **config.directives, **({"dependency": f"afterany:{after}"} if after else {})},
    }
    executor.update_parameters(**{key: value for key, value in wanted.items() if value is not None})
    try:
        return [str(job.job_id) for job in executor.submit_array(list(jobs))]
    except (submitit.core.utils.FailedJobError, submitit.core.utils.FailedSubmissionError) as error:
        raise OSError(errno.EIO, f"Slurm did not take the job: {_last_line(str(error))}") from None


def _interpreter(config: ExecutorConfig) -> str:
    """The nodes' Python as a shell command, which does not import modules from the folder in which a job starts."""
    return shlex.join(python_command()) if config.python is None else f"{config.python} -P"


def ended_job(job_id: str, line: JobLine | None, word: JobWord | None, told: Ended) -> Ended:
    """How a job ended, in a supervisor's terms.

    Args:
        line: the scheduler's last answer; None = it has forgotten the job.
        word: what the node said about it.
        told: what the log says about a command that failed.
    """
    code = None if word is None else word.code
    if line is None:
        return Ended(code, told.cause if code else None, told.text if code else f"Slurm no longer knows job {job_id}")
    if line.state == "COMPLETED" or (line.state == "FAILED" and code):
        return Ended(code or 0, told.cause if code else None, told.text)
    where = f" on {line.node}" if line.node else ""
    words = f"job {job_id} {_ENDINGS.get(line.state, f'ended as {line.state}')}{where}"
    if line.state in ("NODE_FAIL", "BOOT_FAIL"):
        return Ended(None, None, words)
    if line.state == "OUT_OF_MEMORY":
        return Ended(code or -signal.SIGKILL, "out-of-memory", words)
    return Ended(-signal.SIGTERM, "cancelled" if line.state == "CANCELLED" else None, words)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it gave no reason"
