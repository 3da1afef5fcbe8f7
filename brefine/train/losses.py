"""What the refiners minimise.

Shapes: B examples, T frames, K = T + 1 bins, D embedding dimensions.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from brefine.models.heads import ModelOutput

_CONTRAST_WEIGHT = 0.3
_TEMPERATURE = 0.2
_CONTRAST_STRIDE = 8
_REACH_FRAMES = 64
"""Frames further from the boundary than this may belong to another turn, so they are not used."""


def refiner_loss(output: ModelOutput, target_BK: Tensor, offset_frames_B: Tensor) -> Tensor:
    """Mean cross-entropy against the target distribution, plus the contrastive term of models that give embeddings."""
    loss = functional.cross_entropy(output.logits_BK.float(), target_BK)
    if output.embeddings_BTD is not None:
        loss = loss + _CONTRAST_WEIGHT * side_contrast(output.embeddings_BTD, offset_frames_B)
    return loss


def side_contrast(embeddings_BTD: Tensor, offset_frames_B: Tensor) -> Tensor:
    """Supervised contrastive loss within each window: frames on one side of the true boundary attract, others repel.

    Every eighth frame within `_REACH_FRAMES` of the boundary is an anchor; the frames on its side are its positives, those
    across are its negatives. Windows without a boundary do not take part.

    Args:
        embeddings_BTD: unit-length.
        offset_frames_B: distance of the true boundary from the window's middle, in frames; not-a-number = none.

    Source: Khosla et al. 2020, "Supervised contrastive learning", equation 2 (the sum outside the logarithm).
    """
    n_frames = embeddings_BTD.shape[1]
    places_T = torch.arange(0, n_frames, _CONTRAST_STRIDE, device=embeddings_BTD.device)
    anchors_BND = embeddings_BTD[:, places_T].float()
    distance_BN = places_T + 0.5 - n_frames / 2 - offset_frames_B[:, None]
    near_BN = distance_BN.abs() <= _REACH_FRAMES  # false if the offset is not-a-number
    after_BN = distance_BN > 0
    similarity_BNN = anchors_BND @ anchors_BND.transpose(1, 2) / _TEMPERATURE
    itself_NN = torch.eye(len(places_T), dtype=torch.bool, device=embeddings_BTD.device)
    pairs_BNN = (near_BN[:, :, None] & near_BN[:, None, :]) & ~itself_NN
    same_BNN = pairs_BNN & (after_BN[:, :, None] == after_BN[:, None, :])
    log_total_BN1 = similarity_BNN.masked_fill(~pairs_BNN, -1e4).logsumexp(dim=2, keepdim=True)
    log_share_BNN = (similarity_BNN - log_total_BN1).masked_fill(~same_BNN, 0.0)
    n_same_BN = same_BNN.sum(dim=2)
    anchor_loss_BN = -log_share_BNN.sum(dim=2) / n_same_BN.clamp(min=1)
    return anchor_loss_BN.sum() / (n_same_BN > 0).sum().clamp(min=1)
