"""`brefine bench`."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from brefine.cli.options import Json
from brefine.cli.output import print_json, print_lines
from brefine.errors import ConfigError
from brefine.run.stages import run_worker

_WORKERS = {"train": "brefine.train.bench"}
"""Benchmarks of the torch half: the module that runs as a process."""
_HERE = {"tail": ("brefine.run.bench_tail", "bench_tail"), "watch": ("brefine.tui.bench_watch", "bench_watch")}
"""Benchmarks of the operator half: module and function; `bench_lines` of the module tells the result."""
_NAMES = sorted([*_WORKERS, *_HERE])


def bench(
    what: Annotated[str, typer.Argument(metavar="|".join(_NAMES), help="What to measure.")],
    config: Annotated[Path | None, typer.Option("--config", metavar="FILE", help="train: the recipe.")] = None,
    baseline: Annotated[bool, typer.Option("--baseline", help="train: run the plain loop beside it.")] = False,
    json: Json = False,
) -> None:
    """Example: brefine bench train --baseline

    Measures this machine, as ratios side by side and CPU seconds, since wall times depend on the neighbours. train: examples a
    second, shares of the time, the fraction of the matrix product's rate. tail: loading 1,000,000 scalars beside TensorBoard's
    EventAccumulator. watch: start, first frame, delay, CPU and memory of the dashboard.
    """
    if what in _WORKERS:
        options = [
            *(["--config", config] if config else []),
            *(["--baseline"] if baseline else []),
            *(["--json"] if json else []),
        ]
        raise typer.Exit(run_worker(_WORKERS[what], *options))
    if what not in _HERE:
        raise ConfigError("there is no such benchmark", where="brefine bench", expected=", ".join(_NAMES), got=what)
    name, function = _HERE[what]
    module = import_module(name)
    result = getattr(module, function)()
    if json:
        print_json(result)
    else:
        print_lines(module.bench_lines(result))
