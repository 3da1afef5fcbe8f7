"""The cost of watching: start, first frame, and a dashboard on three trainings that write twenty scalars a second each.

Every figure comes from real processes: `brefine --help`; `brefine watch` on a pseudo-terminal of 160 × 45; and, for the time
from the writing of an event to its display, the same app without a terminal, which notes when each new value was rendered.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pty
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil

from brefine.config import parse_config
from brefine.identity import own_identity
from brefine.io.atomic import write_text_atomic
from brefine.io.interpreter import python_command
from brefine.phasedir import PhaseDir, RunState, RunStatus, Tag
from brefine.run.store import PhaseStore
from brefine.run.synthetic_events import framed, scalar_payload
from brefine.tui.actions import PhaseActions
from brefine.tui.app import DashboardApp

_SIZE: Final = (160, 45)
_SCALARS_A_SECOND: Final = 20
RECIPE: Final = """
schema = 1
name = "bench"
[corpus]
kind = "simulated"
[models.transformer]
[models.mlp]
[models.contrastive]
"""


def bench_watch(seconds: float = 30.0) -> dict[str, Any]:
    """Measures for about three times `seconds`.

    The times of processes are the best of five: on a busy machine the others measure what else runs.
    """
    with tempfile.TemporaryDirectory() as name, _writers(Path(name)) as phase:
        result: dict[str, Any] = {"seconds": seconds, "runs": 3, "scalars_a_second_each": _SCALARS_A_SECOND}
        helps = [_help() for _ in range(5)]
        result["help_ms"], result["help_cpu_ms"] = (round(1000 * min(column), 1) for column in zip(*helps, strict=True))
        frames = [_first_frame(phase.path) for _ in range(5)]
        result["first_frame_ms"], result["first_frame_cpu_ms"] = (
            round(1000 * min(column), 1) for column in zip(*frames, strict=True)
        )
        result |= _cost(phase.path, seconds)
        result |= _visibility(phase.path, seconds)
    return result


def bench_lines(result: dict[str, Any]) -> Iterable[str]:
    """The result for people."""
    yield f"brefine --help        {result['help_ms']:7.0f} ms, CPU {result['help_cpu_ms']:.0f} ms (target 150 ms)"
    yield f"watch, first frame    {result['first_frame_ms']:7.0f} ms, CPU {result['first_frame_cpu_ms']:.0f} ms (target 700 ms)"
    yield f"three runs at {result['scalars_a_second_each']} scalars a second each, for {result['seconds']:.0f} s:"
    p95_ms, median_ms = result["visible_p95_ms"], result["visible_median_ms"]
    yield f"  written to visible  {p95_ms:7.0f} ms at 95 % (target 1000 ms), median {median_ms:.0f} ms"
    yield f"  dashboard           {100 * result['cpu_share_of_a_core']:7.1f} % of a core (target 5 %)"
    yield f"  memory              {result['memory_bytes'] / 1e6:7.0f} MB resident (target 150 MB)"


@contextmanager
def _writers(folder: Path) -> Iterator[PhaseDir]:
    """A phase whose three trainings are written by a process of its own."""
    phase = PhaseDir(folder / "20260101T000000Z-bench")
    parse_config(RECIPE, where="bench")
    phase.path.mkdir()
    write_text_atomic(phase.config, RECIPE)
    writer = subprocess.Popen(python_command("-m", "brefine.tui.bench_watch", "write", phase.path))
    try:
        while not all(phase.run(model).status.exists() for model in phase.models()):
            time.sleep(0.05)
        time.sleep(2.0)
        yield phase
    finally:
        writer.kill()
        writer.wait()


def _write(phase: PhaseDir) -> None:
    """Plays three trainings until it is killed."""
    tags = (Tag.LOSS, Tag.GRADIENT_NORM, Tag.LEARNING_RATE, Tag.EXAMPLES_PER_S, Tag.VALIDATION_MAE_MS)
    each_s = len(tags) / _SCALARS_A_SECOND
    files = []
    for model in phase.models():
        phase.run(model).path.mkdir(exist_ok=True)
        files.append((phase.path / model / "events.out.tfevents.1.bench").open("ab", buffering=0))
    step, next_s, said_s = 0, time.monotonic(), float("-inf")
    while True:
        step += 1
        for file in files:
            value = 1.0 + 4.0 * np.exp(-step / 500)
            file.write(b"".join(framed(scalar_payload(tag, step, value, time.time())) for tag in tags))
        if time.monotonic() - said_s > 2.0:
            said_s = time.monotonic()
            for model in phase.models():
                RunStatus(
                    model=model, state=RunState.RUNNING, process=own_identity(), step=step, n_steps=100_000, epoch=1, n_epochs=50,
                    started_unix_s=time.time(), heartbeat_unix_s=time.time(), device="none", loss=1.0, eta_s=1000.0,
                ).write(phase.run(model).status)  # fmt: skip
        next_s += each_s
        time.sleep(max(0.0, next_s - time.monotonic()))


def _help() -> tuple[float, float]:
    began_s, before = time.monotonic(), os.times()
    subprocess.run(python_command("-m", "brefine", "--help"), stdout=subprocess.DEVNULL, check=True)
    after = os.times()
    return time.monotonic() - began_s, sum(after[2:4]) - sum(before[2:4])


@contextmanager
def terminal_of(path: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Yields `brefine watch` on a terminal of its own, and the descriptor of the terminal's other end."""
    outer, inner = pty.openpty()
    columns, rows = _SIZE
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    command = python_command("-m", "brefine", "watch", path)
    process = subprocess.Popen(command, stdin=inner, stdout=inner, stderr=inner, env=environment, start_new_session=True)
    os.close(inner)
    try:
        yield process, outer
    finally:
        process.kill()
        process.wait()
        os.close(outer)


