"""Opening the dashboard, and how the command ends when it is closed."""

from __future__ import annotations

from pathlib import Path

import pytest

from brefine.errors import ProcessError
from brefine.tui import open as opening
from brefine.tui.app import DashboardApp
from tests.run.toy_programs import make_toy_phase


class _Broken(DashboardApp):
    """Divides by zero as soon as it stands."""

    def on_mount(self) -> None:
        raise ZeroDivisionError


def test_a_dashboard_that_crashes_was_not_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script that waits for `brefine watch` is told by the exit code; the person, how to go on watching."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(opening, "DashboardApp", _Broken)
    monkeypatch.setattr(_Broken, "run", lambda app: DashboardApp.run(app, headless=True), raising=False)
    with pytest.raises(ProcessError, match="the dashboard has crashed"):
        opening.open_dashboard(make_toy_phase(tmp_path).path)
