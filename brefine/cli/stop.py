"""`brefine stop`."""

from __future__ import annotations

from brefine.cli.options import RUNS, Json, Phase, Runs
from brefine.cli.output import print_json
from brefine.errors import FormatError, ProcessError, one_line, tell
from brefine.phasedir import PhaseDir, find_phase, list_phases
from brefine.run.launch import stop_phase, unfinished_models
from brefine.run.lock import is_supervised


def stop(phase: Phase = None, json: Json = False, runs: Runs = RUNS) -> None:
    """Example: brefine stop

    Every training writes a checkpoint and ends; `brefine resume` goes on from there.
    """
    found = find_phase(phase, runs)
    was_working = stop_phase(found)
    name, shown = found.path.name, one_line(found.path.name)
    tell(f"{shown} is stopped; {_next(found)}" if was_working else f"nothing is at work in {shown}; {_next(found)}")
    if not was_working:
        for other in filter(is_supervised, list_phases(runs)):
            tell(f"another phase is at work; stop it with: brefine stop {other.argument}")
    if json:
        print_json({"phase": name, "stopped": True, "was_working": was_working})


def _next(phase: PhaseDir) -> str:
    """What can be done next: resume, or what `brefine resume` would refuse with."""
    try:
        unfinished_models(phase)
    except ProcessError as error:
        return f"{error.what}; {error.hint}"
    except FormatError as error:
        lost = not phase.config.exists()  # whose hint is `brefine stop`, which was just done
        return f"before it can go on: {error.with_hint('move it back') if lost else error}"
    return f"go on with: brefine resume {phase.argument}"
