"""What all tests share: where the real data lies, how properties are tried, and commands in the process of the tests."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

import hypothesis
import pytest

from brefine.__main__ import main
from brefine.errors import run_main
from brefine.io.interpreter import word_of

if TYPE_CHECKING:
    from tests.run.nursery import Nursery

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


def pytest_collection_finish() -> None:
    """Garbage is looked for less often, and never among modules: a sixth of the time of a screen went into that."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public recordings and labels; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("BREFINE_SHARED_DATA", _REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder}; set BREFINE_SHARED_DATA to a folder that has it")
    return folder


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without HOME and without an entry among the system's users, as of many containers."""
    for name in ("HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 3_999_999)


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """Where supervisors of toy programs come from that are processes of their own."""
    from tests.run.nursery import Nursery  # loads all that a supervisor needs

    made = Nursery()
    yield made
    made.close()


@pytest.fixture
def brefine_here(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs `brefine` with these words, and what it would start as a worker, without a process; returns the exit code."""

    def run(*words: object) -> int:
        for name in ("calibrate", "diarize", "prepare", "refine"):
            monkeypatch.setattr(f"brefine.cli.{name}.run_worker", _work)
        monkeypatch.setattr("sys.argv", ["brefine", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main()
        return int(end.value.code or 0)

    return run


def _work(module: str, *arguments: object, stdout: IO[str] | None = None) -> int:
    """`brefine.run.foreground.run_worker`."""
    sys.argv = [module, *map(word_of, arguments)]
    with contextlib.redirect_stdout(stdout or sys.stdout), pytest.raises(SystemExit) as end:
        run_main(importlib.import_module(f"{module}.__main__").main)
    return int(end.value.code or 0)
