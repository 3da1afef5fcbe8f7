"""Trainings that are killed by SIGKILL: `python -m tests.train.killed_trainings RUN_DIR POINT …`.

Each POINT, `place:n`, starts a trainer as a process of its own that goes on from the last checkpoint and is killed when it
reaches the place for the n-th time; the last trainer runs to the end. The processes are forked: torch is loaded only once.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from pathlib import Path
from typing import Any

from brefine.train import __main__ as trainer
from brefine.train import checkpoint, loop, validation

PLACES: dict[str, tuple[Any, str]] = {
    "step": (loop, "learning_rate"),
    "validation": (validation, "decode"),
    "checkpoint": (checkpoint, "write_bytes_atomic"),
    "link": (os, "link"),
    "half-written": (os, "fsync"),
    "rename": (Path, "replace"),
}
"""Place → the function at whose call the process dies. Files are half-written between their first byte and their rename."""


def main() -> None:
    run, *points = sys.argv[1:]
    for point in points:
        died = _train(run, point)
        assert died in (signal.SIGKILL, 0), f"{point}: signal {died}"
        print(point, "killed" if died else "not reached", flush=True)
    assert _train(run, None) == 0


def _train(run: str, point: str | None) -> int:
    """The signal that ended the trainer."""
    pid = os.fork()
    if pid == 0:
        if point is not None:
            place, _, n = point.partition(":")
            _arm(*PLACES[place], int(n))
        sys.argv = ["train", run, "--resume"]
        os._exit(trainer.main())
    return os.waitpid(pid, 0)[1]


def _arm(owner: Any, name: str, n: int) -> None:
    calls, function = itertools.count(1), getattr(owner, name)

    def armed(*arguments: Any, **keywords: Any) -> Any:
        if next(calls) == n:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **keywords)

    setattr(owner, name, armed)


if __name__ == "__main__":
    main()
