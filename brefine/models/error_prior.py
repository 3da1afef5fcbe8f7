"""How far off a system's boundaries are, learnt from its own output: the prior to be combined with a refiner's reading.

A model trained on one system's errors expects such errors everywhere, and its surest mistakes are far jumps in recordings unlike
those it was trained on. The hypothesis at hand itself shows how good it is: where the model is sure, it agrees with a good system
and disagrees with a bad one. So the prior over errors is estimated again for the hypotheses that are refined, without labels, by
maximum marginal likelihood (empirical Bayes).

Notation, for each boundary b: h is where the hypothesis has it, a where it is audible, y where the label would be, x the model's
input.

    p(a − h)   = Σ_j w_j Laplace(a − h; habit, scale_j)                   the prior: weights over fixed scales
    L_b(a − h) = (1 − δ_b) p_model(a − h | x) / p_train(a − h) + δ_b      the reading; δ_b: the chance that it means nothing
    δ_b        = 1 − (1 − doubt) (1 − p_model(no boundary | x)²)
    p(a | x)   ∝ p(a − h) · L_b(a − h),     y = a + margin

EM over all boundaries finds the doubt and the weights w, one set for the sides of changes and another for the rest. Pseudo-counts
pull them to cautious values, since a short recording says little. A boundary counts the more, the surer the model is of it; one
of which the model is no surer than of most boundaries in recordings like its training's does not count. Otherwise a vague
reading, of a false turn or in a recording unlike those of the training, would pass for an error of the system or for a reason to
doubt, and many of them, misread alike, for proof. Dividing by p_train removes what the model assumes about errors from its
training. Where the model knows nothing, L is flat, and the posterior stays around h.

The sides of a change where one speaker takes over from another at once have weights of their own: there the system has heard the
voice change, not speech begin or end. VBx's are off by 261 ms on average in VoxConverse v0.3 dev (4,920 matched within 1 s), its
other ends by 89 ms (5,370). `changes` has what the two sides of such a change say about each other.

"There is no boundary here" holds a boundary back only if the model is sure of it, hence the square: a boundary that exists and is
far off loses much by staying, and one that does not exist loses little by moving. If the model is sure of it, the end may go on;
see `going_on`.

Boundaries are then moved by a sharper reading, p_model raised to a power, because its doubt is counted once more in δ. The mean
of several models is vaguer than each of them, hence a higher power for it. The prior is fitted to the reading as it is: from a
sharp one it would learn that a system makes no errors wherever the model agrees with it.

The habit of a side is how far the audible boundary usually is from the hypothesis: the median over the boundaries of which the
model is sure. It has two causes that look alike: either the system is biased (which is to be corrected), or the labels'
convention, which a system learns, leaves room around speech (which is to be kept). Two things tell them apart. Annotators leave
room outside speech, before onsets and after offsets, never inside; so an inward habit is the system's. Half of an outward habit
is kept, since nothing says more about it; a few labelled minutes (`fit_labelled`) do.

Sources: Robbins 1956, "An empirical Bayes approach to statistics"; Saerens et al. 2002, "Adjusting the outputs of a classifier to
new a priori probabilities" (division by the training prior, EM for the new one); Hendrycks and Gimpel 2017, "A baseline for
detecting misclassified and out-of-distribution examples" (a model's confidence shows where it is not at home).

Shapes: B boundaries, T frames of a window, J scales, M margins, K = 2 kinds of boundaries (0 = any, 1 = side of a change).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from brefine.models.changes import Changes, told_by_the_other_side
from brefine.models.heads import decode_frames
from brefine.models.reading import SCALES_S, TRAINED_ON, Reading, laplace_bins, meaning

CAUTIOUS_WEIGHTS = (0.25, 0.2, 0.25, 0.2, 0.1)
"""Those of a good system, with tails: the hypotheses must show otherwise before boundaries move far."""
_CAUTIOUS_DOUBT = 0.15
_PSEUDO_ERRORS, _PSEUDO_HABITS, _PSEUDO_READINGS = 10.0, 16.0, 8.0
"""How many boundaries the expected weights, the expected habit of a side and the expected doubt count for."""
_SURE = 0.6
"""Boundaries heard with at least this confidence count for the habit."""
_KEPT = 0.5
"""Share of an outward habit that is taken for a convention."""
_MAX_HABIT_S = 0.2
_MAX_MARGIN_S, _MARGIN_STEP_S, _MARGIN_SPREAD_S = 0.24, 0.01, 0.08
_MOST_STEPS, _STILL = 500, 1e-5
"""EM goes on until no weight changes by more in a step."""


@dataclass(frozen=True, slots=True)
class ErrorPrior:
    """What is known about a system's errors and the labels' convention; pairs are onset, offset.

    Attributes:
        weights: of the Laplace distributions with `SCALES_S`; they sum to one.
        change_weights: the same for the sides of changes that touch.
        habit_s: how much later than the hypothesis the boundary is usually heard.
        margin_s: how much later than the audible boundary the label is; at most 0 for onsets and at least 0 for offsets, unless
            labels say otherwise.
        doubt: the chance that a reading of the model means nothing.
    """

    weights: tuple[float, ...] = CAUTIOUS_WEIGHTS
    change_weights: tuple[float, ...] = CAUTIOUS_WEIGHTS
    habit_s: tuple[float, float] = (0.0, 0.0)
    margin_s: tuple[float, float] = (0.0, 0.0)
    doubt: float = _CAUTIOUS_DOUBT


def fit(reading: Reading) -> ErrorPrior:
    """The prior under which the readings of these hypotheses are most probable; see the module."""
    if not len(reading):
        return ErrorPrior()
    habit_s = _habit_s(reading)
    margin_s = (min(0.0, -_KEPT * habit_s[0]), max(0.0, -_KEPT * habit_s[1]))
    bins_2JT = [laplace_bins(reading.ratio_BT.shape[1], reading.hop_s, location_s) for location_s in habit_s]
    onset_BJ, offset_BJ = (reading.ratio_BT @ bins_JT.T for bins_JT in bins_2JT)
    own_BJ = torch.where(reading.onset_B[:, None], onset_BJ, offset_BJ)
    kind_B = reading.change_B.long()
    weights_KJ, doubt = _cautious_weights(), _CAUTIOUS_DOUBT
    means_B = meaning(reading.there_B)
    for _ in range(_MOST_STEPS):
        sure_B1 = ((1.0 - doubt) * means_B)[:, None]
        last_KJ, last_doubt = weights_KJ, doubt
        weights_KJ = _weights_step(weights_KJ, sure_B1 * own_BJ + (1.0 - sure_B1), kind_B, worth_B=reading.worth_B)
        doubt = _doubt(means_B, (own_BJ * last_KJ[kind_B]).sum(dim=1), last_doubt, worth_B=reading.worth_B)
        if max(abs(doubt - last_doubt), float((weights_KJ - last_KJ).abs().max())) < _STILL:
            break
    weights, change_weights = (tuple(weights_J.tolist()) for weights_J in weights_KJ)
    return ErrorPrior(weights, change_weights, habit_s, margin_s, doubt)


def _cautious_weights() -> Tensor:
    """The expected weights for both kinds of boundaries, shape (K, J)."""
    return torch.tensor([CAUTIOUS_WEIGHTS, CAUTIOUS_WEIGHTS])


def _weights_step(weights_KJ: Tensor, evidence_BJ: Tensor, kind_B: Tensor, *, worth_B: Tensor) -> Tensor:
    """One EM step of the scales' weights, pulled to the expected ones.

    Args:
        evidence_BJ: the probability of each boundary's evidence under each scale.
        kind_B: 1 for the sides of changes, 0 for the others.
    """
    share_BJ = weights_KJ[kind_B] * evidence_BJ
    share_BJ = worth_B[:, None] * share_BJ / share_BJ.sum(dim=1, keepdim=True).clamp(min=1e-30)
    counts_KJ = (_PSEUDO_ERRORS * _cautious_weights()).index_add(0, kind_B, share_BJ)
    return counts_KJ / counts_KJ.sum(dim=1, keepdim=True)


def _doubt(means_B: Tensor, ratio_B: Tensor, doubt: float, *, worth_B: Tensor) -> float:
    """One EM step of the doubt: the share of readings that mean nothing, among boundaries that exist as far as the model says.

    Args:
        means_B: see `reading.meaning`.
        ratio_B: the probability of each reading if it means something, over that if it does not.
        worth_B: how much each of them counts.
    """
    meant_B, doubted_B = (1.0 - doubt) * means_B * ratio_B, doubt * means_B
    total_B = meant_B + doubted_B + (1.0 - means_B)
    meant, doubted = float(worth_B @ (meant_B / total_B)), float(worth_B @ (doubted_B / total_B))
    return (doubted + _PSEUDO_READINGS * _CAUTIOUS_DOUBT) / (meant + doubted + _PSEUDO_READINGS)


def _habit_s(reading: Reading) -> tuple[float, float]:
    """Each side's habit, pulled to zero if few boundaries are sure."""
    n_frames = reading.ratio_BT.shape[1]
    broad_T = torch.tensor(TRAINED_ON) @ laplace_bins(n_frames, reading.hop_s, 0.0)
    frames_BT = reading.ratio_BT * broad_T
    decoded = decode_frames(
        frames_BT / frames_BT.sum(dim=1, keepdim=True).clamp(min=1e-30),
        1.0 - reading.there_B,
        reading.hop_s,
        bias_s=reading.centre_B,
    )
    found = []
    for side_B in (reading.onset_B, ~reading.onset_B):
        sure_B = side_B & (decoded.confidence >= _SURE)
        n_sure = int(sure_B.sum())
        median_s = float(decoded.shift_s[sure_B].quantile(0.5)) if n_sure else 0.0
        median_s = max(-_MAX_HABIT_S, min(_MAX_HABIT_S, median_s))
        found.append(n_sure * median_s / (n_sure + _PSEUDO_HABITS))
    return found[0], found[1]


