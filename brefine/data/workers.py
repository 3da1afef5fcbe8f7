"""Worker processes of a preparation: they end with it, in order and without a word, and what is said if the system kills one.

A pool's own processes wait for the next task for ever if the process that gives the tasks is killed, and print a traceback for
Ctrl-C, which a terminal sends to all of them.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import wait
from types import FrameType
from typing import Any, ParamSpec, TypeVar

from brefine.errors import ProcessError

_P = ParamSpec("_P")
_T = TypeVar("_T")
_FROM_A_TERMINAL = (signal.SIGINT, signal.SIGHUP)
_AGAIN_S = 5.0
"""A task that could not be broken off at once, and is not undone by then, is tried again after this time."""


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


@contextmanager
def worker_processes(
    n_processes: int, initializer: Callable[..., None] | None = None, *given: Any
) -> Iterator[ProcessPoolExecutor]:
    """A pool of processes that end with this one, however it ends; at an error, tasks that have not begun are dropped.

    An interruption breaks off those that have begun, too, and they remove what they have half written.

    Args:
        initializer: called in each process with `given`.

    Raises:
        ProcessError: as `told_if_killed`.
    """
    with _terminal_unheard():  # by the process that counts the pool's semaphores
        # spawned, not forked: the caller may hold threads (torch, a progress writer) that a fork would break
        pool = _Pool(n_processes, multiprocessing.get_context("spawn"), _start, (initializer, given))
    with told_if_killed(), pool:
        try:
            yield pool
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                for process in multiprocessing.active_children():
                    process.terminate()
            pool.shutdown(cancel_futures=True)  # here, since leaving the pool waits for all its tasks
            raise


class _Pool(ProcessPoolExecutor):
    """A pool whose processes hear no signal of the terminal, and SIGTERM in their own way."""

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """As the executor's own, which starts processes here."""
        with _terminal_unheard():
            return super().submit(partial(_work, fn), *args, **kwargs)


@contextmanager
def _terminal_unheard() -> Iterator[None]:
    """Processes that are started in here never hear a signal of the terminal; this one hears it afterwards."""
    earlier = signal.pthread_sigmask(signal.SIG_BLOCK, _FROM_A_TERMINAL)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, earlier)


class _Stop:
    """Whether a task is being done that must be broken off before the process ends."""

    at_work = False


def _start(initializer: Callable[..., None] | None, given: tuple[Any, ...]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, _end)
    if initializer is not None:
        initializer(*given)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)


def _end(number: int, _: FrameType | None) -> None:
    if not _Stop.at_work:
        os._exit(128 + number)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # its group, its parent and its pool may all send one: the rest undoes in peace
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # a library that calls back, as libsndfile, prints what it cannot pass on,
    signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)  # and goes on
    raise KeyboardInterrupt(number)


def _work(task: Callable[..., _T], *args: Any, **kwargs: Any) -> _T:
    try:
        _Stop.at_work = True
        return task(*args, **kwargs)
    except KeyboardInterrupt:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        os._exit(128 + signal.SIGTERM)  # what it has begun is undone; the pool would give it the next task
    finally:
        _Stop.at_work = False
