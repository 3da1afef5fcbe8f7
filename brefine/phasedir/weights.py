"""What to do where a phase has no weights of a model."""

from __future__ import annotations

import shlex

from brefine.config import ModelName
from brefine.identity import is_alive
from brefine.phasedir.folders import PhaseDir
from brefine.phasedir.operation import SupervisorState
from brefine.phasedir.training import RunState, RunStatus, read_statuses


def way_to_weights(phase: PhaseDir, model: ModelName) -> str:
    """What to do where a phase's own checkpoint cannot be used.

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
    """What brings a checkpoint where there is none yet: patience while a supervisor or a trainer lives on this machine."""
    supervisor = SupervisorState.read_if_sound(phase.supervisor)
    at_work = [] if supervisor is None or supervisor.state != "running" else [supervisor.process]
    at_work += [status.process for status in read_statuses(phase).values()]
    if any(map(is_alive, at_work)):
        return f"wait for its first checkpoint: brefine watch {phase.argument}"
    return f"train first: brefine resume {phase.argument}"
