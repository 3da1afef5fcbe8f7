"""A phase in small: nine recordings of bursts of noise, their labels and hypotheses, and untrained weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from brefine.config import ExampleConfig, FeatureConfig, RefineConfig, format_config, parse_config, prepared_corpus_path
from brefine.core.boundaries import Shift
from brefine.core.turns import Diarization, Turn
from brefine.data.feature_store import build_store
from brefine.evaluate.moves import HeardRecording, Refinement, decide_moves
from brefine.io.rttm import write_rttm
from brefine.models import build_model
from brefine.models.error_prior import ErrorPrior
from brefine.models.reading import SCALES_S
from brefine.models.weights import Refiner, save_weights
from brefine.phasedir import Calibration, CheckpointCard, CorpusManifest, CorpusRecording, PhaseDir

RATE_HZ = 16000
DURATION_S = 12.0
FEATURES = FeatureConfig(n_mels=20)
EXAMPLES = ExampleConfig(context_s=0.64)

RECIPE = """
schema = 1
[corpus]
kind = "simulated"
root = "{root}"
[features]
n_mels = 20
[examples]
context_s = 0.64
[models.mlp]
[models.contrastive]
"""


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def bursts(seed: int) -> tuple[np.ndarray, Diarization, Diarization]:
    """Audio of two "voices" (low and high noise), where they sound, and that with errors of up to 0.3 s."""
    rng = np.random.default_rng(seed)
    samples = rng.normal(0.0, 1e-3, round(DURATION_S * RATE_HZ))
    truth, guess, start_s = [], [], 0.6
    while start_s < DURATION_S - 2.5:
        speaker = "AB"[len(truth) % 2]
        end_s = start_s + float(rng.uniform(0.9, 1.6))
        own = slice(round(start_s * RATE_HZ), round(end_s * RATE_HZ))
        noise = rng.normal(0.0, 0.2, own.stop - own.start)
        samples[own] += np.convolve(noise, np.ones(8) / 8, "same") if speaker == "A" else np.diff(noise, prepend=0.0)
        truth.append(Turn(start_s, end_s, speaker))
        wrong_s = rng.uniform(-0.3, 0.3, 2)
        guess.append(Turn(start_s + wrong_s[0], end_s + wrong_s[1], f"speaker{speaker}"))
        start_s = end_s + 0.4
    name = f"rec{seed}"
    return samples.astype(np.float32), Diarization(name, tuple(truth)), Diarization(name, tuple(guess))


@pytest.fixture(scope="session")
def prepared_phase(tmp_path_factory: pytest.TempPathFactory) -> PhaseDir:
    """A phase whose corpus is prepared and whose models have (untrained) weights; tests copy it before they write."""
    root = tmp_path_factory.mktemp("phase")
    config = parse_config(RECIPE.format(root=root / "data"), where="test")
    corpus = prepared_corpus_path(config)
    splits: dict[str, list[CorpusRecording]] = {"train": [], "validation": [], "gate": []}
    audio = {}
    for seed, split in enumerate(["train"] * 2 + ["validation"] * 2 + ["gate"] * 5):
        samples, reference, hypothesis = bursts(seed)
        name = reference.recording
        audio[name] = corpus / split / "audio" / f"{name}.flac"
        audio[name].parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(audio[name], samples, RATE_HZ)
        write_rttm(corpus / split / "reference" / f"{name}.rttm", reference)
        write_rttm(corpus / split / "hypothesis" / f"{name}.rttm", hypothesis)
        splits[split].append(
            CorpusRecording(
                name=name,
                audio=f"{split}/audio/{name}.flac",
                reference=f"{split}/reference/{name}.rttm",
                hypothesis=f"{split}/hypothesis/{name}.rttm",
                duration_s=DURATION_S,
                regions_s=[(0.0, DURATION_S)],
                speakers=[f"{name}-A", f"{name}-B"],
            )
        )
    build_store(corpus / "features", audio, config.features)
    CorpusManifest(title="bursts", evidence="simulated", hypothesis_source="a test", splits=splits).write(corpus / "corpus.json")
    phase = PhaseDir(root / "runs" / "bursts")
    phase.path.mkdir(parents=True)
    phase.config.write_text(format_config(config))
    for model in phase.models():
        save_untrained(phase.run(model).weights("best"), model)
    return phase


@pytest.fixture
def phase(prepared_phase: PhaseDir, tmp_path: Path) -> PhaseDir:
    """A copy of the phase (the corpus is shared) to write into."""
    copy = PhaseDir(tmp_path / "bursts")
    for path in prepared_phase.path.rglob("*"):
        if path.is_file():
            target = copy.path / path.relative_to(prepared_phase.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    return copy


def all_earlier(refiner: Refiner, heard: HeardRecording, prior: ErrorPrior, *, config: RefineConfig) -> Refinement:
    """Moves each boundary by 40 ms, which untrained weights hardly ever do."""
    shifts = [Shift(one.turn_index, one.side, -0.04, 1.0) for one in heard.boundaries]
    return decide_moves(heard.hypothesis, shifts, duration_s=heard.duration_s, config=config)


def save_untrained(path: Path, model: str, *, seed: int = 0) -> None:
    torch.manual_seed(seed)
    save_weights(path, model, build_model(model, FEATURES, EXAMPLES).state_dict(), FEATURES, EXAMPLES)


def save_calibration(path: Path, weights: Path) -> None:
    """Constants that move boundaries far, and are none that any hypothesis would tell."""
    card = CheckpointCard.read(weights.with_suffix(".json"))
    Calibration(
        weights_sha256=card.weights_sha256,
        scales_s=list(SCALES_S),
        weights=[0.0, 0.0, 0.0, 0.5, 0.5],
        habit_s=(0.15, -0.1),
        margin_s=(0.0, 0.0),
        doubt=0.3,
        n_recordings=1,
        n_boundaries=20,
        mae_before_ms=100.0,
        mae_after_ms=50.0,
    ).write(path)
