"""A phase directory is one that can be opened, or it is not made."""

from __future__ import annotations

from pathlib import Path

import pytest

from brefine.config import parse_config, with_absolute_paths
from brefine.errors import ConfigError
from brefine.run.launch import create_phase

_RECIPE = """schema = 1
runs = "runs"
[corpus]
kind = "simulated"
[models.mlp]
[executor.directives]
"a.b" = 1
"""


def test_a_phase_opens_wherever_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder whose name is beyond U+FFFF, and with a key that TOML wants in quotes."""
    folder = tmp_path / "𠮷野 🎙"
    folder.mkdir()
    monkeypatch.chdir(folder)
    config = parse_config(_RECIPE, where="mine.toml")
    assert create_phase(config).load_config() == with_absolute_paths(config)


@pytest.mark.parametrize("unprintable", ["\x7f", "\udcff"])
def test_a_phase_that_nobody_could_open_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unprintable: str) -> None:
    """Relative paths take the current folder's name into the recipe, whatever it is."""
    folder = tmp_path / f"a{unprintable}b"
    folder.mkdir()
    monkeypatch.chdir(folder)
    with pytest.raises(ConfigError, match="cannot be printed"):
        create_phase(parse_config(_RECIPE, where="mine.toml"))
    assert list(folder.iterdir()) == []
