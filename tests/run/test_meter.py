"""What a supervisor writes into the ledger, whatever becomes of the clock and of the disk."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from brefine.config import BudgetConfig
from brefine.phasedir import Stage
from brefine.run import meter, store
from brefine.run.budget import Ledger
from brefine.run.meter import Meter
from brefine.run.store import PhaseStore
from tests.run.test_store import supervised
from tests.run.toy_programs import RECIPE, make_toy_phase


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Callable[[float, float], None]:
    """Sets seconds since the start, and what the wall clock says is added to them."""
    began_unix_s = time.time()
    now = SimpleNamespace(monotonic=lambda: 0.0, time=lambda: began_unix_s)

    def set_to(passed_s: float, stepped_s: float) -> None:
        now.monotonic = lambda: passed_s
        now.time = lambda: began_unix_s + passed_s + stepped_s

    monkeypatch.setattr(meter, "time", now)
    monkeypatch.setattr(store, "time", now)
    return set_to


@pytest.mark.parametrize("stepped_s", [0.0, -7200.0, 86400.0])
def test_a_clock_that_is_set_bills_nothing_and_hides_nothing(
    tmp_path: Path, clocks: Callable[[float, float], None], stepped_s: float
) -> None:
    """Half an hour is half an hour: in the ledger, on the screen, and for the cap."""
    path = tmp_path / "ledger.jsonl"
    phase = make_toy_phase(tmp_path, recipe=f'{RECIPE}[budget]\nprice_usd_per_hour = 2.0\nledger = "{path}"\n')
    bill = Meter(BudgetConfig(price_usd_per_hour=2.0, ledger=str(path)), phase.path)
    for minute in range(1, 31):
        clocks(60.0 * minute, stepped_s)
        bill.tick()
    supervised(phase, Stage.TRAIN)
    shown = PhaseStore(phase.path).snapshot().budget
    assert bill.spent_usd() == pytest.approx(1.0)
    assert Ledger(path).read().spent_usd() == pytest.approx(1.0)
    assert shown.spent_usd == pytest.approx(1.0, abs=2.0 * 120 / 3600 + 1e-6)


def test_a_ledger_that_can_be_written_later_is_billed_from_the_beginning(
    tmp_path: Path, clocks: Callable[[float, float], None]
) -> None:
    """The disk was full when the supervisor started."""
    folder = tmp_path / "state"
    folder.write_text("in the way")
    bill = Meter(BudgetConfig(price_usd_per_hour=2.0, ledger=str(folder / "ledger.jsonl")), tmp_path)
    assert bill.problem is not None and "the ledger cannot be written" in bill.problem
    folder.unlink()
    clocks(1800.0, 0.0)
    bill.tick()
    assert bill.problem is None
    assert Ledger(folder / "ledger.jsonl").read().spent_usd() == pytest.approx(1.0)
