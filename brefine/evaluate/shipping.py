"""One weights file from a phase: its models as an ensemble, calibrated on the validation split, in half precision.

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
from brefine.evaluate.device import DeviceName
from brefine.evaluate.evaluation import load_checkpoint
from brefine.evaluate.movable import movable
from brefine.evaluate.recordings import GivenSplit
from brefine.models.ensemble import Ensemble
from brefine.models.heads import target_distribution
from brefine.models.reading import describe_training
from brefine.models.validated import validation_of
from brefine.models.weights import Refiner, save_weights
from brefine.phasedir import CheckpointCard, PhaseDir

_TEMPERATURES = tuple(round(0.6 + 0.1 * step, 1) for step in range(20))


def ship(phase: PhaseDir, models: Sequence[ModelName], out: Path, *, device: DeviceName) -> CheckpointCard:
    """Writes the best checkpoints of `models` as one refiner.

    The card has the figures of all of them together on the validation split; its step and epoch are those of the first.

    Raises:
        CheckpointError: a model has no weights.
        DataError: the validation split has no matched boundary to calibrate on.
    """
    config = phase.load_config()
    split = GivenSplit(config, "validation")
    refiners = [load_checkpoint(phase, model, "best", device) for model in models]
    ensemble = Ensemble({model: refiner.model for model, refiner in zip(models, refiners, strict=True)})
    ensemble.temperature_M = torch.tensor([fit_temperature(refiner, split, config) for refiner in refiners])
    logits_BK, offset_frames_B = _labelled(replace(refiners[0], model=ensemble), split, config)
    trained = refiners[0].card.validation
    validation = validation_of(
        logits_BK,
        offset_frames_B.double() * config.features.hop_s,
        config.features.hop_s,
        loss=_cross_entropy(logits_BK, _target(offset_frames_B, config)),
        step=0 if trained is None else trained.step,
        epoch=0 if trained is None else trained.epoch,
    )
    train = Split(prepared_corpus_path(config), "train", config.features)
    examples = find_examples(train.annotated, config.examples)
    prior = describe_training(torch.from_numpy(examples.offset_s[examples.positive]))
    return save_weights(
        out,
        models[0],
        {name: tensor.half() for name, tensor in ensemble.state_dict().items()},
        config.features,
        config.examples,
        validation=validation,
        prior=prior,
        members=models,
        corpus_sha256=train.corpus_sha256,
    )


def fit_temperature(refiner: Refiner, split: GivenSplit, config: PhaseConfig) -> float:
    """The temperature at which the model's distributions make the labels of a split most probable."""
    logits_BK, offset_frames_B = _labelled(refiner, split, config)
    target_BK = _target(offset_frames_B, config)
    return min(_TEMPERATURES, key=lambda temperature: _cross_entropy(logits_BK / temperature, target_BK))


def _labelled(refiner: Refiner, split: GivenSplit, config: PhaseConfig) -> tuple[Tensor, Tensor]:
    """logits_BK of the matched boundaries of a split, and where they should be: offset_frames_B from the window's middle."""
    logits, offsets = [], []
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
        # subtracted before they are float32, which holds a time late in a long recording only to milliseconds
        centre_s = centres_s(np.array([boundary.time_s for boundary in chosen]), refiner.features.hop_s)
        offsets.append(torch.from_numpy((true_s[rows] - centre_s) / refiner.features.hop_s).float())
    if not logits:
        raise DataError("the validation split has no matched boundary", where=split.folder)
    return torch.cat(logits), torch.cat(offsets)


def _target(offset_frames_B: Tensor, config: PhaseConfig) -> Tensor:
    hop_s = config.features.hop_s
    return target_distribution(
        offset_frames_B, n_window_frames(config.examples.context_s, hop_s), config.train.label_sigma_s / hop_s
    )


def _cross_entropy(logits_BK: Tensor, target_BK: Tensor) -> float:
    return float(torch.nn.functional.cross_entropy(logits_BK, target_BK))
