"""Workers in the foreground: signals to a command and to the worker that it waits for, and the descriptors that it is given."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from brefine.run.foreground import run_worker


@pytest.mark.end_to_end
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("send", [os.kill, os.killpg], ids=["to the command alone", "to its whole group"])
def test_the_worker_hears_a_signal_once(number: signal.Signals, send: Callable[[int, int], None]) -> None:
    """Ctrl-C, `kill` and a closed terminal end the worker in its own way: neither swallowed nor told twice."""
    command = [sys.executable, "-m", "tests.run.signalled_worker", "parent"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "listening\n"
        send(process.pid, number)
        assert process.stdout.readline() == "heard\n"
        assert process.stdout.readline() == "1\n"
        assert process.wait(60) == 130


@pytest.mark.end_to_end
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_comes_too_late_for_a_worker_stops_what_the_command_would_do_next(number: signal.Signals) -> None:
    """A training, say, after a preparation that was about to end: the person has asked for neither."""
    command = [sys.executable, "-m", "tests.run.signalled_worker", "onwards"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "listening\n"
        process.send_signal(number)
        assert process.wait(60) == 128 + number


@pytest.mark.end_to_end
def test_a_worker_ends_with_a_command_that_is_killed() -> None:
    """As by SIGTERM: it would write its result behind the back of whoever starts the command again."""
    command = [sys.executable, "-m", "tests.run.signalled_worker", "parent"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "listening\n"
        process.kill()
        assert process.communicate(timeout=60) == ("heard\n1\n", "")  # until the worker has closed them, too


def test_a_worker_can_read_what_a_shell_gives_as_a_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    """`<(…)` is a file of this process alone unless it is handed on; one that is not open is for the worker to miss."""
    handed: list[list[int]] = []

    def refuse(*_: object, pass_fds: list[int], **__: object) -> None:
        handed.append(pass_fds)
        raise OSError

    monkeypatch.setattr("brefine.run.foreground.subprocess.Popen", refuse)
    given, giving = os.pipe()
    with os.fdopen(given), os.fdopen(giving, "w"), pytest.raises(OSError):
        run_worker("m", f"/dev/fd/{given}", Path(f"/proc/self/fd/{giving}"), "/dev/fd/999999", "talk.wav")
    assert handed[0][:-1] == [given, giving]
