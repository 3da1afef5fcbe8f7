"""`brefine evaluate`."""

from __future__ import annotations

from typing import Annotated

import typer

from brefine.cli.options import RUNS, Json, PhaseOption, Runs
from brefine.phasedir import find_phase
from brefine.run.stages import run_worker


def evaluate(
    model: Annotated[list[str] | None, typer.Option("--model", help="Model of the phase (repeatable); all if left out.")] = None,
    checkpoint: Annotated[str, typer.Option(help="best, last, or a .safetensors file.")] = "best",
    phase: PhaseOption = None,
    split: Annotated[str, typer.Option(help="validation or gate.")] = "validation",
    json: Json = False,
    runs: Runs = RUNS,
) -> None:
    """Example: brefine evaluate --model mlp --checkpoint best

    Boundary figures before and after, on the pairs matched before refinement, with intervals; and the speed.
    """
    chosen = [part for name in model or [] for part in ("--model", name)]
    options = ["--split", split, "--checkpoint", checkpoint, *(["--json"] if json else [])]
    raise typer.Exit(run_worker("brefine.evaluate", "evaluate", find_phase(phase, runs).path, *chosen, *options))
