"""The Contrastive refiner, 361 K parameters: a boundary is where the frames on its left differ most from those on its right.

An encoder gives every 10 ms frame an embedding of unit length, conditioned on whose boundary is sought and of which side.
For each frame k and several spans L, the mean embedding of the L frames before k is compared with that of the L frames after
it; the logit of k is a weighted sum of these dissimilarities, 1 − cosine. There is no other path from the audio to a frame's
logit: the net can locate a boundary only by pulling the two sides apart, and the contrastive term of the loss
(`train.losses.side_contrast`) asks for just that: frames on one side of the true boundary alike, frames across it unlike.

Sources: Khosla et al. 2020, "Supervised contrastive learning" (the loss); Foote 2000, "Automatic audio segmentation using a
measure of audio novelty" and Kreuk et al. 2020, "Self-supervised contrastive learning for unsupervised phoneme segmentation"
(localisation by the dissimilarity of adjacent spans); Yu and Koltun 2016 (dilated convolutions).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from brefine.models.heads import ModelOutput

N_PARAMETERS = 361_000
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

    left_STT: Tensor
    right_STT: Tensor

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
        self.register_buffer("left_STT", _averages(n_frames, before=True), persistent=False)
        self.register_buffer("right_STT", _averages(n_frames, before=False), persistent=False)

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
        dissimilarity_BST = self._dissimilarity(embeddings_BTE)
        logits_BT = torch.einsum("s,bst->bt", self.sharpness, dissimilarity_BST) + self.prior
        evidence_BC = torch.cat([coarse_BCN.mean(dim=2), dissimilarity_BST.amax(dim=2)], dim=1)
        return ModelOutput(torch.cat([logits_BT, self.none(evidence_BC)], dim=1), embeddings_BTE)

    def _dissimilarity(self, embeddings_BTE: Tensor) -> Tensor:
        """1 − cosine between the mean embeddings before and after each frame, for each span: shape (B, S, T)."""
        left_BSTE = torch.einsum("stu,bue->bste", self.left_STT, embeddings_BTE)
        right_BSTE = torch.einsum("stu,bue->bste", self.right_STT, embeddings_BTE)
        return 1.0 - functional.cosine_similarity(left_BSTE, right_BSTE, dim=3, eps=1e-4)


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


def _averages(n_frames: int, *, before: bool) -> Tensor:
    """For each span, the matrix that averages the frames before (or after) each frame; at the window's ends what is there.

    Shape (S, T, T). As matrices these means cost one product; running sums would lose their digits in bfloat16.
    """
    rows, columns = torch.arange(n_frames)[:, None], torch.arange(n_frames)[None, :]
    distance = rows - columns if before else columns - rows
    # the first frame has nothing before it, the last nothing after it: they are compared with themselves
    distance = distance.clamp(min=0) + (distance == 0) * (rows == (0 if before else n_frames - 1))
    masks = torch.stack([((distance > 0) & (distance <= span)).float() for span in _SPANS_FRAMES])
    return masks / masks.sum(dim=2, keepdim=True)
