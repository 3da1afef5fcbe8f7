"""`brefine watch`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from brefine.cli.options import RUNS, Json, Phase, Plain, Runs
from brefine.cli.output import on_terminal, print_json, print_lines
from brefine.phasedir import find_phase
from brefine.run.plain import follow as follow_lines
from brefine.run.plain import overview
from brefine.run.store import open_store
from brefine.run.watch_json import snapshot_to_json


def watch(
    phase: Phase = None,
    once: Annotated[bool, typer.Option("--once", help="Print the state now and end.")] = False,
    json: Json = False,
    plain: Plain = False,
    follow: Annotated[bool, typer.Option("--follow", help="With --plain: go on until nothing works any more.")] = False,
    read_only: Annotated[bool, typer.Option("--read-only", help="Look, but change nothing.")] = False,
    runs: Runs = RUNS,
) -> None:
    """Example: brefine watch

    Attaches to a phase, running or finished, or to any folder of TensorBoard event files. Without a terminal, and with --once,
    it prints the state once; --plain --follow prints what happens, line by line.
    """
    folder = _folder(phase, runs)
    if not (once or json or plain or follow) and on_terminal():
        from brefine.tui.open import open_dashboard

        open_dashboard(folder, read_only=read_only)
        return
    store = open_store(folder)
    if follow:
        follow_lines(store.snapshot, lambda line: print(line, flush=True))
    elif json:
        print_json(snapshot_to_json(store.snapshot(drain=True)))
    else:
        print_lines(overview(store.snapshot(drain=True)))


def _folder(name: str | None, runs: Path) -> Path:
    """A phase, or any other folder that was named: the store says whether there is anything in it."""
    if name is not None and Path(name).is_dir():
        return Path(name)
    return find_phase(name, runs).path
