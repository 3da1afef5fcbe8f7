"""The trainer's process: what it says when it cannot go on."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from brefine.config import PhaseConfig, format_config, prepared_corpus_path
from brefine.errors import BrefineError, CheckpointError
from brefine.phasedir import CorpusManifest, RunDir, RunState, RunStatus
from brefine.train import __main__ as trainer
from brefine.train import checkpoint
from brefine.train.checkpoint import Checkpoints, fingerprint_of
from brefine.train.signals import StopSignal
from tests.tiny_corpus import make_tiny_corpus, tiny_recipe


def test_a_disk_that_fills_up_in_a_checkpoint_is_named_and_the_one_before_kept(
    make_run: Callable[..., tuple[RunDir, PhaseConfig]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The person reads what to do, the status says it too, and `resume` has a whole checkpoint to go on from."""
    run, config = make_run()
    monkeypatch.setattr(StopSignal, "listen", lambda _: None)
    write, written = checkpoint.write_bytes_atomic, []

    def full_at_the_second(path: os.PathLike[str], content: bytes) -> None:
        written.append(path)
        if len(written) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        write(path, content)

    monkeypatch.setattr(checkpoint, "write_bytes_atomic", full_at_the_second)
    with pytest.raises(BrefineError, match=r"(?s)No space left on device.*resume") as caught:
        trainer._train(run, "mlp", resume=False)
    assert str(run.path) in str(caught.value)
    status = RunStatus.read(run.status)
    assert status.state is RunState.FAILED
    assert "No space left" in (status.error or "")
    corpus_sha256 = CorpusManifest.read(prepared_corpus_path(config) / "corpus.json").fingerprint()
    packed, refused = Checkpoints(run, fingerprint_of(config, "mlp", corpus_sha256)).load()
    assert (packed is not None, refused) == (True, [])
    monkeypatch.setattr(checkpoint, "write_bytes_atomic", write)
    assert trainer._train(run, "mlp", resume=True) == 0
    assert RunStatus.read(run.status).state is RunState.FINISHED


def test_a_corpus_with_other_splits_is_not_resumed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recording that was trained on and is behind the gate now would stay in weights that claim the new splits."""
    monkeypatch.setattr(StopSignal, "listen", lambda _: None)
    config = tiny_recipe(tmp_path / "data", train={"epochs": 1})
    corpus = make_tiny_corpus(config) / "corpus.json"
    run = RunDir(tmp_path / "phase" / "mlp")
    run.path.mkdir(parents=True)
    (run.path.parent / "phase.toml").write_text(format_config(config), encoding="utf-8")
    assert trainer._train(run, "mlp", resume=False) == 0
    assert trainer._train(run, "mlp", resume=True) == 0
    card = run.card("last").read_bytes()
    manifest = CorpusManifest.read(corpus)
    *train, moved = manifest.splits["train"]
    splits = {**manifest.splits, "train": train, "gate": [*manifest.splits["gate"], moved]}
    manifest.model_copy(update={"splits": splits}).write(corpus)
    with pytest.raises(CheckpointError, match="belongs to another training"):
        trainer._train(run, "mlp", resume=True)
    assert run.card("last").read_bytes() == card
