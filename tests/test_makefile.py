"""The Makefile, where the machine lacks something."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_an_environment_that_is_made_by_half_does_not_stay(tmp_path: Path) -> None:
    """A Python without venv or pip says so each time, with the remedy, instead of failing for want of pip the second time."""
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\n[ "$1" = -c ] && exit 0\nmkdir -p "$3/bin" && touch "$3/bin/python"\nexit 1\n')
    python.chmod(0o755)
    environment = tmp_path / "environment"
    makefile = Path(__file__).parents[1] / "Makefile"
    for _ in range(2):
        ended = subprocess.run(
            ["make", "-f", makefile, f"PYTHON={python}", f"VENV={environment}", f"{environment}/bin/python"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 2
        assert "apt install python3-venv" in ended.stdout
        assert not environment.exists()
