"""The check before a long training: a model that cannot learn one small batch by heart cannot learn anything."""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from brefine.config import CorpusConfig, HypothesisConfig, ModelName, PhaseConfig, prepared_corpus_path
from brefine.data.batches import Batch, TrainingBatches
from brefine.data.prepare import prepare
from brefine.data.splits import Split
from brefine.models.heads import decode, target_distribution
from brefine.phasedir import CORPUS_FILE
from brefine.train.device import Device, claim_device
from brefine.train.losses import refiner_loss
from brefine.train.setup import fresh_state, tables_and_examples

LIMIT_MS: dict[ModelName, float] = {"transformer": 3.0, "mlp": 25.0, "contrastive": 40.0}
"""The largest MAE on its batch with which a model passes; a small model does not learn sixteen boundaries to the frame."""
_EXAMPLES = 16
_MAX_STEPS, _CHECK_EVERY = 400, 10
_RATE = 1e-3


@dataclass(frozen=True, slots=True)
class Overfit:
    """How one model did on its batch."""

    model: ModelName
    mae_ms: float
    limit_ms: float
    unrefined_mae_ms: float
    examples: int
    steps: int
    seconds: float

    @property
    def passed(self) -> bool:
        return self.mae_ms <= self.limit_ms

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"passed": self.passed}


def overfit(config: PhaseConfig) -> list[Overfit]:
    """Trains each model of the recipe on one batch of matched boundaries, simulated ones if no corpus is prepared yet."""
    with tempfile.TemporaryDirectory(prefix="brefine-overfit-") as scratch:
        folder = prepared_corpus_path(config)
        if not (folder / CORPUS_FILE).exists():
            print("no prepared corpus yet: simulating four conversations", file=sys.stderr)
            folder = prepare(_small(config), out=Path(scratch))
        split = Split(folder, "train", config.features)
        return [_overfit_one(model, split, config) for model in config.models]


def _overfit_one(model: ModelName, split: Split, config: PhaseConfig) -> Overfit:
    started_s = time.monotonic()
    settings = config.train.model_copy(update={"precision": "float32"})
    device = claim_device(settings)
    batch, hop_s = _one_batch(split, config, device), config.features.hop_s
    true_s_B = batch.offset_frames_B * hop_s
    state = fresh_state(model, config, device)
    for group in state.optimizer.param_groups:
        group.update(lr=_RATE, weight_decay=0.0)
    target_BK = target_distribution(batch.offset_frames_B, batch.features_BTF.shape[1], settings.label_sigma_s / hop_s)
    mae_ms, step = float("inf"), 0
    while step < _MAX_STEPS and mae_ms > LIMIT_MS[model] / 2:
        output = state.model(batch.features_BTF)
        torch.autograd.backward(refiner_loss(output, target_BK, batch.offset_frames_B))
        torch.nn.utils.clip_grad_norm_(state.model.parameters(), settings.clip_norm)
        state.optimizer.step()
        state.optimizer.zero_grad()
        step += 1
        if step % _CHECK_EVERY == 0:
            with torch.inference_mode():
                shift_s_B = decode(state.model(batch.features_BTF).logits_BK, hop_s).shift_s
            mae_ms = float((shift_s_B - true_s_B).abs().mean() * 1e3)
    return Overfit(
        model,
        mae_ms,
        LIMIT_MS[model],
        unrefined_mae_ms=float(true_s_B.abs().mean() * 1e3),
        examples=len(true_s_B),
        steps=step,
        seconds=time.monotonic() - started_s,
    )


def _one_batch(split: Split, config: PhaseConfig, device: Device) -> Batch:
    tables, examples = tables_and_examples(split, config, device)
    batches = TrainingBatches(
        tables, examples[examples.positive], config.examples, batch_size=_EXAMPLES, seed=config.seed, redraw=False
    )
    return batches.at(0)


def _small(config: PhaseConfig) -> PhaseConfig:
    """The recipe with only four conversations, of its voices and rooms; all errors are replayed, its own if it replays any."""
    few = {"n_train": 4, "n_validation": 1, "n_gate": 1, "duration_s": 30.0, "n_speakers": (2, 2)}
    simulation = config.corpus.simulation.model_copy(update=few)
    corpus = CorpusConfig(kind="simulated", root=config.corpus.root, simulation=simulation)
    errors = config.hypothesis.errors if config.hypothesis.source == "replayed" else HypothesisConfig().errors
    hypothesis = HypothesisConfig(errors=errors)
    return config.model_copy(update={"corpus": corpus, "hypothesis": hypothesis})
