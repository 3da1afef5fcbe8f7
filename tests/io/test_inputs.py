"""Files to be read: pipes are read as files are, if somebody writes to them."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from brefine.config import load_config
from brefine.errors import CheckpointError, ConfigError, FormatError
from brefine.io.inputs import read_input
from brefine.io.rttm import read_rttm
from brefine.io.uem import read_uem
from brefine.phasedir import CheckpointCard


@pytest.fixture
def pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pipe with a name to which nobody writes."""
    monkeypatch.setattr("brefine.io.inputs._WRITER_S", 0.2)
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def test_a_pipe_to_which_nobody_writes_is_refused(pipe: Path) -> None:
    """It would be waited for for ever: as turns, as regions, as a recipe, as weights, and through a link."""
    (pipe.parent / "link").symlink_to(pipe)
    for path in (pipe, pipe.parent / "link"):
        with pytest.raises(FormatError, match="pipe to which nobody writes"):
            read_rttm(path)
        with pytest.raises(FormatError, match="pipe to which nobody writes"):
            read_uem(path)
        with pytest.raises(ConfigError, match="pipe to which nobody writes"):
            load_config(path)
        with pytest.raises(CheckpointError, match="not a regular file"):
            CheckpointCard.of_weights(path)


@pytest.mark.parametrize("content", [b"", b"a", b"turns" * 100_000])
@pytest.mark.parametrize("slow", [False, True])
def test_what_somebody_writes_to_a_pipe_is_read(pipe: Path, content: bytes, slow: bool) -> None:
    """All of it, also if the writer takes longer over its first byte than a pipe may be without one."""

    def write() -> None:
        with pipe.open("wb", buffering=0) as file:
            time.sleep(0.5 if slow else 0.0)
            file.write(content)

    writer = threading.Thread(target=write)
    writer.start()
    found = read_input(pipe, 1 << 20)
    writer.join()
    assert found == content


def test_a_pipe_that_a_shell_has_opened_is_read_as_before() -> None:
    """`<(…)`: its writer may have ended before, or take its time."""
    for content in (b"", b"turns"):
        there, here = os.pipe()
        os.write(here, content)
        os.close(here)
        assert read_input(Path(f"/dev/fd/{there}"), 100) == content
        os.close(there)


def test_no_more_is_read_than_was_asked_for(tmp_path: Path) -> None:
    """Whatever a file or a device holds."""
    (tmp_path / "long").write_bytes(bytes(100))
    assert read_input(tmp_path / "long", 10) == read_input(Path("/dev/zero"), 10) == bytes(10)
