"""`brefine watch`."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

from brefine.cli.options import RUNS, Json, Phase, Plain, Runs
from brefine.cli.output import on_terminal, print_json, print_lines, tell
from brefine.errors import ConfigError, ProcessError
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
    serve: Annotated[
        bool, typer.Option("--serve", help="Show it in a browser on this machine, read-only, behind a token.")
    ] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="With --serve: the port; 0 = any free one.")] = 0,
    runs: Runs = RUNS,
) -> None:
    """Example: brefine watch

    Attaches to a phase, running or finished, or to any folder of TensorBoard event files. Without a terminal, and with --once,
    it prints the state once; --plain --follow prints what happens, line by line.
    """
    folder = _folder(phase, runs)
    if serve:
        _serve(folder, port)
        return
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


def _serve(folder: Path, port: int) -> None:
    open_store(folder)  # a folder with nothing in it is refused here, not in the browser
    try:
        from brefine.tui.serve import serve_dashboard
    except ImportError:
        raise ConfigError("textual-serve is not installed", where="--serve", hint="pip install brefine[serve]") from None

    def announce(address: str, token: Path) -> None:
        tell(f"{folder.name} is served at {address} for browsers on this machine; Ctrl-C ends it")
        if sys.stderr.isatty():  # a person, not a log: the address may hold the token
            tell(f"open {address}?token={token.read_text().strip()}")
        else:
            tell(f"the token that it asks for: {token}")
        tell(f"from elsewhere: ssh -L {address.rpartition(':')[2].rstrip('/')}:{address.split('/')[2]} {socket.gethostname()}")

    try:
        serve_dashboard(folder.resolve(), port=port, announce=announce)
    except OSError as error:
        raise ProcessError(f"it cannot be served: {error.strerror or error}", where=f"--port {port}") from None


def _folder(name: str | None, runs: Path) -> Path:
    """A phase, or any other folder that was named: the store says whether there is anything in it."""
    if name is not None and Path(name).is_dir():
        return Path(name)
    return find_phase(name, runs).path
