"""`brefine bench`."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from brefine.cli.options import Json, option_words
from brefine.cli.output import print_json, print_lines
from brefine.errors import ConfigError, interrupted_code, terminated_as_interrupted
from brefine.run.foreground import run_worker

_WORKERS = {"train": "brefine.train.bench"}
"""Benchmarks of the torch half: the module that runs as a process."""
_HERE = {
    "phase": ("brefine.run.bench_phase", "bench_phase"),
    "scale": ("brefine.run.bench_scale", "bench_scale"),
    "soak": ("brefine.tui.bench_soak", "bench_soak"),
    "tail": ("brefine.run.bench_tail", "bench_tail"),
    "watch": ("brefine.tui.bench_watch", "bench_watch"),
}
"""Benchmarks of the operator half: module and function; the module's `bench_lines` puts the result into words."""
_NAMES = sorted([*_WORKERS, *_HERE])


def bench(
    what: Annotated[str, typer.Argument(metavar="|".join(_NAMES), help="What to measure.")],
    config: Annotated[Path | None, typer.Option("--config", metavar="FILE", help="train, phase: the recipe.")] = None,
    models: Annotated[str | None, typer.Option("--models", metavar="NAMES", help="train: only these models.")] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", min=1, help="phase: epochs to train; the rest is projected.")] = None,
    examples: Annotated[int | None, typer.Option("--examples", min=1, help="phase: examples an epoch to train.")] = None,
    baseline: Annotated[bool, typer.Option("--baseline", help="train: run the plain loop beside it.")] = False,
    json: Json = False,
) -> None:
    """Example: brefine bench train --baseline

    Measures this machine, in CPU seconds and in ratios of runs side by side, since wall times depend on what else runs. train:
    examples a second, shares of the time, the fraction of the matrix product's rate. phase: time and cost of all models at once,
    on noise of the phase's size, counted as by `launch-phase3 --dry-run`; without a GPU a small part is trained and the rest
    projected. tail: loading 1,000,000 scalars, compared with TensorBoard's EventAccumulator. scale: how time and memory grow, up
    to 5,000,000 scalars, 20,000 turns, 10,000 recordings. watch: start, first frame, delay, CPU and memory of the dashboard.
    soak: its memory over an hour, replayed in a minute.
    """
    if what in _WORKERS:
        options = option_words({"--config": config, "--models": models, "--baseline": baseline, "--json": json})
        raise typer.Exit(run_worker(_WORKERS[what], *options))
    if what not in _HERE:
        raise ConfigError("there is no such benchmark", where="brefine bench", expected=", ".join(_NAMES), got=what)
    name, function = _HERE[what]
    module = import_module(name)
    arguments = {"recipe": config, "n_examples": examples, "n_epochs": epochs} if what == "phase" else {}
    try:
        with terminated_as_interrupted():  # or SIGTERM would leave its processes and its folder behind
            result = getattr(module, function)(**arguments)
    except KeyboardInterrupt as interrupt:
        raise typer.Exit(interrupted_code(interrupt)) from None
    if json:
        print_json(result)
    else:
        print_lines(module.bench_lines(result))
