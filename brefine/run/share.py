"""One share of a batch, or all that its shares have left over: `python -m brefine.run.share BATCH_DIR [--part K/N]`.

Works in handfuls: a process loads its model once for each. A recording that cannot be done costs nobody else anything: it is
tried once more alone, and its reason is written to `failed/`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from brefine.errors import run_main
from brefine.io.atomic import write_text_atomic
from brefine.run.batch import Batch, Item, locked

_HANDFUL: Final = {"refine": 32, "diarize": 8}
"""Recordings for which a command is started; an interruption costs no more of the diarizer's work than this."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Does what is left of the share; 0 also where recordings failed, since their reasons are written down."""
    parser = argparse.ArgumentParser(prog="python -m brefine.run.share", description=__doc__)
    parser.add_argument("batch", type=Path, help="the batch's folder")
    parser.add_argument("--part", metavar="K/N", help="one share alone; all of them, one after the other, if left out")
    options = parser.parse_args(arguments)
    batch = Batch.read(options.batch / "batch.json")
    shares = range(batch.n_shares) if options.part is None else [int(options.part.partition("/")[0])]
    for index in shares:
        with locked(options.batch / "locks" / str(index), wait=True):
            _do_share(options.batch, batch, index)
    return 0


def _do_share(folder: Path, batch: Batch, index: int) -> None:
    while left := [item for item in batch.share(index) if not _is_settled(folder, item)]:
        handful = left[: _HANDFUL[batch.command]]
        _run(batch, handful)
        stuck = next((item for item in handful if not Path(item.out).exists()), None)
        if stuck is not None:
            words = _run(batch, [stuck])
            if not Path(stuck.out).exists():
                write_text_atomic(folder / "failed" / f"{Path(stuck.out).stem}.txt", words)


def _is_settled(folder: Path, item: Item) -> bool:
    return Path(item.out).exists() or (folder / "failed" / f"{Path(item.out).stem}.txt").exists()


def _run(batch: Batch, items: Sequence[Item]) -> str:
    """Runs the command on links to these recordings; their RTTMs appear in the output folder one by one. Returns its words."""
    with tempfile.TemporaryDirectory(prefix="brefine-share-") as scratch:
        folders = [Path(scratch) / "audio", *([Path(scratch) / "rttm"] if batch.command == "refine" else [])]
        for folder in folders:
            folder.mkdir()
        for item in items:
            stem = Path(item.out).stem
            (folders[0] / f"{stem}{Path(item.audio).suffix}").symlink_to(item.audio)
            if item.rttm is not None:
                (folders[1] / f"{stem}.rttm").symlink_to(item.rttm)
        out = Path(items[0].out).parent
        command = [sys.executable, "-m", "brefine", batch.command, *map(str, folders), "-o", str(out), *batch.options]
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    print(ended.stderr, end="", file=sys.stderr, flush=True)
    return ended.stderr


if __name__ == "__main__":
    run_main(lambda: main(sys.argv[1:]))
