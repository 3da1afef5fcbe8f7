"""Supervisors of the toy programs in processes of their own, forked from one process that has loaded them.

A supervisor that is started takes longer to import itself than most of what is tested of it. What a fresh interpreter does is
tested by those that `brefine` starts. `python -m tests.run.nursery` is the process that forks; see `main`.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any, NoReturn

import submitit  # noqa: F401  # a supervisor with a scheduler would load it at its first job

from brefine.phasedir import PhaseDir
from brefine.run import inspection
from brefine.run.lock import phase_lock
from brefine.run.supervise import Supervisor
from tests.run.toy_programs import ToyPrograms


class Forked:
    """A supervisor that was started, as `subprocess.Popen` shows a process; its nursery collects it when it ends."""

    def __init__(self, pid: int, nursery: Nursery) -> None:
        self.pid = pid
        self._nursery = nursery

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._nursery.code_of(self.pid, timeout_s=0.0)

    def wait(self, timeout_s: float = 120.0) -> int:
        """The exit code, once there is one.

        Raises:
            subprocess.TimeoutExpired: there was none in time.
        """
        code = self._nursery.code_of(self.pid, timeout_s=timeout_s)
        if code is None:
            raise subprocess.TimeoutExpired(f"the supervisor {self.pid}", timeout_s)
        return code

    def send_signal(self, number: int) -> None:
        """Sends it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Nursery:
    """The process that forks, seen from the tests."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.run.nursery"]
        repository = Path(__file__).parents[2]
        self._process = subprocess.Popen(command, cwd=repository, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._unread = b""
        self._started: int | None = None
        self._codes: dict[int, int] = {}

    def start(self, phase: PhaseDir, *, poll_s: float, stop_grace_s: float = 60.0, events_every_s: float = 5.0) -> Forked:
        """A supervisor of this phase, which writes into its log; the environment is that of the tests by now.

        Args:
            events_every_s: seconds between two looks at event files.
        """
        wish = {
            "phase": str(phase.path),
            "poll_s": poll_s,
            "stop_grace_s": stop_grace_s,
            "events_every_s": events_every_s,
            "environment": dict(os.environ),
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(wish).encode() + b"\n")
        self._process.stdin.flush()
        while self._started is None:
            self._listen(None)
        pid, self._started = self._started, None
        return Forked(pid, self)

    def code_of(self, pid: int, *, timeout_s: float) -> int | None:
        """The exit code of a supervisor; None where it has not ended in time."""
        until_s = time.monotonic() + timeout_s
        self._listen(0.0)
        while pid not in self._codes and (left_s := until_s - time.monotonic()) > 0.0:
            self._listen(left_s)
        return self._codes.get(pid)

    def close(self) -> None:
        """Nothing is started any more."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _listen(self, timeout_s: float | None) -> None:
        """Takes in what the process says, and waits for it at most so long."""
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], timeout_s)[0]:
            return
        more = os.read(self._process.stdout.fileno(), 1 << 16)
        assert more, "the nursery is gone"
        *lines, self._unread = (self._unread + more).split(b"\n")
        for line in lines:
            what, pid, *code = line.decode().split()
            if what == "started":
                self._started = int(pid)
                self._codes.pop(self._started, None)  # of an earlier one: numbers come again
            else:
                self._codes[int(pid)] = int(code[0])


def main() -> int:
    """Forks a supervisor for each line on stdin, a JSON object, and says on stdout what has started and what has ended."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    unread = b""
    while True:
        ready, _, _ = select.select([0, woken], [], [])
        if woken in ready:
            os.read(woken, 1 << 16)
            _tell_ended()
        if 0 in ready:
            if not (more := os.read(0, 1 << 16)):
                return 0
            *lines, unread = (unread + more).split(b"\n")
            for line in lines:
                if not (pid := os.fork()):
                    _live(json.loads(line))
                os.write(1, f"started {pid}\n".encode())


def _tell_ended() -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        os.write(1, f"ended {pid} {os.waitstatus_to_exitcode(status)}\n".encode())


def _live(wish: dict[str, Any]) -> NoReturn:
    """A supervisor's life; never returns."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        os.environ.clear()
        os.environ.update(wish["environment"])
        phase = PhaseDir(Path(wish["phase"]))
        log, nothing = (
            os.open(phase.supervisor_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
            os.open(os.devnull, os.O_RDONLY),
        )
        for source, number in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(source, number)
        inspection._EVERY_S = wish["events_every_s"]
        with phase_lock(phase) as void:
            given = {name: wish[name] for name in ("poll_s", "stop_grace_s")}
            supervisor = Supervisor(phase, void=void, programs=ToyPrograms(), **given)
            code = supervisor.run(supervisor.take_over())
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
