"""From a recipe and a prepared corpus to a training that can run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TypeVar

import torch

from brefine.config import MODEL_NAMES, ModelName, PhaseConfig, prepared_corpus_path
from brefine.core.frames import n_window_frames
from brefine.data.batches import Tables, TrainingBatches
from brefine.data.examples import Examples, find_examples
from brefine.data.splits import Split
from brefine.errors import DataError
from brefine.io.shipped import shipped_weights
from brefine.models import build_model
from brefine.models.reading import describe_training
from brefine.models.weights import read_member, save_weights
from brefine.phasedir import TRAINERS_VARIABLE, RunDir
from brefine.train.checkpoint import Checkpoints, TrainingState, fingerprint_of
from brefine.train.device import Device, claim_device
from brefine.train.loop import Training
from brefine.train.optim import WeightAverage, build_optimizer
from brefine.train.reporter import Plan
from brefine.train.validation import ValidationSet

_Item = TypeVar("_Item")


def build_training(
    run: RunDir, model: ModelName, config: PhaseConfig, *, resume: bool, alive: Callable[[], None] = lambda: None
) -> tuple[Training, TrainingState]:
    """Loads the corpus onto the device, builds the model, and restores its last checkpoint if it resumes.

    Args:
        alive: called while the corpus is loaded, recording by recording.

    Raises:
        DataError: the corpus is not prepared, or has no boundary to learn from.
        CheckpointError: no checkpoint is whole and of this training.
    """
    settings, models = config.train_of(model), tuple(config.models)
    device = claim_device(settings, place=models.index(model), n_trainers=int(os.environ.get(TRAINERS_VARIABLE, "1")))
    corpus = Split(prepared_corpus_path(config), "train", config.features)
    start = read_member(shipped_weights(), model) if settings.start == "shipped" else None
    started_from = start and start.sha256
    checkpoints = Checkpoints(run, fingerprint_of(config, model, corpus.corpus_sha256, started_from))
    tables, examples = tables_and_examples(corpus, config, device, alive=alive)
    if not examples.positive.any():
        raise DataError(
            "no hypothesised boundary has a partner in the reference",
            where=prepared_corpus_path(config),
            hint="are the hypotheses of these recordings? `brefine headroom` shows what matches",
        )
    batches = TrainingBatches(
        tables, examples, config.examples, batch_size=settings.batch_size, seed=config.seed, redraw=corpus.redrawable
    )
    n_steps = batches.steps_per_epoch
    stagger = models.index(model) * n_steps // len(models)
    plan = Plan(settings.epochs * n_steps, n_steps, batches.batch_size, stagger)
    validation = ValidationSet(
        *tables_and_examples(Split(prepared_corpus_path(config), "validation", config.features), config, device, alive=alive),
        sigma_frames=settings.label_sigma_s / config.features.hop_s,
        device=device,
    )
    training = Training(
        run,
        model,
        config,
        settings,
        plan,
        device,
        batches,
        validation,
        checkpoints,
        recordings=corpus.recordings,
        trained_errors=describe_training(torch.from_numpy(examples.offset_s[examples.positive])),
        write_weights=partial(save_weights, corpus_sha256=corpus.corpus_sha256, started_from_sha256=started_from),
    )
    state = fresh_state(model, config, device)
    packed, refused = checkpoints.load() if resume else (None, [])
    for message in refused:
        print(f"{message}\nusing the checkpoint before it", flush=True)
    if packed is not None:
        state.unpack(packed)
    elif start is not None:
        state.begin_with(start.tensors)
    return training, state


def tables_and_examples(
    split: Split, config: PhaseConfig, device: Device, *, alive: Callable[[], None] = lambda: None
) -> tuple[Tables, Examples]:
    n_frames = n_window_frames(config.examples.context_s, config.features.hop_s)
    tables = Tables.build(
        _telling(split.heard(), alive),
        config.features.hop_s,
        n_frames,
        n_mels=config.features.n_mels,
        device=device.device,
        dtype=device.dtype,
    )
    return tables, find_examples(split.annotated, config.examples)


def fresh_state(model: ModelName, config: PhaseConfig, device: Device) -> TrainingState:
    """An untrained model with its optimiser; the same for the same seed."""
    torch.manual_seed(config.seed * len(MODEL_NAMES) + MODEL_NAMES.index(model))
    built = build_model(model, config.features, config.examples).to(device.device).train()
    settings = config.train_of(model)
    return TrainingState(built, WeightAverage(built, settings.ema_decay), build_optimizer(built, settings))


def _telling(items: Iterable[_Item], alive: Callable[[], None]) -> Iterator[_Item]:
    for item in items:
        alive()
        yield item
