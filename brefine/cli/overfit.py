"""`brefine overfit`."""

from __future__ import annotations

import typer

from brefine.cli.options import Config, Json, option_words
from brefine.run.foreground import run_worker


def overfit(config: Config, json: Json = False) -> None:
    """Example: brefine overfit --config configs/mlp.toml

    The check before a long training: a model that cannot learn one small batch by heart cannot learn anything. Prints the
    MAE it reaches.
    """
    raise typer.Exit(run_worker("brefine.train", "overfit", config, *option_words({"--json": json})))
