"""Nothing here touches the ledger of the person who runs the tests; and a phase that passes gate 4 by right, to be spoilt."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.run.honest_phase import HonestPhase


@pytest.fixture(autouse=True)
def own_state_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's state directory lies in the test's own folder."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture(scope="session")
def honest_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("honest")
    HonestPhase(folder).make()
    return folder


@pytest.fixture
def honest(honest_folder: Path, tmp_path: Path) -> HonestPhase:
    shutil.copytree(honest_folder, tmp_path, dirs_exist_ok=True)
    return HonestPhase(tmp_path)
