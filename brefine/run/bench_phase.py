"""Time and cost of a whole phase on this machine: all models at once, by their real trainers, on noise of the phase's size."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from brefine.config import CorpusConfig, PhaseConfig, load_config, parse_config, prepared_corpus_path
from brefine.errors import DataError, RunError
from brefine.phasedir import PhaseDir, RunStatus
from brefine.run.executor import LocalExecutor
from brefine.run.foreground import run_worker
from brefine.run.gpu import find_gpus
from brefine.run.launch import create_phase
from brefine.run.plain import duration
from brefine.run.plan import examples_an_epoch
from brefine.run.programs import BREFINE
from brefine.run.sources import prepared_corpus
from brefine.run.work import Order

_ON_CPUS: Final = (640, 1)
"""Examples and epochs that are really trained if there is no GPU; the rest is projected."""
_POLL_S: Final = 0.2


def bench_phase(recipe: Path | None = None, *, n_examples: int | None = None, n_epochs: int | None = None) -> dict[str, Any]:
    """Trains all models of the recipe at once and projects time and cost of the whole phase.

    Args:
        recipe: None = three models on as much as `configs/phase3.toml` has, at no price.
        n_examples: examples an epoch that are really trained; None = all that the phase has on a GPU, 640 without one.
        n_epochs: epochs that are really trained; None = the recipe's on a GPU, one without one.

    Raises:
        DataError: the number of examples of the phase is not known.
        RunError: a training failed.
    """
    config = load_config(recipe) if recipe is not None else parse_config(_RECIPE, where="bench phase")
    gpus = find_gpus().read()
    whole = (_n_examples(config), {model: config.train_of(model).epochs for model in config.models})
    few_examples, few_epochs = (whole[0], None) if gpus else _ON_CPUS
    n_examples = min(whole[0], n_examples or few_examples)
    n_epochs = n_epochs or few_epochs
    epochs = {model: min(own, n_epochs or own) for model, own in whole[1].items()}
    with tempfile.TemporaryDirectory(prefix="brefine-bench-") as scratch:
        phase = _phase(config, Path(scratch), n_examples, epochs)
        _prepare(phase, n_examples, max(1, round(_validation_share(config.corpus) * n_examples)))
        wall_s = _train(phase)
        words = {model: RunStatus.read(phase.run(model).status) for model in config.models}
    models = [_figures(word, n_examples, whole[0] * whole[1][model]) for model, word in words.items()]
    loading_s = wall_s - max(model["training_s"] for model in models)
    complete = n_examples == whole[0] and epochs == whole[1]
    phase_s = wall_s if complete else loading_s + max(model["projected_s"] for model in models)
    price = config.budget.price_usd_per_hour
    return {
        "devices": [gpu.name for gpu in gpus] or sorted({model["device"] for model in models}),
        "n_examples": whole[0],
        "epochs": whole[1],
        "trained": {"n_examples": n_examples, "epochs": epochs, "wall_s": wall_s, "loading_s": loading_s},
        "models": models,
        "complete": complete,
        "phase_s": phase_s,
        "price_usd_per_hour": price,
        "phase_usd": price * phase_s / 3600.0,
    }


def bench_lines(result: dict[str, Any]) -> list[str]:
    """The result for people."""
    trained = result["trained"]
    lines = [
        f"{model['model']}: {model['examples_per_s']:,.0f} examples/s on {model['device']}, {duration(model['training_s'])}"
        + ("" if result["complete"] else f"; the whole training about {duration(model['projected_s'])}")
        for model in result["models"]
    ]
    did = f"{trained['n_examples']:,} examples an epoch, loading {duration(trained['loading_s'])}"
    word = "took" if result["complete"] else f"projected from {duration(trained['wall_s'])} with {did}:"
    cost = f", ${result['phase_usd']:.2f} at ${result['price_usd_per_hour']:.2f} an hour" if result["price_usd_per_hour"] else ""
    lines.append(f"all {len(lines)} at once, {result['n_examples']:,} examples: {word} {duration(result['phase_s'])}{cost}")
    return lines


def _n_examples(config: PhaseConfig) -> int:
    """Examples per epoch, as the plan of a launch counts them."""
    counted = examples_an_epoch(config, prepared_corpus(config))
    if counted is None:
        raise DataError(
            "how many boundaries the recipe trains on is not known before its corpus is prepared",
            where=prepared_corpus_path(config),
            hint="prepare it: brefine prepare CORPUS --config RECIPE; or say the number: [examples] n_train",
        )
    return max(1, round(counted))


def _validation_share(corpus: CorpusConfig) -> float:
    """Validation boundaries per training boundary."""
    if corpus.kind == "simulated":
        return corpus.simulation.n_validation / corpus.simulation.n_train
    return corpus.validation_fraction / (1.0 - corpus.validation_fraction) / (1.0 + corpus.synthetic_per_real)


def _phase(config: PhaseConfig, scratch: Path, n_examples: int, epochs: dict[Any, int]) -> PhaseDir:
    """A phase in `scratch`. All its examples are matched boundaries, since examples without a partner take as long."""
    models = {model: own.model_copy(update={"epochs": epochs[model]}) for model, own in config.models.items()}
    return create_phase(
        config.model_copy(
            update={
                "runs": str(scratch / "runs"),
                "corpus": config.corpus.model_copy(update={"root": str(scratch / "data")}),
                "examples": config.examples.model_copy(update={"n_train": n_examples, "negatives_per_positive": 0.0}),
                "models": models,
            }
        )
    )


def _prepare(phase: PhaseDir, n_examples: int, n_validation: int) -> None:
    code = run_worker("brefine.train.noise_corpus", phase.config, n_examples, n_validation, stdout=sys.stderr, goes_on=True)
    if code > 128:
        raise KeyboardInterrupt(code - 128)
    if code != 0:
        raise RunError("the benchmark's corpus could not be made", where=phase.path)


def _train(phase: PhaseDir) -> float:
    """Seconds from the start of the first process to the end of the last."""
    config = phase.load_config()
    executor = LocalExecutor(phase, config)
    began_s = time.monotonic()
    orders = [Order(m, tuple(BREFINE.train(phase.run(m), resume=False)), phase.run(m).log) for m in config.models]
    works = {order.name: executor.start(order) for order in orders}
    try:
        while works:
            for name, ended in [(name, work.ended()) for name, work in works.items()]:
                if ended is not None and ended.code != 0:
                    raise RunError(f"the training of {name} failed", where=phase.path / name, got=ended.text)
                if ended is not None:
                    del works[name]
            time.sleep(_POLL_S)
    finally:
        for work in works.values():
            work.stop(by_force=True)
    return time.monotonic() - began_s


def _figures(word: RunStatus, n_examples: int, n_whole: int) -> dict[str, Any]:
    """The figures of one training. The projection is in proportion to the examples, for validations as for steps."""
    training_s = word.heartbeat_unix_s - word.started_unix_s
    n_trained = word.n_epochs * n_examples
    return {
        "model": word.model,
        "device": word.device,
        "training_s": training_s,
        "examples_per_s": n_trained / training_s,
        "projected_s": training_s * n_whole / n_trained,
    }


_RECIPE: Final = """
schema = 1
[corpus]
kind = "voxconverse"
synthetic_per_real = 2.0
[models.transformer]
[models.mlp]
[models.contrastive]
"""
