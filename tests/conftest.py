"""What all tests share: where the real data lies, when it is there, and how properties are tried."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import hypothesis
import pytest

_REPOSITORY = Path(__file__).parents[1]

# Workers leave the current directory out of their path: without this, another checkout's would run that shares the environment.
os.environ["PYTHONPATH"] = os.pathsep.join([str(_REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])])

# Tests started in the background of a shell ignore Ctrl-C, by `nohup` a hangup, and so would every process that is sent one.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# A machine may be busy: nothing here passes or fails by the clock.
hypothesis.settings.register_profile("brefine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("brefine")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public recordings and labels; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("BREFINE_SHARED_DATA", _REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder}; set BREFINE_SHARED_DATA to a folder that has it")
    return folder
