"""Whether the kernel has killed for lack of memory: by its own counter, so that no other `kill -9` is mistaken for it.

Source: `memory.events` of cgroup v2, `memory.oom_control` of v1, and `/proc/vmstat`, each with a line `oom_kill N`.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

_SOON_S: Final = 10.0
"""A process that the kernel kills for lack of memory has given all of it back, and ended, within this time."""


class OomKills:
    """The kernel's kills that no ended process has been matched with yet: each explains one end, which must follow soon.

    Args:
        count: reads the kernel's counter.
        clock: monotonic seconds.
    """

    def __init__(self, *, count: Callable[[], int] | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._count = count_oom_kills if count is None else count
        self._clock = clock
        self._known = self._count()
        self._seen_s: deque[float] = deque()

    def look(self) -> None:
        """Notes whether the counter has risen; must be called at least every few seconds."""
        now_s, known = self._clock(), self._known
        self._known = self._count()
        self._seen_s.extend([now_s] * (self._known - known))
        while self._seen_s and now_s - self._seen_s[0] > _SOON_S:
            self._seen_s.popleft()

    def explain_one(self) -> bool:
        """Whether the kernel killed a process that has just ended by SIGKILL; uses up one kill."""
        self.look()
        if not self._seen_s:
            return False
        self._seen_s.popleft()
        return True


def count_oom_kills(*, proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> int:
    """How often the kernel has killed for lack of memory in this process's control group, which its children share.

    If no control group says, the count is of the whole machine since its boot; 0 if nothing says.
    """
    for counter in (*_own_counters(proc, cgroups), proc / "vmstat"):
        try:
            found = re.search(r"^oom_kill (\d+)$", counter.read_text(), re.MULTILINE)
        except OSError:
            continue
        if found:
            return int(found[1])
    return 0


def _own_counters(proc: Path, cgroups: Path) -> Iterator[Path]:
    """Files that may have the control group's counter, most specific first; in a container its path may be that of the host."""
    try:
        lines = (proc / "self" / "cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if not controllers:  # v2
            yield from (cgroups / folder / "memory.events" for folder in (group.lstrip("/"), ""))
        elif "memory" in controllers.split(","):  # v1
            yield from (cgroups / "memory" / folder / "memory.oom_control" for folder in (group.lstrip("/"), ""))
