"""States on disk: whole or absent, and only of their own training."""

from __future__ import annotations

import errno
import itertools
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from brefine.errors import CheckpointError
from brefine.phasedir import RunDir, Validation
from brefine.train import checkpoint
from brefine.train.checkpoint import Checkpoints, TrainingState, fingerprint_of
from brefine.train.optim import WeightAverage
from tests.tiny_corpus import tiny_recipe


def small_state(step: int = 0, seed: int = 0) -> TrainingState:
    torch.manual_seed(seed)
    model = nn.Linear(3, 2)
    state = TrainingState(model, WeightAverage(model, 0.9), torch.optim.AdamW(model.parameters()), step=step)
    model(torch.ones(1, 3)).sum().backward()
    state.optimizer.step()
    state.average.update(torch.tensor(0.1))
    return state


def validation(mae_ms: float) -> Validation:
    return Validation(
        step=7, epoch=1, loss=1.0, mae_ms=mae_ms, median_ms=1.0, within_50ms=0.5, within_100ms=0.6, within_200ms=0.7
    )


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    return Checkpoints(RunDir(tmp_path / "mlp"), "abc")


def test_a_state_comes_back_bit_for_bit(checkpoints: Checkpoints) -> None:
    """Weights, average, moments, counters and figures."""
    state = small_state(step=7)
    state.best, state.last, state.n_nonfinite = validation(80.1), validation(90.2), 2
    state.loss_sum, state.n_losses, state.rate_scale = 1.5, 3, 0.25
    checkpoints.save(state)
    other = small_state(seed=1)
    packed, refused = checkpoints.load()
    assert packed is not None
    other.unpack(packed)
    assert refused == []
    assert (other.step, other.best, other.last, other.n_nonfinite) == (7, validation(80.1), validation(90.2), 2)
    assert (other.loss_sum, other.n_losses, other.rate_scale) == (1.5, 3, 0.25)
    for mine, theirs in zip(state.model.parameters(), other.model.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    assert torch.equal(other.average.state_dict()["weight"], state.average.state_dict()["weight"])
    moments = [each.optimizer.state_dict()["state"][0]["exp_avg"] for each in (state, other)]
    assert torch.equal(*moments)


def test_a_run_without_checkpoint_starts_afresh(checkpoints: Checkpoints) -> None:
    """Nothing there is no error: the first epoch may have been killed."""
    assert checkpoints.load() == (None, [])


def test_a_torn_state_is_refused_and_the_previous_one_used(checkpoints: Checkpoints) -> None:
    """At whatever byte the file ends, and whatever bit of its content is flipped."""
    checkpoints.save(small_state(step=1))
    checkpoints.save(small_state(step=2))
    path = checkpoints.run.training_state
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(flipped) // 2] ^= 1
    for content in [whole[:length] for length in range(0, len(whole), len(whole) // 16)] + [bytes(flipped)]:
        path.write_bytes(content)
        packed, refused = checkpoints.load()
        assert packed is not None
        assert packed["step"] == 1
        assert "torn" in refused[0]


def test_where_no_state_can_be_used_the_two_files_are_named(checkpoints: Checkpoints) -> None:
    """Curves and the best weights need not be given up to train from the start; what a library calls a torn file helps nobody."""
    for step in (1, 2):
        checkpoints.save(small_state(step=step))
    checkpoints.run.training_state.write_bytes(b"")
    checkpoints.run.training_state.with_name("previous.state").write_bytes(b"torn")
    with pytest.raises(CheckpointError) as refused:
        checkpoints.load()
    assert "remove last.state and previous.state there" in str(refused.value)
    assert "(expected a whole state, got 0 bytes that are none)" in str(refused.value)
    assert "Error" not in str(refused.value)


@pytest.mark.parametrize("previous_is_torn", [False, True])
def test_what_cannot_be_read_is_neither_torn_nor_to_be_removed(
    checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch, previous_is_torn: bool
) -> None:
    """A network disk that hangs says nothing of the files on it: another try may find them whole, also where one is torn."""
    for step in (1, 2):
        checkpoints.save(small_state(step=step))
    read_bytes = Path.read_bytes

    def stale(path: Path) -> bytes:
        if previous_is_torn and path.name == "previous.state":
            return read_bytes(path)[:100]
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr(Path, "read_bytes", stale)
    with pytest.raises(CheckpointError) as refused:
        checkpoints.load()
    assert refused.value.exit_code == CheckpointError.exit_code
    assert ("torn" in str(refused.value)) == previous_is_torn
    assert "cannot be read: Stale file handle" in str(refused.value)
    assert "remove" not in str(refused.value)
    assert "`brefine resume " in str(refused.value)


@pytest.mark.parametrize("n_loads_before", [0, 1])
@pytest.mark.parametrize("short", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried …")])
def test_missing_memory_says_nothing_of_a_checkpoint(
    checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch, n_loads_before: int, short: Exception
) -> None:
    """It is told as what it is, whether the file or the state in it finds no room."""
    checkpoints.save(small_state())
    fail_after(n_loads_before, short, monkeypatch)
    with pytest.raises(type(short)) as raised:
        checkpoints.load()
    assert raised.value is short


def test_a_state_whose_digest_is_right_is_never_called_torn(checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch) -> None:
    """If another torch cannot read it, it is told so; the file is good."""
    checkpoints.save(small_state())
    fail_after(1, RuntimeError("unknown operator"), monkeypatch)
    with pytest.raises(CheckpointError, match=r"is whole, but torch cannot read it \(got RuntimeError\)") as refused:
        checkpoints.load()
    assert refused.value.exit_code == CheckpointError.exit_code
    assert "torn" not in str(refused.value) and "remove" not in str(refused.value)


def fail_after(n_loads: int, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets torch load so many files, and no more."""
    load, loads = torch.load, itertools.count()

    def failing(*arguments: Any, **options: Any) -> Any:
        if next(loads) >= n_loads:
            raise error
        return load(*arguments, **options)

    monkeypatch.setattr(torch, "load", failing)


def test_a_full_disk_leaves_the_last_good_state(checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither file is lost, and no half of the new one lies about."""
    checkpoints.save(small_state(step=1))

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            checkpoints.save(small_state(step=2))
    packed, refused = checkpoints.load()
    assert packed is not None
    assert (packed["step"], refused) == (1, [])
    assert not list(checkpoints.run.checkpoints.glob(".*.tmp"))


def test_a_save_that_was_killed_half_way_hinders_no_later_one(checkpoints: Checkpoints) -> None:
    """When the last state had its second name and was not yet the previous one."""
    checkpoints.save(small_state(step=1))
    os.link(checkpoints.run.training_state, checkpoints.run.checkpoints / "previous.tmp")
    checkpoints.save(small_state(step=2))
    checkpoints.save(small_state(step=3))
    assert steps_of(checkpoints) == [3, 2]


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV, errno.EACCES])
def test_a_file_system_without_hard_links_keeps_both_states(
    checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A training on FAT, exFAT or a bucket goes on past its first checkpoint, however the system says that it knows no links."""

    def refused(_path: Path, _second: Path) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refused)
    for step in (1, 2, 3):
        checkpoints.save(small_state(step=step))
    assert steps_of(checkpoints) == [3, 2]


def steps_of(checkpoints: Checkpoints) -> list[int]:
    """The steps of the last state and of the one before; nothing else may lie beside them, and the last is torn for it."""
    steps = []
    for _ in range(2):
        packed, _ = checkpoints.load()
        assert packed is not None
        steps.append(packed["step"])
        checkpoints.run.training_state.write_bytes(b"")
    assert sorted(path.name for path in checkpoints.run.checkpoints.iterdir()) == ["last.state", "previous.state"]
    return steps


@pytest.mark.parametrize(
    ("sections", "same"),
    [
        ({"train": {"threads": 7}}, True),
        ({"train": {"log_every_s": 7.0}}, True),
        ({"train": {"capture": "off"}}, True),
        ({"train": {"lr": 0.5}}, False),
        ({"examples": {"context_s": 1.0}}, False),
        ({"features": {"n_mels": 40}}, False),
        ({"seed": 7}, False),
    ],
)
def test_what_only_changes_the_speed_makes_no_other_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sections: dict[str, object], same: bool
) -> None:
    """A training goes on with other threads; another rate, input or seed makes another one, however its corpus is called."""
    monkeypatch.setattr(checkpoint, "prepared_corpus_path", lambda _: Path("corpus"))
    first, second = (fingerprint_of(tiny_recipe(tmp_path, **changed), "mlp", "ab" * 32) for changed in ({}, sections))
    assert (first == second) == same


def test_another_model_is_another_training(tmp_path: Path) -> None:
    """Also with the same settings and corpus."""
    recipe = tiny_recipe(tmp_path, models={"contrastive": {}})
    assert fingerprint_of(recipe, "mlp", "ab" * 32) != fingerprint_of(recipe, "contrastive", "ab" * 32)


def test_a_state_of_another_training_is_refused(checkpoints: Checkpoints) -> None:
    """Another seed, corpus or setting would go on to something that neither recipe describes."""
    checkpoints.save(small_state())
    with pytest.raises(CheckpointError, match="another training"):
        Checkpoints(checkpoints.run, "other").load()


def test_a_state_of_another_schema_is_refused_as_that(checkpoints: Checkpoints) -> None:
    """It is of this training, and is not said to belong to another; what its keys mean is not known here."""
    checkpoints.save(small_state())
    path = checkpoints.run.training_state
    torch.save(torch.load(path, weights_only=True) | {"schema": 2}, path)
    with pytest.raises(CheckpointError, match=r"another version of brefine \(expected schema 1, got schema 2\)"):
        checkpoints.load()


def test_states_are_never_unpickled(checkpoints: Checkpoints) -> None:
    """They load with `weights_only=True`, and a pickle in their place is refused."""
    checkpoints.save(small_state())
    torch.load(checkpoints.run.training_state, weights_only=True)
    torch.save({"payload": Path("x")}, checkpoints.run.training_state)
    with pytest.raises(CheckpointError, match="torn"):
        checkpoints.load()


def test_a_rollback_takes_the_weights_and_leaves_the_step(checkpoints: Checkpoints) -> None:
    """The curves stay functions of the step."""
    checkpoints.save(small_state(step=3))
    packed, _ = checkpoints.load()
    later = small_state(step=9, seed=2)
    assert packed is not None
    later.unpack_weights(packed)
    assert later.step == 9
    assert torch.equal(later.model.state_dict()["weight"], packed["model"]["weight"])
