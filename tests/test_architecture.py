"""The house stands as it was drawn: layers, pure core, and an operator half without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_REPOSITORY = Path(__file__).parents[1]


def test_imports_run_one_way() -> None:
    """Every contract of pyproject.toml holds: layers, the operator half without torch, a pure core."""
    lint = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()", "--no-cache"],
        cwd=_REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert lint.returncode == 0, lint.stdout + lint.stderr


def test_the_command_line_starts_without_heavy_packages() -> None:
    """`import brefine.cli` loads none of the packages that would make `brefine --help` slow."""
    heavy = {"torch", "textual", "tensorboard", "scipy", "numpy", "pydantic", "rich"}
    script = "import brefine.cli, sys; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert heavy.isdisjoint(loaded)
