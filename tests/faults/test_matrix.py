"""Processes that die at any moment, of anything, lose nothing that was confirmed: a sample of `make faults`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.end_to_end


@pytest.mark.parametrize(
    ("who", "n_cases"),
    [("trainer", 2), ("supervisor", 2), ("dashboard", 5), ("evaluator", 3), ("preparer", 3), ("downloader", 5)],
)
def test_a_process_that_meets_a_fault_loses_nothing_and_can_be_resumed(who: str, n_cases: int) -> None:
    """A few cases with different faults at different moments."""
    command = [sys.executable, "-m", "tests.faults.matrix", "--sample", str(n_cases), "--only", who]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stdout + done.stderr
