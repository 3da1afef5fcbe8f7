"""Several refiners as one: the mean of what they say.

Models that were trained alike make different errors; their mean makes smaller ones, above all where each is unsure. Probabilities
are averaged, not logits: one member that is sure cannot be outvoted into silence, and none can veto the others. Each member's
logits are divided by a temperature first, which makes its confidence honest on held-out recordings.

Source: Lakshminarayanan et al. 2017, "Simple and scalable predictive uncertainty estimation using deep ensembles"; Guo et al.
2017, "On calibration of modern neural networks" (temperature).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from brefine.models.heads import ModelOutput


class Ensemble(nn.Module):
    """Members with one input and one output shape."""

    temperature_M: Tensor

    def __init__(self, members: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleDict(members)
        self.register_buffer("temperature_M", torch.ones(len(members)))

    def forward(self, features_BTF: Tensor) -> ModelOutput:
        said_MBK = torch.stack(
            [
                torch.softmax(member(features_BTF).logits_BK.float() / temperature, dim=1)
                for member, temperature in zip(self.members.values(), self.temperature_M, strict=True)
            ]
        )
        return ModelOutput(torch.log(said_MBK.mean(dim=0).clamp(min=1e-12)))
