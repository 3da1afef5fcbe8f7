"""What is measured on the validation split, and of which weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from brefine.config import PhaseConfig, prepared_corpus_path
from brefine.core.matching import match_boundaries
from brefine.data.splits import Split
from brefine.io.rttm import read_rttm
from brefine.phasedir import RunDir
from brefine.train import validation
from brefine.train.device import Device
from brefine.train.setup import build_training, fresh_state, tables_and_examples
from brefine.train.validation import ValidationSet
from tests.tiny_corpus import tiny_recipe

CPU = Device(torch.device("cpu"), torch.float32, "CPU")


@pytest.fixture(scope="module")
def config(corpus_root: Path) -> PhaseConfig:
    return tiny_recipe(corpus_root)


@pytest.fixture(scope="module")
def boundaries(config: PhaseConfig) -> ValidationSet:
    return boundaries_of(config, CPU)


def boundaries_of(config: PhaseConfig, device: Device, *, sigma_frames: float = 2.0, n_most: int | None = None) -> ValidationSet:
    split = Split(prepared_corpus_path(config), "validation", config.features)
    tables, examples = tables_and_examples(split, config, device)
    return ValidationSet(tables, examples[np.arange(len(examples))[:n_most]], sigma_frames=sigma_frames, device=device)


def model_of(config: PhaseConfig, seed: int = 0) -> nn.Module:
    return fresh_state("mlp", config.model_copy(update={"seed": seed}), CPU).model


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    return dict(model.named_parameters())


def test_the_weights_that_are_given_are_measured(config: PhaseConfig, boundaries: ValidationSet) -> None:
    """Not the model's own, which it keeps, and goes on learning with."""
    model, other = (model_of(config, seed) for seed in (0, 1))
    own, others = (boundaries.measure(each, weights_of(each), step=1, epoch=1) for each in (model, other))
    assert boundaries.measure(model, weights_of(other), step=1, epoch=1) == others != own
    assert boundaries.measure(model, weights_of(model), step=1, epoch=1) == own
    assert model.training


def test_how_many_boundaries_are_taken_at_once_changes_no_figure(
    config: PhaseConfig, boundaries: ValidationSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loss is the mean over boundaries, also where the last batch is smaller; each batch is a sign of life."""
    model, n_boundaries = model_of(config), len(boundaries)
    losses, maes = [], []
    for size, n_batches in ((n_boundaries, 1), (n_boundaries - 1, 2), (3, -(-n_boundaries // 3))):
        monkeypatch.setattr(validation, "_BATCH", size)
        beats: list[None] = []
        measured = boundaries.measure(model, weights_of(model), step=1, epoch=1, on_batch=lambda beats=beats: beats.append(None))
        assert len(beats) == n_batches
        losses.append(measured.loss)
        maes.append(measured.mae_ms)
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-5)
    assert maes == pytest.approx([maes[0]] * 3, rel=1e-5)


def test_the_unrefined_mae_is_that_of_the_hypotheses(config: PhaseConfig, boundaries: ValidationSet) -> None:
    """Of their matched boundaries as they lie on disk."""
    folder = prepared_corpus_path(config) / "validation"
    reference, hypothesis = (
        read_rttm(folder / kind / "validation-0.rttm")["validation-0"] for kind in ("reference", "hypothesis")
    )
    match = match_boundaries(reference, hypothesis, window_s=config.examples.match_window_s)
    errors_s = [match.hypothesis[there].time_s - match.reference[here].time_s for here, there in match.pairs]
    assert len(boundaries) == len(errors_s)
    assert boundaries.unrefined_mae_ms == pytest.approx(np.abs(errors_s).mean() * 1e3)


def test_boundaries_without_a_partner_are_not_validated_on(config: PhaseConfig) -> None:
    """The ends of a false turn belong nowhere: one of them would make every figure of every model not-a-number."""
    tables, examples = tables_and_examples(Split(prepared_corpus_path(config), "validation", config.features), config, CPU)
    first = np.arange(len(examples)) == 0
    one_is_false = replace(examples, offset_s=np.where(first, np.nan, examples.offset_s))
    model, founds = model_of(config), []
    for own in (one_is_false, examples[~first]):
        matched = ValidationSet(tables, own, sigma_frames=2.0, device=CPU)
        founds.append((matched.unrefined_mae_ms, matched.measure(model, weights_of(model), step=1, epoch=1)))
    assert founds[0] == founds[1]


def test_a_split_without_a_matched_boundary_has_no_figures(config: PhaseConfig) -> None:
    """Nor is it a division by zero."""
    nothing, model = boundaries_of(config, CPU, n_most=0), model_of(config)
    measured = nothing.measure(model, weights_of(model), step=7, epoch=1)
    assert (nothing.unrefined_mae_ms, measured.loss, measured.mae_ms, measured.within_50ms) == (None, None, None, None)
    assert (measured.step, measured.epoch) == (7, 1)


def test_a_training_validates_on_labels_as_wide_as_it_learns(make_run: Callable[..., tuple[RunDir, PhaseConfig]]) -> None:
    """Three frames of 0.01 s, where the recipe says 0.03 s: the two losses can be compared."""
    run, config = make_run(train={"label_sigma_s": 0.03})
    training, state = build_training(run, "mlp", config, resume=False)
    found, expected = (
        each.measure(state.model, state.average.state_dict(), step=0, epoch=0)
        for each in (training.validation, boundaries_of(config, training.device, sigma_frames=3.0))
    )
    assert found.loss == pytest.approx(expected.loss, rel=1e-4)
