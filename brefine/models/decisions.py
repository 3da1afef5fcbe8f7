"""Whether a boundary moves, and how far, given where it is heard: to the place with the least expected error, if that pays.

The two sides of a change that touch get one shift, the best for both, and so still touch afterwards, unless moving apart brings
them nearer to their places by more than a hole or an overlap in the transcript is worth. An end that is no boundary, since its
speaker is heard to go on, moves as far as he does; see `going_on`.

Shapes: B boundaries, T frames of a window, C changes.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from brefine.models.changes import Changes
from brefine.models.heads import confidence_at, decode_frames, spread_s

_LEAST_GAIN_S = 0.002
_LEAST_RELATIVE_GAIN = 0.05
"""A boundary stays if the expected error falls by less than this, or by a smaller share of what it is now."""
_PARTING_GAIN_S = 0.02
"""The sides of a change stay together unless the sum of their expected errors is smaller by more than this if they part."""


class Posteriors(NamedTuple):
    """Where boundaries may be, given everything that is known.

    Attributes:
        frames_BT: probability of each frame of the window; rows sum to one.
        none_B: probability that there is no boundary at all.
        bias_s_B: added to each frame's place: the window's middle − the boundary, and the labels' margin.
        on_s_B: the shift of ends beyond which the speaker goes on; 0 for all others.
    """

    frames_BT: Tensor
    none_B: Tensor
    bias_s_B: Tensor
    on_s_B: Tensor
    hop_s: float

    @property
    def shifts_s(self) -> Tensor:
        """The shift to each frame's middle, shape (B, T)."""
        n_frames = self.frames_BT.shape[1]
        return (torch.arange(n_frames) + 0.5 - n_frames / 2) * self.hop_s + self.bias_s_B[:, None]

    @property
    def spreads_s(self) -> Tensor:
        """How far off each boundary may be, shape (B,); see `heads.spread_s`."""
        return spread_s(self.frames_BT, self.hop_s)


def decide(posteriors: Posteriors, changes: Changes) -> tuple[Tensor, Tensor]:
    """Each boundary's shift in seconds, 0 = it stays, and the confidence of its new place; both of shape (B,)."""
    frames_BT, none_B, bias_s_B, on_s_B, hop_s = posteriors
    place_s_BT = posteriors.shifts_s

    def expected_s(shift_s_B: Tensor) -> Tensor:
        return (frames_BT * (place_s_BT - shift_s_B[:, None]).abs()).sum(dim=1)

    now_s_B = expected_s(torch.zeros_like(bias_s_B))
    median_s_B = decode_frames(frames_BT, none_B, hop_s, bias_s=bias_s_B).shift_s
    shift_s_B = median_s_B * _pays(now_s_B, expected_s(median_s_B), 1)

    sides_C2 = torch.stack([changes.offset_C, changes.onset_C], dim=1)

    def together(joint_s_C: Tensor) -> Tensor:
        return shift_s_B.index_copy(0, changes.offset_C, joint_s_C).index_copy(0, changes.onset_C, joint_s_C)

    joint_s_C = _joint_median(place_s_BT[sides_C2].flatten(1), frames_BT[sides_C2].flatten(1))
    joint_s_C = joint_s_C * _pays(now_s_B[sides_C2].sum(dim=1), expected_s(together(joint_s_C))[sides_C2].sum(dim=1), 2)
    lost_s_C = (expected_s(together(joint_s_C)) - expected_s(shift_s_B))[sides_C2].sum(dim=1)
    parted_C1 = (lost_s_C > _PARTING_GAIN_S)[:, None]
    moved_s_C2 = torch.where(parted_C1, shift_s_B[sides_C2], joint_s_C[:, None])
    shift_s_B = shift_s_B.index_put((sides_C2,), moved_s_C2)
    shift_s_B = torch.where(on_s_B != 0.0, on_s_B, shift_s_B)
    return shift_s_B, confidence_at(frames_BT, none_B, shift_s_B, hop_s, bias_s=bias_s_B)


def _pays(now_s: Tensor, then_s: Tensor, n_boundaries: int) -> Tensor:
    """Whether a move reduces the expected error enough, that of one boundary or of several together."""
    gain_s = now_s - then_s
    return (gain_s >= n_boundaries * _LEAST_GAIN_S) & (gain_s >= _LEAST_RELATIVE_GAIN * now_s)


def _joint_median(place_s: Tensor, weight: Tensor) -> Tensor:
    """The median of each row of weighted places, linear between the middles of neighbours; shape (C,)."""
    place_s, order = place_s.sort(dim=1)
    weight = weight.gather(1, order)
    middle = weight.cumsum(dim=1) - 0.5 * weight
    half = 0.5 * weight.sum(dim=1, keepdim=True)
    above = (middle < half).sum(dim=1, keepdim=True).clamp(min=1)  # never all, since the last middle is beyond the half
    low, high = middle.gather(1, above - 1), middle.gather(1, above)
    share = (half - low) / (high - low).clamp(min=1e-12)
    low_s, high_s = place_s.gather(1, above - 1), place_s.gather(1, above)
    return (low_s + share * (high_s - low_s))[:, 0]
