"""Worker processes of a preparation, and what is said if the system kills one."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

from brefine.errors import ProcessError


@contextmanager
def told_if_killed() -> Iterator[None]:
    """Says in words that a process of a pool has died; the pool itself only says that it is broken.

    Raises:
        ProcessError: one was killed, as the system does when memory runs out.
    """
    try:
        yield
    except BrokenProcessPool:
        raise ProcessError(
            "a worker process was killed",
            hint="was there too little memory? close other programs, or use fewer workers: "
            "`python -m brefine.data prepare RECIPE --processes 1`; conversations that were finished are kept",
        ) from None
