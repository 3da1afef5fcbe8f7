"""A phase directory with one of every document, small and always the same."""

from __future__ import annotations

import json
from pathlib import Path

from brefine.evaluate.evaluation import format_rows
from brefine.phasedir import (
    Alert,
    BoundaryRow,
    Decision,
    Document,
    JobRecord,
    Look,
    LookedAt,
    Manifest,
    PhaseDir,
    Progress,
    SelectionRecord,
    Stage,
    SupervisorState,
)
from brefine.run.gate_report import judge_phase
from tests.run.records import evaluation, integration, status

RECIPE = """schema = 1
name = "fuzz"
[corpus]
kind = "simulated"
[budget]
total_usd = 10.0
price_usd_per_hour = 1.5
priced_on = 2026-11-01
cap_usd = 5.0
[models.mlp]
"""


def lines(*documents: Document) -> bytes:
    return b"".join(json.dumps(one.to_json()).encode() + b"\n" for one in documents)


def make_phase(folder: Path) -> PhaseDir:
    """A phase directory with one of every document."""
    phase = PhaseDir(folder / "20260101T000000Z-fuzz")
    phase.control.mkdir(parents=True)
    phase.config.write_text(RECIPE)
    word = status("mlp")
    Manifest(
        phase=phase.path.name, created_unix_s=1e9, argv=["brefine"], git_commit=None, git_dirty=None, versions={"python": "3"},
        seed=0, models=["mlp"], corpus=str(folder / "corpus"), price_usd_per_hour=1.5,
        priced_on="2026-11-01", gate=phase.load_config().gate.model_dump(mode="json"),
    ).write(phase.manifest)  # fmt: skip
    SupervisorState(process=word.process, stage=Stage.TRAIN, state="running", started_unix_s=1e9, heartbeat_unix_s=1e9 + 5).write(
        phase.supervisor
    )
    word.write(phase.run("mlp").status)
    Progress(
        stage=Stage.PREPARE,
        state="finished",
        step="simulating",
        done=3,
        total=3,
        started_unix_s=1e9,
        unix_s=1e9 + 9,
        process=word.process,
    ).write(phase.progress(Stage.PREPARE))
    evaluation("mlp", 100.0).write(phase.evaluation("mlp", "validation"))
    SelectionRecord(model="mlp", recommended="mlp", reason="least MAE", chosen_by="rule", unix_s=1e9).write(phase.selection)
    integration().write(phase.integration)
    gate = judge_phase(phase)
    gate.write(phase.gate)
    phase.record_verdict(gate.filed())
    phase.boundaries("mlp", "validation").write_text(format_rows([row(0.0), row(0.5)]))
    phase.alerts.write_bytes(lines(Alert(id="a", level="warning", kind="slow", model="mlp", step=3, text="slow", unix_s=1e9)))
    phase.record_look(
        Look(model="mlp", weights_sha256="00", refine={"min_confidence": 0.5}, unix_s=1e9),
        [LookedAt(name="r", duration_s=9.0, audio_sha256="11", reference_sha256="22", hypothesis_sha256="33")],
    )
    phase.decisions.write_bytes(lines(Decision(unix_s=1e9, question="go on?", evidence="met", answer="yes", note="n")))
    JobRecord(name="mlp", job_id="7", state="RUNNING", waits=False, is_over=False, unix_s=1e9).write(phase.job("mlp"))
    return phase


def row(at_s: float) -> BoundaryRow:
    return BoundaryRow(
        recording="r",
        speaker="s",
        side="onset",
        kind="pause",
        reference_s=at_s,
        hypothesis_s=at_s + 0.2,
        refined_s=at_s + 0.1,
        confidence=0.5,
    )
