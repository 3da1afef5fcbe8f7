"""What commands print: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any


def print_json(document: Any) -> None:
    """Prints one JSON document; not-a-number has to be null by now."""
    print(json.dumps(document, indent=1, allow_nan=False))


def tell(message: str) -> None:
    """A message for the person, never part of the result."""
    print(message, file=sys.stderr, flush=True)


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Aligned columns, the first to the left, the others to the right; plain text that survives a pipe."""
    lines = [tuple(header), *(tuple(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for line in lines:
        cells = [
            cell.ljust(width) if column == 0 else cell.rjust(width) for column, (cell, width) in enumerate(zip(line, widths))
        ]
        print("  ".join(cells).rstrip())


def percent(rate: float | None, digits: int = 1) -> str:
    return "–" if rate is None else f"{100 * rate:.{digits}f} %"


def milliseconds(value_ms: float | None) -> str:
    return "–" if value_ms is None else f"{value_ms:.0f} ms"
