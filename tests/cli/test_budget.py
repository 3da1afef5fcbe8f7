"""`brefine budget`: what is left, and of which total."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from brefine.cli import app
from brefine.config import BudgetConfig
from brefine.phasedir import Stage
from brefine.run.budget import Ledger, ledger_path
from tests.run.test_store import supervised
from tests.run.whole_phase import RECIPE, make_phase


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


@pytest.mark.parametrize(("state", "least_usd", "most_usd"), [("running", 30.0, 120.0), ("finished", 0.0, 0.0)])
def test_what_is_at_work_is_billed_until_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str, least_usd: float, most_usd: float
) -> None:
    """As on the screens: a supervisor writes a line a minute, and the machine costs in between, too."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    phase = make_phase(tmp_path)
    supervised(phase, Stage.TRAIN, state)
    Ledger(ledger_path(BudgetConfig())).open_session(phase.path, 3600.0, time.time() - 30.0)
    told = json.loads(CliRunner().invoke(app, ["budget", "--json"]).stdout)
    assert least_usd <= told["spent_usd"] <= most_usd
    assert told["phases"] == [{"phase": str(phase.path), "spent_usd": told["spent_usd"]}]
    assert told["remaining_usd"] == told["total_usd"] - told["spent_usd"]
