"""A worker that tells how often it was interrupted: `python -m tests.run.signalled_worker`.

`parent` starts it as commands do; `parent PHASE` as the evaluation of that phase; `onwards` one that hears nothing, before more.
"""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

from brefine.errors import run_main


def _work() -> int:
    heard: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: heard.append(number))
    print("listening", flush=True)
    while not heard:
        time.sleep(0.01)
    print("heard", flush=True)
    time.sleep(1.0)  # longer than the parent looks whether the signal came here by itself
    print(len(heard), flush=True)
    return 130


def _end_unheeding() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    print("listening", flush=True)
    time.sleep(1.0)


def _go_on() -> int:
    from brefine.run.foreground import run_worker

    return run_worker("tests.run.signalled_worker", "unheeding", goes_on=True)


def _start() -> int:
    from brefine.phasedir import PhaseDir, Stage  # the worker does without, and is there sooner
    from brefine.run.foreground import run_worker
    from brefine.run.stages import stage_taken

    if not sys.argv[2:]:
        return run_worker("tests.run.signalled_worker")
    with stage_taken(PhaseDir(Path(sys.argv[2])), Stage.EVALUATE) as lock:
        return run_worker("tests.run.signalled_worker", lock=lock)


if __name__ == "__main__":
    run_main({"parent": _start, "onwards": _go_on, "unheeding": _end_unheeding}.get("".join(sys.argv[1:2]), _work))
