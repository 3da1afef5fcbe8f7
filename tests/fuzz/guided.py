"""`make fuzz-guided`: the same readers and seeds, mutated towards code that no input has reached yet (atheris, libFuzzer).

    python -m tests.fuzz.guided [--seconds N] [--only NAME] [--grown DIR]

Each reader has a process of its own, since libFuzzer ends the one it runs in. The oracle is that of `make fuzz`: a result or a
`BrefineError`, in bounded time and memory. What atheris grows stays in the folder of `--grown`: the next run goes on from there,
and an input that reached something new is worth keeping in `tests/fuzz/corpus/`. Exit code 1 where there was a fault.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

_MEMORY_MB, _TIMEOUT_S = 4096, 20
_CHIEF = (
    *("rttm", "uem", "recipe", "override", "events", "event-records", "log", "checkpoint", "checkpoint-payload"),
    *("weights", "weights-card", "card", "manifest", "status", "supervisor", "decisions", "control", "ledger", "wav", "flac"),
)
"""What is tried where `--only` names nothing: formats that other programs and people write."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.guided", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each reader")
    parser.add_argument("--only", action="append", help="a reader's name; repeatable")
    parser.add_argument("--grown", type=Path, default=Path(tempfile.gettempdir()) / "brefine-fuzz-guided")
    parser.add_argument("--within", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.within is not None:
        return _fuzz(options.within, options.seconds, options.grown)
    total, faulty = 0, []
    for name in options.only or _CHIEF:
        command = [sys.executable, "-m", "tests.fuzz.guided", "--within", name, "--seconds", str(options.seconds)]
        done = subprocess.run([*command, "--grown", str(options.grown)], capture_output=True, text=True, check=False)
        found = re.findall(r"Done (\d+) runs|^#(\d+)\s", done.stderr, re.MULTILINE)
        n_inputs = max((int(one or other) for one, other in found), default=0)
        reached = re.findall(r" cov: (\d+) ft: (\d+) corp: (\d+)", done.stderr) or [("0", "0", "0")]
        total += n_inputs
        print(f"{name:20} {n_inputs:9,} inputs, {reached[-1][0]} edges, {reached[-1][2]} inputs that reach them", flush=True)
        if done.returncode != 0 or done.stdout:
            faulty.append(name)
            print(done.stdout or done.stderr[-2000:], flush=True)
    print(f"{'all':20} {total:9,} inputs; at fault: {', '.join(faulty) or 'none'}")
    return 1 if faulty else 0


def _fuzz(name: str, seconds: int, grown: Path) -> int:
    """Fuzzes one reader; never returns where libFuzzer has its way."""
    import atheris

    with atheris.instrument_imports(include=["brefine"]):  # counts what is reached, so it has to come first
        from tests.fuzz.readers import make_readers
        from tests.fuzz.run import fault_of, kept_corpus

    logging.disable(logging.CRITICAL)
    told = os.dup(1)
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="brefine-fuzz-", dir=memory if memory.is_dir() else None))
    os.environ["XDG_STATE_HOME"] = str(folder / "state")
    readers = folder / "readers"
    readers.mkdir()
    reader = make_readers(readers)[name]
    seeds, corpus = folder / "seeds", grown / name
    for place in (seeds, corpus):
        place.mkdir(parents=True, exist_ok=True)
    for index, seed in enumerate([*reader.seeds, *kept_corpus(name)]):
        (seeds / str(index)).write_bytes(seed)
    faults: set[str] = set()

    def one_input(data: bytes) -> None:
        fault = fault_of(reader, data)
        if fault is None or (key := fault.split(": ")[0]) in faults:
            return
        faults.add(key)
        path = grown / f"fault-{name}-{hashlib.sha256(data).hexdigest()[:12]}"
        path.write_bytes(data)
        os.write(told, f"  {fault}\n  {path}\n".encode())

    limits = [f"-max_total_time={seconds}", f"-rss_limit_mb={_MEMORY_MB}", f"-timeout={_TIMEOUT_S}", "-max_len=65536"]
    quiet = ["-close_fd_mask=3", f"-artifact_prefix={grown}/fault-{name}-"]  # decoders complain about every second file
    arguments: Sequence[str] = ["fuzz", *limits, *quiet, str(corpus), str(seeds)]
    atheris.Setup(list(arguments), one_input)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
