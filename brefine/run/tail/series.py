"""Growing scalars of one event file, which are cut back if a training starts again at an earlier step."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from brefine.run.tail.events import Scalars

_FIRST_CAPACITY = 256


class GrowingSeries:
    """One tag of one file: steps rise, and what is written later wins.

    Views that were handed out do not change: growing writes behind them, and cutting back moves to new memory.
    """

    def __init__(self) -> None:
        self._steps = np.empty(_FIRST_CAPACITY, dtype=np.int64)
        self._values = np.empty(_FIRST_CAPACITY, dtype=np.float64)
        self._unix_s = np.empty(_FIRST_CAPACITY, dtype=np.float64)
        self._n = 0

    @property
    def steps(self) -> NDArray[np.int64]:
        return self._steps[: self._n]

    @property
    def values(self) -> NDArray[np.float64]:
        return self._values[: self._n]

    @property
    def unix_s(self) -> NDArray[np.float64]:
        return self._unix_s[: self._n]

    def extend(self, scalars: Scalars) -> None:
        """Appends values; each one drops earlier values of its step and later ones, which a restarted training replaces."""
        last_of_later = np.minimum.accumulate(scalars.steps[::-1])[::-1]
        kept = np.append(scalars.steps[:-1] < last_of_later[1:], True)
        steps = scalars.steps[kept]
        self.cut(int(steps[0]))
        n = self._n + len(steps)
        if n > len(self._steps):
            self._move(max(n, 2 * self._n))
        self._steps[self._n : n] = steps
        self._values[self._n : n] = scalars.values[kept]
        self._unix_s[self._n : n] = scalars.unix_s[kept]
        self._n = n

    def cut(self, step: int) -> None:
        """Drops the values of `step` and later ones."""
        if self._n and self._steps[self._n - 1] >= step:
            self._n = int(np.searchsorted(self.steps, step))
            self._move(max(self._n, _FIRST_CAPACITY))

    def _move(self, capacity: int) -> None:
        for name in ("_steps", "_values", "_unix_s"):
            old = getattr(self, name)
            new = np.empty(capacity, dtype=old.dtype)
            new[: self._n] = old[: self._n]
            setattr(self, name, new)
