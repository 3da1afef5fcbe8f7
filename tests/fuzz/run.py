"""`make fuzz`: a million mutated files through all readers, `python -m tests.fuzz.run [--inputs N] [--only NAME] [--seed N]`.

Every reader gets the same time, in turns, until the inputs are through. A fault is told with its place and kept in a folder; so
is an input that takes too long or too much memory. Exit code 1 where there was one.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import os
import random
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

from brefine.errors import BrefineError
from tests.fuzz.mutation import mutated
from tests.fuzz.readers import Reader, make_readers

SLOW_S = 5.0
"""CPU seconds that no input of at most 64 KiB may take."""
MEMORY_BYTES = 256 << 20
"""By so much no input may raise the process's largest memory."""
_TURN_S = 1.0
CORPUS = Path(__file__).with_name("corpus")


def fault_of(reader: Reader, data: bytes) -> str | None:
    """What is wrong with how the reader takes these bytes, and where; None where it reads or refuses them as it should."""
    began_s, before_kib = time.thread_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        reader.read(data)
    except BrefineError as error:
        if not str(error).replace("\n", "").replace("\t", "").isprintable():
            return "a message that a terminal would obey"
    except Exception as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "brefine" in frame.filename] or [None]
        place = "" if frames[-1] is None else f"{Path(frames[-1].filename).name}:{frames[-1].lineno}"
        return f"{type(error).__name__} at {place}: {str(error)[:120]}"
    if time.thread_time() - began_s > SLOW_S:
        return "slow"
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib)
    return f"memory grows by {grown >> 20} MiB" if grown > MEMORY_BYTES else None


def kept_corpus(name: str) -> list[bytes]:
    """The inputs that were interesting before."""
    return [path.read_bytes() for path in sorted((CORPUS / name).glob("*"))]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.run", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--only", action="append", help="a reader's name; repeatable")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--keep", type=Path, default=Path(tempfile.gettempdir()) / "brefine-fuzz", help="folder of inputs at fault"
    )
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # decoders complain about every second file
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        readers = make_readers(Path(name))
        if options.only:
            readers = {only: readers[only] for only in options.only}
        return _fuzz(readers, options.inputs, random.Random(options.seed), options.keep)


def _fuzz(readers: dict[str, Reader], n_inputs: int, rng: random.Random, keep: Path) -> int:
    counts: Counter[str] = Counter()
    seconds: Counter[str] = Counter()
    faults: dict[tuple[str, str], int] = {}
    while counts.total() < n_inputs:
        for name, reader in readers.items():
            seeds = [*reader.seeds, *kept_corpus(name)]
            began_s = time.monotonic()
            while time.monotonic() - began_s < _TURN_S and counts.total() < n_inputs:
                data = mutated(rng, seeds)
                counts[name] += 1
                fault = fault_of(reader, data)
                if fault is None:
                    continue
                key = (name, fault.partition(":")[0] if ".py" not in fault else fault.split(": ")[0])
                faults[key] = faults.get(key, 0) + 1
                if faults[key] == 1:
                    (keep / name).mkdir(parents=True, exist_ok=True)
                    path = keep / name / hashlib.sha256(data).hexdigest()[:12]
                    path.write_bytes(data)
                    print(f"{name}: {fault}\n  {path}", flush=True)
            seconds[name] += time.monotonic() - began_s
        print(f"{counts.total():,} inputs, {len(faults)} faults", flush=True)
    for name in readers:
        print(f"{name:20} {counts[name]:9,} inputs {seconds[name]:8.0f} s")
    print(f"{'all':20} {counts.total():9,} inputs {seconds.total():8.0f} s, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
