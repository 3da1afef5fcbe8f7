"""Thousands of recordings through one command, in shares that can be interrupted anywhere: `refine` and `diarize` with --config.

`<out>.batch/batch.json` lists what is to be done, and is written before anything runs. A recording is done if its RTTM is in
`<out>`, since every RTTM appears there whole, by a rename.

The list is divided into handfuls. The recordings of a handful are refined together: the errors of their system are estimated from
all of them. So a handful is fixed when its recordings are listed, by their order alone, and not by what is done already or by the
number of shares: a batch ends with the same RTTMs if it is interrupted or divided otherwise.

Share k of n takes the handfuls k, k + n, k + 2n, …, and the list grows only at its end: no two shares have a recording in common,
not even those of two submissions. A share holds a lock of its own, so a task that Slurm starts again waits for its predecessor.
An RTTM that was made from other input is refused; a recording that is not done takes other input only while nobody holds the lock
of its share. Hence nothing is written twice. What a share has not done when it ends, the last job of the batch does.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib import metadata
from itertools import groupby, pairwise
from pathlib import Path
from typing import Final, Literal

from pydantic import Field

from brefine.config import PhaseConfig
from brefine.core.figures import some_of
from brefine.errors import ConfigError, DataError, FormatError, ProcessError, one_line
from brefine.identity import own_identity
from brefine.io.atomic import digest_of_files
from brefine.io.audio import audio_by_stem
from brefine.io.interpreter import python_command
from brefine.io.lock import held
from brefine.io.rttm import read_rttm, rttm_files
from brefine.io.shipped import shipped_weights
from brefine.phasedir import Document, JobRecord, LockHolder, Part, PhaseDir
from brefine.run.executor import executor_of
from brefine.run.lock import sign
from brefine.run.plain import job_words
from brefine.run.supervision import Ended
from brefine.run.work import Order, Work

BATCH_FILE: Final = "batch.json"
"""Name of the file in a batch's folder that lists the batch."""
_LOOK_S: Final = 2.0
"""Seconds between two looks at what is done; with ten thousand recordings, each look asks the disk as many times."""
_MOST_NAMED: Final = 20
_NAME: Final = "batch"
_HANDFUL: Final = {"refine": 32, "diarize": 8}
"""Recordings per call of the command; an interruption loses no more of the diarizer's work than this."""

Command = Literal["refine", "diarize"]


class Stamp(Part):
    """A file as it was when its recording was listed. Its content is not read: with thousands of files, that would take hours."""

    n_bytes: int
    modified_ns: int

    @classmethod
    def of(cls, path: Path) -> Stamp | None:
        """The file as it is now; None if it cannot be looked at."""
        try:
            found = path.stat()
        except OSError:
            return None
        return cls(n_bytes=found.st_size, modified_ns=found.st_mtime_ns)


class Item(Part):
    """One recording: its audio, the turns that are given for it, if any, and the file to write, which shows that it is done.

    Attributes:
        handful: recordings with the same number are refined together.
        audio_stamp, rttm_stamp: of these files; None if unknown.
    """

    audio: str
    rttm: str | None
    out: str
    handful: int = 0
    audio_stamp: Stamp | None = None
    rttm_stamp: Stamp | None = None

    @classmethod
    def found(cls, audio: Path, rttm: Path | None, out: Path) -> Item:
        """The recording with these files as they are now."""
        return cls(
            audio=str(audio),
            rttm=None if rttm is None else str(rttm),
            out=str(out),
            audio_stamp=Stamp.of(audio),
            rttm_stamp=None if rttm is None else Stamp.of(rttm),
        )

    def difference(self, now: Item) -> str | None:
        """How the input of this recording differs `now`, in words; None if it does not, as far as is known."""
        for path, path_now, stamp, stamp_now in (
            (self.audio, now.audio, self.audio_stamp, now.audio_stamp),
            (self.rttm, now.rttm, self.rttm_stamp, now.rttm_stamp),
        ):
            if path != path_now and not _is_one_file(path, path_now):
                return f"made from {one_line(path)}, not from {one_line(path_now)}"
            if stamp is not None and stamp != stamp_now:
                return f"made before {one_line(path)} was changed"
        return None


