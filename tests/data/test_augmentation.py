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


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Nothing is equalised, hidden or limited."""
    for name in (
        "_EQUALISER_SPREAD",
        "_BAND_LIMIT_RATE",
        "_DROP_RATE",
        "_MAX_BAND_SHIFT",
        "_MAX_HIDDEN_BANDS",
        "_MAX_HIDDEN_FRAMES",
    ):
        monkeypatch.setattr(augmentation, name, 0)
    return monkeypatch


def bands(value_M: torch.Tensor) -> torch.Tensor:
    """Windows with the same bands in every frame, after augmentation."""
    windows_BTF = torch.ones(512, 30, N_MELS + 6)
    windows_BTF[:, :, :N_MELS] = value_M
    return augmented(windows_BTF, CHANNELS, 1.0, seed=0, step=0)[:, :, :N_MELS]


def test_another_vocal_tract_shifts_all_bands_alike(plain: pytest.MonkeyPatch) -> None:
    """By up to two bands either way, the outermost taking the place of those beyond."""
    plain.setattr(augmentation, "_MAX_BAND_SHIFT", 2)
    ramp_M = torch.arange(float(N_MELS))
    shift_BTM = bands(ramp_M) - ramp_M
    inner_BTM = shift_BTM[:, :, 2:-2]
    assert torch.equal(inner_BTM, inner_BTM[:, :1, :1].expand_as(inner_BTM))
    assert inner_BTM.unique().tolist() == [-2.0, -1.0, 0.0, 1.0, 2.0]
    assert (bands(ramp_M) >= 0.0).all() and (bands(ramp_M) < N_MELS).all()


def test_another_microphone_raises_and_lowers_bands_smoothly(plain: pytest.MonkeyPatch) -> None:
    """The same in all frames of a window, another curve in each window, neighbours nearly alike."""
    plain.setattr(augmentation, "_EQUALISER_SPREAD", 0.5)
    gain_BTM = bands(torch.zeros(N_MELS))
    assert torch.equal(gain_BTM, gain_BTM[:, :1].expand_as(gain_BTM))
    gain_BM = gain_BTM[:, 0]
    assert gain_BM.std(dim=0).mean().item() == pytest.approx(0.5 * (1 + 2 * 0.5) ** 0.5, rel=0.15)
    assert gain_BM.diff(dim=1).abs().max() < 0.3
    assert (gain_BM.std(dim=1) > 0.1).float().mean() > 0.8


def test_a_band_limit_hides_all_bands_above_it(plain: pytest.MonkeyPatch) -> None:
    """In the upper half, and in the wanted share of the windows."""
    plain.setattr(augmentation, "_BAND_LIMIT_RATE", 0.5)
    heard_BTM = bands(torch.ones(N_MELS)) == 1.0
    assert torch.equal(heard_BTM, heard_BTM[:, :1].expand_as(heard_BTM))
    limit_B = heard_BTM[:, 0].sum(dim=1)
    assert all(heard_M[:limit].all() for heard_M, limit in zip(heard_BTM[:, 0], limit_B.tolist(), strict=True))
    assert N_MELS // 2 <= limit_B.min() < 0.6 * N_MELS
    assert 0.4 < (limit_B < N_MELS).float().mean() < 0.6


def test_what_tells_of_voices_is_weakened_or_missing(plain: pytest.MonkeyPatch) -> None:
    """The detectors' channels and those of evidence each as one; to half its strength at least, or to nothing in some windows."""
    plain.setattr(augmentation, "_DROP_RATE", 0.15)
    seen_BTF = augmented(torch.ones(2048, 3, N_MELS + 6), CHANNELS, 1.0, seed=0, step=0)
    for group in (CHANNELS.speech, CHANNELS.evidence):
        strength_B = seen_BTF[:, 0, group[0]]
        assert torch.equal(seen_BTF[:, :, list(group)], strength_B[:, None, None].expand(-1, 3, len(group)))
        there_B = strength_B > 0.0
        assert 0.1 < 1.0 - there_B.float().mean() < 0.2
        assert 0.5 <= strength_B[there_B].min() < 0.52 and 0.98 < strength_B.max() <= 1.0
    assert not torch.equal(seen_BTF[:, 0, CHANNELS.speech[0]], seen_BTF[:, 0, CHANNELS.evidence[0]])


def test_every_band_and_moment_may_be_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last ones as well, and as many beside each other as the limits say, at most."""
    monkeypatch.setattr(augmentation, "_BAND_LIMIT_RATE", 0.0)
    monkeypatch.setattr(augmentation, "_EQUALISER_SPREAD", 0.0)
    hidden_BTM = augmented(torch.ones(2048, 100, N_MELS + 6), CHANNELS, 1.0, seed=0, step=0)[:, :, :N_MELS] == 0.0
    for hidden, most in ((hidden_BTM.all(dim=1), 16), (hidden_BTM.all(dim=2), 20)):
        assert hidden.any(dim=0).all()
        assert hidden.sum(dim=1).max() == most
