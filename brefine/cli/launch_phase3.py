"""`brefine launch-phase3`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from brefine.cli.options import Config, NewRuns, NoInput, Plain, Set
from brefine.cli.output import can_draw, print_json, print_lines, starting
from brefine.config import load_config, with_models
from brefine.errors import ConfigError, one_line, tell
from brefine.run.budget import ledger_path
from brefine.run.executor import refuse_without_slurm
from brefine.run.gpu import find_gpus
from brefine.run.launch import create_phase, refuse_useless, start_supervisor
from brefine.run.plan import plan_lines, plan_phase, plan_to_json
from brefine.run.sources import refuse_missing


def launch_phase3(
    config: Config = Path("configs/phase3.toml"),
    models: Annotated[str | None, typer.Option(metavar="A,B", help="Some of the recipe's models.")] = None,
    executor: Annotated[
        Literal["local", "slurm"] | None, typer.Option(help="Where the processes run, if not where the recipe says.")
    ] = None,
    overrides: Set = None,
    runs: NewRuns = None,
    detach: Annotated[bool, typer.Option("--detach", help="Return at once; `brefine watch` attaches.")] = False,
    plain: Plain = False,
    no_input: NoInput = False,
    headroom: Annotated[bool, typer.Option("--headroom/--no-headroom", help="First show what could be won at most.")] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print plan, time and cost; start nothing.")] = False,
    json: Annotated[bool, typer.Option("--json", help="With --dry-run: the plan as JSON.")] = False,
) -> None:
    """Example: brefine launch-phase3 --config configs/demo.toml

    Prepares what is missing, trains the models side by side under a supervisor, and shows them in the dashboard; evaluation,
    selection, integration and gate 4 follow. Without a terminal, or with --plain, it prints lines and decides by rule. Closing
    the dashboard does not stop the training.
    """
    if json and not dry_run:
        raise ConfigError("only the plan is printed as JSON", where="--json", expected="--dry-run as well")
    place = [f"executor.kind={executor}"] if executor is not None else []
    recipe = with_models(load_config(config, [*(overrides or ()), *place]), models)
    if runs is not None:
        recipe = recipe.model_copy(update={"runs": str(runs)})
    if dry_run:
        plan = plan_phase(recipe, gpus=find_gpus(), n_cores=os.cpu_count() or 1)
        print_json(plan_to_json(plan)) if json else print_lines(plan_lines(plan))
        return
    refuse_useless(recipe)  # before the headroom takes its time
    refuse_missing(recipe)
    refuse_without_slurm(recipe)
    ledger_path(recipe.budget)  # raises if the home directory is unknown: the supervisor would end at once
    if headroom:
        from brefine.run.headroom_first import headroom_of_recipe

        for line in headroom_of_recipe(recipe):
            tell(line)
    phase = create_phase(recipe, argv=sys.argv)
    tell(f"phase {one_line(phase.path)}")
    with starting(phase):
        start_supervisor(phase)
    if detach:
        tell(f"it runs in the background; watch it with: brefine watch {phase.argument}")
    elif can_draw() and not plain and not no_input:
        from brefine.tui.open import open_dashboard

        open_dashboard(phase.path)
    else:
        from brefine.run.road import go_the_road

        raise typer.Exit(go_the_road(phase, write=lambda line: print(line, flush=True)))
