"""How close to the truth a model puts boundaries whose place is known: the validation figures on its card."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from brefine.core.boundary_error import ROUNDING_S
from brefine.models.heads import decode, mean_confidence
from brefine.phasedir import Validation


def validation_of(logits_BK: Tensor, true_shift_B: Tensor, hop_s: float, *, loss: float, step: int, epoch: int) -> Validation:
    """The figures of logits decoded without a prior; there must be at least one boundary.

    Args:
        true_shift_B: true boundary − the window's middle in seconds, float64.
        loss: of the same boundaries.
        step: the training's step when they were measured; likewise `epoch`.
    """
    frames_BT = torch.softmax(logits_BK[:, :-1], dim=1)
    absolute_B = (decode(logits_BK, hop_s).shift_s.double() - true_shift_B).abs().numpy()

    def within(limit_ms: int) -> float:
        return float((absolute_B <= limit_ms / 1000 + ROUNDING_S).mean())

    return Validation(
        step=step,
        epoch=epoch,
        loss=_finite(loss),
        mae_ms=_finite(float(absolute_B.mean() * 1e3)),
        median_ms=_finite(float(np.median(absolute_B) * 1e3)),
        within_50ms=within(50),
        within_100ms=within(100),
        within_200ms=within(200),
        confidence=_finite(mean_confidence(frames_BT, hop_s)),
    )


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
