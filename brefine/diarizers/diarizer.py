"""What every diarizer is to the rest of brefine: audio in, valid turns out, with progress on the way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from brefine.core.turns import Diarization

ReportProgress = Callable[[str, int, int], None]
"""Called with what is being done, for people, and how much of how much is done."""


class Diarizer(Protocol):
    """Who spoke when in a recording. Turns lie within the audio, and no speaker overlaps himself."""

    @property
    def name(self) -> str:
        """As the command line calls it: `builtin`."""

    def diarize(self, audio: Path, *, report: ReportProgress | None = None) -> Diarization:
        """Diarizes one file; the recording is named by the file's stem.

        Raises:
            DataError: the audio cannot be used.
            ProcessError: the diarizer is not installed, or its process failed.
        """


def silent(step: str, done: int, total: int) -> None:
    """A `ReportProgress` for callers that want none."""
