"""Locks of files: somebody has it, nobody has it, or the disk knows none."""

from __future__ import annotations

import errno
import fcntl
from pathlib import Path

import pytest

from brefine.io.lock import held
from brefine.phasedir import PhaseDir
from brefine.run.lock import phase_lock


def test_a_lock_that_somebody_has_is_not_waited_for(tmp_path: Path) -> None:
    """Where that is not wanted; afterwards it is free again."""
    path = tmp_path / "locks" / "one"
    with held(path, wait=False) as first, held(path, wait=False) as second:
        assert (first is None, second is None) == (False, True)
    with held(path, wait=False) as again:
        assert again is not None


def test_a_disk_without_locks_is_not_taken_for_somebody_who_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is told that another process is at work looks for it in vain."""

    def knows_none(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", knows_none)
    with pytest.raises(OSError, match="Function not implemented"), held(tmp_path / "lock", wait=False):
        pass
    with pytest.raises(OSError, match="Function not implemented"), phase_lock(PhaseDir(tmp_path)):
        pass
