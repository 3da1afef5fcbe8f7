"""A pool of processes of which one is killed at once, and one of a single thread with work of which the first fails."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import pytest

from brefine.errors import DataError


class KilledPool(ThreadPoolExecutor):
    """What is given to it ends as it does in a real one whose worker the system has killed."""

    def __init__(self, *given: object, **options: object) -> None:
        super().__init__(1)

    def submit(self, *given: object, **options: object) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_exception(BrokenProcessPool("A process in the process pool was terminated abruptly"))
        return future


class OneThread(ThreadPoolExecutor):
    """Works here, one thing after the other."""

    def __init__(self, *given: object, **options: object) -> None:
        super().__init__(1)


def failing_slowly(monkeypatch: pytest.MonkeyPatch, function: str) -> list[object]:
    """The function fails for the first that it is asked for and takes its time for the others; what it was asked for."""
    taken: list[object] = []

    def fails(*given: object) -> None:
        taken.append(given)
        if len(taken) == 1:
            raise DataError("this one cannot be made")
        time.sleep(0.05)

    monkeypatch.setattr(function, fails)
    return taken
