"""What a model's card tells of its validation."""

from __future__ import annotations

import pytest
import torch

from brefine.models.validated import validation_of


def test_fifty_milliseconds_are_within_fifty_milliseconds() -> None:
    """As where boundaries are scored: 1.05 − 1.00 is more than 0.05 in floating point."""
    logits_BK = torch.full((4, 129), -20.0)
    logits_BK[:, 63:65] = 20.0
    true_shift_B = torch.tensor([1.05, 1.1, 1.2, 1.21], dtype=torch.float64) - 1.0
    found = validation_of(logits_BK, true_shift_B, 0.01, loss=0.0, step=1, epoch=1)
    assert (found.within_50ms, found.within_100ms, found.within_200ms) == (0.25, 0.5, 0.75)
    assert found.mae_ms == pytest.approx(140.0)
