"""Signals to a real process."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

_WAITING = """
import time
from brefine.train.signals import StopSignal
stop = StopSignal()
stop.listen()
print("listening", flush=True)
while not stop.requested:
    time.sleep(0.01)
print("asked to stop", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("numbers", [(signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGTERM)])
def test_the_first_signal_asks_and_the_second_ends_at_once(numbers: tuple[signal.Signals, signal.Signals]) -> None:
    """Whoever does not want to wait for the checkpoint asks twice; the exit code says that it was cut short."""
    process = subprocess.Popen([sys.executable, "-c", _WAITING], stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "listening\n"
        process.send_signal(numbers[0])
        assert process.stdout.readline() == "asked to stop\n"
        assert process.poll() is None
        process.send_signal(numbers[1])
        assert process.wait(30) == 130


def test_a_schedulers_warning_is_no_second_signal() -> None:
    """SIGUSR2 comes to every process of a job, and often more than once."""
    process = subprocess.Popen([sys.executable, "-c", _WAITING], stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGUSR2)
        assert process.stdout.readline() == "asked to stop\n"
        process.send_signal(signal.SIGUSR2)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
        process.kill()
