"""Augmentation: windows changed at random as by other microphones and voices, at almost no cost.

A simulated corpus has a few hundred voices and channels; with augmentation, each epoch can show every window through another one.
Per window, at random: a smooth equalisation and a band limit (another microphone), shifted bands (a longer or shorter vocal
tract), hidden bands and moments (`SpecAugment`), and evidence that is missing or weak, so that no model leans on one input alone.
The true boundary stays where it is.

Sources: Park et al. 2019, "SpecAugment"; Jaitly and Hinton 2013, "Vocal tract length perturbation".

Shapes: B windows, T frames, F channels, M mel bands.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from brefine.data.transfer import sent

_EQUALISER_SPREAD = 0.5
"""Standard deviation of the equaliser's three curves, in the bands' own standard deviations."""
_MAX_BAND_SHIFT = 2
_MAX_HIDDEN_BANDS, _MAX_HIDDEN_FRAMES = 16, 20
_DROP_RATE = 0.15
_BAND_LIMIT_RATE = 0.15


@dataclass(frozen=True, slots=True)
class Channels:
    """The layout of a window's channels, as `brefine.data.batches` makes it.

    Attributes:
        n_mels: M, the first channels.
        speech: the channels that say whether voices are heard: the detector's and those of pitch, if the recipe has them.
        evidence: the own speaker's evidence, and that of speech.
    """

    n_mels: int
    speech: tuple[int, ...]
    evidence: tuple[int, ...]

    @classmethod
    def of(cls, n_mels: int, n_columns: int) -> Channels:
        """The layout if a recording's frames have `n_columns`, followed by two tracks of activity and two of evidence."""
        return cls(n_mels, tuple(range(n_mels, n_columns)), (n_columns + 2, n_columns + 3))


def augmented(features_BTF: Tensor, channels: Channels, rate: float, *, seed: int, step: int) -> Tensor:
    """The windows, about `rate` of them changed; a function of seed and step."""
    # a CPU's generator uses only 32 bits of its seed, so both are mixed into these
    (mixed,) = np.random.SeedSequence([seed, step]).generate_state(1).tolist()
    generator = torch.Generator().manual_seed(mixed)
    n_batch, n_frames, _ = features_BTF.shape
    device, dtype = features_BTF.device, features_BTF.dtype
    n_mels = channels.n_mels

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator)

    changed_B = uniform(n_batch) < rate
    band_M = torch.arange(n_mels)
    shift_B = torch.randint(-_MAX_BAND_SHIFT, _MAX_BAND_SHIFT + 1, (n_batch,), generator=generator) * changed_B
    source_BM = (band_M + shift_B[:, None]).clamp(0, n_mels - 1)

    phase_M = (band_M + 0.5) / n_mels
    waves_3M = torch.stack([torch.cos(torch.pi * order * phase_M) for order in range(3)])
    gain_BM = (torch.randn(n_batch, 3, generator=generator) * _EQUALISER_SPREAD * changed_B[:, None]) @ waves_3M

    width_B = (uniform(n_batch) * (_MAX_HIDDEN_BANDS + 1)).long()
    first_B = (uniform(n_batch) * (n_mels - width_B + 1)).long()
    hidden_BM = (band_M >= first_B[:, None]) & (band_M < (first_B + width_B)[:, None])
    limit_B = torch.where(uniform(n_batch) < _BAND_LIMIT_RATE, (0.5 + 0.5 * uniform(n_batch)) * n_mels, float(n_mels))
    hidden_BM = (hidden_BM | (band_M >= limit_B[:, None])) & changed_B[:, None]

    length_B = (uniform(n_batch) * (_MAX_HIDDEN_FRAMES + 1)).long()
    start_B = (uniform(n_batch) * (n_frames - length_B + 1)).long()
    frame_T = torch.arange(n_frames)
    hidden_BT = (frame_T >= start_B[:, None]) & (frame_T < (start_B + length_B)[:, None]) & changed_B[:, None]

    kept_BM = sent((~hidden_BM).to(dtype), device)
    kept_BT = sent((~hidden_BT).to(dtype), device)
    bands_BTM = features_BTF[:, :, :n_mels].gather(2, sent(source_BM, device)[:, None, :].expand(-1, n_frames, -1))
    bands_BTM = (bands_BTM + sent(gain_BM.to(dtype), device)[:, None, :]) * kept_BM[:, None, :] * kept_BT[:, :, None]
    features_BTF = torch.cat([bands_BTM, features_BTF[:, :, n_mels:]], dim=2)
    for group in (channels.speech, channels.evidence):
        strength_B = (uniform(n_batch) >= _DROP_RATE) * (0.5 + 0.5 * uniform(n_batch))
        strength_B11 = sent(torch.where(changed_B, strength_B, 1.0).to(dtype), device)[:, None, None]
        for channel in group:
            features_BTF[:, :, channel : channel + 1] *= strength_B11
    return features_BTF
