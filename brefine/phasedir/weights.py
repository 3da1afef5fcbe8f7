"""What to do where a phase has no weights of a model."""

from __future__ import annotations

import shlex

from brefine.config import ModelName
from brefine.phasedir.folders import PhaseDir
from brefine.phasedir.training import RunState, RunStatus


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
    return f"train first: brefine resume {phase.argument}; models that are trained can be named: --model NAME"
