"""A pool of processes of which one is killed at once."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any


class KilledPool(ThreadPoolExecutor):
    """What is given to it ends as it does in a real one whose worker the system has killed."""

    def __init__(self, *given: object, **options: object) -> None:
        super().__init__(1)

    def submit(self, *given: object, **options: object) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_exception(BrokenProcessPool("A process in the process pool was terminated abruptly"))
        return future
