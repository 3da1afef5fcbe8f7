"""Boundary refiners: three plain architectures with one interface.

`model(features_BTF) -> ModelOutput`: T frames centred on a hypothesised boundary in, a distribution over its true place out.
`models.heads` says what the logits mean.
"""

from __future__ import annotations

from torch import nn

from brefine.config import ExampleConfig, FeatureConfig, ModelName
from brefine.core.frames import n_window_frames
from brefine.data.batches import n_channels_of
from brefine.models.contrastive import ContrastiveRefiner
from brefine.models.mlp import MlpRefiner
from brefine.models.transformer import TransformerRefiner

_ARCHITECTURES = {"transformer": TransformerRefiner, "mlp": MlpRefiner, "contrastive": ContrastiveRefiner}


def build_model(name: ModelName, features: FeatureConfig, examples: ExampleConfig) -> nn.Module:
    """A freshly initialised model for windows of `examples.context_s` on each side."""
    return _ARCHITECTURES[name](n_channels_of(features), n_window_frames(examples.context_s, features.hop_s))


def count_parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())
