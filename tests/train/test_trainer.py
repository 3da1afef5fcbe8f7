"""The trainer's process: what it says when it cannot go on."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

import pytest

from brefine.config import PhaseConfig
from brefine.errors import BrefineError
from brefine.phasedir import RunDir, RunState, RunStatus
from brefine.train import __main__ as trainer
from brefine.train import checkpoint
from brefine.train.checkpoint import Checkpoints, fingerprint_of
from brefine.train.signals import StopSignal


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
    packed, refused = Checkpoints(run, fingerprint_of(config, "mlp")).load()
    assert (packed is not None, refused) == (True, [])
    monkeypatch.setattr(checkpoint, "write_bytes_atomic", write)
    assert trainer._train(run, "mlp", resume=True) == 0
    assert RunStatus.read(run.status).state is RunState.FINISHED
