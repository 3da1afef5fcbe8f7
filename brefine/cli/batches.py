"""Whole folders through `refine` and `diarize`, on this machine or as a job array."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from brefine.config import PhaseConfig
from brefine.core.figures import counted
from brefine.errors import interrupted_code, one_line, tell, terminated_as_interrupted
from brefine.run.batch import at_work, batch_folder, plan_items, run_batch, write_batch
from brefine.run.executor import refuse_without_slurm


def go_through(
    command: Literal["refine", "diarize"], audio: Path, rttm: Path | None, out: Path, options: Sequence[str], config: PhaseConfig
) -> int:
    """Plans the batch, or goes on with it, and waits for its end; returns the exit code."""
    refuse_without_slurm(config)
    shares = config.executor.array_tasks if config.executor.kind == "slurm" else 1
    write_batch(out, command, plan_items(audio, rttm, out), [_absolute(option) for option in options], n_shares=shares)
    try:
        with terminated_as_interrupted():
            n_failed = run_batch(out, config, tell)
    except KeyboardInterrupt as interrupt:
        if config.executor.kind == "slurm":
            tell("interrupted; jobs that were submitted go on, and the same command picks them up again")
        elif (other := at_work(out)) is not None:
            tell(f"interrupted; another process is still working on this batch: {other}")
        else:
            tell("interrupted and stopped; the same command goes on with what is left")
        return interrupted_code(interrupt)
    if n_failed:
        failed = counted(n_failed, "recording", "recordings")
        tell(f"{failed} could not be done; the reasons are in {one_line(batch_folder(out) / 'failed')}")
    return 1 if n_failed else 0


def _absolute(option: str) -> str:
    """The option, made absolute if it names an existing path: the processes of a batch may start in other folders."""
    return str(Path(option).absolute()) if not option.startswith("-") and Path(option).exists() else option
