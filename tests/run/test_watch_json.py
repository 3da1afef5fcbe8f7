"""The document of `brefine watch --once --json`: what scripts rely on, in memory."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np

from brefine.phasedir import Stage, Tag
from brefine.run.snapshot import GpuView, PhaseState
from brefine.run.watch_json import snapshot_to_json
from brefine.tui.format import format_ms
from brefine.tui.widgets.run_table import COLUMNS
from tests.tui.memory_phases import curve, event_files, nan_alert, phase, progress

_KEYS = {
    "supervisor": {"alive", "pid", "heartbeat_unix_s", "error", "silent_s"},
    "host": {"cpu_utilisation", "n_cores", "memory_used_bytes", "memory_total_bytes", "disk_free_bytes"},
    "budget": {
        "price_usd_per_hour", "priced_on", "spent_usd", "remaining_usd", "projected_usd", "cap_usd", "total_usd", "guarded",
        "terminate", "idle_s",
    },
    "models": {
        "name", "state", "step", "n_steps", "epoch", "n_epochs", "loss", "validation_mae_ms", "best", "unrefined_mae_ms",
        "steps_per_s", "examples_per_s", "eta_s", "pid", "device", "restarts", "job", "message", "error",
    },
    "alerts": {"id", "level", "kind", "model", "step", "text", "unix_s"},
    "gpus": {
        "index", "name", "utilisation", "memory_used_bytes", "memory_total_bytes", "power_w", "temperature_c",
    },
    "progress": {"state", "step", "done", "total", "error"},
}  # fmt: skip


def test_the_document_has_the_keys_that_scripts_rely_on() -> None:
    """They stand here, so that a field that is renamed does not rename a key; numbers that are none are null."""
    told = progress(Stage.PREPARE, "simulating", 74, 120)
    gpu = GpuView(0, "A100", math.nan, 1, 2, None, 40.0)
    document = snapshot_to_json(phase(alerts=(nan_alert(),), gpus=(gpu,), progress={Stage.PREPARE: told}))
    json.dumps(document, allow_nan=False)
    (shown_gpu,), (shown_alert,) = document["gpus"], document["alerts"]
    parts = {**document, "models": document["models"][0], "gpus": shown_gpu, "alerts": shown_alert}
    parts["progress"] = document["progress"]["prepare"]
    assert {part: set(parts[part]) for part in _KEYS} == _KEYS
    assert (shown_gpu["utilisation"], shown_gpu["temperature_c"]) == (None, 40.0)
    assert parts["progress"] == {"state": "running", "step": "simulating", "done": 74, "total": 120, "error": None}


def test_the_best_of_event_files_is_the_same_in_the_document_and_on_the_screen() -> None:
    """Nobody has written a status there: it is the least of the curve, and the last step is the step."""
    foreign = event_files("a")
    validation = curve(Tag.VALIDATION_MAE_MS, [120.0, np.nan, 90.0, 95.0])
    run = replace(foreign.runs[0], curves={Tag.VALIDATION_MAE_MS: validation})
    (told,) = snapshot_to_json(replace(foreign, runs=(run,)))["models"]
    assert (told["best"], told["validation_mae_ms"], told["step"]) == (90.0, 95.0, int(validation.steps[-1]))
    (shown,) = (column.text(run) for column in COLUMNS if column.title == "best")
    assert shown == format_ms(told["best"])


def test_what_has_stopped_has_no_eta() -> None:
    """Whatever its trainer last said."""
    stopped = phase(PhaseState.TO_SELECT)
    assert {told["eta_s"] for told in snapshot_to_json(stopped)["models"]} == {None}
    assert all(told["eta_s"] is not None for told in snapshot_to_json(phase())["models"])
