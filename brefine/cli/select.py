"""`brefine select`."""

from __future__ import annotations

from typing import Annotated

import typer

from brefine.cli.options import RUNS, Json, NoInput, PhaseOption, Runs
from brefine.cli.output import on_terminal, print_json, print_lines, tell_trainings
from brefine.errors import tell
from brefine.phasedir import find_phase
from brefine.run.decide import choose, recommend, standing_choice
from brefine.run.stages import evaluation_reports
from brefine.run.tables import choice_text, evaluation_table


def select(
    phase: PhaseOption = None,
    model: Annotated[
        str | None, typer.Option(help="Take this one; if left out, the one on record, or else the recommended one.")
    ] = None,
    why: Annotated[str | None, typer.Option(help="One line of why, if it is not the recommended one.")] = None,
    no_input: NoInput = False,
    json: Json = False,
    runs: Runs = RUNS,
) -> None:
    """Example: brefine select --model contrastive --why "it must run on a phone"

    Recommends by a stated rule: the best capped mean on the validation split; of the models that are as good, the fastest, or a
    better one that is more than half as fast. A choice stands until another model is named, or a model is evaluated again; then
    the lapsed choice is reported.
    """
    found = find_phase(phase, runs)
    tell_trainings(found)
    standing = standing_choice(found, tell)
    named = model
    ranking = None
    if model is None and not (no_input or json) and on_terminal():
        ranking = recommend(found)
        print_lines([*evaluation_table(evaluation_reports(found)), "", ranking.reason])
        named = typer.prompt("Which model goes on?", default=ranking.recommended if standing is None else standing.model)
        if named != ranking.recommended and why is None and (standing is None or named != standing.model):
            why = typer.prompt(f"Why not {ranking.recommended}?")
    confirmed = standing is not None and named == standing.model and why is None
    if standing is not None and (named is None or (confirmed and standing.chosen_by == "person")):
        record = standing
        tell(f"{record.model} was chosen by the {record.chosen_by} before, and stays; another one: --model NAME")
    else:
        record = choose(found, named, why=why, by="rule" if named is None else "person", shown=ranking)
    if json:
        print_json(record.to_json())
    else:
        print_lines([choice_text(record)])
