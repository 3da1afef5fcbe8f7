"""What a launch would do, how long it would take and what it would cost, before anything is started."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from brefine.config import ExecutorConfig, ModelName, PhaseConfig, prepared_corpus_path, with_absolute_paths
from brefine.core.figures import counted
from brefine.errors import BrefineError, FormatError
from brefine.io.atomic import read_json
from brefine.phasedir import (
    SUMMARY_FILE,
    PhaseDir,
    Progress,
    RunStatus,
    Stage,
    list_phases,
    read_statuses,
)
from brefine.run.gpu import GpuProbe
from brefine.run.launch import refuse_useless
from brefine.run.plain import duration
from brefine.run.sources import prepared_corpus, refuse_missing

_EXAMPLES_PER_S_A_CORE: Final[dict[ModelName, float]] = {"transformer": 120.0, "mlp": 1250.0, "contrastive": 220.0}
"""Rough rates of training on ±2 s, for machines on which no phase has run yet; measured on one core of a busy machine."""
_EXAMPLES_PER_S_A_GPU: Final = 5000.0
"""Rough, for a data-centre GPU, where launching kernels is the limit and not the arithmetic."""
_BOUNDARIES_A_MINUTE: Final = 18.0
"""Matched boundaries per minute of simulated conversation, as measured on 2 and 4 hours of it."""
_VOXCONVERSE_BOUNDARIES: Final = 10_000.0
"""Matched boundaries in VoxConverse's dev recordings: VBx has 10,290 of 16,536 within 1 s."""
_ALIKE: Final = ("corpus", "hypothesis", "diarizer", "features")
"""Sections of the recipe on which the time of a stage depends, besides machine and device."""


@dataclass(frozen=True, slots=True)
class PlannedStage:
    """One stage: seconds of wall time, None if nothing is known, and what the figure is based on."""

    name: str
    seconds: float | None
    basis: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a launch would do, take and cost."""

    models: tuple[ModelName, ...]
    corpus: Path
    corpus_is_ready: bool
    devices: str
    stages: tuple[PlannedStage, ...]
    billed_s: float | None
    """Time that is paid: for this machine, until the last stage has ended; on a cluster, jobs' time × GPUs. None = unknown."""
    known_billed_s: float
    """The same for the stages whose time is known."""
    price_usd_per_hour: float
    cap_usd: float | None

    @property
    def seconds(self) -> float | None:
        """Wall time of all stages; None if one of them is unknown."""
        return _sum(stage.seconds for stage in self.stages)

    @property
    def cost_usd(self) -> float | None:
        return None if self.billed_s is None else self.known_cost_usd

    @property
    def known_cost_usd(self) -> float:
        """The cost of the stages whose time is known: if some are unknown, the launch costs at least this."""
        return self.price_usd_per_hour * self.known_billed_s / 3600.0


def plan_phase(config: PhaseConfig, *, gpus: GpuProbe, n_cores: int) -> Plan:
    """Plans a phase; rates come from the newest phase on record that trained the same models, else from a rough table.

    Raises:
        ConfigError: the phase would be refused; see `launch.create_phase`.
        DataError: its corpus cannot be prepared; see `sources.refuse_missing`.
    """
    refuse_useless(config)
    refuse_missing(config)
    config = with_absolute_paths(config)
    corpus = prepared_corpus_path(config)
    prepared = prepared_corpus(config)
    ready = prepared is not None
    on_cluster, n_models = config.executor.kind == "slurm", len(config.models)
    if on_cluster:  # what the login node has does not matter
        n_gpus, n_cores = n_models * config.executor.gpus, n_models * config.executor.cpus
    else:
        n_gpus = len(gpus.read())
    past = _past(config)
    n_examples = examples_an_epoch(config, prepared)
    if n_examples is None:
        why = "is not told by the corpus's summary.json" if ready else "is known when the corpus is prepared"
        training = [PlannedStage(model, None, f"the number of examples {why}") for model in config.models]
    else:
        training = [_training(config, model, n_examples, past, n_gpus, n_cores) for model in config.models]
    longest = max(training, key=lambda stage: stage.seconds or 0.0)
    longest_basis = longest.basis if longest.seconds is None else f"{longest.name} takes longest; {longest.basis}"
    alike = {phase: theirs for phase, theirs in past.items() if _is_alike(phase, theirs, config, has_gpu=n_gpus > 0)}
    same_models = [phase for phase, theirs in alike.items() if set(theirs.models) == set(config.models)]
    stages = (
        PlannedStage("prepare", 0.0, "the corpus is prepared") if ready else _from_the_past(Stage.PREPARE, alike),
        PlannedStage("train", longest.seconds, longest_basis),
        _from_the_past(Stage.EVALUATE, same_models),
        _from_the_past(Stage.INTEGRATE, alike),
    )
    if on_cluster:
        devices = _jobs(config.executor, longest.seconds)
        billed = _billed(config.executor, training, stages)
    else:
        devices = counted(n_gpus, "GPU", "GPUs") if n_gpus else f"no GPU, {n_cores} CPU cores"
        billed = [stage.seconds for stage in stages]
    budget = config.budget
    known_s = sum(seconds for seconds in billed if seconds is not None)
    return Plan(
        tuple(config.models), corpus, ready, devices, stages, _sum(billed), known_s, budget.price_usd_per_hour, budget.cap_usd
    )


