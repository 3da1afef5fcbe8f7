"""The time that this thread had for itself, by the kernel's account in /proc/thread-self/schedstat."""

from __future__ import annotations

import os
import threading
import time

_local = threading.local()


def own_s() -> float:
    """Seconds by the wall clock, less those in which this thread could have run but other programs had the cores.

    Waiting for a disk or a GPU counts, waiting for a core does not, so differences are what an idle machine would have shown. If
    the kernel does not say (it is not Linux), this is the wall clock.
    """
    before_ns = _waited_ns()
    while True:
        now_s, after_ns = time.perf_counter(), _waited_ns()
        if after_ns == before_ns:  # the thread did not wait between the two readings
            return now_s - after_ns * 1e-9
        before_ns = after_ns


def _waited_ns() -> int:
    """What the kernel says of this thread; its file is opened once, as opening it takes longer than reading."""
    try:
        if not hasattr(_local, "descriptor"):
            _local.descriptor = os.open("/proc/thread-self/schedstat", os.O_RDONLY)  # the end of the process closes it
        return int(os.pread(_local.descriptor, 128, 0).split()[1])
    except (OSError, IndexError):
        return 0
