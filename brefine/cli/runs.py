"""`brefine runs`."""

from __future__ import annotations

from brefine.cli.options import RUNS, Json, Runs
from brefine.cli.output import milliseconds, print_json, print_lines, tell
from brefine.phasedir import list_phases
from brefine.run.snapshot import PhaseSnapshot
from brefine.run.store import PhaseStore
from brefine.run.tables import align


def runs(json: Json = False, runs: Runs = RUNS) -> None:
    """Example: brefine runs

    The phases under runs/, oldest first: state, best validation MAE of each model, money spent.
    """
    snapshots = [PhaseStore(phase.path).snapshot() for phase in list_phases(runs)]
    rows = [
        {
            "phase": shot.name,
            "state": shot.state.value,
            "best_mae_ms": {run.name: run.status and run.status.best and run.status.best.mae_ms for run in shot.runs},
            "spent_usd": shot.budget.spent_usd,
            "verdict": shot.gate and shot.gate.verdict,
        }
        for shot in snapshots
    ]
    if json:
        print_json(rows)
    elif not rows:
        tell(f"no phase under {runs}; start one: brefine launch-phase3 --config configs/demo.toml")
    else:
        header = ("phase", "state", "best validation MAE", "spent", "gate 4")
        print_lines(align([header, *(_row(shot, row["best_mae_ms"]) for shot, row in zip(snapshots, rows, strict=True))]))


def _row(shot: PhaseSnapshot, best_mae_ms: dict[str, float | None]) -> tuple[str, ...]:
    best = "  ".join(f"{name} {milliseconds(mae_ms)}" for name, mae_ms in best_mae_ms.items())
    verdict = shot.gate.verdict if shot.gate else "–"
    return (shot.name, shot.state.value, best, f"${shot.budget.spent_usd:.2f}", verdict)
