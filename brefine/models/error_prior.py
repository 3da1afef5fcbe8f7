"""How far off a system's boundaries are, learnt from its own output: the prior that a refiner's reading is weighed with.

A model trained on one system's errors expects such errors everywhere, and its surest mistakes are far jumps in recordings unlike
those it was trained on. What does tell how good a hypothesis is, is the hypothesis at hand: where the model is sure, it agrees
with a good system and disagrees with a bad one. So the prior over errors is estimated anew for the hypotheses that are refined,
without labels, by maximum marginal likelihood (empirical Bayes).

Notation, for each boundary b: h is where the hypothesis has it, a where the model hears it, y where the label would be, x what
the model sees.

    p(a − h)   = Σ_j w_j Laplace(a − h; habit, scale_j)                   the prior: weights over fixed scales
    L_b(a − h) = (1 − δ_b) p_model(a − h | x) / p_train(a − h) + δ_b      the reading; δ_b: the chance that it means nothing
    δ_b        = 1 − (1 − doubt) (1 − p_model(no boundary | x)²)
    p(a | x)   ∝ p(a − h) · L_b(a − h),     y = a + margin

EM over all boundaries finds w and doubt. Pseudo-counts pull them to cautious values: a short recording says little. And a
boundary says the more of its system the surer the model is of it; one of which it is no surer than of most at home says nothing.
A vague reading, of a false turn or in a recording unlike those of the training, would else pass for an error of the system or
for a cause to doubt, and many of them, misread alike, for a proof. Dividing by p_train takes back what the model assumes about
errors from its training. Where the model knows nothing, L is flat, and the posterior stays around h.

"There is no boundary here" holds a boundary back only where the model is sure of it, hence the square: one that is there and far
off loses much by staying, and one that is not there loses little by moving.

Boundaries are then moved by a sharper reading, p_model raised to a power: its doubt is counted in δ once more, and the mean of
several models is vaguer than each of them, hence a higher power for it. The prior is fitted to the reading as it is: of a sharp
one it would learn that a system makes no errors wherever the model agrees with it.

The habit of a side is how far what is heard lies from the hypothesis as a rule: the median over the boundaries of which the
model is sure. It has two causes that look alike: the system is biased (which is to be mended), or the labels' convention, which
a system learns, leaves room around speech (which is to be kept). Two things tell them apart. Annotators leave room outside
speech, before onsets and after offsets, never inside; so an inward habit is the system's. Of an outward one half is kept, for
lack of anything that says more; a few labelled minutes (`fit_labelled`) do say more.

Sources: Robbins 1956, "An empirical Bayes approach to statistics"; Saerens et al. 2002, "Adjusting the outputs of a classifier to
new a priori probabilities" (division by the training prior, EM for the new one); Hendrycks and Gimpel 2017, "A baseline for
detecting misclassified and out-of-distribution examples" (a model's confidence tells where it is not at home).

Shapes: B boundaries, T frames of a window, K = T + 1 bins, J scales, M margins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from brefine.models.heads import decode_frames

SCALES_S = (0.008, 0.02, 0.05, 0.12, 0.3)
CAUTIOUS_WEIGHTS = (0.25, 0.2, 0.25, 0.2, 0.1)
"""A good system, with tails: what has to be shown otherwise before boundaries move far."""
_CAUTIOUS_DOUBT = 0.15
_PSEUDO_ERRORS, _PSEUDO_HABITS, _PSEUDO_READINGS = 10.0, 16.0, 8.0
"""Weight of what is expected of the weights, of a side's habit and of the doubt, in boundaries."""
_UNTRAINED = 0.05
"""Share of a flat distribution in what training is taken to have shown."""
_SURE = 0.6
"""Boundaries heard with at least this confidence count for the habit."""
CONFIDENCE_AT_HOME = 0.62
"""Mean confidence of an ensemble in conversations like those of its training, for cards that do not tell."""
_KEPT = 0.5
"""Share of an outward habit that is taken for a convention."""
_MAX_HABIT_S = 0.2
_MAX_MARGIN_S, _MARGIN_STEP_S, _MARGIN_SPREAD_S = 0.24, 0.01, 0.08
_MOST_STEPS, _STILL = 500, 1e-5
"""EM goes on until no weight changes by more in a step."""
_TRAINED_ON = (0.05, 0.1, 0.2, 0.4, 0.25)
"""Weights of the training errors for models whose card does not tell."""


