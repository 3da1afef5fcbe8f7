"""The benchmark measures the real loop."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from brefine.config import PhaseConfig
from brefine.data.batches import Tables, TrainingBatches, n_channels_of
from brefine.data.examples import find_examples
from brefine.train.bench import TrainBench, bench_model
from brefine.train.noise_corpus import noise_conversations
from brefine.train.plain_loop import PlainDataset


def recipe(**train: object) -> PhaseConfig:
    return PhaseConfig.model_validate(
        {
            "schema": 1,
            "corpus": {"kind": "simulated"},
            "examples": {"context_s": 0.64},
            "train": {"batch_size": 8, "threads": 1, "precision": "float32", **train},
            "models": {"mlp": {}},
        }
    )


@pytest.fixture(scope="module")
def bench() -> Iterator[TrainBench]:
    """Ten steps of both loops; the threads that they take are given back."""
    before = torch.get_num_threads()
    yield bench_model("mlp", recipe(lr=1e-3), n_steps=10, baseline=True)
    torch.set_num_threads(before)


def test_shares_sum_to_one_and_nothing_is_left_at_zero(bench: TrainBench) -> None:
    """Every part takes some of the time; the arithmetic is counted; the plain loop stands beside it."""
    assert sum(bench.share.values()) == pytest.approx(1.0)
    assert all(share > 0.0 for share in bench.share.values())
    # forward and backward are three products a weight, and every weight meets every example at least once
    assert bench.flops_a_step > 3 * 2 * 800_000 * 8
    assert bench.steps == 10
    assert 0.0 < bench.outside_model < 1.0
    assert bench.plain_examples_per_s is not None
    assert bench.plain_examples_per_s > 0.0


def test_the_plain_loop_has_the_same_losses(bench: TrainBench) -> None:
    """From the same weights, with the same examples in the same order, step by step but for rounding, in single precision.

    The batches' own order, the schedule, the guard, the fused optimiser and the windows from the tables thus change nothing.
    """
    assert bench.loss_difference is not None
    assert bench.loss_difference < 1e-4
    assert bench.mean_loss == pytest.approx(bench.plain_mean_loss, rel=1e-4)


@pytest.mark.parametrize("speech", [False, True])
def test_the_plain_loop_sees_what_the_engine_sees(speech: bool) -> None:
    """Both cut the same windows, so that the comparison is one of speed alone."""
    config = recipe()
    config = config.model_copy(update={"features": config.features.model_copy(update={"speech": speech})})
    features, examples_config = config.features, config.examples
    conversations = noise_conversations(40, features)
    examples = find_examples([each.annotated for each in conversations], examples_config)
    examples = examples[examples.positive]
    heard = [(each.log_mel_NM, each.annotated.hypothesis) for each in conversations]
    tables = Tables.build(heard, features.hop_s, 128, n_mels=features.n_mels)
    batches = TrainingBatches(tables, examples, examples_config, batch_size=8, seed=0, redraw=False)
    batch, members = batches.at(0), batches.members(0)
    dataset = PlainDataset(conversations, examples, config)
    times_s = [(int(row), time_s) for row, time_s in zip(examples.recording, examples.hypothesis_s, strict=True)]
    for row, member in enumerate(members):
        window_TF, _ = dataset[times_s.index(member)]
        assert window_TF.shape == (128, n_channels_of(features))
        torch.testing.assert_close(window_TF, batch.features_BTF[row])
