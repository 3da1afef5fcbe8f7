"""`brefine resume`."""

from __future__ import annotations

from brefine.cli.options import RUNS, Json, Phase, Runs
from brefine.cli.output import print_json, starting
from brefine.errors import one_line, tell
from brefine.phasedir import find_phase
from brefine.run.launch import resume_phase


def resume(phase: Phase = None, json: Json = False, runs: Runs = RUNS) -> None:
    """Example: brefine resume

    Starts a supervisor for a phase that has none: trainings that still run are taken over, others go on from their last
    checkpoint.
    """
    found = find_phase(phase, runs)
    with starting(found):
        unfinished = resume_phase(found)
    what = f"training {', '.join(unfinished)}" if unfinished else "evaluation"
    tell(f"{one_line(found.path.name)} goes on with {what}; watch it with: brefine watch {found.argument}")
    if json:
        print_json({"phase": found.path.name, "training": list(unfinished)})