@dataclass(frozen=True, slots=True)
class ErrorPrior:
    """What is known about a system's errors and the labels' convention; pairs are onset, offset.

    Attributes:
        weights: of the Laplace distributions with `SCALES_S`; they sum to one.
        habit_s: how much later than the hypothesis the boundary is heard as a rule.
        margin_s: how much later than what is heard the label stands: at most 0 for onsets, at least 0 for offsets.
        doubt: the chance that a reading of the model means nothing.
    """

    weights: tuple[float, ...] = CAUTIOUS_WEIGHTS
    habit_s: tuple[float, float] = (0.0, 0.0)
    margin_s: tuple[float, float] = (0.0, 0.0)
    doubt: float = _CAUTIOUS_DOUBT


COLUMNS = ("ratio_BT", "there_B", "onset_B", "centre_B", "worth_B")
"""The tensors of a reading, each with a row a boundary."""


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What a model says of some boundaries, before any prior.

    Attributes:
        ratio_BT: p_model(a − h | x, there is one) / p_train(a − h) for each frame of the window.
        there_B: probability that there is a boundary at all.
        onset_B: the side.
        centre_B: the window's middle − h in seconds, at most half a hop.
        worth_B: what each counts for where a system's errors are estimated, 0 to 1.
    """

    ratio_BT: Tensor
    there_B: Tensor
    onset_B: Tensor
    centre_B: Tensor
    worth_B: Tensor
    hop_s: float

    def __len__(self) -> int:
        return len(self.there_B)

    def __getitem__(self, rows: Tensor) -> Reading:
        return Reading(**{name: getattr(self, name)[rows] for name in COLUMNS}, hop_s=self.hop_s)

    @classmethod
    def joined(cls, readings: Sequence[Reading]) -> Reading:
        """All boundaries of several recordings; there must be one."""
        columns = {name: torch.cat([getattr(one, name) for one in readings]) for name in COLUMNS}
        return cls(**columns, hop_s=readings[0].hop_s)

    def likelihood(self, doubt: float) -> Tensor:
        """L_b of the module, shape (B, T)."""
        sure_B1 = ((1.0 - doubt) * _meaning(self.there_B))[:, None]
        return sure_B1 * self.ratio_BT + (1.0 - sure_B1)


def _meaning(there_B: Tensor) -> Tensor:
    """The chance that a reading means something, unless it is to be doubted: 1 − p(no boundary)²; see the module."""
    return 1.0 - (1.0 - there_B) ** 2


def trained_on(card_prior: Mapping[str, float]) -> tuple[float, ...]:
    """Weights of the training errors, as `describe_training` put them on a model's card."""
    found = [card_prior.get(_key(scale_s)) for scale_s in SCALES_S]
    return _TRAINED_ON if any(weight is None for weight in found) else tuple(float(weight or 0.0) for weight in found)


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
    onset_B: Tensor,
    centre_B: Tensor,
    hop_s: float,
    *,
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
    halfway_B = 2.0 * (confidence_B - at_home) / max(1.0 - at_home, 1e-6)  # 1 = half-way from what is usual to certainty
    worth_B = halfway_B.clamp(0.0, 1.0)
    return Reading(frames_BT / _trained_bins(trained_weights, n_frames, hop_s), there_B, onset_B, centre_B, worth_B, hop_s)


def _trained_bins(trained_weights: Sequence[float], n_frames: int, hop_s: float) -> Tensor:
    """Probability of each frame of a window under the training errors."""
    trained_T = torch.tensor(trained_weights) @ laplace_bins(n_frames, hop_s, 0.0)
    # training knows no errors beyond its matching cap: what a model says there is noise, and stays small
    return (1.0 - _UNTRAINED) * trained_T + _UNTRAINED / n_frames


