"""How time and memory grow with size: a phase of many curves, a long recording, a corpus of many recordings.

Each measurement runs in a process of its own, at a sixteenth, a quarter and the whole of a size beyond what anybody has. The
figures are CPU seconds, without the start and without making the data; the largest resident memory; and the exponent of growth
from the quarter to the whole: 1 is linear.
"""

from __future__ import annotations

import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from brefine.core.scorecard import Scorecard
from brefine.core.turns import Diarization, Turn
from brefine.io.interpreter import python_command
from brefine.io.pairs import read_pairs
from brefine.io.rttm import write_rttm
from brefine.phasedir import CORPUS_FILE, CorpusManifest, CorpusRecording, Tag
from brefine.run.folder_store import FolderStore
from brefine.run.synthetic_events import write_scalars
from brefine.run.watch_json import snapshot_to_json

_SHARES: Final = (1 / 16, 1 / 4, 1.0)
LARGEST_EXPONENT: Final = 1.15
"""The largest exponent that counts as linear: caches and allocators do not scale exactly linearly."""
_N_RUNS: Final = 20
_TAGS: Final = tuple(Tag)[:10]
_TURN_S: Final = 12 * 3600.0 / 20_000


def bench_scale() -> dict[str, Any]:
    """Measures all cases at all sizes; about two minutes."""
    cases: dict[str, Any] = {}
    for name, case in _CASES.items():
        sizes = [_measured(name, round(case.full * share)) for share in _SHARES]
        growth = math.log(sizes[-1]["size"] / sizes[-2]["size"])
        exponents = {
            key: round(math.log(max(sizes[-1][key], 1e-9) / max(sizes[-2][key], 1e-9)) / growth, 3)
            for key in ("cpu_s", "memory_bytes")
        }
        cases[name] = {"unit": case.unit, "sizes": sizes, "exponents": exponents}
    return {"cases": cases, "largest_exponent": LARGEST_EXPONENT}


def bench_lines(result: dict[str, Any]) -> Iterable[str]:
    """The result for people."""
    for name, case in result["cases"].items():
        yield f"{name}:"
        for size in case["sizes"]:
            yield f"  {size['size']:>11,} {case['unit']:<22} {size['cpu_s']:8.2f} s CPU {size['memory_bytes'] / 1e6:8.0f} MB"
        time_grows, memory_grows = case["exponents"]["cpu_s"], case["exponents"]["memory_bytes"]
        kept = "kept" if max(time_grows, memory_grows) <= result["largest_exponent"] else "missed"
        target = f"(target {result['largest_exponent']}: {kept})"
        yield f"  time grows with the power {time_grows:.2f}, memory with {memory_grows:.2f} {target}"


def _measured(name: str, size: int) -> dict[str, Any]:
    command = python_command("-m", "brefine.run.bench_scale", name, size)
    measured: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return measured


def _make_phase(folder: Path, n_scalars: int) -> None:
    """A folder of event files: 20 runs with ten curves each."""
    for index in range(_N_RUNS):
        path = folder / f"run-{index:02d}" / "events.out.tfevents.1.bench"
        write_scalars(path, _TAGS, n_scalars // (_N_RUNS * len(_TAGS)), from_unix_s=1000.0)


def _watch(folder: Path) -> None:
    """Reads what the first frame of a dashboard needs, and then the second frame, with nothing new."""
    store = FolderStore(folder)
    store.snapshot(drain=True)
    snapshot_to_json(store.snapshot(drain=True))


def _make_recording(folder: Path, n_turns: int) -> None:
    """One recording with six speakers: at the full size, twelve hours with 20,000 turns."""
    for kind, diarization in zip(("reference", "hypothesis"), _pair("long", n_turns, n_speakers=6), strict=True):
        write_rttm(folder / kind / "long.rttm", diarization)


def _score(folder: Path) -> None:
    """Reads and scores all pairs, and writes the hypotheses again."""
    pairs = read_pairs(folder / "reference", folder / "hypothesis").pairs
    Scorecard.joined(Scorecard.of(pair.reference, pair.hypothesis) for pair in pairs).figures()
    write_rttm(folder / "again.rttm", [pair.hypothesis for pair in pairs])


def _make_corpus(folder: Path, n_recordings: int) -> None:
    """Thousands of recordings of twelve turns, with their manifest."""
    listed = []
    for index in range(n_recordings):
        name = f"r{index:05d}"
        for kind, diarization in zip(("reference", "hypothesis"), _pair(name, 12, n_speakers=3), strict=True):
            write_rttm(folder / kind / f"{name}.rttm", diarization)
        listed.append(
            CorpusRecording(
                name=name, audio=f"{name}.wav", reference=f"reference/{name}.rttm", hypothesis=f"hypothesis/{name}.rttm",
                duration_s=30.0, regions_s=[(0.0, 30.0)], speakers=["a", "b", "c"],
            )
        )  # fmt: skip
    manifest = CorpusManifest(title="bench", evidence="simulated", hypothesis_source="bench", splits={"gate": listed})
    manifest.write(folder / CORPUS_FILE)


def _read_corpus(folder: Path) -> None:
    """Reads the manifest, and scores every pair."""
    CorpusManifest.read(folder / CORPUS_FILE)
    _score(folder)


def _pair(name: str, n_turns: int, *, n_speakers: int) -> tuple[Diarization, Diarization]:
    """Turns that touch, or nearly do, and the same turns with ends that are off by some 100 ms."""
    rng = np.random.default_rng(n_turns)
    onsets_s = _TURN_S * np.arange(n_turns) + rng.uniform(0.0, 0.2, n_turns)
    offsets_s = onsets_s + rng.uniform(0.5, 1.0, n_turns) * _TURN_S
    speakers = rng.integers(n_speakers, size=n_turns).tolist()
    errors_s = rng.laplace(0.0, 0.1, (2, n_turns)).clip(-0.4, 0.4)

    def turns(onsets: Any, offsets: Any) -> Diarization:
        ends = zip(np.maximum(onsets, 0.0).tolist(), offsets.tolist(), speakers, strict=True)
        return Diarization(name, tuple(Turn(onset_s, offset_s, f"s{speaker}") for onset_s, offset_s, speaker in ends))

    return turns(onsets_s, offsets_s), turns(onsets_s + errors_s[0], offsets_s + errors_s[1])


@dataclass(frozen=True, slots=True)
class _Case:
    """What to make, in a process that has ended before the data is read, and what to measure."""

    full: int
    unit: str
    make: Callable[[Path, int], None]
    read: Callable[[Path], None]


_CASES: Final = {
    "phase": _Case(5_000_000, "scalars of 20 runs", _make_phase, _watch),
    "recording": _Case(20_000, "turns in 12 hours", _make_recording, _score),
    "corpus": _Case(10_000, "recordings", _make_corpus, _read_corpus),
}


def main(name: str, size: int) -> None:
    """Measures one case at one size, and prints it as JSON."""
    case = _CASES[name]
    with tempfile.TemporaryDirectory() as scratch:
        pid = os.fork()
        if pid == 0:
            try:
                case.make(Path(scratch), size)
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        began_s = time.process_time()
        case.read(Path(scratch))
        cpu_s = time.process_time() - began_s
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"size": size, "cpu_s": round(cpu_s, 3), "memory_bytes": peak_kib * 1024}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
