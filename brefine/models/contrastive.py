"""The Contrastive refiner, 357 K parameters: a boundary is where the frames on its left differ most from those on its right.

An encoder gives every 10 ms frame an embedding of unit length, conditioned on whose boundary is sought and on which side.
For each frame k and several spans L, the mean embedding of the L frames before k is compared with that of the L frames after
it; the logit of k is a weighted sum of these dissimilarities, 1 − cosine. There is no other path from the audio to a frame's
logit: the net can locate a boundary only by pulling the two sides apart, and the contrastive term of the loss
(`train.losses.side_contrast`) asks for just that: frames on one side of the true boundary alike, frames across it unlike.

Sources: Khosla et al. 2020, "Supervised contrastive learning" (the loss); Foote 2000, "Automatic audio segmentation using a
measure of audio novelty" and Kreuk et al. 2020, "Self-supervised contrastive learning for unsupervised phoneme segmentation"
(localisation by the dissimilarity of adjacent spans); Yu and Koltun 2016 (dilated convolutions).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from brefine.models.heads import ModelOutput

N_PARAMETERS = 361_000
"""Parameters that it is built to have, within 3 %."""
_STEM, _WIDTH, _EMBEDDING = 48, 96, 40
_STRIDE = 4
_DILATIONS = (1, 2, 4, 8, 1, 2, 4, 8)
_SPANS_FRAMES = (3, 8, 20, 50)


class ContrastiveRefiner(nn.Module):
    """Scores every frame of a window, and "no boundary", by the dissimilarity of left and right.

    Args:
        n_channels: F, channels of a frame.
        n_frames: T, frames of a window.
    """

    def __init__(self, n_channels: int, n_frames: int) -> None:
        super().__init__()
        self.n_frames = n_frames
        self.n_coarse = -(-n_frames // _STRIDE)
        self.stem = nn.Conv1d(n_channels, _STEM, kernel_size=5, padding=2)
        self.coarsen = nn.Linear(_STRIDE * _STEM, _WIDTH)
        self.blocks = nn.ModuleList(DilatedBlock(dilation) for dilation in _DILATIONS)
        self.refine = nn.Linear(_WIDTH, _STRIDE * _EMBEDDING)
        self.embed = nn.Linear(_STEM + _EMBEDDING, _EMBEDDING)
        self.sharpness = nn.Parameter(torch.full((len(_SPANS_FRAMES),), 4.0))
        self.none = nn.Linear(_WIDTH + len(_SPANS_FRAMES), 1)
        self.prior = nn.Parameter(torch.zeros(n_frames))

    def forward(self, features_BTF: Tensor) -> ModelOutput:
        n_batch = len(features_BTF)
        n_padding = self.n_coarse * _STRIDE - self.n_frames
        if n_padding:  # padding by nothing would copy the whole input
            features_BTF = functional.pad(features_BTF, (0, 0, 0, n_padding))
        fine_BTC = functional.gelu(self.stem(features_BTF.transpose(1, 2))).transpose(1, 2)
        coarse_BCN = self.coarsen(fine_BTC.reshape(n_batch, self.n_coarse, -1)).transpose(1, 2)
        for block in self.blocks:
            coarse_BCN = block(coarse_BCN)
        spread_BTE = self.refine(coarse_BCN.transpose(1, 2)).reshape(n_batch, -1, _EMBEDDING)
        embeddings_BTE = self.embed(torch.cat([fine_BTC, spread_BTE], dim=2))[:, : self.n_frames]
        embeddings_BTE = functional.normalize(embeddings_BTE, dim=2)
        dissimilarity_BST = dissimilarity(embeddings_BTE, _SPANS_FRAMES)
        logits_BT = torch.einsum("s,bst->bt", self.sharpness, dissimilarity_BST) + self.prior
        evidence_BC = torch.cat([coarse_BCN.mean(dim=2), dissimilarity_BST.amax(dim=2)], dim=1)
        return ModelOutput(torch.cat([logits_BT, self.none(evidence_BC)], dim=1), embeddings_BTE)


class DilatedBlock(nn.Module):
    """A dilated and a pointwise convolution, added to their input; eight of them see ±1.2 s."""

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, _WIDTH)
        self.wide = nn.Conv1d(_WIDTH, _WIDTH, kernel_size=3, dilation=dilation, padding=dilation)
        self.point = nn.Conv1d(_WIDTH, _WIDTH, kernel_size=1)

    def forward(self, coarse_BCN: Tensor) -> Tensor:
        wide_BCN: Tensor = self.point(functional.gelu(self.wide(self.norm(coarse_BCN))))
        return coarse_BCN + wide_BCN


def dissimilarity(embeddings_BTE: Tensor, spans_frames: Sequence[int]) -> Tensor:
    """1 − cosine between the mean embeddings before and after each frame, for each span: shape (B, S, T), float32.

    At the window's ends the means are of fewer frames; the first frame has none before it and the last none after it, so they are
    compared with themselves. The running sums are in float32 whatever the precision: bfloat16 would lose their digits.
    """
    with torch.autocast(embeddings_BTE.device.type, enabled=False):
        embeddings_BTE = embeddings_BTE.float()
        running_BTE = embeddings_BTE.cumsum(dim=1)
        return torch.stack([_dissimilarity(embeddings_BTE, running_BTE, span) for span in spans_frames], dim=1)


def _dissimilarity(embeddings_BTE: Tensor, running_BTE: Tensor, span: int) -> Tensor:
    """For one span, shape (B, T).

    The frames after one frame are those before a later one: with S_i the sum over the frames i − span … i − 1, the two sides
    of frame k have the sums S_k and S_(k + span + 1). The cosine of sums is that of means.
    """
    n_frames = embeddings_BTE.shape[1]
    span = min(span, n_frames)
    entering_BTE = running_BTE[:, :span]
    inside_BTE = running_BTE[:, span:] - running_BTE[:, :-span]
    leaving_BTE = running_BTE[:, -1:] - running_BTE[:, n_frames - span : -1]
    sums_BIE = torch.cat([embeddings_BTE[:, :1], entering_BTE, inside_BTE, leaving_BTE, embeddings_BTE[:, -1:]], dim=1)
    norms_BI = torch.linalg.vector_norm(sums_BIE, dim=2).clamp(min=1e-4)
    before_BTE, after_BTE = sums_BIE[:, :n_frames], sums_BIE[:, span + 1 :]
    cosine_BT: Tensor = (before_BTE * after_BTE).sum(dim=2) / (norms_BI[:, :n_frames] * norms_BI[:, span + 1 :])
    return 1.0 - cosine_BT