def fit_labelled(reading: Reading, true_shift_s_B: Tensor) -> ErrorPrior:
    """The prior from boundaries whose labels are known, for `brefine calibrate`.

    Args:
        true_shift_s_B: label − hypothesis in seconds.
    """
    margins_s_M = torch.arange(-round(_MAX_MARGIN_S / _MARGIN_STEP_S), round(_MAX_MARGIN_S / _MARGIN_STEP_S) + 1) * _MARGIN_STEP_S
    n_frames = reading.ratio_BT.shape[1]
    bins_BM = (((true_shift_s_B - reading.centre_B)[:, None] - margins_s_M) / reading.hop_s + n_frames / 2).floor().long()
    ratio_BM = reading.ratio_BT.gather(1, bins_BM.clamp(0, n_frames - 1)) * ((bins_BM >= 0) & (bins_BM < n_frames))
    penalty_M = -0.5 * (margins_s_M / _MARGIN_SPREAD_S) ** 2
    doubt, habit_s = _CAUTIOUS_DOUBT, [0.0, 0.0]
    side_2B = (reading.onset_B, ~reading.onset_B)
    means_B = meaning(reading.there_B)
    for _ in range(_MOST_STEPS):
        sure_B1 = ((1.0 - doubt) * means_B)[:, None]
        score_BM = torch.log((sure_B1 * ratio_BM + (1.0 - sure_B1)).clamp(min=1e-9))
        best_2 = [int((score_BM[side_B].sum(dim=0) + penalty_M).argmax()) for side_B in side_2B]
        last_doubt = doubt
        ratio_B = ratio_BM[:, best_2].gather(1, (~reading.onset_B).long()[:, None])[:, 0]
        doubt = _doubt(means_B, ratio_B, doubt, worth_B=torch.ones_like(ratio_B))
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
    weights_KJ = _cautious_weights()
    for _ in range(_MOST_STEPS):
        last_KJ = weights_KJ
        weights_KJ = _weights_step(weights_KJ, density_BJ, reading.change_B.long(), worth_B=torch.ones(len(reading)))
        if float((weights_KJ - last_KJ).abs().max()) < _STILL:
            break
    weights, change_weights = (tuple(weights_J.tolist()) for weights_J in weights_KJ)
    return ErrorPrior(weights, change_weights, (habit_s[0], habit_s[1]), (margin_s[0], margin_s[1]), doubt)


