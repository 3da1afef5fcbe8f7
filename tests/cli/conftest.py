"""Commands in the process of the tests, which has loaded torch already."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Callable
from typing import IO

import pytest

from brefine.__main__ import main
from brefine.errors import run_main
from brefine.io.interpreter import word_of


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
    """`brefine.run.stages.run_worker`."""
    sys.argv = [module, *map(word_of, arguments)]
    with contextlib.redirect_stdout(stdout or sys.stdout), pytest.raises(SystemExit) as end:
        run_main(importlib.import_module(f"{module}.__main__").main)
    return int(end.value.code or 0)
