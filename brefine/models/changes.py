"""The two sides of a change of speaker: what is heard at one side says where to look for the other.

If a hypothesis has one speaker stop and another start at one moment, there is really a gap, or both speak, but seldom for long.
Measured where VBx does so in VoxConverse v0.3 dev (3,019 times): in 70 % both ends have a partner in the reference within a
second, and these partners are apart by onset − offset ~ ½ Laplace(0.04 s; 0.126 s) + ½ Laplace(0 s; 0.4 s). Their errors are
hardly correlated (0.14), and those of other neighbours (both ends of a turn, a pause or a gap of half a second or more) no more:
there is nothing else to couple.

With t the place of one side, s that of the other, π a system's errors, L the readings and K the distances above, the posterior of
`error_prior` for the first side becomes

    p(t | x) ∝ π(t) L(t) · [ (1 − κ) Σ_s π(s) L(s) + κ Σ_s π(s) L(s) K(s − t) / Σ_s π(s) K(s − t) ]

where κ is how often the sides belong together. If the other side says nothing (L = 1), the bracket is 1. The distances are those
of labels, so `error_prior`'s margins count in s − t.

After Pearl 1988, "Probabilistic reasoning in intelligent systems" (belief propagation: one message each way). Its messages
would come from one joint distribution; here each side's π stays that of the system's errors, so this holds only approximately.

Shapes: B boundaries, T frames of a window, C changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

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
        lag_C: by how many frames the onset's window is later than the offset's.
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


def told_by_the_other_side(
    joint_BT: Tensor, expected_BT: Tensor, changes: Changes, hop_s: float, *, label_gap_s: float = 0.0
) -> Tensor:
    """The bracket in the module's formula for every boundary, shape (B, T); 1 for boundaries without another side.

    Args:
        joint_BT: π · L.
        expected_BT: π; rows sum to one.
        label_gap_s: how much further apart the labels are than what is heard: the onset's margin − the offset's.
    """
    told_BT = torch.ones_like(joint_BT)
    place_T = torch.arange(joint_BT.shape[1])
    # from each place of an offset (row) to each of an onset (column), in windows that start together
    near_TT = _density((place_T - place_T[:, None]) * hop_s + label_gap_s)
    for to_C, from_C, near_from_to_TT, lag_C in (
        (changes.offset_C, changes.onset_C, near_TT.T, -changes.lag_C),
        (changes.onset_C, changes.offset_C, near_TT, changes.lag_C),
    ):
        told_CT = (joint_BT[from_C] @ near_from_to_TT) / (expected_BT[from_C] @ near_from_to_TT).clamp(min=1e-12)
        aligned_CT = told_CT.gather(1, (place_T + lag_C[:, None]).clamp(0, len(place_T) - 1))
        told_BT[to_C] = (1.0 - _TOGETHER) * joint_BT[from_C].sum(dim=1, keepdim=True) + _TOGETHER * aligned_CT
    return told_BT


def _density(distance_s: Tensor) -> Tensor:
    """K."""
    parts = [
        weight / (2.0 * scale_s) * torch.exp(-(distance_s - location_s).abs() / scale_s)
        for weight, location_s, scale_s in _DISTANCES_S
    ]
    return torch.stack(parts).sum(dim=0)
