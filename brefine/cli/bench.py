"""`brefine bench`."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated

import typer

from brefine.cli.options import Json
from brefine.cli.output import print_json, print_lines
from brefine.errors import ConfigError

BENCHES = {
    "tail": ("brefine.run.bench_tail", "bench_tail", "loading 1,000,000 scalars, beside TensorBoard's EventAccumulator"),
    "watch": ("brefine.tui.bench_watch", "bench_watch", "start, first frame, delay, CPU and memory of the dashboard"),
}
"""Name → module, function, and what it measures; `bench_lines` of the module tells the result."""


def bench(
    what: Annotated[str, typer.Argument(metavar="|".join(BENCHES), help="What to measure.")],
    json: Json = False,
) -> None:
    """Example: brefine bench tail

    Measures this machine: ratios side by side and CPU seconds, since wall times depend on the neighbours.
    """
    if what not in BENCHES:
        raise ConfigError("there is no such benchmark", where=what, expected=", ".join(BENCHES))
    module = import_module(BENCHES[what][0])
    result = getattr(module, BENCHES[what][1])()
    if json:
        print_json(result)
    else:
        print_lines(module.bench_lines(result))
