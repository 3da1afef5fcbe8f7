"""How fast curves are loaded: our tailer against TensorBoard's EventAccumulator, on the same file, in the same process."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np

from brefine.errors import FormatError
from brefine.phasedir import Tag
from brefine.run.synthetic_events import write_scalars
from brefine.run.tail.run import RunTail

_TAGS: Final = tuple(Tag)[:10]
_TIMES: Final = 3


def bench_tail(n_scalars: int = 1_000_000) -> dict[str, Any]:
    """Loads `n_scalars` both ways; user and system CPU seconds of this process, the best of three for the tailer.

    Raises:
        FormatError: the two readers disagree.
    """
    from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator

    n_steps = n_scalars // len(_TAGS)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "events.out.tfevents.1.bench"
        write_scalars(path, _TAGS, n_steps, from_unix_s=1000.0)

        def tail() -> RunTail:
            reader = RunTail(path.parent)
            while reader.poll(limit_s=60.0):
                pass
            return reader

        def accumulate() -> EventAccumulator:
            reader = EventAccumulator(str(path), size_guidance={SCALARS: 0})
            reader.Reload()
            return reader

        ours_s, ours = min((_timed(tail) for _ in range(_TIMES)), key=lambda run: run[0])
        theirs_s, theirs = _timed(accumulate)
        curves = ours.curves()
        for tag in _TAGS:
            expected = [(event.step, event.value) for event in theirs.Scalars(tag)]
            found = list(zip(curves[tag].steps.tolist(), curves[tag].values.tolist(), strict=True))
            if not np.array_equal(np.array(found), np.array(expected)):
                raise FormatError("the two readers disagree", where=tag)
        return {
            "n_scalars": n_steps * len(_TAGS),
            "file_bytes": path.stat().st_size,
            "tailer_cpu_s": round(ours_s, 3),
            "event_accumulator_cpu_s": round(theirs_s, 3),
            "ratio": round(ours_s / theirs_s, 4),
            "target_ratio": 1 / 8,
        }


def bench_lines(result: dict[str, Any]) -> Iterable[str]:
    """The result for people."""
    yield f"{result['n_scalars']:,} scalars, {result['file_bytes'] / (1 << 20):.0f} MiB; CPU seconds of one process:"
    yield f"  brefine's tailer                {result['tailer_cpu_s']:8.2f}"
    yield f"  TensorBoard's EventAccumulator  {result['event_accumulator_cpu_s']:8.2f}"
    verdict = "kept" if result["ratio"] <= result["target_ratio"] else "missed"
    yield f"  ratio 1/{1 / result['ratio']:.1f} (target 1/8: {verdict}); every value is the same"


def _timed(load: Callable[[], Any]) -> tuple[float, Any]:
    began_s = time.process_time()
    loaded = load()
    return time.process_time() - began_s, loaded
