"""Signals to a command and to the worker that it waits for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.mark.end_to_end
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("send", [os.kill, os.killpg], ids=["to the command alone", "to its whole group"])
def test_the_worker_hears_a_signal_once(number: signal.Signals, send: Callable[[int, int], None]) -> None:
    """Ctrl-C and `kill` of the command end the worker in its own way: neither swallowed nor told twice."""
    command = [sys.executable, "-m", "tests.run.signalled_worker", "parent"]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "listening\n"
        send(process.pid, number)
        assert process.stdout.readline() == "heard\n"
        assert process.stdout.readline() == "1\n"
        assert process.wait(30) == 130
