"""A prepared corpus small enough for a test: noise of two colours takes turns, and its hypotheses are wrong by known amounts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from brefine.config import PhaseConfig, prepared_corpus_path
from brefine.core.turns import Diarization, Turn
from brefine.data.feature_store import build_store
from brefine.io.rttm import write_rttm
from brefine.phasedir import CorpusManifest, CorpusRecording

RATE_HZ = 16000
DURATION_S = 20.0


def tiny_recipe(root: Path, **sections: object) -> PhaseConfig:
    """A recipe for the tiny corpus under `root`; `sections` are merged over its own."""
    tree: dict[str, object] = {
        "schema": 1,
        "name": "tiny",
        "corpus": {"kind": "simulated", "root": str(root)},
        "examples": {"context_s": 0.64},
        "train": {"epochs": 2, "batch_size": 8, "lr": 1e-3, "precision": "float32", "threads": 1, "log_every_s": 0.2},
        "models": {"mlp": {}},
    }
    for name, section in sections.items():
        known = tree.get(name)
        tree[name] = known | section if isinstance(known, dict) and isinstance(section, dict) else section
    return PhaseConfig.model_validate(tree)


def make_tiny_corpus(config: PhaseConfig, *, n_train: int = 3) -> Path:
    """Writes the recipe's prepared corpus: audio, references, hypotheses, feature store and manifest."""
    folder = prepared_corpus_path(config)
    rng = np.random.default_rng(3)
    splits: dict[str, list[CorpusRecording]] = {}
    audio: dict[str, Path] = {}
    for split, n_recordings in (("train", n_train), ("validation", 1), ("gate", 1)):
        splits[split] = []
        for index in range(n_recordings):
            name = f"{split}-{index}"
            reference = draw_reference(name, rng)
            audio[name] = folder / split / "audio" / f"{name}.wav"
            audio[name].parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(audio[name], render(reference, rng), RATE_HZ)
            paths = {}
            for kind, diarization in (("reference", reference), ("hypothesis", disturbed(reference, rng))):
                paths[kind] = str(Path(split) / kind / f"{name}.rttm")
                write_rttm(folder / paths[kind], diarization)
            splits[split].append(
                CorpusRecording(
                    name=name,
                    audio=str(audio[name].relative_to(folder)),
                    duration_s=DURATION_S,
                    regions_s=[(0.0, DURATION_S)],
                    speakers=["high", "low"],
                    **paths,
                )
            )
    build_store(folder / "features", audio, config.features)
    manifest = CorpusManifest(title="noises", evidence="simulated", hypothesis_source="drawn by a test", splits=splits)
    manifest.write(folder / "corpus.json")
    return folder


def draw_reference(name: str, rng: np.random.Generator) -> Diarization:
    """Two speakers in turn, 0.6 to 1.4 s each, with short gaps."""
    turns, time_s, place = [], 0.3, 0
    while time_s < DURATION_S - 2.0:
        end_s = time_s + rng.uniform(0.6, 1.4)
        turns.append(Turn(round(time_s, 3), round(end_s, 3), ("high", "low")[place % 2]))
        time_s, place = end_s + rng.uniform(0.1, 0.4), place + 1
    return Diarization(name, tuple(turns))


def disturbed(reference: Diarization, rng: np.random.Generator) -> Diarization:
    """Each end moved by up to 0.15 s."""
    turns = [
        Turn(turn.onset_s + rng.uniform(-0.15, 0.15), turn.offset_s + rng.uniform(-0.15, 0.15), turn.speaker)
        for turn in reference.turns
    ]
    return Diarization(reference.recording, tuple(turns))


def render(reference: Diarization, rng: np.random.Generator) -> np.ndarray:
    """The sound of a reference: bright noise for one speaker, dull noise for the other, over a quiet floor."""
    samples = rng.normal(0.0, 1e-3, round(DURATION_S * RATE_HZ))
    for turn in reference.turns:
        start, end = round(turn.onset_s * RATE_HZ), round(turn.offset_s * RATE_HZ)
        noise = rng.normal(0.0, 0.1, end - start)
        smooth = np.convolve(noise, np.ones(8) / 8, mode="same")
        samples[start:end] += smooth if turn.speaker == "low" else noise - smooth
    return samples.astype(np.float32)
