"""`brefine models`."""

from __future__ import annotations

import typer

from brefine.cli.options import Json, option_words
from brefine.run.foreground import run_worker


def models(json: Json = False) -> None:
    """Example: brefine models --json

    The architectures with their parameter counts, for the default inputs; those of a phase are in its report.
    """
    raise typer.Exit(run_worker("brefine.models", *option_words({"--json": json})))
