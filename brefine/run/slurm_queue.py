"""What Slurm says about jobs: by `squeue`, or, for jobs that it has forgotten, by `sacct`, if the cluster keeps accounts.

Source: squeue(1), the job state codes and reason codes of Slurm 22.05 and later.
"""

from __future__ import annotations

import re
import subprocess
import time
from dataclasses import dataclass
from typing import Final

_TIMEOUT_S: Final = 30.0
_FORMAT: Final = "%i|%T|%r|%N|%M"
_WAITING: Final = ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD")
_ALLOCATED: Final = ("RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING")


@dataclass(frozen=True, slots=True)
class JobLine:
    """One job, as the scheduler sees it.

    Attributes:
        state: Slurm's own word: PENDING, RUNNING, COMPLETED, FAILED, CANCELLED, TIMEOUT, PREEMPTED, NODE_FAIL, …
        reason: why it is waiting or has ended: Resources, Priority, Dependency, …; None if Slurm gives none.
        node: where it runs or ran.
        elapsed_s: for how long it has had its allocation.
    """

    job_id: str
    state: str
    reason: str | None = None
    node: str | None = None
    elapsed_s: float = 0.0

    @property
    def waits(self) -> bool:
        return self.state in _WAITING

    @property
    def is_over(self) -> bool:
        return not self.waits and self.state not in _ALLOCATED


class SlurmQueue:
    """The scheduler's answers, asked for at most every `every_s` seconds, since a login node is shared.

    Attributes:
        problem: why the scheduler did not answer the last time; its earlier answers are kept.
    """

    def __init__(self, *, every_s: float) -> None:
        self.problem: str | None = None
        self._every_s = every_s
        self._asked_s = float("-inf")
        self._lines: dict[str, JobLine | None] = {}

    def watch(self, job_id: str) -> None:
        """Asks about this job from now on; it counts as waiting until the scheduler has answered."""
        self._lines.setdefault(job_id, JobLine(job_id, "PENDING"))

    def line(self, job_id: str) -> JobLine | None:
        """What is known of a watched job; None if the scheduler has forgotten it."""
        return self._lines[job_id]

    def lines(self) -> list[JobLine]:
        """All watched jobs that the scheduler still knows."""
        return [line for line in self._lines.values() if line is not None]

    def forgotten(self) -> list[str]:
        """The watched jobs that it has forgotten; it is not asked about them again."""
        return [job_id for job_id, line in self._lines.items() if line is None]

    def ask(self, *, now: bool = False) -> bool:
        """Asks again if it is time to; returns whether there is news."""
        open_jobs = [job_id for job_id, line in self._lines.items() if line is not None and not line.is_over]
        if not open_jobs or (not now and time.monotonic() - self._asked_s < self._every_s):
            return False
        try:
            found = _squeue("--jobs", ",".join(open_jobs))
        except (OSError, subprocess.SubprocessError) as error:
            self.problem = f"squeue does not answer: {_words(error)}"
            return False
        finally:
            self._asked_s = time.monotonic()  # after the answer: else a scheduler that hangs would be asked again at once
        self.problem = None
        for job_id in open_jobs:
            self._lines[job_id] = found.get(job_id) or _remembered(job_id)
        return True


def jobs_named(name: str) -> list[JobLine]:
    """The user's jobs of that name that wait or run.

    Raises:
        OSError, subprocess.SubprocessError: the scheduler does not answer.
    """
    return [line for line in _squeue("--me", "--name", name).values() if not line.is_over]


def parse_squeue(text: str) -> dict[str, JobLine]:
    """Reads the lines of `squeue --noheader --format=%i|%T|%r|%N|%M`."""
    lines = {}
    for row in text.splitlines():
        job_id, state, reason, node, elapsed = (row.split("|") + [""] * 4)[:5]
        if state:
            told = None if reason in ("", "None", "N/A") else reason
            lines[job_id.strip()] = JobLine(job_id.strip(), state, told, node or None, parse_elapsed_s(elapsed))
    return lines


def parse_elapsed_s(text: str) -> float:
    """`1-02:03:04`, `02:03:04` or `03:04` in seconds; 0 for anything else, such as `INVALID`."""
    found = re.fullmatch(r"(?:(?:(\d+)-)?(\d+):)?(\d+):(\d+)", text.strip())
    if found is None:
        return 0.0
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def _squeue(*selection: str) -> dict[str, JobLine]:
    return parse_squeue(ask_slurm("squeue", "--noheader", "--array", "--states=all", f"--format={_FORMAT}", *selection))


def ask_slurm(*command: str) -> str:
    """What one of Slurm's commands prints; it is not an error if the job is over.

    Raises:
        OSError, subprocess.SubprocessError: the scheduler does not answer.
    """
    ended = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    if ended.returncode != 0 and "Invalid job id" not in ended.stderr:
        raise subprocess.SubprocessError(ended.stderr.strip() or f"exit code {ended.returncode}")
    return ended.stdout


def _remembered(job_id: str) -> JobLine | None:
    """What the accounts say about a job that the queue has forgotten; None if there are no accounts, or if it is not there."""
    command = ["sacct", "--noheader", "--allocations", "--parsable2", "--jobs", job_id, "--format=State,NodeList"]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.SubprocessError):
        return None
    state, _, node = ended.stdout.partition("\n")[0].partition("|")
    words = state.split()  # `CANCELLED by 1000`
    return JobLine(job_id, words[0], node=node or None) if ended.returncode == 0 and words else None


def _words(error: Exception) -> str:
    return str(error).splitlines()[-1] if str(error) else type(error).__name__