def sharpened(reading: Reading, trained_weights: Sequence[float], *, power: float) -> Reading:
    """The reading that boundaries are moved by: what the models say raised to a power, and normalised; see the module.

    Args:
        trained_weights: those that the reading was made with, by `read`.
        power: 1 = as the models say it.
    """
    trained_T = _trained_bins(trained_weights, reading.ratio_BT.shape[1], reading.hop_s)
    frames_BT = (reading.there_B[:, None] * reading.ratio_BT * trained_T) ** power
    absent_B = (1.0 - reading.there_B) ** power
    present_B = frames_BT.sum(dim=1)
    ratio_BT = frames_BT / present_B.clamp(min=1e-30)[:, None] / trained_T
    return replace(reading, ratio_BT=ratio_BT, there_B=present_B / (present_B + absent_B).clamp(min=1e-30))


def fit(reading: Reading) -> ErrorPrior:
    """The prior under which the readings of these hypotheses are most probable; see the module."""
    start = ErrorPrior()  # what is expected before the hypotheses are seen
    if not len(reading):
        return start
    habit_s = _habit_s(reading, start)
    margin_s = (min(0.0, max(-_MAX_MARGIN_S, -_KEPT * habit_s[0])), max(0.0, min(_MAX_MARGIN_S, -_KEPT * habit_s[1])))
    bins_2JT = [laplace_bins(reading.ratio_BT.shape[1], reading.hop_s, location_s) for location_s in habit_s]
    onset_BJ, offset_BJ = (reading.ratio_BT @ bins_JT.T for bins_JT in bins_2JT)
    own_BJ = torch.where(reading.onset_B[:, None], onset_BJ, offset_BJ)
    first_J = torch.tensor(start.weights)
    weights_J, doubt = first_J.clone(), start.doubt
    means_B = _meaning(reading.there_B)
    for _ in range(_MOST_STEPS):
        sure_B1 = ((1.0 - doubt) * means_B)[:, None]
        joint_BJ = weights_J * (sure_B1 * own_BJ + (1.0 - sure_B1))
        share_BJ = joint_BJ / joint_BJ.sum(dim=1, keepdim=True)
        last_J, last_doubt = weights_J, doubt
        counts_J = reading.worth_B @ share_BJ + _PSEUDO_ERRORS * first_J
        weights_J = counts_J / counts_J.sum()
        doubt = _doubt(means_B, own_BJ @ last_J, last_doubt, start.doubt, worth_B=reading.worth_B)
        if max(abs(doubt - last_doubt), float((weights_J - last_J).abs().max())) < _STILL:
            break
    return replace(start, weights=tuple(weights_J.tolist()), habit_s=habit_s, margin_s=margin_s, doubt=doubt)


def _doubt(means_B: Tensor, ratio_B: Tensor, doubt: float, expected: float, *, worth_B: Tensor) -> float:
    """One EM step of the doubt: of the boundaries that the model takes to be there, the share whose reading means nothing.

    Args:
        means_B: see `_meaning`.
        ratio_B: how probable each reading is where it means something, over where it does not.
        worth_B: what each of them counts for.
    """
    meant_B, doubted_B = (1.0 - doubt) * means_B * ratio_B, doubt * means_B
    total_B = meant_B + doubted_B + (1.0 - means_B)
    meant, doubted = float(worth_B @ (meant_B / total_B)), float(worth_B @ (doubted_B / total_B))
    return (doubted + _PSEUDO_READINGS * expected) / (meant + doubted + _PSEUDO_READINGS)


def _habit_s(reading: Reading, start: ErrorPrior) -> tuple[float, float]:
    """Each side's habit, pulled to what is expected where few boundaries are sure."""
    n_frames = reading.ratio_BT.shape[1]
    broad_T = torch.tensor(_TRAINED_ON) @ laplace_bins(n_frames, reading.hop_s, 0.0)
    frames_BT = reading.ratio_BT * broad_T
    decoded = decode_frames(
        frames_BT / frames_BT.sum(dim=1, keepdim=True).clamp(min=1e-30),
        1.0 - reading.there_B,
        reading.hop_s,
        bias_s=reading.centre_B,
    )
    found = []
    for side_B, expected_s in zip((reading.onset_B, ~reading.onset_B), start.habit_s, strict=True):
        sure_B = side_B & (decoded.confidence >= _SURE)
        n_sure = int(sure_B.sum())
        median_s = float(decoded.shift_s[sure_B].quantile(0.5)) if n_sure else expected_s
        median_s = max(-_MAX_HABIT_S, min(_MAX_HABIT_S, median_s))
        found.append((n_sure * median_s + _PSEUDO_HABITS * expected_s) / (n_sure + _PSEUDO_HABITS))
    return found[0], found[1]


