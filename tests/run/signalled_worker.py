"""A worker that tells how often it was interrupted: `python -m tests.run.signalled_worker`. `parent` starts it as commands do."""

from __future__ import annotations

import signal
import sys
import time

from brefine.errors import run_main
from brefine.run.stages import run_worker


def _work() -> int:
    heard: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: heard.append(number))
    print("listening", flush=True)
    while not heard:
        time.sleep(0.01)
    print("heard", flush=True)
    time.sleep(1.5)  # longer than the parent looks whether the signal came here by itself
    print(len(heard), flush=True)
    return 130


if __name__ == "__main__":
    run_main(_work if "parent" not in sys.argv else lambda: run_worker("tests.run.signalled_worker"))
