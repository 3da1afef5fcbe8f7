"""`brefine doctor`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from brefine.cli.options import RUNS, Json, Runs
from brefine.cli.output import can_draw, print_json, print_lines
from brefine.config import BudgetConfig, DiarizerConfig, load_config
from brefine.run.doctor import Check, DiarizenChoice, examine, passed

_MARKS = {"ok": "ok     ", "absent": "–      ", "warning": "WARNING", "error": "ERROR  "}


def doctor(
    config: Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Recipe whose needs are checked.")] = None,
    diarizer_python: Annotated[
        str | None, typer.Option(metavar="PATH", help="Interpreter of the environment in which DiariZen is installed.")
    ] = None,
    json: Json = False,
    runs: Runs = RUNS,
) -> None:
    """Example: brefine doctor --diarizer-python ~/diarizen-env/bin/python

    What this machine has and lacks: Python, torch and its set, GPU, disk, audio, voices, terminal, logout, DiariZen, pyannote.
    A dash marks what is optional and missing. Exits with 1 if something has to be fixed.
    """
    recipe = None if config is None else load_config(config)
    chosen = DiarizenChoice.of(DiarizerConfig() if recipe is None else recipe.diarizer, diarizer_python)
    folder = runs if recipe is None else Path(recipe.runs)
    budget = BudgetConfig() if recipe is None else recipe.budget
    checks = examine(chosen, runs=folder, budget=budget, on_terminal=can_draw())
    if json:
        print_json({"ok": passed(checks), "checks": [check.to_json() for check in checks]})
    else:
        print_lines(_lines(checks))
    if not passed(checks):
        raise typer.Exit(1)


def _lines(checks: Iterable[Check]) -> Iterator[str]:
    for check in checks:
        yield f"{_MARKS[check.state]}  {check.name}: {check.found}"
        for hint in check.hints:
            yield f"             {hint}"
