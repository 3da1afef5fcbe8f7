"""Processes that die at any moment, of anything, lose nothing that was confirmed: a sample of `make faults`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_SAMPLE = ("trainer:2", "supervisor:2", "dashboard:5", "evaluator:3", "preparer:3", "downloader:5")


@pytest.mark.end_to_end
def test_processes_that_meet_a_fault_lose_nothing_and_can_be_resumed() -> None:
    """A few cases of each with different faults at different moments, forked from one process that has loaded torch."""
    command = [sys.executable, "-m", "tests.faults.matrix", *_SAMPLE]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stdout + done.stderr
