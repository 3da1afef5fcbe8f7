"""Windows through other ears."""

from __future__ import annotations

import pytest
import torch

from brefine.data import augmentation
from brefine.data.augmentation import Channels, augmented

N_MELS = 40
CHANNELS = Channels.of(N_MELS, N_MELS + 1)
OWN, OTHERS, SIDE = N_MELS + 1, N_MELS + 2, N_MELS + 5


def windows() -> torch.Tensor:
    return torch.randn(64, 100, N_MELS + 6, generator=torch.Generator().manual_seed(0))


def test_a_window_changes_by_seed_and_step_alone() -> None:
    """The same seed and step give the same windows; another step or another seed gives others."""
    once = augmented(windows(), CHANNELS, 1.0, seed=3, step=5)
    assert torch.equal(once, augmented(windows(), CHANNELS, 1.0, seed=3, step=5))
    for seed, step in ((3, 6), (4, 5), (5, 3), (3 + (1 << 31), 5)):
        assert not torch.equal(once, augmented(windows(), CHANNELS, 1.0, seed=seed, step=step))


def test_what_the_hypothesis_says_is_left_as_it_is() -> None:
    """Activity and side tell where the boundary is sought: they never change."""
    seen = augmented(windows(), CHANNELS, 1.0, seed=0, step=0)
    for channel in (OWN, OTHERS, SIDE):
        assert torch.equal(seen[:, :, channel], windows()[:, :, channel])


def test_only_the_wanted_share_of_windows_changes() -> None:
    """At a rate of a half about half of them are seen as they are; at 0 all."""
    same = (augmented(windows(), CHANNELS, 0.5, seed=0, step=0) == windows()).flatten(1).all(dim=1)
    assert 0.3 < same.float().mean() < 0.7
    assert torch.equal(augmented(windows(), CHANNELS, 0.0, seed=0, step=0), windows())


def test_every_band_and_moment_may_be_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last ones as well, and as many beside each other as the limits say, at most."""
    monkeypatch.setattr(augmentation, "_BAND_LIMIT_RATE", 0.0)
    monkeypatch.setattr(augmentation, "_EQUALISER_SPREAD", 0.0)
    hidden_BTM = augmented(torch.ones(2048, 100, N_MELS + 6), CHANNELS, 1.0, seed=0, step=0)[:, :, :N_MELS] == 0.0
    for hidden, most in ((hidden_BTM.all(dim=1), 16), (hidden_BTM.all(dim=2), 20)):
        assert hidden.any(dim=0).all()
        assert hidden.sum(dim=1).max() == most