class Batch(Document):
    """batch.json. `key` is a digest of everything that affects the result, so one folder never holds output of two settings.

    Attributes:
        contents: name → digest of a file that affects the result, or the version of brefine, as it was when the batch began.
    """

    command: Command
    options: list[str]
    n_shares: int
    key: str
    contents: dict[str, str] = Field(default_factory=dict)
    items: list[Item]

    @classmethod
    def begun(cls, command: Command, options: Sequence[str], *, n_shares: int) -> Batch:
        """A batch without recordings, with the files as they are now.

        Raises:
            DataError: an option names a file that does not exist.
        """
        contents = _contents(command, options)
        told = json.dumps([command, list(options), sorted(contents.items())])
        key = hashlib.sha256(told.encode()).hexdigest()[:16]
        return cls(command=command, options=list(options), n_shares=n_shares, key=key, contents=contents, items=[])

    @property
    def is_each_alone(self) -> bool:
        """Whether each recording's result is independent of the other recordings."""
        return "--no-refine" in self.options or "--calibration" in self.options

    @property
    def settings(self) -> str:
        """What affects the result, as text that a person can compare."""
        contents = ", ".join(f"{name} {value}" for name, value in self.contents.items())
        return f"{' '.join([self.command, *self.options])} ({contents or 'by another version of brefine'})"

    def share(self, index: int) -> list[Item]:
        """The recordings of one share."""
        return [item for item in self.items if item.handful % self.n_shares == index]

    def handfuls(self, index: int) -> list[list[Item]]:
        """The recordings of one share, by handful."""
        return [list(own) for _, own in groupby(self.share(index), key=lambda item: item.handful)]

    def refuse_other_settings(self, found: Batch, *, where: Path) -> None:
        """Refuses to go on with other settings than those that the batch began with.

        Raises:
            ConfigError: `found` has other settings.
        """
        if self.key != found.key:
            raise ConfigError(
                "this folder holds output made with other settings",
                where=where,
                expected=self.settings,
                got=found.settings,
                hint="give another -o, or remove the folder and its .batch",
            )


def batch_folder(out: Path) -> Path:
    """Where the batch of an output folder keeps its list, logs and failures."""
    return out.absolute().with_name(f"{out.absolute().name}.batch")


def plan_items(audio: Path, rttm: Path | None, out: Path) -> list[Item]:
    """Pairs audio and turns by their stems, one recording per RTTM file.

    Raises:
        DataError: there is nothing to do, or recordings have no audio; all of them are listed.
    """
    for folder in (audio, *([rttm] if rttm is not None else [])):
        if not folder.is_dir():
            raise DataError("a batch works through folders", where=folder, expected="a folder")
    by_stem = {stem: path.absolute() for stem, path in audio_by_stem(audio).items()}
    out = out.absolute()
    if rttm is None:
        items = [Item.found(path, None, out / f"{stem}.rttm") for stem, path in by_stem.items()]
    else:
        turns = rttm_files(rttm)
        missing = [path for path in turns if path.stem not in by_stem]
        if missing:
            raise DataError(
                "recordings have no audio",
                where=audio,
                problems=[f"{path}: no audio of this name in {audio}{_held(path)}" for path in missing],
                hint="with --config, an RTTM holds one recording, named like its audio; one of several goes without --config",
            )
        items = [Item.found(by_stem[path.stem], path.absolute(), out / path.name) for path in turns]
    if not items:
        raise DataError("there is nothing to do in this folder", where=audio if rttm is None else rttm)
    return items


def _held(rttm: Path) -> str:
    """How many recordings an RTTM holds, as the end of a sentence; empty unless there are several."""
    try:
        found = read_rttm(rttm)
    except (FormatError, OSError):
        return ""
    return f", and it holds {len(found)} recordings ({some_of(sorted(found))})" if len(found) > 1 else ""


