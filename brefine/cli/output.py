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
    """Prints one JSON document; not-a-number has to be null by now."""
    print(json.dumps(document, indent=1, allow_nan=False))


def print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        print(printable(line), flush=True)


def on_terminal() -> bool:
    """Whether a person sits at a terminal, and can be asked."""
    return _are_terminals(sys.stdin, sys.stdout)


def can_draw() -> bool:
    """Whether a person would see the dashboard: Textual draws on the standard error stream, a dumb terminal nowhere."""
    return os.environ.get("TERM") != "dumb" and _are_terminals(sys.stdin, sys.stdout, sys.__stderr__)


def _are_terminals(*streams: TextIO | None) -> bool:
    return all(stream is not None and stream.isatty() for stream in streams)  # None: `<&-`


def tell_trainings(phase: PhaseDir) -> None:
    """Tells of trainings that still run, where their models are judged or chosen: they may become better, and they cost."""
    if models := models_in_training(phase):
        tell(f"still training: {', '.join(models)}; what is judged is the best of each so far")


@contextmanager
def starting(phase: PhaseDir) -> Iterator[None]:
    """Where a supervisor is started: it is a session of its own, which Ctrl-C doesn't reach, and it may cost money."""
    try:
        yield
    except KeyboardInterrupt:
        tell("interrupted while its supervisor started, which may go on without you")
        tell(f"look in with: brefine watch {phase.argument}; end it with: brefine stop {phase.argument}")
        raise
