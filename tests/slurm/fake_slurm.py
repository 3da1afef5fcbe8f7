"""A scheduler in miniature for one node of two CPUs, in a thread of the tests; and sbatch, srun, squeue, scancel and scontrol.

The programs are shell scripts that ask the thread: they are run hundreds of times, and a Python would take longer to start than
it has to say. Every call moves the scheduler on: what has ended is seen, what fits is started. A job takes one CPU.
`scancel --preempt`, `--fail-node` and `--kill-node` do what no person can do with the real one.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

_N_CPUS = 2
_JOB = 'trap : TERM USR2; . "$1"; echo $? > "$2.new"; mv "$2.new" "$2"'
_ASK = """exec 3<>/dev/tcp/127.0.0.1/{port} || exit 1
printf '%s\\0' $(($# + 2)) $$ {name} "$@" >&3
read -r code <&3
[ "$code" = 0 ] || exec >&2
while IFS= read -r line <&3; do printf '%s\\n' "$line"; done
exit "$code"
"""
_SRUN = """trap : TERM USR2  # meant for the step, which hears them as well
while [ "$1" != {python} ]; do
  [ "$1" = --output ] && out=$2
  shift
done
out=${{out//%j/$SLURM_JOB_ID}}
"$@" >> "${{out//%t/0}}" 2>&1
"""


class FakeSlurm:
    """The scheduler; `bin` in its folder is for the PATH.

    Args:
        home: a folder of its own.
    """

    def __init__(self, home: Path) -> None:
        self.programs = home / "bin"
        self._home = home
        self._jobs: dict[str, dict[str, Any]] = {}
        self._processes: list[subprocess.Popen[bytes]] = []
        self._one_at_a_time = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        self._write_programs(self._listener.getsockname()[1])

    def ask(self, *words: str, environment: dict[str, str] | None = None) -> tuple[int, str]:
        """What one call of one program, its name first, ends with and says."""
        program, *options = words
        programs = {"sbatch": self._sbatch, "squeue": self._squeue, "scancel": self._scancel, "scontrol": self._scontrol}
        with self._one_at_a_time:
            answer = programs[program](options)
            self._move_on(dict(os.environ) if environment is None else environment)
        return answer

    def close(self) -> None:
        """Answers nobody any more, and leaves no process behind."""
        for job_id in list(self._jobs):
            self.ask("scancel", "--kill-node", job_id)
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        for process in self._processes:
            process.wait()

    def _write_programs(self, port: int) -> None:
        self.programs.mkdir(parents=True)
        scripts = {name: _ASK.format(port=port, name=name) for name in ("sbatch", "squeue", "scancel", "scontrol")}
        scripts["srun"] = _SRUN.format(python=sys.executable)
        for name, script in scripts.items():
            program = self.programs / name
            program.write_text(f"#!{shutil.which('bash')}\n{script}")
            program.chmod(0o755)

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed
                return
            with connection, contextlib.suppress(OSError):  # whoever asked may be killed meanwhile
                if words := _received(connection):
                    pid, *words = words
                    code, text = self.ask(*words, environment=_environment_of(pid))
                    connection.sendall(f"{code}\n{text}".encode())

    # --- the programs ---------------------------------------------------------------------------------------------------

    def _sbatch(self, words: list[str]) -> tuple[int, str]:
        text = Path(words[-1]).read_text()
        found = dict(re.findall(r"^#SBATCH --([a-z-]+)=(.*)$", text, re.MULTILINE))
        if found.get("partition") == "nowhere":
            return 1, "sbatch: error: invalid partition specified: nowhere\n"
        number = str(1 + max((int(job_id.split("_")[0]) for job_id in self._jobs), default=0))
        n_tasks = int(found["array"].split("%")[0].split("-")[1]) + 1 if "array" in found else 0
        script = self._home / f"{number}.sh"
        script.write_text(text)
        for job_id in [f"{number}_{task}" for task in range(n_tasks)] or [number]:
            job = {"name": found["job-name"], "state": "PENDING", "reason": "None", "restarts": 0, "script": str(script)}
            self._jobs[job_id] = job | {"after": found.get("dependency", "").rpartition(":")[2]}
        return 0, f"Submitted batch job {number}\n"

    def _squeue(self, words: list[str]) -> tuple[int, str]:
        self._see_ends()
        options = dict(pairwise(words))
        rows = []
        for job_id, job in self._jobs.items():
            wanted = job["name"] == options["--name"] if "--name" in options else job_id in options["--jobs"].split(",")
            if wanted:
                job["is_new"] = False
                elapsed_s = int(job.get("until", time.time()) - job["from"]) if "from" in job else 0
                node = "node1" if "from" in job else ""
                rows.append(f"{job_id}|{job['state']}|{job['reason']}|{node}|{elapsed_s // 60}:{elapsed_s % 60:02d}\n")
        return 0, "".join(rows)

    def _scancel(self, words: list[str]) -> tuple[int, str]:
        for job_id, job in self._jobs.items():
            if words[-1] not in (job_id, job_id.split("_")[0]) or job["state"] not in ("PENDING", "RUNNING"):
                continue
            number = signal.SIGKILL if words[0] in ("--fail-node", "--kill-node") else signal.SIGTERM
            if job["state"] == "RUNNING":
                with contextlib.suppress(ProcessLookupError):  # it has ended since the last look
                    os.killpg(job["pid"], signal.SIGUSR2 if words[0] == "--signal=USR2" else number)
            if words[0] in ("--preempt", "--fail-node"):
                _requeue(job)
            elif not words[0].startswith("--signal"):
                job |= {"state": "NODE_FAIL" if words[0] == "--kill-node" else "CANCELLED", "until": time.time()}
        return 0, ""

    def _scontrol(self, words: list[str]) -> tuple[int, str]:
        _requeue(self._jobs[words[-1]])
        return 0, ""

    # --- what happens meanwhile -----------------------------------------------------------------------------------------

    def _see_ends(self) -> None:
        for process in self._processes:
            process.poll()
        for job_id, job in self._jobs.items():
            ended = self._home / f"{job_id}.{job['restarts']}.rc"
            if job["state"] == "RUNNING" and ended.exists():
                code = int(ended.read_text())
                job |= {"state": "FAILED" if code else "COMPLETED", "reason": "NonZeroExitCode" if code else "None"}
                job["until"] = time.time()

    def _move_on(self, environment: dict[str, str]) -> None:
        self._see_ends()
        for job_id, job in self._jobs.items():
            free = _N_CPUS - sum(other["state"] == "RUNNING" for other in self._jobs.values())
            before = [other for name, other in self._jobs.items() if job["after"] and name.split("_")[0] == job["after"]]
            if job["state"] != "PENDING" or (job["restarts"] and (job["is_new"] or _group_lives(job["pid"]))):
                continue
            if any(other["state"] in ("PENDING", "RUNNING") for other in before):
                job["reason"] = "Dependency"
            elif not free:
                job["reason"] = "Resources"
            else:
                self._begin(job_id, job, environment)

    def _begin(self, job_id: str, job: dict[str, Any], environment: dict[str, str]) -> None:
        array, _, task = job_id.partition("_")
        told = {"SLURM_JOB_ID": job_id, "SLURM_RESTART_COUNT": str(job["restarts"]), "SLURM_PROCID": "0"}
        if task:
            told |= {"SLURM_ARRAY_JOB_ID": array, "SLURM_ARRAY_TASK_ID": task}
        process = subprocess.Popen(
            ["bash", "-c", _JOB, "job", job["script"], str(self._home / f"{job_id}.{job['restarts']}.rc")],
            env=environment | told,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._processes.append(process)
        job |= {"state": "RUNNING", "reason": "None", "pid": process.pid, "from": time.time()}


def _received(connection: socket.socket) -> list[str]:
    """The words of a call, behind their number; none where the caller has gone."""
    n_words, received = None, b""
    while n_words is None or received.count(b"\0") <= n_words:
        if not (more := connection.recv(1 << 16)):
            return []
        received += more
        n_words = int(received.partition(b"\0")[0]) if b"\0" in received else None
    return [os.fsdecode(word) for word in received.split(b"\0")[1:-1]]


def _environment_of(pid: str) -> dict[str, str]:
    """What a caller that waits for its answer was started with: a job inherits it."""
    lines = os.fsdecode(Path(f"/proc/{pid}/environ").read_bytes()).split("\0")
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _requeue(job: dict[str, Any]) -> None:
    """The real one waits for minutes before it starts such a job again; here `squeue` has told of it once."""
    job |= {"state": "PENDING", "reason": "BeginTime", "restarts": job["restarts"] + 1, "is_new": True}
    job.pop("from", None)


def _group_lives(pid: int) -> bool:
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    return True
