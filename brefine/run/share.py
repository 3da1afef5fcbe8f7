"""One share of a batch, or everything that its shares have left: `python -m brefine.run.share BATCH_DIR [--part K/N]`.

Works through handfuls; for each, a process loads the model once. If part of a handful is done already, the whole handful is
processed again, so that the rest comes out as it would have. A recording that cannot be done does not hold up the others: it is
named by the command or found by halving, tried once more alone, and left out; the reason is written to `failed/`.
"""

from __future__ import annotations

import argparse
import errno
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from brefine.errors import one_line, run_main
from brefine.io.atomic import write_bytes_atomic, write_text_atomic
from brefine.io.interpreter import python_command
from brefine.run.batch import BATCH_FILE, Batch, Item, share_taken


def main(arguments: Sequence[str] | None = None) -> int:
    """Does what is left of the share; returns 0 even if recordings failed, since the reasons are written down."""
    parser = argparse.ArgumentParser(prog="python -m brefine.run.share", description=__doc__)
    parser.add_argument("batch", type=Path, help="the batch's folder")
    parser.add_argument("--part", metavar="K/N", help="one share alone; all of them, one after the other, if left out")
    options = parser.parse_args(arguments)
    batch = Batch.read(options.batch / BATCH_FILE)
    shares = range(batch.n_shares) if options.part is None else [int(options.part.partition("/")[0])]
    for index in shares:
        with share_taken(options.batch, index):
            batch = Batch.read(options.batch / BATCH_FILE)  # again: from now on this share's part does not change
            with _scratch(options.batch, index) as scratch:
                _do_share(options.batch, batch, index, scratch)
    return 0


@contextmanager
def _scratch(folder: Path, index: int) -> Iterator[Path]:
    """A folder for a share's temporary files, without what a predecessor that was killed has left there."""
    scratch = folder / "scratch" / str(index)
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True, exist_ok=True)
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _do_share(folder: Path, batch: Batch, index: int, scratch: Path) -> None:
    for handful in batch.handfuls(index):
        while left := [item for item in handful if not (_is_done(item) or _failure(folder, item).exists())]:
            batch.refuse_other_settings(Batch.begun(batch.command, batch.options, n_shares=batch.n_shares), where=folder)
            able = left if batch.is_each_alone else [item for item in handful if not _failure(folder, item).exists()]
            done, words = _run(batch, able, scratch, wanted=left)
            if not done:
                named = [item for item in left if f"/{Path(item.out).stem}." in words]
                reasons = _reasons(batch, named, scratch) or _reasons(batch, left, scratch) or {item.out: words for item in left}
                for item in left:
                    if item.out in reasons:
                        write_text_atomic(_failure(folder, item), reasons[item.out])


def _reasons(batch: Batch, failed: Sequence[Item], scratch: Path) -> dict[str, str]:
    """Recording → why it cannot be done, for those of the recordings that cannot be done alone either."""
    if not failed:
        return {}
    if len(failed) == 1:
        done, words = _run(batch, failed, scratch)
        return {} if done else {failed[0].out: words}
    middle = len(failed) // 2
    found: dict[str, str] = {}
    for half in (failed[:middle], failed[middle:]):
        if len(half) == 1 or not _run(batch, half, scratch)[0]:
            found |= _reasons(batch, half, scratch)
    return found


def _is_done(item: Item) -> bool:
    return Path(item.out).exists()


def _failure(folder: Path, item: Item) -> Path:
    return folder / "failed" / f"{Path(item.out).stem}.txt"


def _run(batch: Batch, items: Sequence[Item], scratch: Path, *, wanted: Sequence[Item] = ()) -> tuple[bool, str]:
    """Runs the command on links to these recordings, and moves the RTTMs that are wanted into the output folder.

    Returns:
        Whether all could be done, and the command's output, with the recordings' own files in place of the links.
    """
    with tempfile.TemporaryDirectory(dir=scratch) as place:
        audio, rttm, out = (Path(place) / name for name in ("audio", "rttm", "out"))
        folders = [audio, *([rttm] if batch.command == "refine" else [])]
        for folder in (out, *folders):
            folder.mkdir()
        meant: dict[Path, Path] = {}
        for item in items:
            done_as = Path(item.out)
            links = {audio / f"{done_as.stem}{Path(item.audio).suffix}": Path(item.audio)}
            if item.rttm is not None:
                links[rttm / done_as.name] = Path(item.rttm)
            for link, source in links.items():
                _link(link, source)
            meant |= links | {link.parent: source.parent for link, source in links.items()}
            meant |= {out: done_as.parent, out / done_as.name: done_as}
        command = python_command("-m", "brefine", batch.command, *folders, "-o", out, *batch.options)
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        done = ended.returncode == 0 and all((out / Path(item.out).name).exists() for item in items)
        for item in wanted if done else ():
            write_bytes_atomic(Path(item.out), (out / Path(item.out).name).read_bytes())
    words = _naming(meant, ended.stderr)
    if wanted:
        print(words, end="", file=sys.stderr, flush=True)
    return done, words


def _link(link: Path, source: Path) -> None:
    try:
        link.symlink_to(source)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        shutil.copyfile(source, link)  # the disk of the results has no links, like exFAT or Windows shares


def _naming(meant: Mapping[Path, Path], words: str) -> str:
    """The words with each link replaced by the file or folder that is `meant`: the links are gone when a person reads them."""
    told = {one_line(link): one_line(source) for link, source in meant.items()}
    longest_first = sorted(told, key=len, reverse=True)  # a file before its folder
    return re.sub("|".join(map(re.escape, longest_first)), lambda found: told[found[0]], words)


if __name__ == "__main__":
    run_main(lambda: main(sys.argv[1:]))
