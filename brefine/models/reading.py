"""What a model says of boundaries without what its training made it expect: a likelihood, to be combined with any prior.

See `error_prior` for its use and for the notation.

Shapes: B boundaries, T frames of a window, K = T + 1 bins, J scales, R frames beyond an end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from brefine.models.heads import decode_frames

SCALES_S = (0.008, 0.02, 0.05, 0.12, 0.3)
"""Scales of the Laplace distributions that describe errors."""
TRAINED_ON = (0.05, 0.1, 0.2, 0.4, 0.25)
"""Weights of the training errors for models whose card does not say."""
CONFIDENCE_AT_HOME = 0.62
"""Mean confidence of an ensemble in conversations like those of its training, for cards that do not say."""
_UNTRAINED = 0.05
"""Share of a flat distribution that is mixed into the training errors."""


COLUMNS = ("ratio_BT", "there_B", "onset_B", "change_B", "centre_B", "worth_B", "beyond_BR")
"""The tensors of a reading, each with one row per boundary."""


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What a model says of some boundaries, before any prior.

    Attributes:
        ratio_BT: p_model(a − h | x, there is one) / p_train(a − h) for each frame of the window.
        there_B: probability that there is a boundary at all.
        onset_B: the side.
        change_B: whether it is a side of a change that touches.
        centre_B: the window's middle − h in seconds, at most half a hop.
        worth_B: how much each counts when a system's errors are estimated, 0 to 1.
        beyond_BR: evidence that the speaker goes on beyond the end; see `going_on`.
    """

    ratio_BT: Tensor
    there_B: Tensor
    onset_B: Tensor
    change_B: Tensor
    centre_B: Tensor
    worth_B: Tensor
    beyond_BR: Tensor
    hop_s: float

    def __len__(self) -> int:
        return len(self.there_B)

    def __getitem__(self, rows: Tensor) -> Reading:
        return Reading(**{name: getattr(self, name)[rows] for name in COLUMNS}, hop_s=self.hop_s)

    @classmethod
    def joined(cls, readings: Sequence[Reading]) -> Reading:
        """All boundaries of several recordings; there must be at least one recording."""
        columns = {name: torch.cat([getattr(one, name) for one in readings]) for name in COLUMNS}
        return cls(**columns, hop_s=readings[0].hop_s)

    def likelihood(self, doubt: float) -> Tensor:
        """L_b of `error_prior`, shape (B, T)."""
        sure_B1 = ((1.0 - doubt) * meaning(self.there_B))[:, None]
        return sure_B1 * self.ratio_BT + (1.0 - sure_B1)


def meaning(there_B: Tensor) -> Tensor:
    """The chance that a reading means something, apart from doubt: 1 − p(no boundary)²; see `error_prior`."""
    return 1.0 - (1.0 - there_B) ** 2


def trained_on(card_prior: Mapping[str, float]) -> tuple[float, ...]:
    """Weights of the training errors, as `describe_training` put them on a model's card."""
    found = [card_prior.get(_key(scale_s)) for scale_s in SCALES_S]
    return TRAINED_ON if any(weight is None for weight in found) else tuple(float(weight or 0.0) for weight in found)


def describe_training(error_s_B: Tensor) -> dict[str, float]:
    """The mixture of Laplace distributions that describes training errors, for a model's card."""
    density_BJ = torch.stack([torch.exp(-error_s_B.abs() / scale_s) / (2.0 * scale_s) for scale_s in SCALES_S], dim=1)
    weights_J = torch.full((len(SCALES_S),), 1.0 / len(SCALES_S), dtype=density_BJ.dtype)
    for _ in range(100):
        share_BJ = weights_J * density_BJ
        weights_J = (share_BJ / share_BJ.sum(dim=1, keepdim=True).clamp(min=1e-30)).mean(dim=0)
    return {_key(scale_s): round(weight, 5) for scale_s, weight in zip(SCALES_S, weights_J.tolist(), strict=True)}


def read(
    logits_BK: Tensor,
    trained_weights: Sequence[float],
    *,
    onset_B: Tensor,
    change_B: Tensor,
    centre_B: Tensor,
    beyond_BR: Tensor,
    hop_s: float,
    at_home: float = CONFIDENCE_AT_HOME,
) -> Reading:
    """A model's logits as a reading.

    Args:
        at_home: the model's mean confidence in recordings like those of its training.
    """
    logits_BK = logits_BK.float()
    n_frames = logits_BK.shape[1] - 1
    there_B = 1.0 - torch.softmax(logits_BK, dim=1)[:, -1]
    frames_BT = torch.softmax(logits_BK[:, :-1], dim=1)
    confidence_B = decode_frames(frames_BT, torch.zeros_like(there_B), hop_s).confidence
    halfway_B = 2.0 * (confidence_B - at_home) / max(1.0 - at_home, 1e-6)  # 1 = half-way from the usual confidence to certainty
    worth_B = halfway_B.clamp(0.0, 1.0)
    ratio_BT = frames_BT / _trained_bins(trained_weights, n_frames, hop_s)
    return Reading(ratio_BT, there_B, onset_B, change_B, centre_B, worth_B, beyond_BR, hop_s)


def _trained_bins(trained_weights: Sequence[float], n_frames: int, hop_s: float) -> Tensor:
    """Probability of each frame of a window under the training errors."""
    trained_T = torch.tensor(trained_weights) @ laplace_bins(n_frames, hop_s, 0.0)
    # training has no errors beyond its matching cap: what a model says there is noise, and must stay small
    return (1.0 - _UNTRAINED) * trained_T + _UNTRAINED / n_frames


def sharpened(reading: Reading, trained_weights: Sequence[float], *, power: float) -> Reading:
    """The reading that decides moves: the models' probabilities raised to a power, and normalised.

    Args:
        trained_weights: those that the reading was made with, by `read`.
        power: 1 = as the models give them.
    """
    trained_T = _trained_bins(trained_weights, reading.ratio_BT.shape[1], reading.hop_s)
    frames_BT = (reading.there_B[:, None] * reading.ratio_BT * trained_T) ** power
    absent_B = (1.0 - reading.there_B) ** power
    present_B = frames_BT.sum(dim=1)
    ratio_BT = frames_BT / present_B.clamp(min=1e-30)[:, None] / trained_T
    return replace(reading, ratio_BT=ratio_BT, there_B=present_B / (present_B + absent_B).clamp(min=1e-30))


def laplace_bins(n_frames: int, hop_s: float, location_s: float) -> Tensor:
    """Probability of each frame of a window under each scale's Laplace distribution around `location_s`; shape (J, T).

    Cut off at the window's ends and normalised there.
    """
    edges_s = (torch.arange(n_frames + 1) - n_frames / 2) * hop_s - location_s
    scales_s_J1 = torch.tensor(SCALES_S)[:, None]
    below_JE = 0.5 + 0.5 * edges_s.sign() * (1.0 - torch.exp(-edges_s.abs() / scales_s_J1))
    bins_JT = (below_JE[:, 1:] - below_JE[:, :-1]).clamp(min=0.0)
    return functional.normalize(bins_JT, p=1.0, dim=1)


def _key(scale_s: float) -> str:
    return f"trained_{round(1000 * scale_s)}ms"
