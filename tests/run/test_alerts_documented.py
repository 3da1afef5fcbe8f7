"""The table of alerts that people read, beside the kinds that exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from brefine.phasedir import AlertKind

_TABLE = Path(__file__).parents[2] / "docs" / "watching.md"


def test_the_table_of_alerts_has_each_kind_once_and_no_other() -> None:
    """Whoever adds a kind explains it; whoever removes one takes its line away."""
    section = _TABLE.read_text().partition("## Alerts")[2].partition("\n\nThe supervisor")[0]
    cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    assert sorted(kind for cell in cells for kind in re.findall(r"`([^`]+)`", cell)) == sorted(get_args(AlertKind))
