"""AdamW, a learning rate and an average of the weights, the latter two pure functions of the step."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from brefine.config import TrainConfig

BETAS = (0.9, 0.99)
_FINAL_FRACTION = 0.01
"""Learning rate at the last step, as a fraction of the highest."""


def build_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW; vectors (biases, norms, the frames' prior) do not decay.

    Source: Loshchilov and Hutter 2019, "Decoupled weight decay regularization".
    """
    groups = parameter_groups(model, config)
    return torch.optim.AdamW(groups, lr=config.lr, betas=BETAS, fused=True)


def parameter_groups(model: nn.Module, config: TrainConfig) -> list[dict[str, Any]]:
    """The parameters in two groups: with and without weight decay."""
    matrices = [parameter for parameter in model.parameters() if parameter.ndim >= 2]
    vectors = [parameter for parameter in model.parameters() if parameter.ndim < 2]
    return [{"params": matrices, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}]


def learning_rate(step: int, n_steps: int, config: TrainConfig) -> float:
    """Linear warm-up, then a cosine or a line down to a hundredth, or constant."""
    n_warmup = config.warmup_fraction * n_steps
    if step < n_warmup:
        return config.lr * (step + 1) / (n_warmup + 1)
    progress = min(1.0, (step - n_warmup) / max(1.0, n_steps - n_warmup))
    height = {"cosine": 0.5 * (1.0 + math.cos(math.pi * progress)), "linear": 1.0 - progress, "constant": 1.0}[config.schedule]
    return config.lr * (_FINAL_FRACTION + (1.0 - _FINAL_FRACTION) * height)


def average_decay(step: int, decay: float) -> float:
    """Decay of the averaged weights after `step` updates: young averages forget their random start faster."""
    return min(decay, (1.0 + step) / (10.0 + step))


class WeightAverage:
    """An exponential moving average of a model's parameters.

    Source: Polyak and Juditsky 1992; the warm-up of the decay as in TensorFlow's ExponentialMovingAverage.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self._names = [name for name, _ in model.named_parameters()]
        self._parameters: list[Tensor] = [parameter for _, parameter in model.named_parameters()]
        self._averages = [parameter.detach().clone() for parameter in self._parameters]

    def pull(self, step: int) -> float:
        """What share of the way to the weights the average goes after `step` updates."""
        return 1.0 - average_decay(step, self.decay)

    @torch.no_grad()
    def update(self, pull: Tensor) -> None:
        """Moves the average towards the weights by the share `pull`, a single number on the device."""
        for average, parameter in zip(self._averages, self._parameters, strict=True):
            average.lerp_(parameter, pull)

    def state_dict(self) -> dict[str, Tensor]:
        return dict(zip(self._names, self._averages, strict=True))

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        torch._foreach_copy_(self._averages, [state[name] for name in self._names])