def posterior(reading: Reading, prior: ErrorPrior, changes: Changes | None = None) -> tuple[Tensor, Tensor]:
    """Probabilities over the window's frames of where the boundary is heard, and each boundary's margin in seconds.

    Args:
        changes: which boundaries are the two sides of a change, and so inform each other; None = each by itself.
    """
    weights_KJ = torch.tensor([prior.weights, prior.change_weights])
    bins_2KT = [weights_KJ @ laplace_bins(reading.ratio_BT.shape[1], reading.hop_s, location_s) for location_s in prior.habit_s]
    kind_B = reading.change_B.long()
    expected_BT = torch.where(reading.onset_B[:, None], bins_2KT[0][kind_B], bins_2KT[1][kind_B])
    joint_BT = reading.likelihood(prior.doubt) * expected_BT
    if changes is not None:
        label_gap_s = prior.margin_s[0] - prior.margin_s[1]
        told_BT = told_by_the_other_side(joint_BT, expected_BT, changes, reading.hop_s, label_gap_s=label_gap_s)
        joint_BT = joint_BT * told_BT
    margin_B = torch.where(reading.onset_B, prior.margin_s[0], prior.margin_s[1])
    return joint_BT / joint_BT.sum(dim=1, keepdim=True).clamp(min=1e-30), margin_B
