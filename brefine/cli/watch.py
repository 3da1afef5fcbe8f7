"""`brefine watch`."""

from __future__ import annotations

import gc
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

from brefine.cli.options import RUNS, Json, Plain, Runs
from brefine.cli.output import can_draw, print_json, print_lines
from brefine.errors import ConfigError, ProcessError, tell
from brefine.phasedir import find_phase, named_folder


def watch(
    phases: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PHASE]…", help="Phase directories, or their names under runs/; the newest if left out."),
    ] = None,
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

    Attaches to a phase, running or finished, or to any folder of TensorBoard event files; < and > switch between several.
    Without a terminal, and with --once, it prints the state once; --plain --follow prints what happens, line by line. --json
    prints one document, or a list for several phases.
    """
    if serve:
        _refuse_beside("--serve", {"--once": once, "--plain": plain, "--follow": follow, "--json": json})
    if follow:
        _refuse_beside("--follow", {"--once": once, "--json": json})
    names: list[str | None] = [*phases] if phases else [None]
    folders = [_folder(name, runs) for name in names]
    if serve:
        _serve(folders, port)
        return
    if not (once or json or plain or follow) and can_draw():
        gc.disable()  # what is made at the start lives to the end: collecting garbage only delays the first frame
        from brefine.tui.open import open_dashboard

        open_dashboard(*folders, read_only=read_only)
        return
    from brefine.run.plain import follow_all, overview
    from brefine.run.store import open_store
    from brefine.run.watch_json import snapshot_to_json

    stores = [open_store(folder) for folder in folders]
    if follow:
        follow_all([store.snapshot for store in stores], lambda line: print(line, flush=True))
    elif json:
        documents = [snapshot_to_json(store.snapshot(drain=True)) for store in stores]
        print_json(documents[0] if len(documents) == 1 else documents)
    else:
        for number, store in enumerate(stores):
            print_lines([*([""] if number else []), *overview(store.snapshot(drain=True))])


def _refuse_beside(option: str, others: dict[str, bool]) -> None:
    """Refuses options that would silently be ignored beside `option`."""
    for other, is_given in others.items():
        if is_given:
            raise ConfigError(f"{option} and {other} exclude each other", where="brefine watch", expected="one of them")


def _serve(folders: list[Path], port: int) -> None:
    from brefine.run.store import open_store

    if len(folders) > 1:
        raise ConfigError("only one phase at a time can be served", where="--serve", got=f"{len(folders)} phases")
    (folder,) = folders
    open_store(folder)  # a folder with nothing in it is refused here, not in the browser
    try:
        from brefine.tui.serve import serve_dashboard
    except ImportError:
        raise ConfigError("textual-serve is not installed", where="--serve", hint="pip install brefine[serve]") from None

    def announce(address: str, token: Path) -> None:
        tell(f"{folder.name} is served at {address} for browsers on this machine; Ctrl-C ends it")
        if sys.stderr.isatty():  # a person's screen, not a log: the address may contain the token
            tell(f"open {address}?token={token.read_text().strip()}")
        else:
            tell(f"the token that it asks for: {token}")
        tell(f"from elsewhere: ssh -L {address.rpartition(':')[2].rstrip('/')}:{address.split('/')[2]} {socket.gethostname()}")

    try:
        serve_dashboard(folder.resolve(), port=port, announce=announce)
    except OSError as error:
        raise ProcessError(f"it cannot be served: {error.strerror or error}", where=f"--port {port}") from None


def _folder(name: str | None, runs: Path) -> Path:
    """The folder of a phase, or any other that was named; `open_store` refuses one that has nothing to show."""
    if name is not None and Path(name).is_dir():
        return named_folder(name)
    return find_phase(name, runs).path
