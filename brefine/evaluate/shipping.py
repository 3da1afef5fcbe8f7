"""One weights file out of a phase: its models as an ensemble, calibrated on the validation split, in half precision.

This is how the weights in the package are made: `python -m brefine.evaluate ship PHASE -o FILE`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from brefine.config import ModelName, PhaseConfig, prepared_corpus_path
from brefine.core.frames import n_window_frames
from brefine.core.matching import match_boundaries
from brefine.data.batches import centres_s
from brefine.data.examples import find_examples
from brefine.data.splits import Split
from brefine.errors import DataError
from brefine.evaluate.evaluation import load_checkpoint
from brefine.evaluate.moves import movable
from brefine.evaluate.recordings import GivenSplit
from brefine.models.ensemble import Ensemble
from brefine.models.heads import mean_confidence, target_distribution
from brefine.models.reading import describe_training
from brefine.models.weights import Refiner, save_weights
from brefine.phasedir import CheckpointCard, PhaseDir

_TEMPERATURES = tuple(round(0.6 + 0.1 * step, 1) for step in range(20))


def ship(phase: PhaseDir, models: Sequence[ModelName], out: Path, *, device: str = "auto") -> CheckpointCard:
    """Writes the best checkpoints of `models` as one refiner.

    Raises:
        CheckpointError: a model has no weights.
        DataError: the validation split has no matched boundary to calibrate on.
    """
    config = phase.load_config()
    split = GivenSplit(config, "validation")
    refiners = [load_checkpoint(phase, model, "best", device) for model in models]
    ensemble = Ensemble({model: refiner.model for model, refiner in zip(models, refiners, strict=True)})
    ensemble.temperature_M = torch.tensor([fit_temperature(refiner, split, config) for refiner in refiners])
    logits_BK, _ = _labelled(replace(refiners[0], model=ensemble), split, config)
    confidence = mean_confidence(torch.softmax(logits_BK[:, :-1], dim=1), config.features.hop_s)
    validation = refiners[0].card.validation
    train = Split(prepared_corpus_path(config), "train", config.features)
    examples = find_examples(train.annotated, config.examples)
    trained = describe_training(torch.from_numpy(examples.offset_s[examples.positive]))
    return save_weights(
        out,
        models[0],
        {name: tensor.half() for name, tensor in ensemble.state_dict().items()},
        config.features,
        config.examples,
        validation=None if validation is None else validation.model_copy(update={"confidence": confidence}),
        prior=trained,
        members=models,
        corpus_sha256=train.corpus_sha256,
    )


def fit_temperature(refiner: Refiner, split: GivenSplit, config: PhaseConfig) -> float:
    """The temperature at which the model's distributions make the labels of a split most probable."""
    logits_BK, target_BK = _labelled(refiner, split, config)
    return min(_TEMPERATURES, key=lambda temperature: _cross_entropy(logits_BK / temperature, target_BK))


def _labelled(refiner: Refiner, split: GivenSplit, config: PhaseConfig) -> tuple[Tensor, Tensor]:
    """Logits of the matched boundaries of a split, and what they should say; both of shape (B, K)."""
    logits, targets = [], []
    n_frames = n_window_frames(refiner.examples.context_s, refiner.features.hop_s)
    for recording in split.recordings:
        hypothesis = recording.hypothesis.clipped(0.0, recording.duration_s)
        match = match_boundaries(
            recording.reference, hypothesis, window_s=config.examples.match_window_s, regions_s=recording.regions_s
        )
        boundaries = movable(hypothesis, recording.duration_s)
        true_s = match.partner_times_s(boundaries)
        rows = np.flatnonzero(np.isfinite(true_s))
        if not len(rows):
            continue
        chosen = [boundaries[row] for row in rows]
        logits.append(refiner.logits(split.frames(recording, refiner), hypothesis, chosen))
        # subtracted before they are float32, which knows a time late in a long recording to milliseconds only
        centre_s = centres_s(np.array([boundary.time_s for boundary in chosen]), refiner.features.hop_s)
        offset_B = torch.from_numpy((true_s[rows] - centre_s) / refiner.features.hop_s).float()
        targets.append(target_distribution(offset_B, n_frames, config.train.label_sigma_s / refiner.features.hop_s))
    if not logits:
        raise DataError("the validation split has no matched boundary", where=split.folder)
    return torch.cat(logits), torch.cat(targets)


def _cross_entropy(logits_BK: Tensor, target_BK: Tensor) -> float:
    return float(torch.nn.functional.cross_entropy(logits_BK, target_BK))
