"""The weights of a phase's models, identified by their headers, and what to do if there are none."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from brefine.config import ModelName
from brefine.errors import CheckpointError
from brefine.identity import is_alive
from brefine.phasedir.folders import PhaseDir
from brefine.phasedir.operation import SupervisorState
from brefine.phasedir.training import OTHER_WEIGHTS, CheckpointCard, RunState, RunStatus, read_statuses


@dataclass(frozen=True, slots=True)
class FoundWeights:
    """A weights file whose header can be read.

    Attributes:
        hint: what to do if its tensors turn out to be damaged.
    """

    path: Path
    card: CheckpointCard
    hint: str = OTHER_WEIGHTS


def find_weights(phase: PhaseDir, model: ModelName, checkpoint: str) -> FoundWeights:
    """The weights of a phase's model: `best`, `last`, or a file. Their tensors are not read.

    Raises:
        CheckpointError: the weights are missing, torn, or of another architecture.
    """
    run = phase.run(model)
    path = {"best": run.weights("best"), "last": run.weights("last")}.get(checkpoint, Path(checkpoint))
    hint = way_to_weights(phase, model) if checkpoint in ("best", "last") else OTHER_WEIGHTS
    card = CheckpointCard.of_weights(path, hint=hint)
    _refuse_other(path, card, [model])
    return FoundWeights(path, card, hint)


def find_all_weights(
    phase: PhaseDir, models: Sequence[ModelName] | None, checkpoints: Sequence[str]
) -> dict[str, list[FoundWeights]]:
    """Name of a checkpoint → its weights: for `best` and `last` one of each model, for a file one of the model that it is of.

    Args:
        models: None = all models of the phase.

    Raises:
        CheckpointError: weights are missing or torn, or a file is of another model.
    """
    found: dict[str, list[FoundWeights]] = {}
    for checkpoint in dict.fromkeys(checkpoints):
        if checkpoint in ("best", "last"):
            found[checkpoint] = [find_weights(phase, model, checkpoint) for model in models or phase.models()]
            continue
        path = Path(checkpoint)
        card = CheckpointCard.of_weights(path)
        if models:
            _refuse_other(path, card, models)
        found[f"{path.stem}-{card.weights_sha256[:8]}"] = [FoundWeights(path, card)]
    return found


def _refuse_other(path: Path, card: CheckpointCard, models: Sequence[ModelName]) -> None:
    if card.model not in models:
        raise CheckpointError("these weights are of another model", where=path, expected=" or ".join(models), got=card.model)


def way_to_weights(phase: PhaseDir, model: ModelName) -> str:
    """What to do if a phase's own checkpoint cannot be used.

    Raises:
        FormatError: the phase has lost its recipe.
    """
    recipe = phase.models()
    if model not in recipe:
        return f"this phase trains {', '.join(recipe)}: --model NAME"
    status = RunStatus.read_if_sound(phase.run(model).status)
    if status is not None and status.state is RunState.FINISHED:
        return f"bring the file back, or train anew: brefine launch-phase3 --config {shlex.quote(str(phase.config))}"
    return f"{way_to_first_checkpoint(phase)}; models that are trained can be named: --model NAME"


def way_to_first_checkpoint(phase: PhaseDir) -> str:
    """How to get a first checkpoint: by waiting, while a supervisor or a trainer lives on this machine."""
    supervisor = SupervisorState.read_if_sound(phase.supervisor)
    at_work = [] if supervisor is None or supervisor.state != "running" else [supervisor.process]
    at_work += [status.process for status in read_statuses(phase).values()]
    if any(map(is_alive, at_work)):
        return f"wait for its first checkpoint: brefine watch {phase.argument}"
    return f"train first: brefine resume {phase.argument}"
