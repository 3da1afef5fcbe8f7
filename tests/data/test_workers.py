"""Worker processes of a preparation: none of them outlives it, and none says anything."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.data.working_pool import N_PROCESSES


@pytest.mark.end_to_end
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
@pytest.mark.parametrize("send", [os.kill, os.killpg], ids=["to the process alone", "to its whole group"])
def test_workers_end_with_their_process(tmp_path: Path, number: signal.Signals, send: Callable[[int, int], None]) -> None:
    """What they have begun is undone, no traceback or warning is printed, and they don't wait for work that never comes."""
    command = [sys.executable, "-m", "tests.data.working_pool", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        while len(list(tmp_path.iterdir())) < N_PROCESSES:
            assert process.poll() is None
            time.sleep(0.05)
        send(process.pid, number)
        said = process.communicate(timeout=60)  # until every process that has them has closed them
    killed = number == signal.SIGKILL
    assert process.returncode == (-number if killed else 128 + number)
    if not killed:  # else the interpreter itself tells of semaphores that nobody has given back
        assert said == ("", "")
    if not (killed and send is os.killpg):
        assert list(tmp_path.iterdir()) == []
