"""Files that are whole or absent, and what killed writers leave behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from brefine.io.atomic import remove_leftovers

_KILLED = """
import os, signal, sys
from pathlib import Path
from brefine.io.atomic import write_text_atomic
os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
write_text_atomic(Path(sys.argv[1]), "half")
"""


def test_what_a_killed_writer_leaves_is_removed_once_it_is_old(tmp_path: Path) -> None:
    """A young temporary file may belong to a writer that lives; other hidden files and links are nobody's business here."""
    target = tmp_path / "mlp" / "status.json"
    done = subprocess.run([sys.executable, "-c", _KILLED, str(target)], check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = target.parent.iterdir()
    assert left.name.startswith(".status.json.") and left.suffix == ".tmp"
    remove_leftovers(tmp_path)
    assert left.exists()
    theirs, link = tmp_path / ".notes.tmp", tmp_path / ".a.json.abcdefgh.tmp"
    theirs.write_text("mine")
    link.symlink_to(theirs)
    hour_ago_s = time.time() - 3600.0
    for path in (left, theirs):
        os.utime(path, (hour_ago_s, hour_ago_s))
    remove_leftovers(tmp_path)
    assert not left.exists()
    assert theirs.exists() and link.is_symlink()
