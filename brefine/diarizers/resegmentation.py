"""Where one voice hands over to the next: Viterbi over Gaussian mixtures of the voices that clustering found.

The path may change its voice only at a price, which stands for how long a voice usually keeps the floor; each
voice is modelled by a mixture with diagonal covariances, fitted by EM to the frames it has so far, and refitted after
each pass.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_CHANGE_PRICE = 300.0
"""Nats that a change of voice costs."""
_FRAMES_PER_COMPONENT, _MAX_COMPONENTS = 150, 8
"""A voice's mixture has one component for so many frames that it is fitted to, up to the second number."""
_N_STEPS = 8
"""Steps of EM."""


def resegment(features_TD: Floats, labels_T: NDArray[np.int64], *, n_passes: int = 3) -> NDArray[np.int64]:
    """Moves the changes of voice to where the mixtures put them.

    Args:
        features_TD: cepstra of the speech frames alone, in time order.
        labels_T: voice of each frame, 0 … n − 1.

    Returns:
        Voice of each frame; a voice may lose all of its frames.
    """
    for _ in range(n_passes):
        voices = np.unique(labels_T)
        if len(voices) < 2:
            return labels_T
        log_likelihood_TV = np.empty((len(features_TD), len(voices)))
        for column, voice in enumerate(voices):
            own = features_TD[labels_T == voice]
            n_components = int(np.clip(len(own) // _FRAMES_PER_COMPONENT, 1, _MAX_COMPONENTS))
            log_likelihood_TV[:, column] = log_density(features_TD, *_fit_mixture(own, n_components, features_TD.var(0)))
        labels_T = voices[viterbi(log_likelihood_TV, _CHANGE_PRICE)]
    return labels_T


def viterbi(score_TV: Floats, change_price: float) -> NDArray[np.int64]:
    """The path of columns with the highest sum of scores less the price of its changes."""
    n_frames, n_voices = score_TV.shape
    came_from = np.empty((n_frames, n_voices), np.int64)
    stay = np.arange(n_voices)
    total = score_TV[0].copy()
    for frame in range(1, n_frames):
        best = int(total.argmax())
        change = total[best] - change_price > total
        came_from[frame] = np.where(change, best, stay)
        total = np.where(change, total[best] - change_price, total) + score_TV[frame]
    path = np.empty(n_frames, np.int64)
    path[-1] = int(total.argmax())
    for frame in range(n_frames - 1, 0, -1):
        path[frame - 1] = came_from[frame, path[frame]]
    return path


def log_density(features_TD: Floats, weights_C: Floats, means_CD: Floats, variances_CD: Floats) -> Floats:
    """Log density of each frame under a mixture of diagonal Gaussians, in nats."""
    return np.asarray(np.logaddexp.reduce(_joint(features_TD, weights_C, means_CD, variances_CD), axis=1), np.float64)


def _joint(features_TD: Floats, weights_C: Floats, means_CD: Floats, variances_CD: Floats) -> Floats:
    # (x − m)² / v = x²/v − 2xm/v + m²/v: two matrix products instead of a (T, C, D) array.
    inverse_CD = 1.0 / variances_CD
    distance_TC = (
        features_TD**2 @ inverse_CD.T - 2.0 * features_TD @ (means_CD * inverse_CD).T + (means_CD**2 * inverse_CD).sum(1)
    )
    log_TC = np.log(weights_C) - 0.5 * (distance_TC + np.log(2.0 * np.pi * variances_CD).sum(1))
    return np.asarray(log_TC, np.float64)


def _fit_mixture(own_TD: Floats, n_components: int, floor_D: Floats) -> tuple[Floats, Floats, Floats]:
    """A mixture by EM, which starts from frames spread evenly over time: deterministic, and varied in sound."""
    places = np.linspace(0, len(own_TD) - 1, n_components + 2)[1:-1].round().astype(int)
    means_CD = own_TD[places].copy()
    variances_CD = np.tile(own_TD.var(0) + 0.05 * floor_D, (n_components, 1))
    weights_C = np.full(n_components, 1.0 / n_components)
    for _ in range(_N_STEPS if n_components > 1 else 1):
        joint_TC = _joint(own_TD, weights_C, means_CD, variances_CD)
        share_TC = np.exp(joint_TC - np.logaddexp.reduce(joint_TC, axis=1, keepdims=True))
        mass_C = share_TC.sum(0) + 1e-3
        weights_C = mass_C / mass_C.sum()
        means_CD = share_TC.T @ own_TD / mass_C[:, None]
        variances_CD = np.maximum(share_TC.T @ own_TD**2 / mass_C[:, None] - means_CD**2, 0.0) + 0.05 * floor_D
    return weights_C, means_CD, variances_CD
