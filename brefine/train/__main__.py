"""Trainer processes: `python -m brefine.train RUN_DIR [--resume]`, and the checks `overfit` and `bench`.

RUN_DIR is `<phase>/<model>`: its name is the model, `<phase>/phase.toml` the recipe. `phasedir` describes the files written.
Loading torch takes seconds, so whatever needs it is imported where it is used: what cannot be done is refused at once.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import json
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from brefine.config import ModelName, load_config
from brefine.errors import BrefineError, ProcessError, RunError, is_out_of_memory, run_main
from brefine.identity import boot_id, is_alive, is_same, own_identity
from brefine.io.folders import is_gone, never_make_anew
from brefine.io.lock import held
from brefine.phasedir import PhaseDir, RunDir, RunState, RunStatus, folder_argument, run_model
from brefine.train.signals import StopSignal

_BEAT_S = 2.0
_LEASE_S = 100.0
"""The server of a shared disk may keep the lock of a node that has died for about so long (NFS 4: 90 s by default)."""


def main() -> int:
    """Dispatches on the first word: a run's folder, or the name of a check."""
    parser = argparse.ArgumentParser(prog="python -m brefine.train", description=__doc__)
    parser.add_argument("what", help="a run's folder, or `overfit`")
    parser.add_argument("config", type=Path, nargs="?", help="overfit: the recipe")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint; start where there is none")
    parser.add_argument("--json", action="store_true", help="overfit: one JSON document on stdout")
    options = parser.parse_args()
    if options.what == "overfit":
        if options.config is None:
            parser.error("overfit needs a recipe")
        return _overfit(options.config, as_json=options.json)
    run = RunDir(Path(options.what).absolute())
    return _train(run, run_model(run.path), resume=options.resume)


def _train(run: RunDir, model: ModelName, *, resume: bool) -> int:
    stop = StopSignal()
    stop.listen()
    if not run.path.is_dir():
        load_config(PhaseDir(run.path.parent).config)  # refuses a folder that is not of a phase, before a lock is left there
    never_make_anew(run.path.parent)
    with _lock_tried(run, stop) as is_locked:
        _refuse_taken(run, resume=resume, is_locked=is_locked)  # before the first status, so that existing files stay as they are
        return _train_alone(run, model, stop, resume=resume)


@contextlib.contextmanager
def _lock_tried(run: RunDir, stop: StopSignal) -> Iterator[bool]:
    """Holds the run's lock; yields whether another trainer has it, even one whose node has died a moment ago."""
    until_s = time.monotonic() + _LEASE_S
    while True:
        with held(run.lock, wait=False) as lock:
            if lock is not None or stop.requested or time.monotonic() > until_s or not _was_elsewhere(run):
                yield lock is None
                return
        time.sleep(_BEAT_S)


def _was_elsewhere(run: RunDir) -> bool:
    """Whether the last trainer worked on another machine, according to its status."""
    before = RunStatus.read_if_sound(run.status)
    return before is not None and before.state in (RunState.STARTING, RunState.RUNNING) and before.process.boot_id != boot_id()


def _train_alone(run: RunDir, model: ModelName, stop: StopSignal, *, resume: bool) -> int:
    from brefine.train.loop import train
    from brefine.train.reporter import Reporter
    from brefine.train.setup import build_training

    try:
        config = load_config(PhaseDir(run.path.parent).config)
        first_word = _announce(run, model)
        training, state = build_training(run, model, config, resume=resume, alive=_heartbeat(run, first_word))
        with Reporter(
            run, model, training.plan, training.device, every_s=training.settings.log_every_s, start_step=state.step
        ) as reporter:
            reporter.started(state, unrefined_mae_ms=training.validation.unrefined_mae_ms)
            outcome = train(training, state, reporter, stop)
            reporter.write(outcome, state)
    except RunError as error:
        _fail(run, RunState.NONFINITE, str(error))
        raise
    except BrefineError as error:
        _fail(run, RunState.FAILED, str(error))
        raise
    except OSError as error:
        _fail(run, RunState.FAILED, f"{type(error).__name__}: {error}")
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise BrefineError(
            "No space left on device",
            where=run.path,
            hint=f"free some and `brefine resume {folder_argument(run.path.parent)}`: "
            "the last checkpoint that was written whole is kept",
        ) from error
    except Exception as error:
        if is_out_of_memory(error):  # torch has no single class for it
            _fail(run, RunState.FAILED, f"out of memory: {error}")
            raise RunError("out of memory", where=run.path, hint="a smaller batch: --set train.batch_size=16") from error
        traceback.print_exc()  # into train.log, for whoever has to find the cause
        _fail(run, RunState.FAILED, f"{type(error).__name__}: {error}")
        return RunError.exit_code
    print(f"{model}: {outcome} at step {state.step:,}", flush=True)
    return 0


