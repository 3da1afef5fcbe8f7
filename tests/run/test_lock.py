"""Locks of files: somebody has it, nobody has it, or the disk knows none."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from brefine.errors import ProcessError
from brefine.identity import own_identity
from brefine.io.lock import held
from brefine.phasedir import LockHolder, PhaseDir
from brefine.run.lock import holder, phase_lock


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


def test_a_disk_without_locks_is_not_taken_for_somebody_who_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is told that another process is at work looks for it in vain."""

    def knows_none(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", knows_none)
    with pytest.raises(OSError, match="Function not implemented"), held(tmp_path / "lock", wait=False):
        pass
    with pytest.raises(OSError, match="Function not implemented"), phase_lock(PhaseDir(tmp_path)):
        pass
