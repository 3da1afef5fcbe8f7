"""How well the averaged weights place the boundaries of the validation split."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from brefine.data.batches import Tables, placed
from brefine.data.examples import Examples
from brefine.models.heads import decode, mean_confidence, target_distribution
from brefine.phasedir import Validation
from brefine.train.device import Device
from brefine.train.losses import refiner_loss

_BATCH = 128


class ValidationSet:
    """The matched boundaries of the validation split where the hypothesis has them."""

    def __init__(self, tables: Tables, examples: Examples, *, sigma_frames: float, device: Device) -> None:
        matched = examples[examples.positive]
        self._tables, self._device, self._sigma_frames = tables, device, sigma_frames
        self._places, self._offset_frames_B = placed(tables, matched, matched.hypothesis_s)
        self._true_shift_B = torch.from_numpy(self._offset_frames_B.double().cpu().numpy() * tables.hop_s)
        self.unrefined_mae_ms = float(np.abs(matched.offset_s).mean() * 1e3) if len(matched) else None

    def __len__(self) -> int:
        return len(self._offset_frames_B)

    @torch.inference_mode()
    def measure(
        self, model: nn.Module, weights: dict[str, Tensor], *, step: int, epoch: int, on_batch: Callable[[], None] = lambda: None
    ) -> Validation:
        """Figures of the model with `weights` in place, decoded without a prior.

        Args:
            on_batch: called between batches, so that a long validation still shows signs of life.
        """
        logits, losses = [], []
        for start in range(0, len(self), _BATCH):
            chosen = slice(start, start + _BATCH)
            features_BTF, offset_B = self._tables.windows(self._places, chosen), self._offset_frames_B[chosen]
            with _evaluating(model), self._device.autocast():
                output = functional_call(model, weights, (features_BTF,))
            target_BK = target_distribution(offset_B, self._tables.n_frames, self._sigma_frames)
            losses.append(float(refiner_loss(output, target_BK, offset_B)) * len(offset_B))
            logits.append(output.logits_BK.float().cpu())
            on_batch()
        if not logits:
            return _empty(step, epoch)
        logits_BK = torch.cat(logits)
        frames_BT = torch.softmax(logits_BK[:, :-1], dim=1)
        error_B = decode(logits_BK, self._tables.hop_s).shift_s.double() - self._true_shift_B
        absolute_B = error_B.abs().numpy()
        return Validation(
            step=step,
            epoch=epoch,
            loss=_finite(sum(losses) / len(self)),
            mae_ms=_finite(float(absolute_B.mean() * 1e3)),
            median_ms=_finite(float(np.median(absolute_B) * 1e3)),
            within_50ms=float((absolute_B <= 0.05).mean()),
            within_100ms=float((absolute_B <= 0.1).mean()),
            within_200ms=float((absolute_B <= 0.2).mean()),
            confidence=_finite(mean_confidence(frames_BT, self._tables.hop_s)),
        )


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def _empty(step: int, epoch: int) -> Validation:
    return Validation(
        step=step,
        epoch=epoch,
        loss=None,
        mae_ms=None,
        median_ms=None,
        within_50ms=None,
        within_100ms=None,
        within_200ms=None,
    )


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
