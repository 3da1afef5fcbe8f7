"""The Transformer refiner, 1.4 M parameters: attention over 80 ms tokens between convolutions at 40 and 10 ms.

A convolution reads the frames at 10 ms, three dilated ones at 40 ms; pairs of these become a token of 80 ms; three pre-norm
encoder layers relate the tokens; on the way back each resolution is joined with its own from the way down, and every frame is
scored.
Attention at 80 ms costs an eighth of the arithmetic of tokens at 10 ms. Without the convolutions at 40 ms, the same training
budget ends with an error half as large again: so few examples do not teach attention what is near and what is far.

Sources: Vaswani et al. 2017 (attention); Xiong et al. 2020 (normalisation before each sublayer); Ronneberger et al. 2015 (fine
and coarse paths joined); Gulati et al. 2020, "Conformer" (convolution for the near, attention for the far).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from brefine.models.heads import ModelOutput

N_PARAMETERS = 1_400_000
_STEM, _MIDDLE, _WIDTH, _FINE, _MIX = 48, 96, 176, 32, 48
_LAYERS, _HEADS = 3, 4
_DILATIONS = (1, 2, 4)
_MIDDLE_FRAMES, _TOKEN_FRAMES = 4, 8


class TransformerRefiner(nn.Module):
    """Scores every frame of a window, and "no boundary", with a Transformer encoder.

    Args:
        n_channels: F, channels of a frame.
        n_frames: T, frames of a window.
    """

    def __init__(self, n_channels: int, n_frames: int) -> None:
        super().__init__()
        self.n_frames = n_frames
        self.n_tokens = -(-n_frames // _TOKEN_FRAMES)
        self.stem = nn.Conv1d(n_channels, _STEM, kernel_size=5, padding=2)
        self.to_middle = nn.Linear(_MIDDLE_FRAMES * _STEM, _MIDDLE)
        self.near = nn.ModuleList(DilatedBlock(dilation) for dilation in _DILATIONS)
        self.to_tokens = nn.Linear(_TOKEN_FRAMES // _MIDDLE_FRAMES * _MIDDLE, _WIDTH)
        self.position = nn.Parameter(torch.randn(self.n_tokens, _WIDTH) * 0.02)
        self.far = nn.ModuleList(EncoderLayer() for _ in range(_LAYERS))
        self.norm = nn.LayerNorm(_WIDTH)
        self.from_tokens = nn.Linear(_WIDTH, _TOKEN_FRAMES // _MIDDLE_FRAMES * _MIDDLE)
        self.from_middle = nn.Linear(_MIDDLE, _MIDDLE_FRAMES * _FINE)
        self.mix = nn.Conv1d(_STEM + _FINE, _MIX, kernel_size=5, padding=2)
        self.score = nn.Linear(_MIX, 1)
        self.none = nn.Linear(_WIDTH, 1)
        self.prior = nn.Parameter(torch.zeros(n_frames))

    def forward(self, features_BTF: Tensor) -> ModelOutput:
        n_batch, n_padded = len(features_BTF), self.n_tokens * _TOKEN_FRAMES
        if n_padded > self.n_frames:  # padding by nothing would copy the whole input
            features_BTF = functional.pad(features_BTF, (0, 0, 0, n_padded - self.n_frames))
        fine_BTC = functional.gelu(self.stem(features_BTF.transpose(1, 2))).transpose(1, 2)
        middle_BCM = self.to_middle(fine_BTC.reshape(n_batch, n_padded // _MIDDLE_FRAMES, -1)).transpose(1, 2)
        for block in self.near:
            middle_BCM = block(middle_BCM)
        middle_BMC = middle_BCM.transpose(1, 2)
        tokens_BND = self.to_tokens(middle_BMC.reshape(n_batch, self.n_tokens, -1)) + self.position
        for layer in self.far:
            tokens_BND = layer(tokens_BND)
        tokens_BND = self.norm(tokens_BND)
        middle_BMC = functional.gelu(middle_BMC + self.from_tokens(tokens_BND).reshape(middle_BMC.shape))
        spread_BTC = self.from_middle(middle_BMC).reshape(n_batch, n_padded, _FINE)
        mixed_BCT = functional.gelu(self.mix(torch.cat([fine_BTC, spread_BTC], dim=2).transpose(1, 2)))
        logits_BT = self.score(mixed_BCT.transpose(1, 2))[:, : self.n_frames, 0] + self.prior
        return ModelOutput(torch.cat([logits_BT, self.none(tokens_BND.mean(dim=1))], dim=1))


class DilatedBlock(nn.Module):
    """A dilated and a pointwise convolution, added to their input."""

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, _MIDDLE)
        self.wide = nn.Conv1d(_MIDDLE, _MIDDLE, kernel_size=3, dilation=dilation, padding=dilation)
        self.point = nn.Conv1d(_MIDDLE, _MIDDLE, kernel_size=1)

    def forward(self, middle_BCM: Tensor) -> Tensor:
        wide_BCM: Tensor = self.point(functional.gelu(self.wide(self.norm(middle_BCM))))
        return middle_BCM + wide_BCM


class EncoderLayer(nn.Module):
    """Self-attention and a feed-forward net, each after its own normalisation and added to its input."""

    def __init__(self) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(_WIDTH)
        self.to_qkv = nn.Linear(_WIDTH, 3 * _WIDTH)
        self.from_heads = nn.Linear(_WIDTH, _WIDTH)
        self.norm_forward = nn.LayerNorm(_WIDTH)
        self.expand = nn.Linear(_WIDTH, 4 * _WIDTH)
        self.contract = nn.Linear(4 * _WIDTH, _WIDTH)

    def forward(self, tokens_BND: Tensor) -> Tensor:
        n_batch, n_tokens, _ = tokens_BND.shape
        qkv_BNQHC = self.to_qkv(self.norm_attention(tokens_BND)).reshape(n_batch, n_tokens, 3, _HEADS, _WIDTH // _HEADS)
        query, key, value = qkv_BNQHC.permute(2, 0, 3, 1, 4)
        attended_BND = functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        tokens_BND = tokens_BND + self.from_heads(attended_BND)
        forwarded_BND: Tensor = self.contract(functional.gelu(self.expand(self.norm_forward(tokens_BND))))
        return tokens_BND + forwarded_BND
