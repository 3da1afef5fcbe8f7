"""The house stands as it was drawn: layers, pure core, and an operator half without torch."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

_REPOSITORY = Path(__file__).parents[1]


def test_imports_run_one_way() -> None:
    """Every contract of pyproject.toml holds: layers, the operator half without torch, a pure core, and no circles."""
    lint = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()", "--no-cache"],
        cwd=_REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert lint.returncode == 0, lint.stdout + lint.stderr


def test_whatever_is_no_code_is_packed_too() -> None:
    """Weights, tables, styles, recipes: an installation without the checkout has all that lies in the package."""
    packed = tomllib.loads((_REPOSITORY / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["brefine"]
    package = _REPOSITORY / "brefine"
    files = [path for path in (*package.rglob("*"), *(package / "recipes").iterdir()) if path.is_file()]
    others = [path.relative_to(package) for path in files if path.suffix not in (".py", ".pyc")]
    assert Path("recipes/demo.toml") in others
    assert [path for path in others if not any(path.match(glob) for glob in packed)] == []


def test_an_installation_with_e_is_a_path() -> None:
    """Type checkers follow paths alone: setuptools writes one where one folder holds all packages, else an import hook."""
    told = tomllib.loads((_REPOSITORY / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert told["package-dir"] == {"": "."}


def test_the_command_line_starts_without_heavy_packages() -> None:
    """`import brefine.cli` loads none of the packages that would make `brefine --help` slow."""
    heavy = {"torch", "textual", "tensorboard", "scipy", "numpy", "pydantic", "rich"}
    script = "import brefine.cli, sys; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert heavy.isdisjoint(loaded)


def test_a_preparation_starts_without_filters() -> None:
    """`scipy.signal`, which takes half of such a process's start, is loaded where a sound is filtered: not for a real corpus."""
    script = "import brefine.data.prepare, sys; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert {"scipy.signal", "torch"}.isdisjoint(loaded)


def test_python_is_started_by_one_function() -> None:
    """Elsewhere the interpreter's path is only told: started without `-P`, it would run what lies where one stands."""
    users = []
    for path in sorted((_REPOSITORY / "brefine").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        told = {id(part) for text in ast.walk(tree) if isinstance(text, ast.JoinedStr) for part in ast.walk(text)}
        named = [part for part in ast.walk(tree) if isinstance(part, ast.Attribute) and part.attr == "executable"]
        users += [path.relative_to(_REPOSITORY).as_posix() for part in named if id(part) not in told]
    assert users == ["brefine/io/interpreter.py"]


def test_the_phase_directory_hands_on_to_strict_callers() -> None:
    """brefine ships its types: a caller whose type checker is strict is refused names that are imported and not handed on."""
    tree = ast.parse((_REPOSITORY / "brefine/phasedir/__init__.py").read_text(encoding="utf-8"))
    names = [name for part in tree.body if isinstance(part, ast.ImportFrom) for name in part.names]
    assert names and [name.name for name in names if name.asname != name.name] == []
