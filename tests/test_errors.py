"""How a process ends that meets what it cannot help."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys

import pytest

from brefine.errors import run_main, tell


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory: you tried to allocate 64"),
        RuntimeError("could not create a primitive"),
        RuntimeError("can't start new thread"),
        SystemError("error return without exception set"),
        ImportError("libx.so: failed to map segment from shared object"),
    ],
)
def test_missing_memory_is_told_in_words_whoever_misses_it(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    """Libraries that know no `MemoryError` are understood, too."""

    def work() -> int:
        raise error

    with pytest.raises(SystemExit, match="1"):
        run_main(work)
    assert capsys.readouterr().err.startswith("brefine: out of memory\n")


def test_what_goes_wrong_while_memory_is_missing_is_told_as_that(capsys: pytest.CaptureFixture[str]) -> None:
    """A writer of archives that cannot finish its file complains of the file."""

    def work() -> int:
        try:
            raise MemoryError
        finally:
            raise RuntimeError("unexpected pos 4978048 vs 4977976")

    with pytest.raises(SystemExit, match="1"):
        run_main(work)
    assert capsys.readouterr().err.startswith("brefine: out of memory\n")


def test_a_fault_of_the_program_is_not_taken_for_anything_else() -> None:
    """Its traceback is what helps."""

    def work() -> int:
        raise RuntimeError("an index is off by one")

    with pytest.raises(RuntimeError):
        run_main(work)


@pytest.mark.parametrize(
    ("encoding", "told"), [("ascii", "\\u2013 2 \\xb1 1 of \\udcff.rttm\n"), ("utf-8", "– 2 ± 1 of \\udcff.rttm\n")]
)
def test_a_result_that_stdout_cannot_encode_is_told_escaped(encoding: str, told: str) -> None:
    """A verdict must not become a traceback, and its exit code another one, where the locale knows ASCII alone."""
    line = "– 2 ± 1 of \udcff.rttm"
    program = f"from brefine.errors import run_main; run_main(lambda: print({line!a}) or 3)"
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONIOENCODING": f"{encoding}:strict"},
        capture_output=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout.decode("utf-8"), ended.stderr) == (3, told, b"")


def test_a_closed_terminal_costs_the_message_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who was interrupted by it goes on to write what is done; a closed pipe, or a full disk, is told as before."""
    controller, terminal = os.openpty()
    with os.fdopen(terminal, "w") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        os.close(controller)
        tell("3 of 5 RTTMs are written")
        tell("nobody reads this either")
    full = io.StringIO()
    monkeypatch.setattr(full, "write", lambda text: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
    monkeypatch.setattr(sys, "stderr", full)
    with pytest.raises(OSError, match="full"):
        tell("lost")