def fit_labelled(reading: Reading, true_shift_s_B: Tensor) -> ErrorPrior:
    """The same from boundaries whose labels are known: `brefine calibrate`.

    Args:
        true_shift_s_B: label − hypothesis in seconds.
    """
    start = ErrorPrior()
    margins_s_M = torch.arange(-round(_MAX_MARGIN_S / _MARGIN_STEP_S), round(_MAX_MARGIN_S / _MARGIN_STEP_S) + 1) * _MARGIN_STEP_S
    n_frames = reading.ratio_BT.shape[1]
    bins_BM = (((true_shift_s_B - reading.centre_B)[:, None] - margins_s_M) / reading.hop_s + n_frames / 2).floor().long()
    ratio_BM = reading.ratio_BT.gather(1, bins_BM.clamp(0, n_frames - 1)) * ((bins_BM >= 0) & (bins_BM < n_frames))
    penalty_M = -0.5 * (margins_s_M / _MARGIN_SPREAD_S) ** 2
    doubt, habit_s = start.doubt, [0.0, 0.0]
    side_2B = (reading.onset_B, ~reading.onset_B)
    means_B = _meaning(reading.there_B)
    for _ in range(_MOST_STEPS):
        sure_B1 = ((1.0 - doubt) * means_B)[:, None]
        score_BM = torch.log((sure_B1 * ratio_BM + (1.0 - sure_B1)).clamp(min=1e-9))
        best_2 = [int((score_BM[side_B].sum(dim=0) + penalty_M).argmax()) for side_B in side_2B]
        last_doubt = doubt
        ratio_B = ratio_BM[:, best_2].gather(1, (~reading.onset_B).long()[:, None])[:, 0]
        doubt = _doubt(means_B, ratio_B, doubt, start.doubt, worth_B=torch.ones_like(ratio_B))
        if abs(doubt - last_doubt) < _STILL:
            break
    margin_s = [round(float(margins_s_M[best]), 3) for best in best_2]
    residual_s_B = true_shift_s_B.clone()
    for place, side_B in enumerate(side_2B):
        n_side = int(side_B.sum())
        bias_s = float(true_shift_s_B[side_B].quantile(0.5)) * n_side / (n_side + _PSEUDO_HABITS) if n_side else 0.0
        habit_s[place] = bias_s - margin_s[place]
        residual_s_B[side_B] -= bias_s
    density_BJ = torch.stack([torch.exp(-residual_s_B.abs() / scale_s) / (2.0 * scale_s) for scale_s in SCALES_S], dim=1)
    first_J = torch.tensor(start.weights)
    weights_J = first_J.clone()
    for _ in range(_MOST_STEPS):
        share_BJ = weights_J * density_BJ
        share_BJ = share_BJ / share_BJ.sum(dim=1, keepdim=True).clamp(min=1e-30)
        last_J = weights_J
        weights_J = (share_BJ.sum(dim=0) + _PSEUDO_ERRORS * first_J) / (len(reading) + _PSEUDO_ERRORS)
        if float((weights_J - last_J).abs().max()) < _STILL:
            break
    return ErrorPrior(tuple(weights_J.tolist()), (habit_s[0], habit_s[1]), (margin_s[0], margin_s[1]), doubt)


def posterior(reading: Reading, prior: ErrorPrior) -> tuple[Tensor, Tensor]:
    """Probabilities over the window's frames of where the boundary is heard, and each boundary's margin in seconds."""
    n_frames = reading.ratio_BT.shape[1]
    weights_J = torch.tensor(prior.weights)
    onset_T, offset_T = (weights_J @ laplace_bins(n_frames, reading.hop_s, location_s) for location_s in prior.habit_s)
    joint_BT = reading.likelihood(prior.doubt) * torch.where(reading.onset_B[:, None], onset_T, offset_T)
    margin_B = torch.where(reading.onset_B, prior.margin_s[0], prior.margin_s[1])
    return joint_BT / joint_BT.sum(dim=1, keepdim=True).clamp(min=1e-30), margin_B


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
