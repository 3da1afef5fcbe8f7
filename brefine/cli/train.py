"""`brefine train`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from brefine.cli.options import NewRuns, Set, option_words
from brefine.config import load_config, with_models
from brefine.errors import ConfigError, one_line, tell
from brefine.phasedir import run_model
from brefine.run.foreground import run_worker
from brefine.run.launch import create_phase


def train(
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="The recipe; with --run-dir that of its phase counts.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Which of the recipe's models, if it has several.")] = None,
    run_dir: Annotated[
        Path | None, typer.Option("--run-dir", metavar="DIR", help="An existing run, PHASE/MODEL, to train or go on with.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
    overrides: Set = None,
    runs: NewRuns = None,
) -> None:
    """Example: brefine train --config configs/mlp.toml

    One training in the foreground, after its corpus was prepared. Ctrl-C writes a checkpoint and stops; --run-dir with --resume
    goes on.
    """
    if run_dir is not None:
        if overrides or model is not None:
            given = "--set" if overrides else "--model"
            raise ConfigError(
                "an existing run keeps its own settings", where=given, hint=f"they are in {run_dir.parent}/phase.toml"
            )
        run_model(run_dir)
        if config is not None:
            tell(f"the recipe is {one_line(run_dir.parent)}/phase.toml; {one_line(config)} is not read")
    elif config is None:
        raise ConfigError("there is nothing to train", where="brefine train", expected="--config FILE, or --run-dir PHASE/MODEL")
    else:
        recipe = with_models(load_config(config, overrides or ()), model)
        if len(recipe.models) > 1:
            raise ConfigError(
                "only one model can be trained in the foreground",
                where="--model",
                expected=f"one of {', '.join(recipe.models)}",
                hint="all of them: brefine launch-phase3",
            )
        if runs is not None:
            recipe = recipe.model_copy(update={"runs": str(runs)})
        phase = create_phase(recipe, argv=sys.argv)
        tell(f"phase {one_line(phase.path)}")
        prepared = run_worker("brefine.data", "prepare", phase.config, goes_on=True)
        if prepared != 0:
            raise typer.Exit(prepared)
        run_dir = phase.run(next(iter(recipe.models))).path
    raise typer.Exit(run_worker("brefine.train", run_dir, *option_words({"--resume": resume}), outlives=True))
