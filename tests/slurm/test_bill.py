"""The bill of a phase's jobs: a session an allocation, nothing while a job waits."""

from __future__ import annotations

from pathlib import Path

import pytest

from brefine.config import BudgetConfig
from brefine.run.budget import Ledger, ledger_path
from brefine.run.slurm_bill import SlurmBill
from brefine.run.slurm_queue import JobLine

HOUR_S = 3600.0


@pytest.fixture
def budget(tmp_path: Path) -> BudgetConfig:
    return BudgetConfig(price_usd_per_hour=2.0, ledger=str(tmp_path / "ledger.jsonl"))


def spent_usd(budget: BudgetConfig, phase: Path) -> float:
    return Ledger(ledger_path(budget)).read().spent_on_usd(phase)


def test_an_allocation_costs_its_gpus_from_its_start(tmp_path: Path, budget: BudgetConfig) -> None:
    """Two GPUs at $2, seen first after half an hour and last after a whole one."""
    bill = SlurmBill(budget, tmp_path / "phase")
    bill.watch("17", 2)
    bill.saw(JobLine("17", "PENDING", "Resources"), now_unix_s=0.0)
    bill.saw(JobLine("17", "RUNNING", None, "gpu1", 0.5 * HOUR_S), now_unix_s=10 * HOUR_S)
    bill.saw(JobLine("17", "COMPLETED", None, "gpu1", HOUR_S), now_unix_s=10.5 * HOUR_S)
    assert bill.price(2) == 4.0
    assert spent_usd(budget, tmp_path / "phase") == pytest.approx(4.0)


def test_a_requeued_job_pays_nothing_while_it_waits(tmp_path: Path, budget: BudgetConfig) -> None:
    """An hour, three hours in the queue, another hour: two hours are paid, in two sessions of one machine."""
    bill = SlurmBill(budget, tmp_path / "phase")
    bill.watch("17", 1)
    for hour, state, elapsed_s in ((1, "RUNNING", HOUR_S), (1, "PENDING", 0.0), (4, "PENDING", 0.0), (5, "RUNNING", HOUR_S)):
        bill.saw(JobLine("17", state, elapsed_s=elapsed_s), now_unix_s=hour * HOUR_S)
    bill.saw(JobLine("17", "FAILED", elapsed_s=HOUR_S), now_unix_s=5 * HOUR_S)
    assert spent_usd(budget, tmp_path / "phase") == pytest.approx(4.0)


def test_a_job_without_a_gpu_costs_a_job_hour_and_is_settled_once(tmp_path: Path, budget: BudgetConfig) -> None:
    """What the scheduler repeats of an ended job is not billed again."""
    bill = SlurmBill(budget, tmp_path / "phase")
    bill.watch("17", 0)
    for now_s in (1.0, 2.0, 9.0):
        bill.saw(JobLine("17", "COMPLETED", elapsed_s=HOUR_S), now_unix_s=now_s * HOUR_S)
    assert spent_usd(budget, tmp_path / "phase") == pytest.approx(2.0)


def test_a_forgotten_job_is_billed_until_it_was_seen_last(
    tmp_path: Path, budget: BudgetConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour and half a minute; its supervisor lives on and is asked ten hours later."""
    bill = SlurmBill(budget, tmp_path / "phase")
    bill.watch("17", 1)
    for now_s in (HOUR_S, HOUR_S + 30.0):
        bill.saw(JobLine("17", "RUNNING", None, "gpu1", now_s), now_unix_s=now_s)
    bill.forgot("17")
    monkeypatch.setattr("time.time", lambda: 11 * HOUR_S)
    assert bill.spent_usd() == pytest.approx(2.0 * (HOUR_S + 30.0) / HOUR_S)


def test_a_cluster_without_a_price_writes_no_bill(tmp_path: Path) -> None:
    """Nor a ledger."""
    bill = SlurmBill(BudgetConfig(ledger=str(tmp_path / "ledger.jsonl")), tmp_path / "phase")
    bill.watch("17", 1)
    bill.saw(JobLine("17", "COMPLETED", elapsed_s=HOUR_S))
    assert not (tmp_path / "ledger.jsonl").exists()


def test_a_ledger_that_cannot_be_written_is_told_and_stops_nothing(tmp_path: Path, budget: BudgetConfig) -> None:
    """The phase goes on; when the ledger is back, the whole allocation is billed."""
    (tmp_path / "ledger.jsonl").mkdir()
    bill = SlurmBill(budget, tmp_path / "phase")
    bill.watch("17", 1)
    bill.saw(JobLine("17", "RUNNING", elapsed_s=0.5 * HOUR_S), now_unix_s=HOUR_S)
    assert "cannot be written" in (bill.problem or "")
    (tmp_path / "ledger.jsonl").rmdir()
    bill.saw(JobLine("17", "RUNNING", elapsed_s=HOUR_S), now_unix_s=1.5 * HOUR_S)
    bill.saw(JobLine("17", "COMPLETED", elapsed_s=HOUR_S), now_unix_s=1.5 * HOUR_S)
    assert bill.problem is None
    assert spent_usd(budget, tmp_path / "phase") == pytest.approx(2.0)
