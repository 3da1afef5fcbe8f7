"""Locks of files: somebody has it, nobody has it, or the disk knows none."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from pathlib import Path
from typing import Literal

import pytest

from brefine.errors import ProcessError
from brefine.identity import ProcessIdentity, own_identity
from brefine.io.lock import held
from brefine.phasedir import LockHolder, PhaseDir, Stage, SupervisorState
from brefine.run.lock import holder, is_supervised, phase_lock, supervising, works_elsewhere


def test_a_lock_that_somebody_has_is_not_waited_for(tmp_path: Path) -> None:
    """Where that is not wanted; afterwards it is free again."""
    path = tmp_path / "locks" / "one"
    with held(path, wait=False) as first, held(path, wait=False) as second:
        assert (first is None, second is None) == (False, True)
    with held(path, wait=False) as again:
        assert again is not None


def test_the_lock_of_a_phase_names_its_holder(tmp_path: Path) -> None:
    """As long as it is held; a shorter name leaves nothing of a longer one, and one of another boot names nobody."""
    phase = PhaseDir(tmp_path)
    phase.supervisor_lock.write_bytes(b"x" * 1000)
    assert holder(phase.supervisor_lock) is None
    with phase_lock(phase):
        assert holder(phase.supervisor_lock) == own_identity()
        with pytest.raises(ProcessError, match=f"supervised already.*process {os.getpid()}"), phase_lock(phase):
            pass
    assert holder(phase.supervisor_lock) is None
    LockHolder(process=own_identity().model_copy(update={"boot_id": "before"})).write(phase.supervisor_lock)
    assert holder(phase.supervisor_lock) is None


def word(state: Literal["running", "finished"], process: ProcessIdentity) -> SupervisorState:
    """A supervisor's word of just now."""
    return SupervisorState(process=process, stage=Stage.TRAIN, state=state, started_unix_s=0.0, heartbeat_unix_s=time.time())


def test_a_last_word_ends_a_supervisor_that_still_has_the_lock(tmp_path: Path) -> None:
    """Its own alone: where the word is another's, or there is none, whoever has the lock supervises."""
    phase, own = PhaseDir(tmp_path), own_identity()
    other = own.model_copy(update={"pid": own.pid + 1})
    with phase_lock(phase):
        assert supervising(phase, word("finished", own)) is None
        assert supervising(phase, word("finished", other)) == supervising(phase, None) == own
    assert supervising(phase, None) is None


@pytest.mark.parametrize("state", ["running", "finished"])
def test_a_supervisor_on_another_machine_has_the_phase_while_it_runs(
    tmp_path: Path, state: Literal["running", "finished"]
) -> None:
    """A lock is often not seen from there, where disks are shared: its word is."""
    phase = PhaseDir(tmp_path)
    word(state, own_identity().model_copy(update={"boot_id": "another machine"})).write(phase.supervisor)
    assert is_supervised(phase) == (state == "running")
    with pytest.raises(ProcessError) if state == "running" else contextlib.nullcontext(), phase_lock(phase):
        pass


@pytest.mark.parametrize(("later_s", "works"), [(59.0, True), (-59.0, True), (61.0, False), (-61.0, False)])
def test_a_sign_of_life_from_elsewhere_counts_for_a_minute(later_s: float, works: bool) -> None:
    """Either way, as clocks differ; one of this machine says nothing that its process does not."""
    own = own_identity()
    assert works_elsewhere(own.model_copy(update={"boot_id": "another machine"}), 1000.0, 1000.0 + later_s) == works
    assert not works_elsewhere(own, 1000.0, 1000.0 + later_s)


def test_a_disk_without_locks_is_not_taken_for_somebody_who_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is told that another process is at work looks for it in vain."""

    def knows_none(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", knows_none)
    with pytest.raises(OSError, match="Function not implemented"), held(tmp_path / "lock", wait=False):
        pass
    with pytest.raises(OSError, match="Function not implemented"), phase_lock(PhaseDir(tmp_path)):
        pass
