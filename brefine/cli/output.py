"""What commands print: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from brefine.errors import printable, tell
from brefine.phasedir import PhaseDir
from brefine.run.workers import models_in_training


def print_json(document: Any) -> None:
    """Prints one JSON document; the caller has replaced not-a-number by null."""
    print(json.dumps(document, indent=1, allow_nan=False))


def print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        print(printable(line), flush=True)


def on_terminal() -> bool:
    """Whether a person is at a terminal and can be asked."""
    return _are_terminals(sys.stdin, sys.stdout)


def can_draw() -> bool:
    """Whether a person would see the dashboard: Textual draws on standard error, and a dumb terminal cannot show it."""
    return os.environ.get("TERM") != "dumb" and _are_terminals(sys.stdin, sys.stdout, sys.__stderr__)


def _are_terminals(*streams: TextIO | None) -> bool:
    return all(stream is not None and stream.isatty() for stream in streams)  # None if it was closed: `<&-`


def tell_trainings(phase: PhaseDir) -> None:
    """Names trainings that still run when their models are judged or chosen: they may still improve, and they cost money."""
    if models := models_in_training(phase):
        tell(f"still training: {', '.join(models)}; each is judged by its best checkpoint so far")


@contextmanager
def starting(phase: PhaseDir) -> Iterator[None]:
    """For the start of a supervisor: Ctrl-C does not reach its session, and it may cost money, so whoever interrupts is told."""
    try:
        yield
    except KeyboardInterrupt:
        tell("interrupted while the supervisor was starting; it may carry on without you")
        tell(f"watch it with: brefine watch {phase.argument}; end it with: brefine stop {phase.argument}")
        raise
