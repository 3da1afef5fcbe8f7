"""A scheduler in miniature: sbatch, srun, squeue, scancel and scontrol for one node of two CPUs, without a daemon.

Every call moves it on: what has ended is seen, what fits is started. A job takes one CPU. Its state lies in $FAKE_SLURM.
`scancel --preempt`, `--fail-node` and `--kill-node` do what no person can do with the real one.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

HOME = Path(os.environ["FAKE_SLURM"])
N_CPUS = 2
RUN = 'trap : TERM USR2; . "$1"; echo $? > "$2.new"; mv "$2.new" "$2"'


def main(program: str, words: list[str]) -> int:
    """One call of one program."""
    if program == "srun":
        for number in (signal.SIGTERM, signal.SIGUSR2):  # meant for the step, which hears them as well
            signal.signal(number, lambda *_: None)
        command = words[words.index(sys.executable) :]
        out = words[words.index("--output") + 1].replace("%j", os.environ["SLURM_JOB_ID"]).replace("%t", "0")
        with Path(out).open("ab") as log:
            return subprocess.call(command, stdout=log, stderr=log)
    with (HOME / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = HOME / "jobs.json"
        jobs = json.loads(path.read_text()) if path.exists() else {}
        code = {"sbatch": sbatch, "squeue": squeue, "scancel": scancel, "scontrol": scontrol}[program](jobs, words)
        move_on(jobs)
        path.write_text(json.dumps(jobs))
    return code


def sbatch(jobs: dict, words: list[str]) -> int:
    text = Path(words[-1]).read_text()
    found = dict(re.findall(r"^#SBATCH --([a-z-]+)=(.*)$", text, re.MULTILINE))
    if found.get("partition") == "nowhere":
        print("sbatch: error: invalid partition specified: nowhere", file=sys.stderr)
        return 1
    number = str(1 + max((int(job_id.split("_")[0]) for job_id in jobs), default=0))
    n_tasks = int(found["array"].split("%")[0].split("-")[1]) + 1 if "array" in found else 0
    script = HOME / f"{number}.sh"
    script.write_text(text)
    for job_id in [f"{number}_{task}" for task in range(n_tasks)] or [number]:
        jobs[job_id] = {"name": found["job-name"], "state": "PENDING", "reason": "None", "restarts": 0, "script": str(script)}
        jobs[job_id]["after"] = found.get("dependency", "").rpartition(":")[2]
    print(f"Submitted batch job {number}")
    return 0


def squeue(jobs: dict, words: list[str]) -> int:
    move_on(jobs)
    options = dict(pairwise(words))
    for job_id, job in jobs.items():
        wanted = job["name"] == options["--name"] if "--name" in options else job_id in options["--jobs"].split(",")
        if wanted:
            elapsed_s = int(job.get("until", time.time()) - job["from"]) if "from" in job else 0
            node = "node1" if "from" in job else ""
            print(f"{job_id}|{job['state']}|{job['reason']}|{node}|{elapsed_s // 60}:{elapsed_s % 60:02d}")
    return 0


def scancel(jobs: dict, words: list[str]) -> int:
    for job_id, job in jobs.items():
        if words[-1] not in (job_id, job_id.split("_")[0]) or job["state"] not in ("PENDING", "RUNNING"):
            continue
        running = job["state"] == "RUNNING"
        number = signal.SIGKILL if words[0] in ("--fail-node", "--kill-node") else signal.SIGTERM
        if running:
            os.killpg(job["pid"], signal.SIGUSR2 if words[0] == "--signal=USR2" else number)
        if words[0] in ("--preempt", "--fail-node"):
            requeue(job)
        elif not words[0].startswith("--signal"):
            job |= {"state": "NODE_FAIL" if words[0] == "--kill-node" else "CANCELLED", "until": time.time()}
    return 0


def scontrol(jobs: dict, words: list[str]) -> int:
    requeue(jobs[words[-1]])
    return 0


def requeue(job: dict) -> None:
    job |= {"state": "PENDING", "reason": "BeginTime", "restarts": job["restarts"] + 1}
    job.pop("from", None)


def move_on(jobs: dict) -> None:
    for job_id, job in jobs.items():
        ended = HOME / f"{job_id}.{job['restarts']}.rc"
        if job["state"] == "RUNNING" and ended.exists():
            code = int(ended.read_text())
            job |= {"state": "FAILED" if code else "COMPLETED", "reason": "NonZeroExitCode" if code else "None"}
            job["until"] = time.time()
    for job_id, job in jobs.items():
        free = N_CPUS - sum(other["state"] == "RUNNING" for other in jobs.values())
        before = [other for name, other in jobs.items() if job["after"] and name.split("_")[0] == job["after"]]
        if job["state"] != "PENDING" or (job["restarts"] and group_lives(job["pid"])):
            continue
        if any(other["state"] in ("PENDING", "RUNNING") for other in before):
            job["reason"] = "Dependency"
        elif not free:
            job["reason"] = "Resources"
        else:
            begin(job_id, job)


def begin(job_id: str, job: dict) -> None:
    array, _, task = job_id.partition("_")
    environment = {**os.environ, "SLURM_JOB_ID": job_id, "SLURM_RESTART_COUNT": str(job["restarts"]), "SLURM_PROCID": "0"}
    if task:
        environment |= {"SLURM_ARRAY_JOB_ID": array, "SLURM_ARRAY_TASK_ID": task}
    command = ["bash", "-c", RUN, "job", job["script"], str(HOME / f"{job_id}.{job['restarts']}.rc")]
    devnull = subprocess.DEVNULL
    process = subprocess.Popen(command, env=environment, stdin=devnull, stdout=devnull, stderr=devnull, start_new_session=True)
    job |= {"state": "RUNNING", "reason": "None", "pid": process.pid, "from": time.time()}


def group_lives(pid: int) -> bool:
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    return True
