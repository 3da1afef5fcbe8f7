"""A pool that works until it is stopped: `python -m tests.data.working_pool FOLDER`; each task has a file there meanwhile."""

from __future__ import annotations

import sys
import time
from concurrent.futures import as_completed
from pathlib import Path

from brefine.data.workers import worker_processes
from brefine.errors import run_main, terminated_as_interrupted

N_PROCESSES = 2


def _work(path: Path) -> None:
    path.touch()
    try:
        time.sleep(600.0)
    finally:
        path.unlink()


def _main() -> None:
    with terminated_as_interrupted(), worker_processes(N_PROCESSES) as pool:
        tasks = [pool.submit(_work, Path(sys.argv[1]) / str(number)) for number in range(6)]
        for task in as_completed(tasks):
            task.result()


if __name__ == "__main__":
    run_main(_main)
