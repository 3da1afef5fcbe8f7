"""Opens the dashboard on a phase or on any folder of event files, in this terminal.

python -m brefine.tui.open PATH        read-only, for a visitor's browser
"""

from __future__ import annotations

import os
import sys
import threading
import time
from functools import partial
from pathlib import Path

from brefine.errors import BrefineError, ProcessError, run_main, tell
from brefine.phasedir import GateRecord, PhaseDir, folder_argument, list_phases, runs_folder
from brefine.run.folder_store import FolderStore
from brefine.run.snapshot import PhaseState
from brefine.run.store import open_store
from brefine.tui.actions import PhaseActions
from brefine.tui.app import DashboardApp
from brefine.tui.poller import SnapshotSource
from brefine.tui.theme import first_theme


def open_dashboard(
    path: Path, *others: Path, read_only: bool = False, place: str | None = None, last_words: bool = True
) -> GateRecord | None:
    """Shows `path` until the person closes the dashboard; what works in the phase goes on, and gate 4's verdict is told last.

    Args:
        others: further phases and folders that one can turn to.
        read_only: look, but change nothing; a folder that brefine did not write can only be looked at.
        place: `watch`, `evaluate`, `select`, `integrate` or `gate`; None = where the phase stands.
        last_words: whether the terminal is told how to come back, and the verdict.

    Returns:
        the record whose verdict was told; None where none was.

    Raises:
        BrefineError: a folder is neither a phase nor holds event files.
        ProcessError: the dashboard has crashed.
        KeyboardInterrupt: SIGTERM or SIGHUP has ended it, see `errors.interrupted_code`.
    """
    paths = (path, *others)
    for other in others:
        open_store(other)  # what cannot be shown is refused before anything is
    number, theme = 0, first_theme()
    while True:
        store = open_store(paths[number])
        app = DashboardApp(
            store,
            PhaseActions(PhaseDir(paths[number])),
            read_only=read_only or isinstance(store, FolderStore),
            place=place,
            which=(number, len(paths)),
            bell=isinstance(store, FolderStore) or store.config.alerts.bell,
            way_back=partial(way_back, paths[number]) if last_words else None,
            theme=theme,
        )
        step = app.run()
        if app.ended_by is not None:
            raise KeyboardInterrupt(app.ended_by)
        if app.return_code:
            raise ProcessError(
                "the dashboard has crashed; what works in the phase goes on",
                where=paths[number],
                hint=f"in lines instead: brefine watch {folder_argument(paths[number])} --plain --follow",
            )
        if step is None:
            return _tell_verdict(store) if last_words else None
        number, theme = (number + step) % len(paths), app.theme


def _tell_verdict(source: SnapshotSource) -> GateRecord | None:
    """Tells the verdict that stands, if one does; looks again, since an answer may be on record since the last frame."""
    from brefine.run.tables import verdict_text  # the first frame has no need of it

    try:
        snapshot = source.snapshot()
    except (BrefineError, OSError):  # the dashboard has said so
        return None
    if snapshot.standing_gate is None or snapshot.state not in (PhaseState.TO_SELECT, PhaseState.TO_DECIDE, PhaseState.DECIDED):
        return None
    tell(verdict_text(snapshot.standing_gate))
    return snapshot.standing_gate


def way_back(path: Path) -> str:
    """The command that opens `path` again, here; the newest phase of the folder that is looked into needs no name."""
    phases = list_phases(runs_folder())
    is_newest = bool(phases) and phases[-1].path.resolve() == path.resolve()
    return "brefine watch" if is_newest else f"brefine watch {folder_argument(path)}"


def _open_for_visitor() -> None:
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    open_dashboard(Path(sys.argv[1]), read_only=True, last_words=False)  # the visitor's browser has words of its own


def _end_with(server_pid: int) -> None:
    """Ends this process when its server is gone; Textual's web driver would draw into the broken pipe for ever."""
    while os.getppid() == server_pid:
        time.sleep(0.5)
    os._exit(0)


if __name__ == "__main__":
    run_main(_open_for_visitor)
