"""`brefine select`."""

from __future__ import annotations

from typing import Annotated

import typer

from brefine.cli.options import RUNS, Json, NoInput, PhaseOption, Runs
from brefine.cli.output import on_terminal, print_json, print_lines, tell_trainings
from brefine.phasedir import find_phase
from brefine.run.decide import choose, recommend
from brefine.run.stages import evaluation_reports
from brefine.run.tables import evaluation_table


def select(
    phase: PhaseOption = None,
    model: Annotated[str | None, typer.Option(help="Take this one; the recommended one if left out.")] = None,
    why: Annotated[str | None, typer.Option(help="One line of why, where it is not the recommended one.")] = None,
    no_input: NoInput = False,
    json: Json = False,
    runs: Runs = RUNS,
) -> None:
    """Example: brefine select --model contrastive --why "it must run on a phone"

    Recommends by a stated rule: the best capped mean on the validation split; of the models that are as good, the fastest.
    """
    found = find_phase(phase, runs)
    tell_trainings(found)
    asked = model is None and not (no_input or json) and on_terminal()
    ranking = None
    if asked:
        ranking = recommend(found)
        print_lines([*evaluation_table(evaluation_reports(found)), "", ranking.reason])
        model = typer.prompt("Which model goes on?", default=ranking.recommended)
        if model != ranking.recommended and why is None:
            why = typer.prompt(f"Why not {ranking.recommended}?")
    record = choose(found, model, why=why, by="rule" if model is None else "person", shown=ranking)
    if json:
        print_json(record.to_json())
    else:
        print_lines([f"{record.model} goes on; recommended was {record.recommended}: {record.reason}"])
