"""Documents that carry a seal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from brefine.io.atomic import read_json
from brefine.phasedir import IntegrationReport, document
from tests.run.records import integration


def test_a_file_that_is_replaced_while_it_is_read_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seal is compared with the content it was read with: a newer file, which brefine wrote as well, is no forgery."""
    path = tmp_path / "integration.json"
    integration("mlp").write(path)

    def read_and_replace(place: Path) -> Any:
        tree = read_json(place)
        integration("transformer").write(place)
        return tree

    monkeypatch.setattr(document, "read_json", read_and_replace)
    assert IntegrationReport.read(path).model == "mlp"
    assert IntegrationReport.read(path).model == "transformer"
