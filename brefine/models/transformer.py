"""The Transformer refiner, 1.4 M parameters: attention over 80 ms tokens, precision from a 10 ms skip connection.

A convolution reads the frames at 10 ms; groups of eight become one token; four pre-norm encoder layers relate the tokens;
each token is spread over its eight frames again and, beside the first convolution's output, scored frame by frame.
Attention at 80 ms costs an eighth of the arithmetic of tokens at 10 ms, and the skip connection gives the resolution back.

Sources: Vaswani et al. 2017 (attention); Xiong et al. 2020 (normalisation before each sublayer trains without long warm-up);
Ronneberger et al. 2015 (skip connection from the fine to the coarse-and-back path).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from brefine.models.heads import ModelOutput

N_PARAMETERS = 1_400_000
_STEM, _WIDTH, _LAYERS, _HEADS, _FINE = 64, 160, 4, 4, 32
_TOKEN_FRAMES = 8


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
        self.gather = nn.Linear(_TOKEN_FRAMES * _STEM, _WIDTH)
        self.position = nn.Parameter(torch.randn(self.n_tokens, _WIDTH) * 0.02)
        self.layers = nn.ModuleList(EncoderLayer() for _ in range(_LAYERS))
        self.norm = nn.LayerNorm(_WIDTH)
        self.spread = nn.Linear(_WIDTH, _TOKEN_FRAMES * _FINE)
        self.mix = nn.Conv1d(_STEM + _FINE, 48, kernel_size=5, padding=2)
        self.score = nn.Linear(48, 1)
        self.none = nn.Linear(_WIDTH, 1)
        self.prior = nn.Parameter(torch.zeros(n_frames))

    def forward(self, features_BTF: Tensor) -> ModelOutput:
        n_padding = self.n_tokens * _TOKEN_FRAMES - self.n_frames
        features_BTF = functional.pad(features_BTF, (0, 0, 0, n_padding))
        fine_BTC = functional.gelu(self.stem(features_BTF.transpose(1, 2))).transpose(1, 2)
        tokens_BND = self.gather(fine_BTC.reshape(len(fine_BTC), self.n_tokens, -1)) + self.position
        for layer in self.layers:
            tokens_BND = layer(tokens_BND)
        tokens_BND = self.norm(tokens_BND)
        spread_BTC = self.spread(tokens_BND).reshape(len(fine_BTC), self.n_tokens * _TOKEN_FRAMES, _FINE)
        mixed_BCT = functional.gelu(self.mix(torch.cat([fine_BTC, spread_BTC], dim=2).transpose(1, 2)))
        logits_BT = self.score(mixed_BCT.transpose(1, 2))[:, : self.n_frames, 0] + self.prior
        return ModelOutput(torch.cat([logits_BT, self.none(tokens_BND.mean(dim=1))], dim=1))


class EncoderLayer(nn.Module):
    """Self-attention and a feed-forward net, each behind its own normalisation and added to its input."""

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
