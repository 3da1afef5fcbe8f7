"""Ends at which the speaker goes on: no boundary is heard there, and beyond it his own voice is.

A system that gives every moment to one speaker drops the other where two speak for long, and some systems end a turn within a
breath. Such an end has no partner in the reference, so no place is known for it; but while the speaker is heard beyond it, it
gains time by moving outwards. VBx on VoxConverse v0.3 dev: if these ends were put where they gain most within 1 s, 0.9 of the 6.9
points of DER would go, most of it where the hypothesis has somebody else speaking.

With v the evidence that he speaks beyond the end (`data.batches.own_voice`), averaged over those frames within ±0.3 s in which
the hypothesis does not have him, w = (1 − doubt) · p(no boundary) and each frame beyond the end,

    gain(n) = hop · Σ_{i ≤ n} [ w · tanh(κ v_i / 2) − (1 − w) ]

is the time that is won by moving n frames outwards: p(speaks) = σ(κ v), a frame of speech wins its length and any other loses it;
and if there is a boundary after all (1 − w), all of the way is lost. The end moves to where the gain is largest, if that pays.
Without evidence, or with a model that is not sure that there is no boundary, nothing moves. Music moves nothing either: the voice
of a false turn on music is music, but no detector hears speech in it.

Ends move outwards only: turns are not cut where their speaker isn't heard, since a voice is missed more easily than made up.

Shapes: B boundaries, T frames of a window, R frames beyond an end, nearest first.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_REACH_S = 1.0
"""How far beyond an end is looked at."""
_SMOOTHING_S = 0.6
_LOG_ODDS = 5.0
"""κ: log-odds of speech for evidence of 1, which is 10 nats a frame; half of it counts, since neighbours say much the same."""
_LEAST_GAIN_S = 0.1


def voice_beyond(own_BT: Tensor, evidence_BT: Tensor, onset_B: Tensor, hop_s: float) -> Tensor:
    """The evidence that the speaker goes on beyond each end, shape (B, R), float32; zero from his own next turn on.

    Args:
        own_BT: the own speaker's activity in the window, as the hypothesis has it; the end is the window's middle.
        evidence_BT: that he speaks there, ±1; see `data.batches.own_voice`.
    """
    middle = own_BT.shape[1] // 2
    n_reach, n_around = min(middle, round(_REACH_S / hop_s)), round(0.5 * _SMOOTHING_S / hop_s)
    own_BT = own_BT.float()
    # his voice is heard in his own turns anyway: only frames between and after them count
    kept_2BT = torch.stack([evidence_BT.float() * (1.0 - own_BT), 1.0 - own_BT])
    sum_BT, weight_BT = functional.avg_pool1d(kept_2BT, 2 * n_around + 1, stride=1, padding=n_around)
    smooth_BT = sum_BT / weight_BT.clamp(min=1e-6)
    voice_BR, taken_BR = (
        torch.where(onset_B[:, None], both_BT[:, :middle].flip(1)[:, :n_reach], both_BT[:, middle : middle + n_reach])
        for both_BT in (smooth_BT, own_BT)
    )
    return voice_BR.masked_fill(taken_BR.cummax(dim=1).values > 0.5, 0.0)


def goes_on_s(beyond_BR: Tensor, none_B: Tensor, doubt: float, hop_s: float) -> Tensor:
    """By how many seconds each end should move outwards, shape (B,); 0 if that does not pay.

    Args:
        beyond_BR: see `voice_beyond`.
        none_B: probability that there is no boundary.
        doubt: the chance that a reading means nothing; see `error_prior`.
    """
    sure_B1 = ((1.0 - doubt) * none_B)[:, None]
    gain_s_BR = hop_s * (sure_B1 * torch.tanh(0.5 * _LOG_ODDS * beyond_BR) - (1.0 - sure_B1)).cumsum(dim=1)
    gain_s_B, last_B = gain_s_BR.max(dim=1)
    return (last_B + 1) * hop_s * (gain_s_B >= _LEAST_GAIN_S)
