"""Viterbi resegmentation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brefine.diarizers import resegmentation
from brefine.diarizers.resegmentation import log_density, resegment, viterbi


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.0, 3.0))
def test_the_path_is_the_best_of_all_paths(seed: int, price: float) -> None:
    """On short sequences no path out of all has a higher score less the price of its changes."""
    scores = np.random.default_rng(seed).normal(size=(6, 3))

    def worth(path: tuple[int, ...] | np.ndarray) -> float:
        changes = sum(a != b for a, b in itertools.pairwise(path))
        return sum(scores[frame, voice] for frame, voice in enumerate(path)) - price * changes

    best = max(worth(path) for path in itertools.product(range(3), repeat=6))
    assert worth(viterbi(scores, price)) == pytest.approx(best)


def test_a_wrong_change_of_voice_is_moved_to_the_right_place() -> None:
    """A change that clustering put 30 frames late is found by the mixtures."""
    rng = np.random.default_rng(0)
    features = np.concatenate([rng.normal(0.0, 1.0, (300, 6)), rng.normal(1.5, 1.0, (300, 6))])
    labels = np.repeat([0, 1], [330, 270])
    found = resegment(features, labels)
    changes = np.flatnonzero(np.diff(found))
    assert len(changes) == 1
    assert abs(changes[0] + 1 - 300) <= 3
    assert (found[0], found[-1]) == (0, 1)


def test_a_voice_of_less_than_a_second_is_a_voice() -> None:
    """One Gaussian is fitted to it, where the others have a mixture: its frames stay its own, and keep its number."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2, 0], [300, 60, 400, 300])
    features = rng.normal(0.0, 1.0, (len(labels), 6)) + np.array([0.0, 6.0, -6.0])[labels, None]
    assert (resegment(features, labels) == labels).all()


def test_a_change_of_voice_costs_three_hundred_nats_in_each_of_three_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cheaper ones chop a turn into pieces; a single pass keeps what wrong frames have taught the mixtures."""
    prices: list[float] = []
    monkeypatch.setattr(resegmentation, "viterbi", lambda score_TV, price: prices.append(price) or viterbi(score_TV, price))
    rng = np.random.default_rng(0)
    resegment(np.concatenate([rng.normal(0.0, 1.0, (300, 6)), rng.normal(1.5, 1.0, (300, 6))]), np.repeat([0, 1], 300))
    assert prices == [300.0] * 3


def test_a_voice_of_equal_frames_has_a_density() -> None:
    """Digital silence that was taken for speech: a Gaussian of no width would be no number, and take every frame or none."""
    features = np.concatenate([np.ones((200, 2)), np.random.default_rng(0).normal(size=(200, 2))])
    with np.errstate(all="raise"):
        labels = resegment(features, np.repeat([0, 1], 200))
    assert set(labels.tolist()) == {0, 1}


def test_a_mixture_has_the_shares_means_and_widths_of_its_parts() -> None:
    """Three quarters of wide frames, one of narrow ones; each variance has 0.05 of the recording's added."""
    rng = np.random.default_rng(0)
    own = rng.permutation(np.concatenate([rng.normal(-3.0, 1.0, (300, 2)), rng.normal(3.0, 0.5, (100, 2))]))
    found = resegmentation._fit_mixture(own, 2, np.ones(2))
    weights, means, variances = (part[np.argsort(found[1][:, 0])] for part in found)
    assert weights == pytest.approx([0.75, 0.25], abs=0.01)
    np.testing.assert_allclose(means, [[-3.0, -3.0], [3.0, 3.0]], atol=0.2)
    np.testing.assert_allclose(variances, [[1.05, 1.05], [0.3, 0.3]], atol=0.15)


def test_voices_keep_their_numbers_where_one_has_no_frames() -> None:
    """Of three voices the second has lost all of its frames: the third is still the third."""
    rng = np.random.default_rng(0)
    features = np.concatenate([rng.normal(0.0, 1.0, (300, 6)), rng.normal(1.5, 1.0, (300, 6))])
    assert np.unique(resegment(features, np.repeat([0, 2], 300))).tolist() == [0, 2]


def test_one_voice_stays_one() -> None:
    """With nobody to hand over to, nothing changes."""
    labels = np.zeros(50, np.int64)
    assert (resegment(np.random.default_rng(0).normal(size=(50, 3)), labels) == labels).all()


def test_the_density_of_a_mixture_is_the_sum_of_its_gaussians() -> None:
    """Two components by hand, in one dimension."""
    x = np.array([[0.3]])
    weights, means, variances = np.array([0.25, 0.75]), np.array([[0.0], [1.0]]), np.array([[1.0], [4.0]])
    by_hand = 0.25 * np.exp(-0.5 * 0.09) / np.sqrt(2 * np.pi) + 0.75 * np.exp(-0.5 * 0.49 / 4) / np.sqrt(2 * np.pi * 4)
    assert log_density(x, weights, means, variances)[0] == pytest.approx(np.log(by_hand))
