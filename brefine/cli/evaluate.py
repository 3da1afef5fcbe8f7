"""`brefine evaluate`."""

from __future__ import annotations

import tempfile
from typing import Annotated, Literal

import typer

from brefine.cli.options import RUNS, Json, PhaseOption, Runs
from brefine.cli.output import print_json, print_lines, tell_trainings
from brefine.io.outputs import refuse_unwritable
from brefine.phasedir import EvaluationReport, Stage, find_phase
from brefine.run.foreground import parse_answer, run_worker
from brefine.run.stages import model_of, stage_taken
from brefine.run.tables import evaluation_table


def evaluate(
    model: Annotated[list[str] | None, typer.Option("--model", help="Model of the phase (repeatable); all if left out.")] = None,
    checkpoint: Annotated[
        list[str] | None,
        typer.Option("--checkpoint", help="best (if left out), last, or a .safetensors file (repeatable)."),
    ] = None,
    phase: PhaseOption = None,
    split: Annotated[Literal["validation", "gate"], typer.Option(help="Which recordings.")] = "validation",
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Where the models run.")] = "auto",
    json: Json = False,
    runs: Runs = RUNS,
) -> None:
    """Example: brefine evaluate --model mlp --checkpoint best --checkpoint last

    Boundary figures before and after, on the pairs matched before refinement, with intervals; and the speed. Several checkpoints
    are shown side by side. The model is chosen by its best checkpoint, whatever else is evaluated. Gate 4 counts everything that
    was scored on the gate split.
    """
    found = find_phase(phase, runs)
    chosen = [part for name in model or [] for part in ("--model", model_of(found, name))]
    chosen += [part for name in checkpoint or [] for part in ("--checkpoint", name)]
    tell_trainings(found)
    refuse_unwritable([found.stage_lock(Stage.EVALUATE)], hint="evaluate a copy of the phase: --phase COPY")
    with stage_taken(found, Stage.EVALUATE) as lock, tempfile.TemporaryFile("w+", encoding="utf-8") as told:
        words = (found.path, *chosen, "--split", split, "--device", device, "--json")
        code = run_worker("brefine.evaluate", "evaluate", *words, stdout=told, lock=lock)
        if code != 0:
            raise typer.Exit(code)
        told.seek(0)
        document = parse_answer(told.read())
    if json:
        print_json(document)
    else:
        reports = [EvaluationReport.model_validate(one) for one in document["evaluations"]]
        names = [one.model if one.checkpoint == "best" else f"{one.model} {one.checkpoint}" for one in reports]
        print_lines(evaluation_table(dict(zip(names, reports, strict=True))))
