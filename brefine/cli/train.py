"""`brefine train`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from brefine.cli.options import RUNS, Config, Runs, Set
from brefine.cli.output import tell
from brefine.config import load_config, with_models
from brefine.phasedir import run_model
from brefine.run.launch import create_phase
from brefine.run.stages import run_worker


def train(
    config: Config,
    model: Annotated[str | None, typer.Option(help="Which of the recipe's models, where it has several.")] = None,
    run_dir: Annotated[
        Path | None, typer.Option("--run-dir", metavar="DIR", help="An existing run, PHASE/MODEL, to train or go on with.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
    overrides: Set = None,
    runs: Runs = RUNS,
) -> None:
    """Example: brefine train --config configs/mlp.toml

    One training in the foreground, after its corpus was prepared. Ctrl-C writes a checkpoint and stops; --run-dir with --resume
    goes on.
    """
    if run_dir is not None:
        run_model(run_dir)
    else:
        recipe = with_models(load_config(config, overrides or ()), model)
        phase = create_phase(recipe, argv=sys.argv)
        tell(f"phase {phase.path}")
        prepared = run_worker("brefine.data", "prepare", phase.config)
        if prepared != 0:
            raise typer.Exit(prepared)
        run_dir = phase.run(next(iter(recipe.models))).path
    raise typer.Exit(run_worker("brefine.train", run_dir, *(["--resume"] if resume else [])))
