"""`brefine score` as a person reads it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from brefine.cli import app


@pytest.mark.parametrize(
    ("lengths_s", "told"),
    [
        ([90.0], "1 recording, 1.5 min of reference speech"),
        ([3600.0, 1800.0], "2 recordings, 1.50 h of reference speech"),
    ],
)
def test_the_first_line_says_how_much_is_scored(tmp_path: Path, lengths_s: list[float], told: str) -> None:
    """Below an hour in minutes: a talk or two would be 0.00 h."""
    lines = [f"SPEAKER talk{place} 1 0 {length_s} <NA> <NA> A <NA> <NA>\n" for place, length_s in enumerate(lengths_s)]
    (tmp_path / "turns.rttm").write_text("".join(lines))
    turns = str(tmp_path / "turns.rttm")
    done = CliRunner().invoke(app, ["score", "--reference", turns, "--hypothesis", turns])
    assert done.stdout.splitlines()[0] == told
