"""Files that are whole or absent, and what killed writers leave behind."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from brefine.io.atomic import append_line, digest_of_files, is_special, remove_leftovers, write_text_atomic

_KILLED = """
import os, signal, sys
from pathlib import Path
from brefine.io.atomic import write_text_atomic
os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
write_text_atomic(Path(sys.argv[1]), "half")
"""

_WRITTEN = """
import sys
from pathlib import Path
from brefine.io.atomic import append_line, open_to_append, write_text_atomic
write_text_atomic(Path(sys.argv[1]), "whole")
append_line(Path(sys.argv[2]), "a line")
open_to_append(Path(sys.argv[3])).close()
"""

_SMALL_DISK = """
import json, resource, sys
from pathlib import Path
from brefine.io.atomic import append_line
path = Path(sys.argv[1])
append_line(path, "first")
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 3, most))
try:
    append_line(path, "second")
except OSError as error:
    print(json.dumps([error.strerror, error.filename, path.read_text()]))
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
append_line(path, "third")
"""


def test_a_line_that_fits_only_in_part_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    """A nearly full disk takes the first bytes without complaint; whoever is told that a line is there can rely on it."""
    path = tmp_path / "ledger.jsonl"
    done = subprocess.run([sys.executable, "-c", _SMALL_DISK, str(path)], check=True, capture_output=True)
    assert json.loads(done.stdout) == ["No space left on device", str(path), "first\n"]
    assert path.read_text() == "first\nthird\n"


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_who_may_read_a_file_is_for_the_umask_to_say(tmp_path: Path, umask: int, mode: int) -> None:
    """A report holds recordings: where files are made for their owner alone, it is, too; also where it replaces one.

    What grows line by line belongs to the same people.
    """
    paths = [tmp_path / name for name in ("report.html", "looks.jsonl", "train.log")]
    for _ in range(2):
        subprocess.run([sys.executable, "-c", _WRITTEN, *map(str, paths)], umask=umask, check=True)
        assert [stat.S_IMODE(path.stat().st_mode) for path in paths] == [mode] * 3


@pytest.mark.parametrize(("write", "kinds"), [(write_text_atomic, [stat.S_IFREG, stat.S_IFDIR]), (append_line, [stat.S_IFREG])])
def test_what_is_written_is_on_disk_before_anybody_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path, str], None], kinds: list[int]
) -> None:
    """A machine that loses power keeps the ledger's line, and after a rename the new name, which is the folder's."""
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(stat.S_IFMT(os.fstat(descriptor).st_mode)))
    write(tmp_path / "ledger.jsonl", "a line")
    assert synced == kinds


def test_a_digest_tells_order_and_what_is_missing(tmp_path: Path) -> None:
    """Of two files; where one is gone it is neither that of the other alone nor that of an empty one."""
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("x")
    found = [digest_of_files([one, other]), digest_of_files([other, one]), digest_of_files([one])]
    other.touch()
    found += [digest_of_files([one, other]), digest_of_files([other, one])]
    assert len(set(found)) == 5


@pytest.mark.skipif(not Path("/dev/fd").is_symlink(), reason="/dev/fd is no link here")
def test_a_link_in_dev_is_no_file_to_replace(tmp_path: Path) -> None:
    """`-o /dev/stdout` would rename it away, for everybody on the machine; a link elsewhere is replaced as files are."""
    link = tmp_path / "link"
    link.symlink_to("/dev/null")
    assert is_special(Path("/dev/fd"))
    assert not is_special(link)


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


def test_a_folder_that_vanishes_keeps_nothing_else_from_being_cleared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process removes its folders whenever it likes."""
    left = tmp_path / "a" / ".status.json.abcdefgh.tmp"
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    left.touch()
    os.utime(left, (0.0, 0.0))
    scandir = os.scandir

    def vanishing(path: str) -> Iterator[os.DirEntry[str]]:
        if Path(path).name == "b":
            Path(path).rename(tmp_path.with_name(f"{tmp_path.name}-gone"))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", vanishing)
    remove_leftovers(tmp_path)
    assert not left.exists()
