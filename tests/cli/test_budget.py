"""`brefine budget`: what is left, and of which total."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from brefine.cli import app
from tests.run.whole_phase import RECIPE


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "the total: $999.28 (brefine's own; --config takes a recipe's)"),
        (["--config", "recipe.toml"], "the total: $10.00 (recipe.toml)"),
    ],
)
def test_it_is_said_which_total_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], told: str) -> None:
    """Without a recipe it is not that of any phase."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "recipe.toml").write_text(RECIPE)
    ended = CliRunner().invoke(app, ["budget", *words])
    assert told in ended.stdout.splitlines()
