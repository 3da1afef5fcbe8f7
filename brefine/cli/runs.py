"""`brefine runs`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from brefine.cli.options import RUNS, Json, Runs
from brefine.cli.output import print_json, print_lines
from brefine.core.figures import milliseconds
from brefine.errors import BrefineError, one_line, tell
from brefine.phasedir import PhaseDir, list_phases
from brefine.run.snapshot import PhaseSnapshot
from brefine.run.store import PhaseStore
from brefine.run.tables import align


def runs(json: Json = False, runs: Runs = RUNS) -> None:
    """Example: brefine runs

    The phases under runs/, oldest first: state, best validation MAE of each model, money spent.
    """
    phases = list_phases(runs)
    snapshots = list(_readable(phases))
    if json:
        print_json([_document(shot) for shot in snapshots])
    elif not phases:
        tell(f"no phase under {one_line(runs)}; start one: brefine launch-phase3 --config configs/demo.toml")
    else:
        header = ("phase", "state", "best validation MAE", "spent", "gate 4")
        print_lines(align([header, *map(_row, snapshots)]))


def _readable(phases: Iterable[PhaseDir]) -> Iterator[PhaseSnapshot]:
    """The phases that can be read: one that is damaged, or of another version, does not hide the others."""
    for phase in phases:
        try:
            yield PhaseStore(phase.path, curves=False).snapshot()
        except BrefineError as error:
            tell(f"left out: {error}")


def _document(shot: PhaseSnapshot) -> dict[str, Any]:
    return {
        "phase": shot.name,
        "state": shot.state.value,
        "best_mae_ms": _best_mae_ms(shot),
        "spent_usd": shot.budget.spent_usd,
        "verdict": shot.standing_gate and shot.standing_gate.verdict,
    }


def _row(shot: PhaseSnapshot) -> tuple[str, ...]:
    best = "  ".join(f"{name} {milliseconds(mae_ms)}" for name, mae_ms in _best_mae_ms(shot).items())
    verdict = shot.standing_gate.verdict if shot.standing_gate else "–"
    return (shot.name, shot.state.value, best, f"${shot.budget.spent_usd:.2f}", verdict)


def _best_mae_ms(shot: PhaseSnapshot) -> dict[str, float | None]:
    return {run.name: run.best_mae_ms for run in shot.runs}
