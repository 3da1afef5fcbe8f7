"""An hour of watching in a minute: does the dashboard's memory stay constant?

A separate process writes an hour's scalars of three trainings (20 a second each) sixty times as fast, and each training's status
four times a second, while `brefine watch` draws them on a pseudo-terminal. The curves themselves grow, by 24 bytes a scalar;
anything beyond that is a leak.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import psutil

from brefine.identity import own_identity
from brefine.io.atomic import write_text_atomic
from brefine.io.interpreter import python_command
from brefine.phasedir import PhaseDir, RunState, RunStatus, Tag
from brefine.run.synthetic_events import framed, scalar_payload
from brefine.tui.bench_watch import RECIPE, drain, terminal_of

_HOUR_S: Final = 3600.0
_SCALARS_A_SECOND: Final = 20
_TAGS: Final = (Tag.LOSS, Tag.GRADIENT_NORM, Tag.LEARNING_RATE, Tag.EXAMPLES_PER_S, Tag.VALIDATION_MAE_MS)
_N_STEPS: Final = round(_HOUR_S * _SCALARS_A_SECOND / len(_TAGS))
"""Steps of each training in the hour; a step writes one scalar of each tag."""
_SAMPLES: Final = 12
_MOST_GROWTH_BYTES: Final = 16 << 20
"""Most growth in the second half of the hour: twice its curves, for arrays that are growing, and what an allocator keeps."""


def bench_soak(seconds: float = 60.0) -> dict[str, Any]:
    """Watches an hour that is played in `seconds`; the result has the resident memory at twelve moments."""
    with tempfile.TemporaryDirectory() as name:
        phase = PhaseDir(Path(name) / "20260101T000000Z-soak")
        phase.path.mkdir()
        write_text_atomic(phase.config, RECIPE)
        writer = subprocess.Popen(python_command("-m", "brefine.tui.bench_soak", phase.path, seconds))
        try:
            with terminal_of(phase.path) as (process, terminal):
                watched = psutil.Process(process.pid)
                drain(terminal, 3.0)
                memory_bytes = []
                for _ in range(_SAMPLES):
                    drain(terminal, seconds / _SAMPLES)
                    memory_bytes.append(watched.memory_info().rss)
                writer.wait(60.0)
                drain(terminal, 3.0)
                memory_bytes.append(watched.memory_info().rss)
        finally:
            writer.kill()
            writer.wait()
    return {
        "seconds": seconds,
        "n_scalars": 3 * len(_TAGS) * _N_STEPS,
        "memory_bytes": memory_bytes,
        "growth_bytes": memory_bytes[-1] - memory_bytes[_SAMPLES // 2],
        "target_growth_bytes": _MOST_GROWTH_BYTES,
    }


def bench_lines(result: dict[str, Any]) -> Iterable[str]:
    """The result for people."""
    memory_mb = " ".join(f"{size / 1e6:.0f}" for size in result["memory_bytes"])
    kept = "kept" if result["growth_bytes"] <= result["target_growth_bytes"] else "missed"
    target = f"(target {result['target_growth_bytes'] / 1e6:.0f} MB: {kept})"
    yield f"an hour of three trainings in {result['seconds']:.0f} s, {result['n_scalars']:,} scalars; MB resident: {memory_mb}"
    yield f"growth in the second half {result['growth_bytes'] / 1e6:.1f} MB {target}"


def _write(phase: PhaseDir, seconds: float, n_steps: int = _N_STEPS) -> None:
    """Plays the hour, or its first `n_steps` steps: four times a second, writes what is due."""
    files = {}
    for model in phase.models():
        phase.run(model).path.mkdir(exist_ok=True)
        files[model] = (phase.run(model).path / "events.out.tfevents.1.soak").open("ab", buffering=0)
    began_s, step = time.monotonic(), 0
    while step < n_steps:
        due = min(n_steps, round(n_steps * (time.monotonic() - began_s) / seconds))
        for model, file in files.items():
            records = [
                framed(scalar_payload(tag, one, 1.0 + 1.0 / (1 + one), time.time()))
                for one in range(step + 1, due + 1)
                for tag in _TAGS
            ]
            file.write(b"".join(records))
            RunStatus(
                model=model, state=RunState.RUNNING, process=own_identity(), step=due, n_steps=n_steps, epoch=1, n_epochs=50,
                started_unix_s=time.time(), heartbeat_unix_s=time.time(), device="none", loss=1.0, eta_s=1000.0,
                message=f"at step {due}",
            ).write(phase.run(model).status)  # fmt: skip
        step = due
        time.sleep(0.25)
    for file in files.values():
        file.close()


if __name__ == "__main__":
    _write(PhaseDir(Path(sys.argv[1])), float(sys.argv[2]))
