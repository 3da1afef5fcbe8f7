"""Which stretches of speech belong to one voice: agglomerative clustering by the Bayesian information criterion.

Each cluster is one Gaussian with a full covariance over cepstra. Merging clusters of n₁ and n₂ frames changes the
criterion by

    ΔBIC = ½ (n log|Σ| − n₁ log|Σ₁| − n₂ log|Σ₂|) − λ/2 · (d + d(d+1)/2) · log n,      n = n₁ + n₂

and the pair with the lowest ΔBIC is merged as long as that is below 0: the number of speakers follows from the rule. λ is
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


def cluster(
    features_TD: Floats, stretches: Sequence[tuple[int, int]], *, penalty: float, at_most: int | None = None
) -> NDArray[np.int64]:
    """Gives every stretch the number of its cluster, 0 for the one that speaks most.

    Args:
        features_TD: cepstra of the recording.
        stretches: half-open intervals of frames, each of a single voice.
        penalty: λ; more means fewer speakers.
        at_most: only so many stretches, the longest, are compared with one another; each of the others goes to the cluster that
            it fits best. None = all are compared.

    Returns:
        Shape (n_stretches,).
    """
    if not stretches:
        return np.zeros(0, np.int64)
    parts = [features_TD[start:end] for start, end in stretches]
    lengths = np.array([len(part) for part in parts])
    by_length = np.argsort(-lengths, kind="stable")
    n_compared = len(parts) if at_most is None else at_most
    longest, others = np.sort(by_length[:n_compared]), np.sort(by_length[n_compared:])
    label = np.empty(len(parts), np.int64)
    label[longest] = _merged([parts[place] for place in longest], penalty)
    if len(others):
        label[others] = _nearest([parts[place] for place in others], [parts[place] for place in longest], label[longest])
    clusters, members = np.unique(label, return_inverse=True)
    rank = np.empty(len(clusters), np.int64)
    rank[np.argsort(-np.bincount(members, weights=lengths), kind="stable")] = np.arange(len(clusters))
    return rank[members]


def _merged(parts: Sequence[Floats], penalty: float) -> NDArray[np.int64]:
    """The cluster of each part, named after the place of the cluster's first part."""
    n_frames, sums, squares = _statistics(parts)
    prior = _covariance_of_all(parts)
    alive = np.ones(len(parts), bool)
    label = np.arange(len(parts))
    fit = _fit(n_frames, sums, squares, prior)
    gain = np.full((len(parts), len(parts)), np.inf)
    for i in range(len(parts) - 1):
        others = np.arange(i + 1, len(parts), dtype=np.int64)
        gain[i, others] = gain[others, i] = _delta_bic(i, others, n_frames, sums, squares, fit, prior, penalty)
    while True:
        i, j = divmod(int(np.argmin(gain)), len(parts))
        if not gain[i, j] < 0.0:
            break
        n_frames[i] += n_frames[j]
        sums[i] += sums[j]
        squares[i] += squares[j]
        fit[i] = _fit(n_frames[[i]], sums[[i]], squares[[i]], prior)[0]
        alive[j] = False
        gain[j, :] = gain[:, j] = np.inf
        label[label == j] = i
        others = np.flatnonzero(alive & (np.arange(len(parts)) != i))
        gain[i, others] = gain[others, i] = _delta_bic(i, others, n_frames, sums, squares, fit, prior, penalty)
    return label


def _nearest(others: Sequence[Floats], parts: Sequence[Floats], label: NDArray[np.int64]) -> NDArray[np.int64]:
    """The cluster whose Gaussian makes each of the others most probable; the clusters are those of `parts`."""
    clusters, members = np.unique(label, return_inverse=True)
    member_CP = (members == np.arange(len(clusters))[:, None]).astype(float)
    n_frames, sums, squares = (np.tensordot(member_CP, column, 1) for column in _statistics(parts))
    covariance = _covariance(n_frames, sums, squares, _covariance_of_all(parts))
    precision, mean = np.linalg.inv(covariance), sums / n_frames[:, None]
    pulled = np.einsum("cde,ce->cd", precision, mean)
    own_n, own_sums, own_squares = _statistics(others)
    # Σ (x − m)ᵀ P (x − m) + log|Σ| over a stretch's frames x, from their sums
    distance = own_squares.reshape(len(others), -1) @ precision.reshape(len(clusters), -1).T - 2.0 * own_sums @ pulled.T
    distance += own_n[:, None] * ((mean * pulled).sum(1) + np.linalg.slogdet(covariance).logabsdet)
    return np.asarray(clusters[distance.argmin(axis=1)], np.int64)


def _statistics(parts: Sequence[Floats]) -> tuple[Floats, Floats, Floats]:
    """Number, sum and sum of squares of each part's frames."""
    return (
        np.array([len(part) for part in parts], float),
        np.array([part.sum(0) for part in parts]),
        np.array([part.T @ part for part in parts]),
    )


def _covariance_of_all(parts: Sequence[Floats]) -> Floats:
    """The recording's covariance, for short stretches, which have fewer frames than a covariance has parameters."""
    frames = np.concatenate(parts)
    prior = np.cov(frames.T, bias=True) if len(frames) > 1 else np.eye(frames.shape[1])
    return np.asarray(prior + 1e-6 * (1.0 + np.trace(prior) / len(prior)) * np.eye(len(prior)))


def _covariance(n_frames: Floats, sums: Floats, squares: Floats, prior: Floats) -> Floats:
    """Each cluster's covariance, shrunk towards the recording's."""
    mean = sums / n_frames[:, None]
    scatter = squares - n_frames[:, None, None] * mean[:, :, None] * mean[:, None, :]
    return np.asarray((scatter + _PRIOR_FRAMES * prior) / (n_frames + _PRIOR_FRAMES)[:, None, None])


def _fit(n_frames: Floats, sums: Floats, squares: Floats, prior: Floats) -> Floats:
    """n log|Σ| of each cluster."""
    factors = np.linalg.cholesky(_covariance(n_frames, sums, squares, prior))
    log_determinant = 2.0 * np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(1)
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
