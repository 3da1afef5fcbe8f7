"""Clustering by the Bayesian information criterion."""

from __future__ import annotations

import numpy as np
import pytest

from brefine.diarizers.speakers import cluster


def voices(order: list[int], n_frames: int = 200, n_dims: int = 8) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Frames of `order[i]` in stretch i: every voice is one random Gaussian."""
    means = np.random.default_rng(1).normal(0.0, 2.0, (max(order) + 1, n_dims))
    noise = np.random.default_rng(2).normal(size=(len(order), n_frames, n_dims))
    features = np.concatenate([means[voice] + own for voice, own in zip(order, noise, strict=True)])
    return features, [(i * n_frames, (i + 1) * n_frames) for i in range(len(order))]


@pytest.mark.parametrize("n_voices", [1, 2, 3, 5])
def test_the_number_of_voices_is_found(n_voices: int) -> None:
    """Stretches of the same Gaussian become one cluster, however many Gaussians there are."""
    order = [i % n_voices for i in range(12)]
    labels = cluster(*voices(order), penalty=2.0)
    assert len(set(labels.tolist())) == n_voices
    assert all((labels[i] == labels[j]) == (order[i] == order[j]) for i in range(12) for j in range(12))


def test_voice_0_is_the_one_that_speaks_most() -> None:
    """Clusters are numbered by falling share of the frames."""
    assert cluster(*voices([0, 1, 1, 1, 2, 2]), penalty=2.0).tolist() == [2, 0, 0, 0, 1, 1]


def test_a_higher_penalty_never_finds_more_voices() -> None:
    """λ trades the fit against the number of clusters."""
    features, stretches = voices([0, 1, 2, 3] * 3)
    found = [len(set(cluster(features, stretches, penalty=penalty).tolist())) for penalty in (0.5, 2.0, 8.0, 1000.0)]
    assert found == sorted(found, reverse=True)
    assert found[-1] == 1


def test_no_stretches_no_clusters() -> None:
    """Silence has no voices."""
    assert cluster(np.zeros((0, 4)), [], penalty=2.0).shape == (0,)


def test_of_too_many_stretches_the_longest_are_compared(compared: list[int]) -> None:
    """All pairs of the stretches of a day would take gigabytes; the others find their voice all the same."""
    order = [place % 3 for place in range(90)]
    features, stretches = voices(order, n_frames=40)
    short = [(start, end if place % 10 < 3 else start + 12) for place, (start, end) in enumerate(stretches)]
    assert cluster(features, short, penalty=2.0, at_most=27).tolist() == cluster(features, short, penalty=2.0).tolist()
    assert compared == [27, 90]
    labels = cluster(features, short, penalty=2.0, at_most=27)
    assert all((labels[i] == labels[j]) == (order[i] == order[j]) for i in range(90) for j in range(90))
