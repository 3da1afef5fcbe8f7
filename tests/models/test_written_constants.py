"""The constants that the ablations tell of are those of the code."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "ablations.md"


def test_the_table_of_constants_is_that_of_the_code() -> None:
    """A value that is changed is changed in the table, too, or a reader takes an older section's for today's."""
    rows = re.findall(r"^\| `(\w+)` \| ([\d.]+) \| `(brefine/[\w/]+)\.py` \|", PAGE.read_text(encoding="utf-8"), flags=re.M)
    assert len(rows) > 10
    for name, written, module in rows:
        assert getattr(import_module(module.replace("/", ".")), name) == float(written), name
