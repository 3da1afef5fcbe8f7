"""Processes that die at any moment, of anything, lose nothing that was confirmed: a sample of `make faults`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.end_to_end


@pytest.mark.parametrize("who", ["trainer", "supervisor", "dashboard", "evaluator", "preparer", "downloader"])
def test_a_process_that_meets_a_fault_loses_nothing_and_can_be_resumed(who: str) -> None:
    """One case for each of the five faults, at different moments."""
    command = [sys.executable, "-m", "tests.faults.matrix", "--sample", "5", "--only", who]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stdout + done.stderr
