"""Reports how far a stage is, in its progress file, often enough for a screen and seldom enough for a disk."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TextIO

from brefine.identity import own_identity
from brefine.io.folders import is_gone, never_make_anew
from brefine.phasedir import Progress, Stage

_LEAST_S = 0.5
_LEAST_LINE_S = 10.0


class ProgressReporter:
    """Writes one stage's progress file; without a path, and without lines, it says nothing.

    As a context it writes the last word itself: finished, or failed with the error's text. If the disk refuses any other word,
    the screen lags by half a second and the stage goes on; nor does that hide why a stage failed.
    """

    def __init__(self, path: Path | None, stage: Stage, *, lines: TextIO | None = None) -> None:
        """Args:
        lines: where to print it for a person as well: one line a step, and one every few seconds of a long step.
        """
        if path is not None and not is_gone(path.parent.parent):  # a file that a person names may be in a new folder
            never_make_anew(path.parent.parent)
        self._path, self._stage, self._lines = path, stage, lines
        self._line_s = -_LEAST_LINE_S
        self._process = own_identity()
        self._started_unix_s = time.time()
        self._written_s = -_LEAST_S
        self._last = ("", 0, 0)

    def __call__(self, step: str, done: int, total: int) -> None:
        """`done` of `total` parts of this step are ready."""
        changed = step != self._last[0]
        self._last = (step, done, total)
        if self._lines is not None and (changed or time.monotonic() - self._line_s >= _LEAST_LINE_S):
            self._line_s = time.monotonic()
            print(f"{step}: {done} of {total}", file=self._lines, flush=True)
        if changed or time.monotonic() - self._written_s >= _LEAST_S:
            with contextlib.suppress(OSError):
                self._write("running")

    def __enter__(self) -> ProgressReporter:
        return self

    def __exit__(self, kind: object, error: BaseException | None, _trace: object) -> None:
        if error is None:
            self._write("finished")
            return
        with contextlib.suppress(OSError):
            self._write("failed", str(error) or type(error).__name__)

    def _write(self, state: str, error: str | None = None) -> None:
        if self._path is None:
            return
        step, done, total = self._last
        self._written_s = time.monotonic()
        Progress(
            stage=self._stage,
            state=state,
            step=step,
            done=done,
            total=total,
            started_unix_s=self._started_unix_s,
            unix_s=time.time(),
            process=self._process,
            error=error,
        ).write(self._path)
