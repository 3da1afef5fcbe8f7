"""All event files of one training, as one set of curves."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from brefine.run.snapshot import Curve
from brefine.run.tail.file import EventFileTail, TailFault

_EVENTS: Final = "tfevents"


class RunTail:
    """Follows the event files of one folder.

    A later file (by the time in its name) replaces the earlier ones from its first step on, tag by tag, and from its session's
    step on for all tags. So the curve of a restarted training never jumps back, whether or not its writer purged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: dict[str, EventFileTail] = {}
        self._curves: dict[str, Curve] = {}

    def poll(self, *, limit_s: float = 0.2) -> bool:
        """Reads what is new, for about `limit_s` seconds at most; returns whether more is waiting."""
        until_s = time.monotonic() + limit_s
        for path in event_files(self.folder):
            self._files.setdefault(path.name, EventFileTail(path))
        for _, tail in sorted(self._files.items()):
            while tail.poll():
                if time.monotonic() > until_s:
                    return True
        return False

    def curves(self) -> Mapping[str, Curve]:
        """Tag → curve; a curve that did not change is the same object as before."""
        tails = [tail for _, tail in sorted(self._files.items())]
        tags = sorted({tag for tail in tails for tag in tail.series})
        self._curves = {tag: self._curve(tag, tails) for tag in tags}
        return MappingProxyType(self._curves)

    @property
    def faults(self) -> tuple[TailFault, ...]:
        return tuple(fault for _, tail in sorted(self._files.items()) for fault in tail.faults)

    def last_written_unix_s(self) -> float | None:
        """When any of the files last changed; None without files."""
        times = []
        for path in event_files(self.folder):
            with contextlib.suppress(OSError):  # it was removed after it was listed
                times.append(path.stat().st_mtime)
        return max(times, default=None)

    def _curve(self, tag: str, tails: list[EventFileTail]) -> Curve:
        parts: list[tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]] = []
        cut_at: int | None = None
        for tail in reversed(tails):
            series = tail.series.get(tag)
            if series is not None and len(series.steps):
                n = len(series.steps) if cut_at is None else int(np.searchsorted(series.steps, cut_at))
                parts.append((series.steps[:n], series.values[:n], series.unix_s[:n]))
            for step in (tail.session_step, tail.first_step.get(tag)):
                if step is not None:
                    cut_at = step if cut_at is None else min(cut_at, step)
        known = self._curves.get(tag)
        if len(parts) == 1:
            steps, values, unix_s = parts[0]
        else:
            steps = np.concatenate([part[0] for part in reversed(parts)] or [np.empty(0, dtype=np.int64)])
            values = np.concatenate([part[1] for part in reversed(parts)] or [np.empty(0)])
            unix_s = np.concatenate([part[2] for part in reversed(parts)] or [np.empty(0)])
        same = (
            known is not None
            and len(known.steps) == len(steps)
            and (len(steps) == 0 or (known.steps[-1] == steps[-1] and known.unix_s[-1] == unix_s[-1]))
        )
        return known if known is not None and same else Curve(tag, steps, values, unix_s)


def event_files(folder: Path) -> list[Path]:
    """The event files directly in a folder, oldest first; none if it cannot be read, or is gone."""
    try:
        return sorted(path for path in folder.iterdir() if _EVENTS in path.name and path.is_file())
    except OSError:
        return []


def find_run_folders(root: Path, *, limit: int = 200) -> list[Path]:
    """`root` and the folders below it that contain event files, as TensorBoard would list them; folders may vanish meanwhile."""
    folders = (Path(folder) for folder, _, names in os.walk(root) if any(_EVENTS in name for name in names))
    return sorted(filter(event_files, folders))[:limit]
