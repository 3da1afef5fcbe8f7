"""What runs on a node: one command of brefine, with its output in its log and a `JobWord` in the phase directory on how it goes.

`submitit` hands a `JobCommand` to the node as a pickle, in a folder that only its user can enter (see `slurm.py`). The pickle
contains command lines and paths, no data, and is never in the phase directory.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final

from brefine.identity import identity_of
from brefine.io.atomic import open_to_append
from brefine.io.folders import never_make_anew
from brefine.phasedir import JobWord

if TYPE_CHECKING:
    from submitit.core.utils import DelayedSubmission

_POLL_S: Final = 0.2


@dataclass(slots=True)
class JobCommand:
    """A callable for submitit: runs `command`, or `again` if Slurm has started the job before.

    Attributes:
        word: the file in which the node says what it does.
        checkpoint_s: time that the command has to write its checkpoint when the time limit or a preemption is near.
    """

    command: tuple[str, ...]
    again: tuple[str, ...]
    log: Path
    word: Path
    checkpoint_s: float
    _pid: int | None = None
    _told: JobWord | None = None

    def __call__(self) -> int:
        """Runs the command to its end, and ends the job with its exit code."""
        never_make_anew(self.word.parent.parent)
        restarts = int(os.environ.get("SLURM_RESTART_COUNT") or 0)
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        if cpus := os.environ.get("SLURM_CPUS_PER_TASK"):
            environment |= {"OMP_NUM_THREADS": cpus, "MKL_NUM_THREADS": cpus, "OPENBLAS_NUM_THREADS": cpus}
        # In the same process group, so that signals that Slurm sends to the job reach the command as well.
        with open_to_append(self.log) as log:
            process = subprocess.Popen(
                list(self.again if restarts else self.command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
            )
        self._pid = process.pid
        self._tell(JobWord(job_id=_job_id(), restarts=restarts, process=identity_of(process.pid), unix_s=time.time()))
        signal.signal(signal.SIGTERM, self._on_terminate)
        while (code := process.poll()) is None:
            time.sleep(_POLL_S)
        self._tell_more(code=code)
        if code != 0:
            sys.exit(code if code > 0 else 128 - code)
        return code

    def checkpoint(self) -> DelayedSubmission:
        """Waits for the command's checkpoint; submitit calls this before the time limit, and then has the job requeued."""
        from submitit.helpers import DelayedSubmission

        self._tell_more(asked="time limit")
        with contextlib.suppress(ProcessLookupError):
            if self._pid is not None:
                os.kill(self._pid, signal.SIGUSR2)
        deadline_s = time.monotonic() + self.checkpoint_s
        while self._runs() and time.monotonic() < deadline_s:
            time.sleep(_POLL_S)
        return DelayedSubmission(replace(self, _pid=None, _told=None))

    def _on_terminate(self, number: int, frame: FrameType | None) -> None:
        """Called when Slurm ends the job: a preemption, `scancel`, a node that goes down. The command gets the signal, too."""
        self._tell_more(asked="terminate")

    def _runs(self) -> bool:
        # Not by `poll`: this runs in a signal handler, which may have interrupted `poll`.
        if self._pid is None:
            return False
        try:
            return os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
        except ChildProcessError:
            return False

    def _tell_more(self, **changes: object) -> None:
        if self._told is not None:
            self._tell(self._told.model_copy(update={**changes, "unix_s": time.time()}))

    def _tell(self, word: JobWord) -> None:
        self._told = word
        with contextlib.suppress(OSError):  # a full disk must not end a training
            word.write(self.word)


def _job_id() -> str:
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID", "")
