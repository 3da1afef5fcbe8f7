"""Clustering by the Bayesian information criterion."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from brefine.diarizers import speakers
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


def test_what_counts_is_how_long_a_voice_speaks() -> None:
    """Not in how many stretches: one of 400 frames goes before three of 100."""
    features, _ = voices([0, 0, 0, 1, 1, 1, 1], n_frames=100)
    stretches = [(0, 100), (100, 200), (200, 300), (300, 700)]
    assert cluster(features, stretches, penalty=2.0).tolist() == [1, 1, 1, 0]


def test_the_criterion_is_that_of_the_module() -> None:
    """By hand in one dimension, where the recording's covariance is nil: log n is that of the pair, not of all three parts."""
    parts = [np.random.default_rng(seed).normal(seed, 1.0, (50 * (1 + seed), 1)) for seed in range(3)]
    statistics, prior = speakers._statistics(parts), np.zeros((1, 1))
    found = speakers._delta_bic(0, np.array([1]), *statistics, speakers._fit(*statistics, prior), prior, 2.0)
    both = np.concatenate(parts[:2])

    def fit(frames: np.ndarray) -> float:
        return len(frames) * float(np.log(frames.var() * len(frames) / (len(frames) + 20)))

    assert found == pytest.approx([0.5 * (fit(both) - fit(parts[0]) - fit(parts[1])) - 0.5 * 2.0 * 2 * np.log(150)])


def _best_pair(groups: list[np.ndarray], prior: np.ndarray) -> tuple[float, int, int]:
    """The criterion at λ = 1.5 in two dimensions, from the frames themselves, and the places of the pair where it is lowest."""

    def fit(frames: np.ndarray) -> float:
        covariance = (len(frames) * np.cov(frames.T, bias=True) + 20 * prior) / (len(frames) + 20)
        return len(frames) * float(np.log(np.linalg.det(covariance)))

    own, found = [fit(frames) for frames in groups], []
    for i, j in itertools.combinations(range(len(groups)), 2):
        both = np.concatenate([groups[i], groups[j]])
        found.append((0.5 * (fit(both) - own[i] - own[j]) - 0.5 * 1.5 * 5 * np.log(len(both)), i, j))
    return min(found)


@pytest.mark.parametrize("seed", range(3))
def test_clusters_are_those_of_merging_the_best_pair_again_and_again(seed: int) -> None:
    """Each criterion made anew from the frames that the clusters have by then."""
    rng = np.random.default_rng(seed)
    parts = [rng.normal(rng.normal(0.0, 0.7, 2), 1.0, (int(rng.integers(20, 80)), 2)) for _ in range(8)]
    ends, prior = np.cumsum([len(part) for part in parts]), np.cov(np.concatenate(parts).T, bias=True)
    groups, members = list(parts), [{place} for place in range(len(parts))]
    while len(groups) > 1:
        lowest, i, j = _best_pair(groups, prior)
        if lowest >= 0.0:
            break
        groups[i] = np.concatenate([groups[i], groups.pop(j)])
        members[i] |= members.pop(j)
    stretches = [(int(end) - len(part), int(end)) for end, part in zip(ends, parts, strict=True)]
    labels = cluster(np.concatenate(parts), stretches, penalty=1.5)
    assert 1 < len(members) < len(parts)
    assert sorted(map(sorted, members)) == sorted(np.flatnonzero(labels == own).tolist() for own in np.unique(labels))


def test_the_nearest_cluster_is_the_one_that_makes_a_stretch_most_probable() -> None:
    """Not the one whose mean is nearest: a narrow voice owns narrow stretches, a wide one those that spread or lie far out."""
    rng = np.random.default_rng(0)
    narrow, wide = rng.normal(0.0, 0.3, (400, 2)), rng.normal(0.5, 3.0, (400, 2))
    others = [rng.normal(0.0, 0.3, (50, 2)), rng.normal(0.5, 3.0, (50, 2)), rng.normal([2.0, -2.0], 0.3, (50, 2))]
    assert speakers._nearest(others, [narrow, wide], np.array([0, 1])).tolist() == [0, 1, 1]
    far = rng.normal(6.0, 0.3, (400, 2))
    between = [rng.normal(mean, 0.3, (50, 2)) for mean in (2.0, 4.0)]
    assert speakers._nearest(between, [narrow, far], np.array([0, 1])).tolist() == [0, 1]


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
