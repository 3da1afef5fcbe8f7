"""Opens the dashboard on a phase or on any folder of event files, in this terminal.

python -m brefine.tui.open PATH        read-only, for a visitor's browser
"""

from __future__ import annotations

import sys
from pathlib import Path

from brefine.errors import run_main
from brefine.phasedir import PhaseDir
from brefine.run.store import FolderStore, open_store
from brefine.tui.actions import PhaseActions
from brefine.tui.app import DashboardApp


def open_dashboard(path: Path, *, read_only: bool = False, place: str | None = None) -> None:
    """Shows `path` until the person closes the dashboard; what works in the phase goes on.

    Args:
        read_only: look, but change nothing; a folder that brefine did not write can only be looked at.
        place: `watch`, `evaluate`, `select`, `integrate` or `gate`; None = where the phase stands.

    Raises:
        BrefineError: the folder is neither a phase nor holds event files.
    """
    store = open_store(path)
    app = DashboardApp(store, PhaseActions(PhaseDir(path)), read_only=read_only or isinstance(store, FolderStore), place=place)
    app.run()


if __name__ == "__main__":
    run_main(lambda: open_dashboard(Path(sys.argv[1]), read_only=True))
