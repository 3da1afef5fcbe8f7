"""Trainings that are killed by SIGKILL, and what they leave: `python -m tests.train.killed_trainings [--chains N] …`.

A chain is one training that is killed again and again at points drawn at random, each time goes on from its last checkpoint,
and in the end is compared, bit for bit, with a training that was left alone. Each trainer is a process of its own, forked so
that torch is loaded only once. `python -m tests.train.killed_trainings RUN_DIR POINT …` goes through the points it is given,
and with `--models` through such chains as well.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import logging
import os
import random
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # a forked trainer's first step would import it, for longer than it trains
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from brefine.config import MODEL_NAMES, PhaseConfig, format_config, prepared_corpus_path
from brefine.phasedir import CorpusManifest, RunDir, RunState, RunStatus, Tag, run_model
from brefine.train import __main__ as trainer
from brefine.train import checkpoint, loop, validation
from brefine.train.checkpoint import Checkpoints, fingerprint_of
from tests.tiny_corpus import make_tiny_corpus, tiny_recipe

PLACES: dict[str, tuple[Any, str]] = {
    "step": (loop, "learning_rate"),
    "validation": (validation, "validation_of"),
    "checkpoint": (checkpoint, "write_bytes_atomic"),
    "link": (os, "link"),
    "half-written": (os, "fsync"),
    "rename": (Path, "replace"),
}
"""Place → the function at whose call the process dies. Files are half-written between their first byte and their rename."""
_CLOCKED = {Tag.EXAMPLES_PER_S, Tag.DEVICE_MEMORY_BYTES}
_LATEST = {"step": 12, "validation": 2, "checkpoint": 2, "link": 1, "half-written": 8, "rename": 8}
"""Place → the most often that a killed training comes there, about, before it ends."""
_KILLS_A_CHAIN = 3


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.train.killed_trainings", description=__doc__)
    parser.add_argument("run", type=Path, nargs="?", help="a run's folder; without one, the whole matrix in a scratch folder")
    parser.add_argument("points", nargs="*", help="`place:n`: die when the place is reached for the n-th time")
    parser.add_argument("--models", help="chains of these, such as `mlp,contrastive`; of all, where no run is named")
    parser.add_argument("--chains", type=int, default=7, help="of each model")
    parser.add_argument("--epochs", type=int, default=3, help="of each training")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)  # a fork has no threads but one, and would wait for those of a pool
    if options.run is not None:
        for point, end in train_killed(RunDir(options.run), options.points):
            print(point, end, flush=True)
        if options.models is None:
            return 0
    models = MODEL_NAMES if options.models is None else options.models.split(",")
    with tempfile.TemporaryDirectory(prefix="brefine-kills-") as scratch:
        return _matrix(Path(scratch), models, options.chains, options.epochs, random.Random(options.seed))


def train_killed(run: RunDir, points: list[str]) -> list[tuple[str, str]]:
    """Goes to the end through kills; returns what became of each point."""
    ends = []
    for point in points:
        died = _train(run, point)
        assert died in (signal.SIGKILL, 0), f"{point}: signal {died}"
        ends.append((point, "killed" if died else "not reached"))
    assert _train(run, None) == 0
    return ends


def differences(run: RunDir, whole: RunDir, config: PhaseConfig) -> list[str]:
    """What of weights, their cards (the metrics), curves and the training's state is not the same, bit for bit."""
    found = [] if RunStatus.read(run.status).state is RunState.FINISHED else ["not finished"]
    for name in ("best", "last"):
        for kind in ("weights", "card"):
            mine, theirs = (getattr(each, kind)(name) for each in (run, whole))
            if mine.read_bytes() != theirs.read_bytes():
                found.append(f"{kind} {name}")
    if curves(run) != curves(whole):
        found.append("curves")
    model = run_model(run.path)
    corpus_sha256 = CorpusManifest.read(prepared_corpus_path(config) / "corpus.json").fingerprint()
    fingerprint = fingerprint_of(config, model, corpus_sha256)
    mine, theirs = (Checkpoints(each, fingerprint).load()[0] for each in (run, whole))
    if not _equal(mine, theirs):
        found.append("state")
    return found


def curves(run: RunDir) -> dict[str, list[tuple[int, float]]]:
    """The scalars of a run that do not go by the clock."""
    events = EventAccumulator(str(run.path), size_guidance={"scalars": 0})
    events.Reload()
    tags = [tag for tag in events.Tags()["scalars"] if tag not in _CLOCKED]
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in tags}


def _matrix(scratch: Path, models: Sequence[str], n_chains: int, n_epochs: int, rng: random.Random) -> int:
    """Prints a row for each chain and the sums; 1 where anything differed."""
    logging.getLogger("tensorboard").setLevel(logging.ERROR)  # that a process was killed is no news
    config = tiny_recipe(scratch, train={"precision": "auto", "epochs": n_epochs}, models={model: {} for model in models})
    make_tiny_corpus(config)
    killed_at: Counter[str] = Counter()
    n_different = 0
    for model in models:
        phases = [scratch / f"{model}-{chain}" for chain in range(n_chains + 1)]
        runs = [RunDir(phase / model) for phase in phases]
        for run in runs:
            run.path.mkdir(parents=True)
            (run.path.parent / "phase.toml").write_text(format_config(config), encoding="utf-8")
        whole, *chains = runs
        train_killed(whole, [])
        for chain, run in enumerate(chains, 1):
            ends = train_killed(run, [_drawn(rng) for _ in range(_KILLS_A_CHAIN)])
            killed_at.update(point.partition(":")[0] for point, end in ends if end == "killed")
            different = differences(run, whole, config)
            n_different += bool(different)
            told = ", ".join(point if end == "killed" else f"({point} {end})" for point, end in ends)
            print(f"{model:12} chain {chain}: {told}: {', '.join(different) or 'equal, bit for bit'}", flush=True)
    places = ", ".join(f"{place} {killed_at[place]}" for place in PLACES)
    print(f"{len(models) * n_chains} chains, {killed_at.total()} kills ({places}); {n_different} chains ended differently")
    return min(n_different, 1)


def _drawn(rng: random.Random) -> str:
    place = rng.choice(list(PLACES))
    return f"{place}:{rng.randint(1, _LATEST[place])}"


def _train(run: RunDir, point: str | None) -> int:
    """The signal that ended the trainer."""
    pid = os.fork()
    if pid == 0:
        if point is not None:
            place, _, n = point.partition(":")
            _arm(*PLACES[place], int(n))
        sys.argv = ["train", str(run.path), "--resume"]
        with (run.path / "train.log").open("a") as log, contextlib.redirect_stdout(log):
            os._exit(trainer.main())
    return os.waitpid(pid, 0)[1]


def _arm(owner: Any, name: str, n: int) -> None:
    calls, function = itertools.count(1), getattr(owner, name)

    def armed(*arguments: Any, **keywords: Any) -> Any:
        if next(calls) == n:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **keywords)

    setattr(owner, name, armed)


def _equal(mine: Any, theirs: Any) -> bool:
    """Whether two packed states hold the same, tensors to the last bit."""
    if isinstance(mine, dict):
        return mine.keys() == theirs.keys() and all(_equal(mine[key], theirs[key]) for key in mine)
    if isinstance(mine, list | tuple):
        return len(mine) == len(theirs) and all(map(_equal, mine, theirs))
    if isinstance(mine, torch.Tensor):
        return torch.equal(mine, theirs)
    return bool(mine == theirs)


if __name__ == "__main__":
    sys.exit(main())
