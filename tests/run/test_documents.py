"""Documents that are read again when they have changed."""

from __future__ import annotations

from pathlib import Path

from brefine.phasedir import RunStatus
from brefine.run.documents import WatchedDocument
from tests.run.records import status


def test_a_folder_that_comes_back_is_no_problem_any_more(tmp_path: Path) -> None:
    """A disk of the network that was away: its last word stays meanwhile, and nothing is reported once it is back unchanged."""
    run, away = tmp_path / "mlp", tmp_path / "away"
    status("mlp").write(run / "status.json")
    document = WatchedDocument(run / "status.json", RunStatus)
    before = document.read()
    assert before is not None
    run.rename(away)
    run.write_text("in its place")
    assert document.read() == before
    assert document.problem is not None and "cannot be read" in document.problem
    run.unlink()
    away.rename(run)
    assert document.read() == before
    assert document.problem is None
