"""Conversations of noise in memory: what a benchmark trains on where no corpus is prepared. Speed does not depend on meaning."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brefine.config import FeatureConfig
from brefine.core.turns import Diarization, Turn
from brefine.data.examples import Annotated

_DURATION_S = 60.0
_SPEAKERS = ("a", "b", "c")
_TURN_S, _GAP_S, _ERROR_S = (0.8, 3.0), (0.1, 0.6), 0.1
_BOUNDARIES = 40
"""Matched boundaries that a conversation has at the least."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """One recording's frames and annotations."""

    log_mel_NM: NDArray[np.float16]
    annotated: Annotated


def noise_conversations(n_boundaries: int, features: FeatureConfig, *, seed: int = 0) -> list[Conversation]:
    """Enough one-minute conversations for `n_boundaries` matched boundaries, the same for the same seed."""
    rng = np.random.default_rng(seed)
    return [_draw(f"noise-{index}", features, rng) for index in range(-(-n_boundaries // _BOUNDARIES))]


def _draw(name: str, features: FeatureConfig, rng: np.random.Generator) -> Conversation:
    reference: list[Turn] = []
    hypothesis: list[Turn] = []
    time_s = 0.5
    while time_s < _DURATION_S - _TURN_S[1] - 0.5:
        end_s, speaker = time_s + rng.uniform(*_TURN_S), _SPEAKERS[len(reference) % len(_SPEAKERS)]
        reference.append(Turn(time_s, end_s, speaker))
        moved_s = np.clip(rng.laplace(0.0, _ERROR_S, 2), -0.3, 0.3)
        hypothesis.append(Turn(max(0.1, time_s + moved_s[0]), end_s + moved_s[1], speaker))
        time_s = end_s + rng.uniform(*_GAP_S)
    log_mel_NM = rng.normal(-5.0, 2.0, (round(_DURATION_S / features.hop_s), features.n_mels)).astype(np.float16)
    annotated = Annotated(Diarization(name, tuple(reference)), Diarization(name, tuple(hypothesis)), [(0.0, _DURATION_S)])
    return Conversation(log_mel_NM, annotated)
