"""What the logits mean: a distribution over where the boundary is, and its translation into a shift.

A model sees T frames centred on a hypothesised boundary and gives K = T + 1 logits. Bin k < T says "the true boundary lies in
frame k", bin T "there is no boundary here". A frame is `hop_s` long and the window's centre lies between frames T/2 − 1 and
T/2, so bin k stands for shifts from (k − T/2)·hop_s to (k + 1 − T/2)·hop_s.

Shapes: B examples, T frames, K bins, F channels.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

TOLERANCE_S = 0.1
"""A shift counts as right within this distance of the truth; `confidence` is the probability of that."""

_LOWER, _UPPER = 0.16, 0.84
"""Quantiles between which a normal distribution has two standard deviations."""


class ModelOutput(NamedTuple):
    """What every refiner returns.

    Attributes:
        logits_BK: unnormalised log-probabilities, K = T + 1.
        embeddings_BTD: unit-length frame embeddings of models that learn by contrast; None for the others.
    """

    logits_BK: Tensor
    embeddings_BTD: Tensor | None = None


class Decoded(NamedTuple):
    """A distribution in figures, each of shape (B,), float32.

    Attributes:
        shift_s: posterior median of true − hypothesised time, the estimate with the least expected absolute error.
        confidence: probability that a boundary is there and lies within `TOLERANCE_S` of the shift.
    """

    shift_s: Tensor
    confidence: Tensor


def target_distribution(offset_frames_B: Tensor, n_frames: int, sigma_frames: float) -> Tensor:
    """The bins' target probabilities: a Gaussian around the true boundary, or certainty of none.

    Args:
        offset_frames_B: true − hypothesised time in frames; not-a-number if there is no boundary.
        sigma_frames: standard deviation; wider than the labels' precision, so that a near miss costs little.

    Returns:
        Shape (B, n_frames + 1); rows sum to one.
    """
    none_B1 = torch.isnan(offset_frames_B)[:, None]
    centres_T = torch.arange(n_frames, device=offset_frames_B.device) + 0.5 - n_frames / 2
    distance_BT = (centres_T - offset_frames_B.nan_to_num()[:, None]) / sigma_frames
    frames_BT = torch.softmax(-0.5 * distance_BT**2, dim=1)
    return torch.cat([frames_BT.masked_fill(none_B1, 0.0), none_B1.to(frames_BT.dtype)], dim=1)


def decode(logits_BK: Tensor, hop_s: float, *, bias_s: float | Tensor = 0.0) -> Decoded:
    """Turns logits into shifts.

    Args:
        bias_s: added to each shift, a number or shape (B,): how much later the window's middle is than the boundary.
    """
    probabilities_BK = torch.softmax(logits_BK.float(), dim=1)
    frames_BT = torch.softmax(logits_BK[:, :-1].float(), dim=1)
    return decode_frames(frames_BT, probabilities_BK[:, -1], hop_s, bias_s=bias_s)


def decode_frames(frames_BT: Tensor, none_B: Tensor, hop_s: float, *, bias_s: float | Tensor = 0.0) -> Decoded:
    """Turns probabilities over the frames of a window into shifts; see `decode`.

    Args:
        frames_BT: where the boundary is if there is one; rows sum to one.
        none_B: probability that there is no boundary.
    """
    n_frames = frames_BT.shape[1]
    cumulative_BT = functional.pad(frames_BT.cumsum(dim=1), (1, 0))
    median_B = _quantile_frames(cumulative_BT, 0.5)
    return Decoded(
        shift_s=(median_B - n_frames / 2) * hop_s + bias_s,
        confidence=_confidence(cumulative_BT, none_B, median_B, hop_s),
    )


def spread_s(frames_BT: Tensor, hop_s: float) -> Tensor:
    """How vague each posterior is, shape (B,): half the distance between its 16 % and its 84 % quantile, in seconds.

    Args:
        frames_BT: as for `decode_frames`.
    """
    cumulative_BT = functional.pad(frames_BT.cumsum(dim=1), (1, 0))
    return 0.5 * hop_s * (_quantile_frames(cumulative_BT, _UPPER) - _quantile_frames(cumulative_BT, _LOWER))


def mean_confidence(frames_BT: Tensor, hop_s: float) -> float:
    """How sure a model is of boundaries that are taken to exist: the mean of `Decoded.confidence`; not-a-number without any."""
    return float(decode_frames(frames_BT, torch.zeros(len(frames_BT)), hop_s).confidence.mean())


def confidence_at(frames_BT: Tensor, none_B: Tensor, shift_s_B: Tensor, hop_s: float, *, bias_s: Tensor) -> Tensor:
    """`Decoded.confidence` for shifts other than the median; arguments as for `decode_frames`, `bias_s` of shape (B,)."""
    cumulative_BT = functional.pad(frames_BT.cumsum(dim=1), (1, 0))
    return _confidence(cumulative_BT, none_B, frames_BT.shape[1] / 2 + (shift_s_B - bias_s) / hop_s, hop_s)


def _confidence(cumulative_BT: Tensor, none_B: Tensor, position_B: Tensor, hop_s: float) -> Tensor:
    reach = TOLERANCE_S / hop_s
    near_B = _probability_below(cumulative_BT, position_B + reach) - _probability_below(cumulative_BT, position_B - reach)
    return (near_B * (1.0 - none_B)).clamp(0.0, 1.0)


def _quantile_frames(cumulative_BT: Tensor, quantile: float) -> Tensor:
    """Where the distribution function reaches `quantile`, in frames from the window's start, linear within a frame."""
    above_B = (cumulative_BT >= quantile * cumulative_BT[:, -1:]).to(torch.uint8).argmax(dim=1).clamp(min=1)
    upper_B = cumulative_BT.gather(1, above_B[:, None])[:, 0]
    lower_B = cumulative_BT.gather(1, above_B[:, None] - 1)[:, 0]
    share_B = (quantile * cumulative_BT[:, -1] - lower_B) / (upper_B - lower_B).clamp(min=1e-12)
    return above_B - 1 + share_B


def _probability_below(cumulative_BT: Tensor, position_B: Tensor) -> Tensor:
    last = cumulative_BT.shape[1] - 1
    position_B = position_B.clamp(0.0, float(last))
    lower_B = position_B.floor().long().clamp(max=last - 1)
    lower_value_B = cumulative_BT.gather(1, lower_B[:, None])[:, 0]
    upper_value_B = cumulative_BT.gather(1, lower_B[:, None] + 1)[:, 0]
    return lower_value_B + (position_B - lower_B) * (upper_value_B - lower_value_B)
