"""What the tests of the built-in diarizer share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from brefine.diarizers import speakers


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many stretches are compared with one another in each clustering."""
    counts: list[int] = []
    merged = speakers._merged

    def counted(parts: Sequence[np.ndarray], penalty: float) -> np.ndarray:
        counts.append(len(parts))
        return merged(parts, penalty)

    monkeypatch.setattr(speakers, "_merged", counted)
    return counts