def examples_an_epoch(config: PhaseConfig, prepared: Path | None) -> float | None:
    """Number of positives and negatives that `data.examples.draw_epoch` takes; None if it is not known.

    Args:
        prepared: the prepared corpus, if it exists: its summary has counted them, with synthetic recordings.
    """
    examples = config.examples
    counted = None if prepared is None else _counted(prepared)
    if counted is not None:
        n_matched, n_extra = counted
        n_positives = n_matched if examples.n_train is None else min(examples.n_train, n_matched)
        return n_positives + min(n_positives * examples.negatives_per_positive, n_extra)
    if examples.n_train is not None:
        n_positives = examples.n_train
    elif config.corpus.kind == "simulated":
        simulation = config.corpus.simulation
        n_positives = simulation.n_train * simulation.duration_s / 60.0 * _BOUNDARIES_A_MINUTE
    elif config.corpus.kind == "voxconverse":
        n_positives = (
            _VOXCONVERSE_BOUNDARIES * (1.0 - config.corpus.validation_fraction) * (1.0 + config.corpus.synthetic_per_real)
        )
    else:
        return None
    return n_positives * (1.0 + examples.negatives_per_positive)


def plan_lines(plan: Plan) -> list[str]:
    """The plan for people."""
    lines = [
        f"models: {', '.join(plan.models)}, trained at once on {plan.devices}",
        f"corpus: {plan.corpus} ({'prepared' if plan.corpus_is_ready else 'to be prepared'})",
    ]
    for stage in plan.stages:
        took = "unknown" if stage.seconds is None else f"about {duration(stage.seconds)}"
        lines.append(f"{stage.name}: {took} ({stage.basis})")
    if plan.price_usd_per_hour == 0.0:
        lines.append("cost: nothing, the machine has no price ([budget] price_usd_per_hour)")
    elif plan.cost_usd is None:
        least = f", at least about ${plan.known_cost_usd:.2f}" if plan.known_billed_s else ""
        lines.append(f"cost: ${plan.price_usd_per_hour:.2f} an hour{least}; how long in all is unknown")
    else:
        lines.append(f"cost: about ${plan.cost_usd:.2f} at ${plan.price_usd_per_hour:.2f} an hour")
    if plan.cap_usd is not None:
        lines.append(
            f"cap: ${plan.cap_usd:.2f}" + (", which this plan would not keep" if plan.known_cost_usd > plan.cap_usd else "")
        )
    return lines


def plan_to_json(plan: Plan) -> dict[str, object]:
    """The plan for scripts."""
    return {
        "models": list(plan.models),
        "corpus": str(plan.corpus),
        "corpus_is_ready": plan.corpus_is_ready,
        "devices": plan.devices,
        "stages": [{"name": stage.name, "seconds": stage.seconds, "basis": stage.basis} for stage in plan.stages],
        "seconds": plan.seconds,
        "billed_s": plan.billed_s,
        "price_usd_per_hour": plan.price_usd_per_hour,
        "cost_usd": plan.cost_usd,
        "known_cost_usd": plan.known_cost_usd,
        "cap_usd": plan.cap_usd,
    }


