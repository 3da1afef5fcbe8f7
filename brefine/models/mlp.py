"""The MLP refiner, 822 K parameters: nothing but matrix products and GELUs, twelve times cheaper than the Transformer.

A flat net would spend all its parameters on its first layer. Here one small net reads each 160 ms patch, a mixer block lets the
patches exchange what they saw, a dense net looks at the whole window at once, and each patch then scores its sixteen frames.
The dense net is as wide as the parameter count allows, so the count is the same for every window. Patches of 80 ms and a second
block take twice the time for the same error.

Source: Tolstikhin et al. 2021, "MLP-Mixer: An all-MLP architecture for vision" (patches, token and channel mixing).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from brefine.models.heads import ModelOutput

N_PARAMETERS = 822_000
_WIDTH, _SUMMARY = 128, 32
_PATCH_FRAMES = 16


class MlpRefiner(nn.Module):
    """Scores every frame of a window, and "no boundary", with multi-layer perceptrons.

    Args:
        n_channels: F, channels of a frame.
        n_frames: T, frames of a window.
    """

    def __init__(self, n_channels: int, n_frames: int) -> None:
        super().__init__()
        self.n_frames = n_frames
        self.n_patches = -(-n_frames // _PATCH_FRAMES)
        self.embed = nn.Sequential(nn.Linear(_PATCH_FRAMES * n_channels, _WIDTH), nn.GELU(), nn.Linear(_WIDTH, _WIDTH))
        self.mix = MixerBlock(self.n_patches)
        self.norm = nn.LayerNorm(_WIDTH)
        self.summarise = nn.Linear(_WIDTH, _SUMMARY)
        self.score = nn.Sequential(nn.Linear(_WIDTH + _SUMMARY, _WIDTH), nn.GELU(), nn.Linear(_WIDTH, _PATCH_FRAMES))
        self.prior = nn.Parameter(torch.zeros(n_frames))
        n_so_far = sum(parameter.numel() for parameter in self.parameters())
        n_summary = self.n_patches * _SUMMARY
        width = _dense_width(N_PARAMETERS - n_so_far, n_summary)
        self.dense = nn.Sequential(nn.Linear(n_summary, width), nn.GELU(), nn.Linear(width, width), nn.GELU())
        self.spread = nn.Linear(width, n_summary)
        self.none = nn.Linear(width, 1)

    def forward(self, features_BTF: Tensor) -> ModelOutput:
        n_padding = self.n_patches * _PATCH_FRAMES - self.n_frames
        if n_padding:  # padding by nothing would copy the whole input
            features_BTF = functional.pad(features_BTF, (0, 0, 0, n_padding))
        patches_BNP = features_BTF.reshape(len(features_BTF), self.n_patches, -1)
        patches_BND = self.norm(self.mix(self.embed(patches_BNP)))
        whole_BW = self.dense(self.summarise(patches_BND).flatten(1))
        spread_BNS = self.spread(whole_BW).reshape(len(whole_BW), self.n_patches, _SUMMARY)
        logits_BT = self.score(torch.cat([patches_BND, spread_BNS], dim=2)).flatten(1)[:, : self.n_frames] + self.prior
        return ModelOutput(torch.cat([logits_BT, self.none(whole_BW)], dim=1))


class MixerBlock(nn.Module):
    """A net across the patches, then one across the channels, each after its own normalisation and added to its input."""

    def __init__(self, n_patches: int) -> None:
        super().__init__()
        self.norm_patches = nn.LayerNorm(_WIDTH)
        self.across_patches = nn.Sequential(nn.Linear(n_patches, 2 * n_patches), nn.GELU(), nn.Linear(2 * n_patches, n_patches))
        self.norm_channels = nn.LayerNorm(_WIDTH)
        self.across_channels = nn.Sequential(nn.Linear(_WIDTH, 2 * _WIDTH), nn.GELU(), nn.Linear(2 * _WIDTH, _WIDTH))

    def forward(self, patches_BND: Tensor) -> Tensor:
        mixed_BDN: Tensor = self.across_patches(self.norm_patches(patches_BND).transpose(1, 2))
        patches_BND = patches_BND + mixed_BDN.transpose(1, 2)
        channels_BND: Tensor = self.across_channels(self.norm_channels(patches_BND))
        return patches_BND + channels_BND


def _dense_width(n_parameters: int, n_summary: int) -> int:
    """The width w that spends `n_parameters` on the dense net: w² + (2·n_summary + 3)·w + n_summary + 1 of them."""
    half = n_summary + 1.5
    return max(32, round(math.sqrt(half**2 + n_parameters - n_summary - 1) - half))
