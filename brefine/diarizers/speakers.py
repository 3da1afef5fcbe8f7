"""Which stretches of speech are one voice's: agglomerative clustering by the Bayesian information criterion.

Each cluster is one Gaussian with a full covariance over cepstra. Merging clusters of n₁ and n₂ frames changes the
criterion by

    ΔBIC = ½ (n log|Σ| − n₁ log|Σ₁| − n₂ log|Σ₂|) − λ/2 · (d + d(d+1)/2) · log n,      n = n₁ + n₂

and the pair with the lowest ΔBIC is merged as long as that is below 0: the number of speakers falls out of the rule. λ is
above 1 because neighbouring frames are not independent.

Source: Chen and Gopalakrishnan 1998, "Speaker, environment and channel change detection and clustering via the Bayesian
information criterion"; the local form (log n of the pair instead of the whole recording) is that of Barras et al. 2006.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_PRIOR_FRAMES = 20.0
"""Weight of the whole recording's covariance in that of a cluster."""


def cluster(features_TD: Floats, stretches: Sequence[tuple[int, int]], *, penalty: float) -> NDArray[np.int64]:
    """Gives every stretch the number of its cluster, 0 for the one that speaks most.

    Args:
        features_TD: cepstra of the recording.
        stretches: half-open intervals of frames, each of a single voice.
        penalty: λ; more means fewer speakers.

    Returns:
        Shape (n_stretches,).
    """
    if not stretches:
        return np.zeros(0, np.int64)
    first = [features_TD[start:end] for start, end in stretches]
    n_frames = np.array([len(part) for part in first], float)
    sums = np.array([part.sum(0) for part in first])
    squares = np.array([part.T @ part for part in first])
    # a short stretch has fewer frames than a covariance has parameters: the rest comes from the whole recording
    prior = np.cov(np.concatenate(first).T, bias=True) if n_frames.sum() > 1 else np.eye(features_TD.shape[1])
    prior = prior + 1e-6 * (1.0 + np.trace(prior) / len(prior)) * np.eye(len(prior))

    alive = np.ones(len(first), bool)
    label = np.arange(len(first))
    fit = _fit(n_frames, sums, squares, prior)
    gain = np.full((len(first), len(first)), np.inf)
    for i in range(len(first) - 1):
        others = np.arange(i + 1, len(first), dtype=np.int64)
        gain[i, others] = gain[others, i] = _delta_bic(i, others, n_frames, sums, squares, fit, prior, penalty)
    while True:
        i, j = divmod(int(np.argmin(gain)), len(first))
        if not gain[i, j] < 0.0:
            break
        n_frames[i] += n_frames[j]
        sums[i] += sums[j]
        squares[i] += squares[j]
        fit[i] = _fit(n_frames[[i]], sums[[i]], squares[[i]], prior)[0]
        alive[j] = False
        gain[j, :] = gain[:, j] = np.inf
        label[label == j] = i
        others = np.flatnonzero(alive & (np.arange(len(first)) != i))
        gain[i, others] = gain[others, i] = _delta_bic(i, others, n_frames, sums, squares, fit, prior, penalty)
    order = sorted(np.flatnonzero(alive), key=lambda index: -n_frames[index])
    rank = {int(index): place for place, index in enumerate(order)}
    return np.array([rank[int(index)] for index in label], np.int64)


def _fit(n_frames: Floats, sums: Floats, squares: Floats, prior: Floats) -> Floats:
    """n log|Σ| of each cluster, with the covariance shrunk towards the recording's."""
    mean = sums / n_frames[:, None]
    scatter = squares - n_frames[:, None, None] * mean[:, :, None] * mean[:, None, :]
    covariance = (scatter + _PRIOR_FRAMES * prior) / (n_frames + _PRIOR_FRAMES)[:, None, None]
    log_determinant = 2.0 * np.log(np.diagonal(np.linalg.cholesky(covariance), axis1=1, axis2=2)).sum(1)
    return np.asarray(n_frames * log_determinant, np.float64)


def _delta_bic(
    i: int, others: NDArray[np.int64], n_frames: Floats, sums: Floats, squares: Floats, fit: Floats, prior: Floats, penalty: float
) -> Floats:
    if not len(others):
        return np.zeros(0)
    n_dims = sums.shape[1]
    n_both = n_frames[i] + n_frames[others]
    both = _fit(n_both, sums[i] + sums[others], squares[i] + squares[others], prior)
    n_parameters = n_dims + n_dims * (n_dims + 1) / 2
    return np.asarray(0.5 * (both - fit[i] - fit[others]) - 0.5 * penalty * n_parameters * np.log(n_both), np.float64)