def _refuse_taken(run: RunDir, *, resume: bool, is_locked: bool) -> None:
    """Raises ProcessError if this process would spoil a training that is running, or one that has ended.

    Args:
        is_locked: whether another trainer has the run; its first status, which names it, may not be written yet.
    """
    before = RunStatus.read_if_sound(run.status)
    at_work = before is not None and before.state in (RunState.STARTING, RunState.RUNNING)
    told = before is not None and at_work and is_alive(before.process) and not is_same(before.process, own_identity())
    if is_locked or told:
        raise ProcessError(
            "this run is being trained already",
            where=run.path,
            got=f"process {before.process.pid}" if before is not None and told else "another process",
            hint=f"watch it: brefine watch {folder_argument(run.path.parent)}",
        )
    if run.training_state.exists() and not resume:
        raise ProcessError(
            "this run has a checkpoint already", where=run.training_state, hint="go on from it with --resume, or use a new folder"
        )


def _announce(run: RunDir, model: ModelName) -> RunStatus:
    """Writes the first status: a process has started and is loading."""
    now_unix_s = time.time()
    before = RunStatus.read_if_sound(run.status)
    status = RunStatus(
        model=model,
        state=RunState.STARTING,
        process=own_identity(),
        step=0 if before is None else before.step,
        n_steps=0 if before is None else before.n_steps,
        epoch=0 if before is None else before.epoch,
        n_epochs=0 if before is None else before.n_epochs,
        started_unix_s=now_unix_s,
        heartbeat_unix_s=now_unix_s,
        device="",
        last=None if before is None else before.last,
        best=None if before is None else before.best,
    )
    status.write(run.status)
    return status


def _heartbeat(run: RunDir, first_word: RunStatus) -> Callable[[], None]:
    """Signs of life while a large corpus is loaded, which may take longer than a trainer may be silent."""
    told_s = time.monotonic()

    def beat() -> None:
        nonlocal told_s
        if time.monotonic() - told_s >= _BEAT_S:
            told_s = time.monotonic()
            try:
                first_word.model_copy(update={"heartbeat_unix_s": time.time()}).write(run.status)
            except OSError:  # the next sign may be written, unless the phase was moved
                if is_gone(run.path.parent):
                    raise

    return beat


def _fail(run: RunDir, state: RunState, error: str) -> None:
    """Writes the last status, if there was a first one and the disk has room; the log has the error in any case."""
    status = RunStatus.read_if_sound(run.status)
    if status is not None:
        with contextlib.suppress(OSError):
            status.model_copy(update={"state": state, "error": error, "heartbeat_unix_s": time.time()}).write(run.status)


def _overfit(config: Path, *, as_json: bool) -> int:
    recipe = load_config(config)

    from brefine.train.overfit import overfit

    results = overfit(recipe)
    for result in results:
        verdict = "ok" if result.passed else "FAILED"
        print(
            f"{result.model:12} {result.mae_ms:6.1f} ms after {result.steps} steps on {result.examples} examples "
            f"(limit {result.limit_ms:.0f} ms, unrefined {result.unrefined_mae_ms:.0f} ms, {result.seconds:.1f} s): {verdict}",
            file=sys.stderr if as_json else sys.stdout,
        )
    if as_json:
        print(json.dumps([result.to_json() for result in results]))
    return 0 if all(result.passed for result in results) else RunError.exit_code


if __name__ == "__main__":
    run_main(main)
