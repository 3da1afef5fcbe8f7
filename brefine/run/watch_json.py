"""A snapshot as the JSON of `brefine watch --once --json`: the keys are a contract with scripts."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from brefine.phasedir import SCHEMA, JobRecord, Tag
from brefine.run.snapshot import BudgetView, GpuView, HostView, PhaseSnapshot, RunView, SupervisorView


def snapshot_to_json(snapshot: PhaseSnapshot) -> dict[str, Any]:
    """The document; non-finite numbers are null, and an alert of kind `nonfinite` reports them."""
    return {
        "schema": SCHEMA,
        "phase": snapshot.name,
        "path": str(snapshot.path),
        "title": snapshot.title,
        "state": snapshot.state.value,
        "evidence": None if snapshot.foreign else "simulated" if snapshot.simulated else "real",
        "unix_s": snapshot.unix_s,
        "eta_s": _number(snapshot.eta_s),
        "supervisor": _figures(snapshot.supervisor),
        "models": [_run_to_json(run) for run in snapshot.runs],
        "progress": {
            stage.value: item.model_dump(include={"state", "step", "done", "total", "error"})
            for stage, item in snapshot.progress.items()
        },
        "alerts": [alert.model_dump(exclude={"version"}) for alert in snapshot.alerts],
        "gpus": [_figures(gpu) for gpu in snapshot.gpus],
        "gpu_note": snapshot.gpu_note,
        "host": _figures(snapshot.host),
        "budget": _figures(snapshot.budget),
        "problems": list(snapshot.problems),
    }


def _run_to_json(run: RunView) -> dict[str, Any]:
    status = run.status
    return {
        "name": run.name,
        "state": run.state.value,
        "step": run.step,
        "n_steps": None if status is None else status.n_steps,
        "epoch": None if status is None else status.epoch,
        "n_epochs": None if status is None else status.n_epochs,
        "loss": _number(run.newest(Tag.LOSS)),
        "validation_mae_ms": _number(run.newest(Tag.VALIDATION_MAE_MS)),
        "best": _number(run.best_mae_ms),
        "unrefined_mae_ms": _number(None if status is None else status.unrefined_mae_ms),
        "steps_per_s": _number(None if status is None else status.steps_per_s),
        "examples_per_s": _number(None if status is None else status.examples_per_s),
        "eta_s": _number(run.eta_s),
        "pid": None if status is None else status.process.pid,
        "device": None if status is None else status.device,
        "restarts": run.restarts,
        "job": None if run.job is None else _job_to_json(run.job),
        "message": None if status is None else status.message,
        "error": None if status is None else status.error,
    }


def _job_to_json(job: JobRecord) -> dict[str, Any]:
    return {"id": job.job_id, "state": job.state, "waits": job.waits, "reason": job.reason, "node": job.node}


def _figures(view: GpuView | HostView | BudgetView | SupervisorView) -> dict[str, Any]:
    """The fields of a view, under their names."""
    return {name: _number(value) if isinstance(value, float) else value for name, value in asdict(view).items()}


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