def write_batch(out: Path, command: Command, items: Sequence[Item], options: Sequence[str], *, n_shares: int) -> Batch:
    """Writes the list, or extends the existing one by new recordings; a share keeps the recordings that it had.

    A recording that is not done takes the input that is given now.

    Raises:
        ConfigError: the folder belongs to other settings.
        DataError: the output folder contains RTTMs that no batch has written or that were made from other input; or an option
            names a file that does not exist.
        ProcessError: a process is working on recordings whose input has changed.
    """
    path = batch_folder(out) / BATCH_FILE
    found = Batch.begun(command, options, n_shares=n_shares)
    before = Batch.read_if_there(path)
    if before is None:
        foreign = [item.out for item in items if Path(item.out).exists()]
        if foreign:
            raise DataError("these files exist already", where=out, problems=_first(foreign), hint="give another -o")
        before = found
    before.refuse_other_settings(found, where=out)
    given = {Path(item.out).name: item for item in items}  # by name: all are in one folder, whose path may be spelled otherwise
    known = {Path(item.out).name: item for item in before.items}
    changed = {name: item for name, item in given.items() if name in known and known[name].difference(item) is not None}
    first = 1 + max((item.handful for item in before.items), default=-1)  # a handful that has begun gets no further recordings
    new = [item for name, item in given.items() if name not in known]
    numbered = [item.model_copy(update={"handful": first + place // _HANDFUL[command]}) for place, item in enumerate(new)]
    with ExitStack() as locks:
        shares = {known[name].handful % before.n_shares for name in changed}
        busy = [index for index in shares if locks.enter_context(held(share_lock(path.parent, index), wait=False)) is None]
        there = {name: item for name, item in changed.items() if Path(item.out).exists()}
        done = [f"{one_line(item.out)}: {known[name].difference(item)}" for name, item in there.items()]
        if done:
            raise DataError(
                "this folder holds results made from other input",
                where=out,
                problems=_first(done),
                hint="give another -o, or remove these results, which are then made again",
            )
        if busy:
            raise ProcessError(
                "another process is working on recordings whose input has changed",
                where=out,
                problems=_first([item.out for item in changed.values()]),
                hint="wait until it ends, then run the same command again: it takes the new input",
            )
        kept = [
            changed.get(name, item).model_copy(update={"handful": item.handful, "out": given.get(name, item).out})
            for name, item in ((Path(item.out).name, item) for item in before.items)
        ]
        batch = before.model_copy(update={"items": [*kept, *numbered]})
        path.parent.mkdir(parents=True, exist_ok=True)
        out.mkdir(parents=True, exist_ok=True)
        batch.write(path)
    return batch


def _is_one_file(path: str | None, path_now: str | None) -> bool:
    """Whether two paths lead to the same file, for instance through a link."""
    try:
        return path is not None and path_now is not None and Path(path).samefile(path_now)
    except OSError:
        return False


def share_lock(folder: Path, index: int) -> Path:
    """Held by the process that does this share of the batch in `folder`."""
    return folder / "locks" / str(index)


@contextmanager
def share_taken(folder: Path, index: int) -> Iterator[None]:
    """Waits until no other process does this share of the batch in `folder`, and holds its lock in this process's name."""
    with held(share_lock(folder, index)) as lock:
        assert lock is not None
        sign(lock, own_identity())
        yield


def at_work(out: Path) -> str | None:
    """The process that does a share of the batch of this output folder, in words; None if none does."""
    for path in sorted((batch_folder(out) / "locks").glob("[0-9]*")):
        with held(path, wait=False) as lock:
            if lock is None:
                found = LockHolder.read_if_sound(path)
                return "it has not told its pid" if found is None else f"pid {found.process.pid} on {found.process.host}"
    return None


def run_batch(out: Path, config: PhaseConfig, tell: Callable[[str], None]) -> int:
    """Has the recipe's executor work through the batch and waits for the end; returns how many recordings could not be done.

    If interrupted, jobs on a cluster go on and processes on this machine end; called again, it finds the jobs or starts what is
    left.

    Raises:
        ProcessError: the work ended before every recording was done or had failed.
    """
    folder = batch_folder(out)
    batch = Batch.read(folder / BATCH_FILE)
    n_handfuls = 1 + max((item.handful for item in batch.items), default=0)
    section = config.executor.model_copy(update={"array_tasks": min(batch.n_shares, n_handfuls)})
    executor = executor_of(PhaseDir(folder), config.model_copy(update={"executor": section}))
    log = folder / "logs" / "batch.log"
    with _alone(folder):
        for path in (folder / "failed").glob("*"):
            path.unlink()
        work = executor.find(_NAME, log=log, process=None)
        if work is None:
            other = at_work(out)
            if other is not None:
                tell(f"another process is working on this batch: {other}; this one waits, then does what is left")
            command = tuple(python_command("-m", "brefine.run.share", folder))  # all that is left, or one `--part K/N`
            work = executor.start(Order(_NAME, command, log, divisible=True))
        try:
            ended = _wait(work, _Standing(batch, folder), tell, every_s=min(_LOOK_S, executor.poll_s))
        except BaseException:
            if section.kind == "local":
                work.stop(by_force=True)  # every RTTM is whole or not there
                while work.ended() is None:
                    time.sleep(executor.poll_s)
            raise
    failed = sorted(path.stem for path in (folder / "failed").glob("*.txt"))
    lost = [item for item in batch.items if not Path(item.out).exists() and Path(item.out).stem not in failed]
    if lost:
        raise ProcessError(
            f"{len(lost)} recordings are not done", where=log, got=ended.text, hint="the same command goes on with them"
        )
    return len(failed)


def _wait(work: Work, standing: _Standing, tell: Callable[[str], None], *, every_s: float) -> Ended:
    """Waits for the end of the work, looking every `every_s` seconds, and reports progress whenever it has changed."""
    told, looked_s = "", float("-inf")
    while True:
        ended = work.ended()
        if ended is not None or time.monotonic() - looked_s >= _LOOK_S:
            looked_s = time.monotonic()
            said = standing.words()
            if said != told:
                tell(said)
                told = said
        if ended is not None:
            return ended
        time.sleep(every_s)


class _Standing:
    """How far a batch is; the file of a recording that was done is not looked for again."""

    def __init__(self, batch: Batch, folder: Path) -> None:
        self._phase = PhaseDir(folder)
        self._n_items = len(batch.items)
        self._left = [Path(item.out) for item in batch.items]

    def words(self) -> str:
        self._left = [path for path in self._left if not path.exists()]
        failed = len(list((self._phase.path / "failed").glob("*.txt")))
        job = JobRecord.read_if_there(self._phase.job(_NAME))
        place = "" if job is None else f"; last {job_words(job)}"
        done = self._n_items - len(self._left)
        return f"{done:,} of {self._n_items:,} recordings are done" + (f", {failed} failed" if failed else "") + place


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with held(folder / "locks" / "submission", wait=False) as lock:
        if lock is None:
            raise ProcessError("another process waits for this batch", where=folder, hint="let it go on, or end it first")
        yield


def _first(problems: Sequence[str]) -> list[str]:
    """The first of the problems, and how many more there are."""
    more = [f"and {len(problems) - _MOST_NAMED:,} more"] if len(problems) > _MOST_NAMED else []
    return [*problems[:_MOST_NAMED], *more]


def _contents(command: Command, options: Sequence[str]) -> dict[str, str]:
    """Digests of the files that affect the result, apart from the recordings, and the version of brefine."""
    given = {name: Path(value) for name, value in pairwise(options) if name.startswith("--")}
    files: dict[str, list[Path]] = {}
    if "--no-refine" not in options:
        files["weights"] = [given.get("--weights") or shipped_weights()]
    if "--calibration" in given:
        files["calibration"] = [given["--calibration"]]
    for path in (path for paths in files.values() for path in paths if not path.is_file()):
        raise DataError("there is no such file", where=path)
    model = given.get("--diarizer-model")
    if command == "diarize" and model is not None and model.exists():  # else it is a name on a hub
        files["diarizer-model"] = sorted(path for path in model.rglob("*") if path.is_file()) if model.is_dir() else [model]
    return {"brefine": metadata.version("brefine")} | {name: digest_of_files(paths)[:16] for name, paths in files.items()}
