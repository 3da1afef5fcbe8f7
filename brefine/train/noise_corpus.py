"""Conversations of noise, for benchmarks without a prepared corpus: speed does not depend on meaning.

`python -m brefine.train.noise_corpus RECIPE N_TRAIN N_VALIDATION` writes them where the recipe's prepared corpus belongs.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from brefine.config import FeatureConfig, PhaseConfig, load_config, prepared_corpus_path
from brefine.core.turns import Diarization, Turn
from brefine.data.examples import Annotated
from brefine.data.feature_store import write_store
from brefine.data.features import n_columns_of
from brefine.errors import run_main
from brefine.io.rttm import write_rttm
from brefine.phasedir import CORPUS_FILE, CorpusManifest, CorpusRecording

_DURATION_S = 60.0
_SPEAKERS = ("a", "b", "c")
_TURN_S, _GAP_S, _ERROR_S = (0.8, 3.0), (0.1, 0.6), 0.1
_BOUNDARIES = 40
"""Least number of matched boundaries in a conversation."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """One recording's frames and annotations."""

    log_mel_NM: NDArray[np.float16]
    annotated: Annotated


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m brefine.train.noise_corpus", description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("n_train", type=int)
    parser.add_argument("n_validation", type=int)
    options = parser.parse_args()
    write_noise_corpus(load_config(options.recipe), n_train=options.n_train, n_validation=options.n_validation)
    return 0


def write_noise_corpus(config: PhaseConfig, *, n_train: int, n_validation: int) -> None:
    """Prepares a corpus with at least so many matched boundaries in the two splits, without audio and without a gate split."""
    folder = prepared_corpus_path(config)
    splits: dict[str, list[CorpusRecording]] = {}
    frames: dict[str, NDArray[np.float16]] = {}
    for seed, (split, n_boundaries) in enumerate((("train", n_train), ("validation", n_validation))):
        splits[split] = []
        for each in noise_conversations(n_boundaries, config.features, name=split, seed=seed):
            name = each.annotated.reference.recording
            paths = {kind: f"{split}/{kind}/{name}.rttm" for kind in ("reference", "hypothesis")}
            write_rttm(folder / paths["reference"], each.annotated.reference)
            write_rttm(folder / paths["hypothesis"], each.annotated.hypothesis)
            frames[name] = each.log_mel_NM
            splits[split].append(
                CorpusRecording(
                    name=name,
                    audio="none.wav",
                    duration_s=_DURATION_S,
                    regions_s=[(0.0, _DURATION_S)],
                    speakers=list(_SPEAKERS),
                    replayed=True,
                    **paths,
                )
            )
    write_store(folder / "features", frames, config.features)
    CorpusManifest(title="noise", evidence="simulated", hypothesis_source="drawn", splits=splits).write(folder / CORPUS_FILE)


def noise_conversations(n_boundaries: int, features: FeatureConfig, *, name: str = "noise", seed: int = 0) -> list[Conversation]:
    """Enough one-minute conversations for `n_boundaries` matched boundaries, the same for the same seed."""
    rng = np.random.default_rng(seed)
    return [_draw(f"{name}-{index}", features, rng) for index in range(-(-n_boundaries // _BOUNDARIES))]


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
    log_mel_NM = rng.normal(-5.0, 2.0, (round(_DURATION_S / features.hop_s), n_columns_of(features))).astype(np.float16)
    annotated = Annotated(Diarization(name, tuple(reference)), Diarization(name, tuple(hypothesis)), [(0.0, _DURATION_S)])
    return Conversation(log_mel_NM, annotated)


if __name__ == "__main__":
    run_main(main)
