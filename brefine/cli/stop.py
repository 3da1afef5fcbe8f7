"""`brefine stop`."""

from __future__ import annotations

from brefine.cli.options import RUNS, Json, Phase, Runs
from brefine.cli.output import print_json, tell
from brefine.phasedir import find_phase
from brefine.run.launch import stop_phase


def stop(phase: Phase = None, json: Json = False, runs: Runs = RUNS) -> None:
    """Example: brefine stop

    Every training writes a checkpoint and ends; `brefine resume` goes on from there.
    """
    found = find_phase(phase, runs)
    stop_phase(found)
    tell(f"{found.path.name} is stopped; go on with: brefine resume {found.path.name}")
    if json:
        print_json({"phase": found.path.name, "stopped": True})
