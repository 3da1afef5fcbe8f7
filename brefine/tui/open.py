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
    """Shows `path` until the person closes the dashboard; the phase's processes go on. At the end, prints gate 4's verdict.

    Args:
        others: further phases and folders that the person can switch to.
        read_only: the person can look, but change nothing; always so for a folder that brefine did not write.
        place: `watch`, `evaluate`, `select`, `integrate` or `gate`; None = the place of the phase's state.
        last_words: whether to print, at the end, how to come back, and the verdict.

    Returns:
        the record whose verdict was printed; None if none was.

    Raises:
        BrefineError: a folder is not a phase and has no event files.
        ProcessError: the dashboard has crashed.
        KeyboardInterrupt: SIGTERM or SIGHUP has ended it, see `errors.interrupted_code`.
    """
    paths = (path, *others)
    for other in others:
        open_store(other)  # refuse what cannot be shown before showing anything
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
    """Prints the standing verdict, if any; reads the phase again, since an answer may have been recorded after the last frame."""
    from brefine.run.tables import verdict_text  # not needed for the first frame

    try:
        snapshot = source.snapshot()
    except (BrefineError, OSError):  # the dashboard has said so
        return None
    if snapshot.standing_gate is None or snapshot.state not in (PhaseState.TO_SELECT, PhaseState.TO_DECIDE, PhaseState.DECIDED):
        return None
    tell(verdict_text(snapshot.standing_gate))
    return snapshot.standing_gate


def way_back(path: Path) -> str:
    """The command that opens `path` again from the current folder; the newest phase under runs/ needs no name."""
    phases = list_phases(runs_folder())
    is_newest = bool(phases) and phases[-1].path.resolve() == path.resolve()
    return "brefine watch" if is_newest else f"brefine watch {folder_argument(path)}"


def _open_for_visitor() -> None:
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    open_dashboard(Path(sys.argv[1]), read_only=True, last_words=False)  # the visitor's browser has words of its own


def _end_with(server_pid: int) -> None:
    """Ends this process when its server is gone: Textual's web driver would write to the broken pipe for ever."""
    while os.getppid() == server_pid:
        time.sleep(0.5)
    os._exit(0)


if __name__ == "__main__":
    run_main(_open_for_visitor)