def _first_frame(path: Path) -> tuple[float, float]:
    """Seconds of wall and processor time until a run's name is on the terminal."""
    began_s = time.monotonic()
    with terminal_of(path) as (process, terminal):
        seen = b""
        while b"contrastive" not in seen:
            seen = seen[-4096:] + os.read(terminal, 65536)
        took_s = time.monotonic() - began_s
        used = psutil.Process(process.pid).cpu_times()
        return took_s, used.user + used.system


def _cost(path: Path, seconds: float) -> dict[str, float]:
    """CPU and memory of a dashboard after its start, with its output read as a terminal reads it."""
    with terminal_of(path) as (process, terminal):
        os.set_blocking(terminal, False)
        watched = psutil.Process(process.pid)
        drain(terminal, 5.0)
        before, began_s = watched.cpu_times(), time.monotonic()
        drain(terminal, seconds)
        after, took_s = watched.cpu_times(), time.monotonic() - began_s
        used_s = after.user + after.system - before.user - before.system
        return {"cpu_share_of_a_core": round(used_s / took_s, 4), "memory_bytes": watched.memory_info().rss}


def drain(terminal: int, seconds: float) -> None:
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        try:
            os.read(terminal, 1 << 20)
        except BlockingIOError:
            time.sleep(0.05)


def _visibility(path: Path, seconds: float) -> dict[str, float]:
    command = python_command("-m", "brefine.tui.bench_watch", "look", path, seconds)
    waits_ms = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    p95_ms = statistics.quantiles(waits_ms, n=20)[-1]
    return {
        "visible_p95_ms": round(p95_ms, 1),
        "visible_median_ms": round(statistics.median(waits_ms), 1),
        "n_visible": len(waits_ms),
    }


class _NotingApp(DashboardApp):
    """Notes for every event the time from its writing until a frame that shows it was rendered."""

    def __init__(self, path: Path) -> None:
        super().__init__(PhaseStore(path), PhaseActions(PhaseDir(path)))
        self.waits_ms: list[float] = []
        self._seen: dict[tuple[str, str], int] = {}

    def _show(self) -> None:
        super()._show()
        if self.snapshot is not None:
            self.call_after_refresh(self._note, self.snapshot)

    def _note(self, snapshot: Any) -> None:
        now_unix_s = time.time()
        for run in snapshot.runs:
            for tag, curve in run.curves.items():
                known = self._seen.get((run.name, tag))
                self._seen[run.name, tag] = len(curve.unix_s)
                if known is not None:  # what was written before the app began does not count
                    self.waits_ms += (1000.0 * (now_unix_s - curve.unix_s[known:])).tolist()


async def _look(path: Path, seconds: float) -> list[float]:
    app = _NotingApp(path)
    async with app.run_test(size=_SIZE):
        await asyncio.sleep(seconds)
    return app.waits_ms


if __name__ == "__main__":
    role, place, *rest = sys.argv[1:]
    if role == "write":
        _write(PhaseDir(Path(place)))
    print(json.dumps(asyncio.run(_look(Path(place), float(rest[0])))))
