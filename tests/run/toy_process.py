"""A trainer or a stage in miniature: statuses, checkpoints, signals and all the ways to fail, in a real process.

Behaviour of a trainer, from `toy.json`: `steps` to do, `step_s` each; `crash_at`, `hang_at`, `oom_at`, `eat_at`, `nonfinite_at` a
step; `once` = only without a checkpoint; `deaf` = SIGTERM is ignored; `dull` = it leaves no weights to judge. Of a stage:
`seconds`, `fail` with words. Of both: `mute_until` a file is there, before the first word; `until` one is, before the last.

It is started hundreds of times. So it is told where its files lie, writes plain JSON and imports next to nothing: the documents
of a phase would take several times as long as all else that it does. Whoever reads its words checks them.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path


def train(run: Path, status: Path, checkpoint: Path, weights: Path, *, resume: bool) -> int:
    """Counts to `steps`, a checkpoint a step."""
    wish = json.loads((run.parent / "toy.json").read_text()).get(run.name, {})
    _wait_for(wish.get("mute_until"))
    asked: list[int] = []
    signal.signal(signal.SIGTERM, signal.SIG_IGN if wish.get("deaf") else lambda number, _: asked.append(number))
    if not wish.get("deaf"):
        signal.signal(signal.SIGUSR2, lambda number, _: asked.append(number))
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    step = int(checkpoint.read_text()) if resume and checkpoint.exists() else 0
    fresh = step == 0 or not wish.get("once")
    n_steps = int(wish.get("steps", 3))
    process, started_unix_s = _identity(), time.time()

    def say(state: str, error: str | None = None, n_nonfinite: int = 0) -> None:
        word = {
            "schema": 1,
            "model": run.name,
            "state": state,
            "process": process,
            "step": step,
            "n_steps": n_steps,
            "epoch": 0,
            "n_epochs": 1,
            "started_unix_s": started_unix_s,
            "heartbeat_unix_s": time.time(),
            "device": "cpu",
            "n_nonfinite": n_nonfinite,
            "error": error,
        }
        _replace(status, json.dumps(word))

    say("running")
    while step < n_steps:
        time.sleep(float(wish.get("step_s", 0.02)))
        step += 1
        if fresh and step == wish.get("crash_at"):
            raise SystemExit("toy: crashed as told")
        if fresh and step == wish.get("oom_at"):
            raise SystemExit("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 GiB.")
        if fresh and step == wish.get("eat_at"):
            held = [b"x" * (16 << 20) for _ in range(64)]  # 1 GiB: no more, should nobody hold it back
            return len(held)
        if fresh and step == wish.get("hang_at"):
            signal.pause()
        if step == wish.get("nonfinite_at"):
            say("nonfinite", "the loss is nan", 1)
            return 4
        _replace(checkpoint, str(step))
        with (run / "steps").open("a") as steps:
            steps.write(f"{os.getpid()} {step}\n")
        if not wish.get("dull"):
            weights.write_text("toy")
        say("running")
        if asked:
            say("stopped")
            return 0
    _wait_for(wish.get("until"))
    say("finished")
    return 0


def stage(phase: Path, progress: Path, name: str, models: list[str]) -> int:
    """Waits `seconds`, with a progress file; an evaluation writes down which models it was given."""
    wish = json.loads((phase / "toy.json").read_text()).get(name, {})
    progress.parent.mkdir(exist_ok=True)
    _wait_for(wish.get("mute_until"))
    process, started_unix_s = _identity(), time.time()

    def say(state: str, error: str | None = None) -> None:
        word = {
            "schema": 1,
            "stage": name,
            "state": state,
            "step": "counting",
            "done": 0,
            "total": 1,
            "started_unix_s": started_unix_s,
            "unix_s": time.time(),
            "process": process,
            "error": error,
        }
        _replace(progress, json.dumps(word))

    say("running")
    if wish.get("die"):
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(float(wish.get("seconds", 0.0)))
    _wait_for(wish.get("until"))
    if wish.get("fail"):
        say("failed", wish["fail"])
        return 1
    (phase / f"{name}.models").write_text(" ".join(models))
    say("finished")
    return 0


def _identity() -> dict[str, object]:
    """`brefine.identity.own_identity`, as JSON; importing psutil would take as long as the rest of a start."""
    start_ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    (booted,) = (line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime "))
    return {
        "pid": os.getpid(),
        "started_unix_s": int(booted.split()[1]) + start_ticks / os.sysconf("SC_CLK_TCK"),
        "boot_id": Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        "host": os.uname().nodename,
        "start_ticks": start_ticks,
    }


def _replace(path: Path, text: str) -> None:
    """Replaces a file at once. Its folder is made by nobody: a phase that was moved does not come back under its old name."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text)
    temporary.replace(path)


def _wait_for(path: str | None) -> None:
    until_s = time.monotonic() + 120.0  # a test that fails leaves nobody behind
    while path is not None and not Path(path).exists() and time.monotonic() < until_s:
        time.sleep(0.02)


if __name__ == "__main__":
    role, folder, *rest = sys.argv[1:]
    if role == "train":
        files = [Path(name) for name in rest[:3]]
        sys.exit(train(Path(folder), *files, resume="--resume" in rest))
    sys.exit(stage(Path(folder), Path(rest[0]), rest[1], rest[2:]))
