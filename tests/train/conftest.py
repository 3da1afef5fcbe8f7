"""A phase folder with a tiny prepared corpus, ready to be trained in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from brefine.config import PhaseConfig, format_config
from brefine.phasedir import RunDir
from tests.tiny_corpus import make_tiny_corpus, tiny_recipe


@pytest.fixture(autouse=True)
def denormal_numbers() -> Iterator[None]:
    """A trainer flushes them in a process of its own; here others go on, and may need them."""
    yield
    torch.set_flush_denormal(False)


@pytest.fixture(scope="session")
def corpus_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of the tiny prepared corpus; recipes that differ in [train] alone share it."""
    root = tmp_path_factory.mktemp("corpus")
    make_tiny_corpus(tiny_recipe(root))
    return root


@pytest.fixture
def make_run(corpus_root: Path, tmp_path: Path) -> Callable[..., tuple[RunDir, PhaseConfig]]:
    """Makes a run folder for the MLP in a phase of its own; keywords go into the recipe."""

    def make(name: str = "phase", **sections: object) -> tuple[RunDir, PhaseConfig]:
        config = tiny_recipe(corpus_root, **sections)
        run = RunDir(tmp_path / name / "mlp")
        run.path.mkdir(parents=True)
        (run.path.parent / "phase.toml").write_text(format_config(config), encoding="utf-8")
        return run, config

    return make
