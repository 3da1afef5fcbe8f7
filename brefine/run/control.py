"""Requests by the person, handed to the supervisor as files: one file each, acted on once, in the order of the requests."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from brefine.config import ModelName
from brefine.errors import FormatError
from brefine.phasedir import ControlRequest, PhaseDir, Wish


def request(phase: PhaseDir, action: Wish, model: ModelName | None = None) -> Path:
    """Asks the phase's supervisor to stop, pause, resume or restart one training, or, without a model, all of them.

    Returns:
        the file of the request, which exists until it has been acted on.
    """
    name = f"{time.time_ns()}-{action}" + (f"-{model}" if model is not None else "")
    path = phase.control / f"{name}.json"
    ControlRequest(action=action, model=model, unix_s=time.time()).write(path)
    return path


def pending_requests(phase: PhaseDir) -> Iterator[tuple[Path, ControlRequest | FormatError]]:
    """The requests that wait, oldest first; whoever acts on one deletes its file afterwards."""
    if not phase.control.is_dir():
        return
    for path in sorted(phase.control.glob("*.json")):
        try:
            yield path, ControlRequest.read(path)
        except FormatError as error:
            yield path, error
        except FileNotFoundError:
            continue
