"""Who dies × when × how, for real: `python -m tests.faults.matrix [WHO|WHO:N …]`.

Each case forks a process that does the actor's work (`actors`) and meets its fault at one moment: when it opens a file for
writing, when a file is half-written, between the writing and the rename, after the rename, in the middle of a download. The
faults are real: SIGKILL, SIGTERM, a file system without a free byte, directories that nobody may write into, an address space
that does not grow any more. Afterwards what was renamed into place is there and whole, no wrong state is shown, and a second
process that is left alone ends with the same result, byte for byte, as one that was never disturbed.

Without root there is no small file system to fill; those cases are left out, and said so.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import http.client
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import torch

from brefine.errors import run_main
from brefine.io.atomic import read_json
from tests.faults.actors import ACTORS, Actor

HOWS = ("KILL", "TERM", "disk full", "read-only", "out of memory")
_DISK = "96m"
_PATIENCE_S = 300.0
_FILLER = "filler"
Point = tuple[str, int]
"""What the process was about to do, and for the how-manieth time."""
Outcome = tuple[str, str, str, str]
"""Who met what, when and how, and how it ended."""


# --- in the forked process ----------------------------------------------------------------------------------------------------


class Fate:
    """Counts the moments of a process's work, tells of finished renames, and strikes at one moment."""

    def __init__(self, folder: Path, told: int, point: Point | None, how: str) -> None:
        self.counts: Counter[str] = Counter()
        self._folder, self._told, self._point, self._how = folder, told, point, how

    def install(self) -> None:
        """Puts this object between the process and its system calls."""
        replace, fsync, read = os.replace, os.fsync, http.client.HTTPResponse.read1

        def replacing(source: Any, target: Any, **options: Any) -> None:
            self.reach("rename")
            replace(source, target, **options)
            os.write(self._told, f"renamed {os.fspath(target)}\n".encode())
            self.reach("renamed")

        def syncing(descriptor: int) -> None:
            self.reach("half-written", descriptor)
            fsync(descriptor)

        def reading(*arguments: Any) -> bytes:
            self.reach("download")
            return read(*arguments)

        os.replace, os.fsync, http.client.HTTPResponse.read1 = replacing, syncing, reading  # type: ignore[method-assign,assignment]
        sys.addaudithook(self._audit)

    def reach(self, what: str, descriptor: int | None = None) -> None:
        self.counts[what] += 1
        if self._point != (what, self.counts[what]):
            return
        os.write(self._told, b"struck\n")
        if self._how == "KILL":
            if descriptor is not None and (size_bytes := os.fstat(descriptor).st_size):
                with contextlib.suppress(OSError):  # a folder cannot be half-written
                    os.ftruncate(descriptor, size_bytes // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        _STRIKES[self._how](self._folder)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event != "open" or not isinstance(arguments[0], str) or not arguments[2] & (os.O_WRONLY | os.O_RDWR):
            return
        if arguments[0].startswith(str(self._folder)):  # the filler lies outside of it
            self.reach("open")


def _terminate(folder: Path) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def _fill(folder: Path) -> None:
    with (folder.parent / _FILLER).open("wb", buffering=0) as file:
        for size_bytes in (1 << 20, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while file.write(bytes(size_bytes)):
                    pass


def _forbid(folder: Path) -> None:
    """Nobody may write into the folders any more; root gives up the capability that would let it."""
    for path in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
        path.chmod(0o555)
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(24, 1, 0, 0, 0)  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE: for programs that are started from now on
        header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
        assert libc.capget(header, sets) == 0
        for index in (0, 1):  # effective, permitted
            sets[index] &= ~0b10
        assert libc.capset(header, sets) == 0


def _starve(folder: Path) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit_bytes = pages * resource.getpagesize() + (1 << 16)
    resource.setrlimit(resource.RLIMIT_AS, (limit_bytes, resource.RLIM_INFINITY))


_STRIKES: dict[str, Callable[[Path], None]] = {
    "TERM": _terminate,
    "disk full": _fill,
    "read-only": _forbid,
    "out of memory": _starve,
}


def _live(actor: Actor, folder: Path, told: int, point: Point | None, how: str) -> NoReturn:
    """The forked process's life; never returns."""
    code = 70
    try:
        os.setsid()
        log = os.open(folder.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
        fate = Fate(folder, told, point, how)
        fate.install()
        try:
            run_main(lambda: actor.work(folder))
        except SystemExit as end:
            code = int(end.code or 0)
        os.write(told, "".join(f"count {what} {n}\n" for what, n in fate.counts.items()).encode())
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


# --- in the process that looks on ----------------------------------------------------------------------------------------------


def _fork(actor: Actor, folder: Path, point: Point | None = None, how: str = "") -> tuple[int, list[str]]:
    """Lives one life; its exit code (negative for a signal) and what it has told."""
    read_end, write_end = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        os.close(read_end)
        _live(actor, folder, write_end, point, how)
    os.close(write_end)
    words = b""
    os.set_blocking(read_end, False)
    until_s = time.monotonic() + _PATIENCE_S
    ended = 0
    while not ended:
        ended, status = os.waitpid(pid, os.WNOHANG)
        with contextlib.suppress(BlockingIOError):
            words += os.read(read_end, 1 << 16)
        if time.monotonic() > until_s:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)
    with contextlib.suppress(BlockingIOError):
        while more := os.read(read_end, 1 << 16):
            words += more
    os.close(read_end)
    return os.waitstatus_to_exitcode(status), words.decode().splitlines()


def _points(told: list[str]) -> list[Point]:
    """The moments at which a process is struck: of each kind the first, the middle and the last."""
    counts = {line.split()[1]: int(line.split()[2]) for line in told if line.startswith("count ")}
    return [(what, n) for what, last in sorted(counts.items()) for n in sorted({1, last // 2 + 1, last})]


def _happen(actor: Actor, folder: Path, point: Point, how: str, wanted: Any) -> str:
    """One case; how it ended, in a word. Raises AssertionError where something was lost, wrong, or not to be resumed."""
    folder.mkdir()
    actor.make(folder)
    code, told = _fork(actor, folder, point, how)
    for path in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
        path.chmod(0o755)
    (folder.parent / _FILLER).unlink(missing_ok=True)
    struck = "struck" in told
    assert struck or code == 0, f"undisturbed, it ends with {code}"
    if how == "KILL" and struck:
        assert code == -signal.SIGKILL, f"killed, it ends with {code}"
    words = folder.with_suffix(".log").read_text(errors="replace")
    assert "Traceback" not in words, f"a user would see a traceback: {words[-2000:]}"
    for path in {Path(line.partition(" ")[2]) for line in told if line.startswith("renamed ")}:
        if path.name.endswith((".part.json", ".tmp")):  # of passing use
            continue
        assert path.exists(), f"{path} was confirmed and is lost"
        if path.suffix == ".json":
            read_json(path)
    if struck:
        actor.look(folder)
    again, _ = _fork(actor, folder)
    words = folder.with_suffix(".log").read_text(errors="replace")[-300:]
    assert again == 0, f"it cannot be resumed: exit code {again}: {words}"
    found = actor.result(folder)
    assert found == wanted, f"resumed, it ends in another result: {str(found)[:500]} instead of {str(wanted)[:500]}"
    return "not reached" if not struck else "killed" if code < 0 else "went on" if code == 0 else "said so"


def run(samples: dict[str, int | None], *, only: str | None = None) -> int:
    """Runs so many cases of each actor, spread evenly, all where that is None, or the one so called; returns how many failed."""
    torch.set_num_threads(1)
    failures, outcomes = 0, Counter[Outcome]()
    began_s = time.monotonic()
    with _disk() as (root, hows):
        for name, sample in samples.items():
            (root / name).mkdir()
            (root / name / "shared").mkdir()
            os.environ["XDG_STATE_HOME"] = str(root / name / "state")
            actor = ACTORS[name](root / name / "shared")
            folder = root / name / "whole"
            folder.mkdir()
            actor.make(folder)
            code, told = _fork(actor, folder)
            assert code == 0, folder.with_suffix(".log").read_text()
            wanted = actor.result(folder)
            shutil.rmtree(folder)
            cases = [(point, how) for point in _points(told) for how in hows]
            if sample is not None:
                cases = [cases[(index * len(cases) // sample + index % len(hows)) % len(cases)] for index in range(sample)]
            if only is not None:
                moment, _, how = only.partition(", ")
                cases = [((moment.split()[0], int(moment.split()[1])), how)]
            for index, (point, how) in enumerate(cases):
                folder = root / name / str(index)
                try:
                    outcome = _happen(actor, folder, point, how, wanted)
                except Exception as error:
                    outcome, failures = "FAILED", failures + 1
                    print(f"{name}, {_name(point, how)}: {type(error).__name__}: {error}", flush=True)
                outcomes[name, point[0], how, outcome] += 1
                shutil.rmtree(folder, ignore_errors=True)
            print(f"{name}: {len(cases)} cases, {time.monotonic() - began_s:.0f} s", flush=True)
            shutil.rmtree(root / name, ignore_errors=True)
    _print_table(outcomes)
    print(f"{outcomes.total()} cases, {failures} failed, {time.monotonic() - began_s:.0f} s")
    return failures


def _name(point: Point, how: str) -> str:
    return f"{point[0]} {point[1]}, {how}"


def _print_table(outcomes: Counter[Outcome]) -> None:
    """Who × when × how: passed of tried; and what became of the processes."""
    print(f"{'':12} {'passed / tried':14}" + "".join(f"{how:>15}" for how in HOWS))
    for who, when in dict.fromkeys((who, when) for who, when, _, _ in outcomes):
        own = {how: Counter({end: n for (*case, end), n in outcomes.items() if case == [who, when, how]}) for how in HOWS}
        cells = (f"{tried.total() - tried['FAILED']} / {tried.total()}" if tried else "" for tried in own.values())
        print(f"{who:12} {when:14}" + "".join(f"{cell:>15}" for cell in cells))
    for how in HOWS:
        ends = sum((Counter({end: n}) for (_, _, with_what, end), n in outcomes.items() if with_what == how), Counter[str]())
        if ends:
            print(f"{how}: " + ", ".join(f"{n} {end}" for end, n in ends.most_common()))


@contextlib.contextmanager
def _disk() -> Iterator[tuple[Path, tuple[str, ...]]]:
    """A small file system of its own, and the faults that can be made here."""
    with tempfile.TemporaryDirectory(prefix="brefine-faults-") as name:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={_DISK}", "tmpfs", name]
        mounted = shutil.which("mount") and subprocess.run(mount, capture_output=True, check=False).returncode == 0
        if not mounted:
            print("only root can mount a small disk here: the cases of a full disk are left out")
        try:
            yield Path(name), HOWS if mounted else tuple(how for how in HOWS if how != "disk full")
        finally:
            if mounted:
                subprocess.run(["umount", "-l", name], check=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.matrix", description=__doc__)
    parser.add_argument("who", nargs="*", help="`trainer`: all its cases; `trainer:2`: two; everybody's, where nobody is named")
    parser.add_argument("--case", help="one alone, as a failure names it: 'open 11, out of memory'; with one WHO")
    options = parser.parse_args()
    samples = {who: int(n) if n else None for who, _, n in (word.partition(":") for word in options.who or ACTORS)}
    if strangers := samples.keys() - ACTORS.keys():
        parser.error(f"WHO is one of {', '.join(ACTORS)}, not {', '.join(strangers)}")
    return 1 if run(samples, only=options.case) else 0


if __name__ == "__main__":
    sys.exit(main())