def _jobs(executor: ExecutorConfig, longest_s: float | None) -> str:
    """What will be requested from the scheduler, in words."""
    gpus = f"{counted(executor.gpus, 'GPU', 'GPUs')}, " if executor.gpus else ""
    memory = "" if executor.memory_gb is None else f"{executor.memory_gb:g} GB, "
    place = f" in {executor.partition}" if executor.partition else ""
    asked = f"Slurm jobs of {gpus}{executor.cpus} cores, {memory}at most {duration(60.0 * executor.time_minutes)} each{place}"
    goes_s = 60.0 * executor.time_minutes - executor.checkpoint_ahead_s
    n_limits = 0 if longest_s is None else int(longest_s // max(goes_s, 1.0))
    if n_limits > executor.max_timeouts:
        return f"{asked}; the longest needs {n_limits} continuations, max_timeouts allows {executor.max_timeouts}"
    return asked + (f"; the longest goes on after its limit {n_limits} times" if n_limits else "")


def _billed(executor: ExecutorConfig, training: Iterable[PlannedStage], stages: Sequence[PlannedStage]) -> list[float | None]:
    """Each allocation's time × GPUs, or × 1 for preparation, which has none. The tasks of an array share the work of a stage."""
    gpus = max(1, executor.gpus)
    prepare, _, *judging = stages
    works = [(prepare, 1), *((one, gpus) for one in training), *((one, gpus) for one in judging)]
    return [None if stage.seconds is None else stage.seconds * factor for stage, factor in works]


def _sum(seconds: Iterable[float | None]) -> float | None:
    """The sum; None if one of them is unknown."""
    total_s = 0.0
    for one_s in seconds:
        if one_s is None:
            return None
        total_s += one_s
    return total_s


def _past(config: PhaseConfig) -> dict[PhaseDir, PhaseConfig]:
    """Phase → its recipe, for phases on record that can be read and ran where this one would, newest first."""
    found = {}
    for phase in reversed(list_phases(Path(config.runs))):
        with contextlib.suppress(BrefineError):
            theirs = phase.load_config()
            if theirs.executor == config.executor:
                found[phase] = theirs
    return found


def _training(
    config: PhaseConfig, model: ModelName, n_examples: float, past: Iterable[PhaseDir], n_gpus: int, n_cores: int
) -> PlannedStage:
    total = n_examples * config.train_of(model).epochs
    for phase in past:
        status = RunStatus.read_if_sound(phase.run(model).status)
        if status is not None and status.examples_per_s and _is_on_gpu(status) == (n_gpus > 0):
            return PlannedStage(
                model, total / status.examples_per_s, f"{status.examples_per_s:,.0f} examples/s in {phase.path.name}"
            )
    if n_gpus:
        rate = _EXAMPLES_PER_S_A_GPU * min(1.0, n_gpus / len(config.models))
    else:
        rate = _EXAMPLES_PER_S_A_CORE[model] * n_cores / len(config.models)
    return PlannedStage(model, total / rate, f"roughly {rate:,.0f} examples/s")


def _counted(prepared: Path) -> tuple[float, float] | None:
    """Number of hypothesised training boundaries with a partner, and without one; None if the summary does not say."""
    with contextlib.suppress(FormatError, OSError, LookupError, TypeError, ValueError):
        found = read_json(prepared / SUMMARY_FILE)["splits"]["train"]["boundary"]
        n_matched = float(found["n_matched"])
        return n_matched, float(found["n_hypothesis"]) - n_matched
    return None


def _is_alike(phase: PhaseDir, theirs: PhaseConfig, config: PhaseConfig, *, has_gpu: bool) -> bool:
    """Whether the stages of that phase take as long as this recipe's: the same data, on the same kind of device."""
    return all(getattr(theirs, name) == getattr(config, name) for name in _ALIKE) and all(
        _is_on_gpu(status) == has_gpu for status in read_statuses(phase).values()
    )


def _is_on_gpu(status: RunStatus) -> bool:
    return not status.device.startswith("CPU")


def _from_the_past(stage: Stage, past: Iterable[PhaseDir]) -> PlannedStage:
    for phase in past:
        progress = Progress.read_if_sound(phase.progress(stage))
        if progress is not None and progress.state == "finished":
            return PlannedStage(stage, progress.unix_s - progress.started_unix_s, f"as in {phase.path.name}")
    return PlannedStage(stage, None, "no phase like this one has done it here yet")
