"""What a supervisor writes into the ledger, whatever becomes of the clock and of the disk."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from brefine.config import BudgetConfig
from brefine.identity import own_identity
from brefine.phasedir import Stage, SupervisorState
from brefine.run import meter, store
from brefine.run.budget import Ledger
from brefine.run.executor import LocalExecutor
from brefine.run.meter import Meter
from brefine.run.store import PhaseStore
from tests.run.records import status
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


@pytest.mark.parametrize(
    ("state", "alive", "heard_s", "left_s", "guarded"),
    [
        ("running", True, 3600.0, 3600.0, False),
        ("running", False, 1800.0, 1800.0, True),
        ("stopped", False, 1800.0, 0.0, True),
    ],
    ids=["still at work", "at work for a while", "ended in order"],
)
def test_what_works_on_without_a_supervisor_is_billed(
    tmp_path: Path, state: str, alive: bool, heard_s: float, left_s: float, guarded: bool
) -> None:
    """A supervisor was killed an hour ago: its trainer costs money all the same, on the screen and for the next one's cap."""
    path, killed_unix_s = tmp_path / "ledger.jsonl", time.time() - 3600.0
    phase = make_toy_phase(tmp_path, recipe=f'{RECIPE}[budget]\nprice_usd_per_hour = 2.0\nledger = "{path}"\n')
    session = Ledger(path).open_session(phase.path, 2.0, killed_unix_s - 1800.0)
    Ledger(path).tick(session, killed_unix_s)
    gone = own_identity().model_copy(update={"start_ticks": 1})
    trainer = own_identity() if alive else gone
    supervised(phase, Stage.TRAIN, state)
    killed = SupervisorState.read(phase.supervisor).model_copy(update={"process": gone, "processes": {"mlp": trainer}})
    killed.write(phase.supervisor)
    status("mlp", unix_s=killed_unix_s + heard_s, process=trainer).write(phase.run("mlp").status)
    due_usd = pytest.approx(2.0 * (1800.0 + left_s) / 3600.0, abs=0.02)
    shown = PhaseStore(phase.path).snapshot().budget
    assert (shown.spent_usd, shown.guarded) == (due_usd, guarded)
    for _ in range(2):
        assert LocalExecutor(phase, phase.load_config()).billing().spent_usd() == due_usd
        assert Ledger(path).read().spent_usd() == due_usd


def test_what_was_left_at_work_is_billed_when_the_ledger_can_be_written_again(
    tmp_path: Path, clocks: Callable[[float, float], None]
) -> None:
    """The disk was full at the take-over: the cap is kept from what is known, the ledger has it later."""
    path = tmp_path / "state" / "ledger.jsonl"
    killed_unix_s = time.time() - 3600.0
    session = Ledger(path).open_session(tmp_path, 2.0, killed_unix_s - 1800.0)
    Ledger(path).tick(session, killed_unix_s)

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.MonkeyPatch.context() as full:
        full.setattr(Ledger, "_append", refuse)
        bill = Meter(BudgetConfig(price_usd_per_hour=2.0, ledger=str(path)), tmp_path, left_until_unix_s=killed_unix_s + 3600.0)
    assert bill.spent_usd() == pytest.approx(3.0)
    clocks(1800.0, 0.0)
    bill.tick()
    assert (bill.spent_usd(), Ledger(path).read().spent_usd()) == (pytest.approx(4.0), pytest.approx(4.0))


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
