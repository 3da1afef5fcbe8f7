"""The real pairs that scores are checked on."""

from __future__ import annotations

from pathlib import Path

import pytest

from brefine.core.turns import Diarization
from brefine.io.rttm import read_diarizations

Pair = tuple[Diarization, Diarization]


@pytest.fixture(scope="session")
def vbx_pairs(shared_data: Path) -> list[Pair]:
    """Reference and VBx output of the 216 VoxConverse development recordings."""
    references = read_diarizations(shared_data / "voxconverse/dev/reference")
    hypotheses = read_diarizations(shared_data / "voxconverse/dev/hypothesis/vbx")
    return [(references[name], hypotheses[name]) for name in sorted(references)]
