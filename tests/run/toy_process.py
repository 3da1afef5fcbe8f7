"""A trainer or a stage in miniature: statuses, checkpoints, signals and all the ways to fail, in a real process.

Behaviour of a trainer, from `toy.json`: `steps` to do, `step_s` each; `crash_at`, `hang_at`, `oom_at`, `eat_at`, `nonfinite_at` a
step; `once` = only without a checkpoint; `deaf` = SIGTERM is ignored; `dull` = it leaves no weights to judge. Of a stage:
`seconds`, `until` a file is there, `fail` with words. Of both: `mute_until` a file is there, before the first word.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

from brefine.identity import own_identity
from brefine.io.atomic import write_text_atomic
from brefine.io.folders import never_make_anew
from brefine.phasedir import PhaseDir, Progress, RunDir, RunState, RunStatus, Stage


def train(run: RunDir, resume: bool) -> int:
    """Counts to `steps`, a checkpoint a step."""
    never_make_anew(run.path.parent)  # as a trainer does
    wish = json.loads((run.path.parent / "toy.json").read_text()).get(run.path.name, {})
    _wait_for(wish.get("mute_until"))
    asked: list[int] = []
    signal.signal(signal.SIGTERM, signal.SIG_IGN if wish.get("deaf") else lambda number, _: asked.append(number))
    if not wish.get("deaf"):
        signal.signal(signal.SIGUSR2, lambda number, _: asked.append(number))
    run.checkpoints.mkdir(parents=True, exist_ok=True)
    step = int(run.training_state.read_text()) if resume and run.training_state.exists() else 0
    fresh = step == 0 or not wish.get("once")
    started_unix_s, n_steps = time.time(), int(wish.get("steps", 3))

    def say(state: RunState, error: str | None = None, n_nonfinite: int = 0) -> None:
        RunStatus(
            model=run.path.name,
            state=state,
            process=own_identity(),
            step=step,
            n_steps=n_steps,
            epoch=0,
            n_epochs=1,
            started_unix_s=started_unix_s,
            heartbeat_unix_s=time.time(),
            device="cpu",
            n_nonfinite=n_nonfinite,
            error=error,
        ).write(run.status)

    say(RunState.RUNNING)
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
            say(RunState.NONFINITE, "the loss is nan", 1)
            return 4
        write_text_atomic(run.training_state, str(step))  # as a trainer does
        with (run.path / "steps").open("a") as steps:
            steps.write(f"{os.getpid()} {step}\n")
        if not wish.get("dull"):
            run.weights("best").write_text("toy")
        say(RunState.RUNNING)
        if asked:
            say(RunState.STOPPED)
            return 0
    say(RunState.FINISHED)
    return 0


def stage(phase: PhaseDir, name: Stage, models: list[str]) -> int:
    """Waits `seconds`, with a progress file; an evaluation writes down which models it was given."""
    wish = json.loads((phase.path / "toy.json").read_text()).get(name, {})
    _wait_for(wish.get("mute_until"))
    started_unix_s = time.time()

    def say(state: str, error: str | None = None) -> None:
        Progress(
            stage=name,
            state=state,
            step="counting",
            done=0,
            total=1,
            started_unix_s=started_unix_s,
            unix_s=time.time(),
            process=own_identity(),
            error=error,
        ).write(phase.progress(name))

    say("running")
    if wish.get("die"):
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(float(wish.get("seconds", 0.0)))
    _wait_for(wish.get("until"))
    if wish.get("fail"):
        say("failed", wish["fail"])
        return 1
    (phase.path / f"{name}.models").write_text(" ".join(models))
    say("finished")
    return 0


def _wait_for(path: str | None) -> None:
    until_s = time.monotonic() + 120.0  # a test that fails leaves nobody behind
    while path is not None and not Path(path).exists() and time.monotonic() < until_s:
        time.sleep(0.02)


if __name__ == "__main__":
    role, folder, *rest = sys.argv[1:]
    if role == "train":
        sys.exit(train(RunDir(Path(folder)), "--resume" in rest))
    sys.exit(stage(PhaseDir(Path(folder)), Stage(rest[0]), rest[1:]))
