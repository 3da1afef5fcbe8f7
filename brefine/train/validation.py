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
from brefine.models.heads import target_distribution
from brefine.models.validated import validation_of
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
        loss = sum(losses) / len(self)
        return validation_of(torch.cat(logits), self._true_shift_B, self._tables.hop_s, loss=loss, step=step, epoch=epoch)


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
