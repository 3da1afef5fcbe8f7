"""How long the parts of a training take, on a machine that others may use too."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from brefine.io.schedstat import own_s

PARTS = ("data", "validation", "logging", "checkpointing")


class Clock:
    """Seconds that the thread had for itself and seconds of processor time, in all and by part."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.parts_s, self.parts_cpu_s = dict.fromkeys(PARTS, 0.0), dict.fromkeys(PARTS, 0.0)
        self._began = own_s(), time.process_time()

    def stop(self) -> tuple[float, float]:
        return own_s() - self._began[0], time.process_time() - self._began[1]

    def add(self, part: str, taken_s: float, cpu_s: float) -> None:
        self.parts_s[part] += taken_s
        self.parts_cpu_s[part] += cpu_s

    def shares(self, taken_s: float) -> dict[str, float]:
        parts = {part: self.parts_s[part] / taken_s for part in PARTS}
        return {"model": 1.0 - sum(parts.values()), **parts}


class Timed:
    """An object whose methods are timed as one part of the whole."""

    def __init__(self, inner: object, clock: Clock, part: str) -> None:
        self._inner, self._clock, self._part = inner, clock, part

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return timed(found, self._clock, self._part) if callable(found) else found


def timed(function: Callable[..., Any], clock: Clock, part: str) -> Callable[..., Any]:
    """The function, with its time added to a part of the clock."""

    def run(*arguments: Any, **keywords: Any) -> Any:
        began_s, cpu_s = own_s(), time.process_time()
        try:
            return function(*arguments, **keywords)
        finally:
            clock.add(part, own_s() - began_s, time.process_time() - cpu_s)

    return run
