"""The two sides of a change of speaker: what is heard of one tells where to look for the other.

Where a hypothesis has one moment, one speaker stops and another begins, people leave a gap or talk over each other, but seldom by
much. Measured where VBx has such a moment in VoxConverse v0.3 dev (3,019 of them): 70 % have both their ends in the reference
within a second, and these lie apart by onset − offset ~ ½ Laplace(0.04 s; 0.126 s) + ½ Laplace(0 s; 0.4 s). Their errors hardly
go together (correlation 0.14), and those of other neighbours (both ends of a turn, of a pause, of a gap) not at all: there is
nothing more to couple.

With t the place of one side, s that of the other, π a system's errors, L the readings and K the distances above, `error_prior`'s
posterior of the one becomes

    p(t | x) ∝ π(t) L(t) · [ (1 − κ) Σ_s π(s) L(s) + κ Σ_s π(s) L(s) K(s − t) / Σ_s π(s) K(s − t) ]

where κ is how often the sides belong together. Where the other side says nothing, L = 1, the bracket is 1.

Source: Pearl 1988, "Probabilistic reasoning in intelligent systems" (belief propagation; two neighbours, one message each way).

Shapes: B boundaries, T frames of a window, C changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from brefine.core.boundaries import Boundary, touching_changes

_TOGETHER = 0.7
"""κ: the share of changes whose sides belong together."""
_DISTANCES_S = ((0.5, 0.04, 0.126), (0.5, 0.0, 0.4))
"""K: weight, location and scale of each Laplace distribution of onset − offset."""


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """Which boundaries are the two sides of a change.

    Attributes:
        offset_C, onset_C: places of the sides among the boundaries.
        lag_C: frames by which the onset's window lies later than the offset's.
    """

    offset_C: Tensor
    onset_C: Tensor
    lag_C: Tensor

    @classmethod
    def of(cls, boundaries: Sequence[Boundary], centre_B: Tensor, hop_s: float) -> Changes:
        """The changes that touch.

        Args:
            centre_B: each window's middle − its boundary in seconds.
        """
        places_C2 = torch.tensor(touching_changes(boundaries), dtype=torch.long).reshape(-1, 2)
        time_s_B = torch.tensor([boundary.time_s for boundary in boundaries], dtype=torch.float64) + centre_B
        offset_C, onset_C = places_C2.unbind(dim=1)
        return cls(offset_C, onset_C, ((time_s_B[onset_C] - time_s_B[offset_C]) / hop_s).round().long())


def told_by_the_other_side(joint_BT: Tensor, expected_BT: Tensor, changes: Changes, hop_s: float) -> Tensor:
    """The bracket of the module for every boundary, shape (B, T); 1 where none has another side.

    Args:
        joint_BT: π · L.
        expected_BT: π; rows sum to one.
    """
    told_BT = torch.ones_like(joint_BT)
    n_frames = joint_BT.shape[1]
    after_T = _distances(n_frames, hop_s)
    offset_C, onset_C = changes.offset_C, changes.onset_C
    frame_T = torch.arange(n_frames)
    for to_C, from_C, kernel_T, lag_C in (
        (offset_C, onset_C, after_T, -changes.lag_C),
        (onset_C, offset_C, after_T.flip(0), changes.lag_C),
    ):
        near_CT = _seen_from(joint_BT[from_C], kernel_T) / _seen_from(expected_BT[from_C], kernel_T).clamp(min=1e-12)
        aligned_CT = near_CT.gather(1, (frame_T + lag_C[:, None]).clamp(0, n_frames - 1))
        told_BT[to_C] = (1.0 - _TOGETHER) * joint_BT[from_C].sum(dim=1, keepdim=True) + _TOGETHER * aligned_CT
    return told_BT


def _distances(n_frames: int, hop_s: float) -> Tensor:
    """K at −(T − 1) … T − 1 frames, shape (2·T − 1,); sums to one."""
    distance_s = torch.arange(1 - n_frames, n_frames) * hop_s
    density = sum(
        weight / (2.0 * scale_s) * torch.exp(-(distance_s - place_s).abs() / scale_s) for weight, place_s, scale_s in _DISTANCES_S
    )
    return functional.normalize(torch.as_tensor(density), p=1.0, dim=0)


def _seen_from(weight_CT: Tensor, kernel: Tensor) -> Tensor:
    """Σ_s weight(s) · kernel(s − t) for every t, shape (C, T)."""
    if not len(weight_CT):
        return weight_CT
    return functional.conv1d(weight_CT[:, None], kernel[None, None], padding=weight_CT.shape[1] - 1)[:, 0]
