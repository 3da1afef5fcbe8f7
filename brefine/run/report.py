"""`report.html`: a whole phase in one self-contained file, to mail, to file, and to read years later without brefine.

The page loads nothing: styles, charts and spectrograms are inside, there is no script, and a policy in the page forbids the rest.
Names, notes and log lines come from people and files, and are escaped wherever they appear.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from brefine.config import MODEL_NAMES, ModelName
from brefine.errors import FormatError
from brefine.io.atomic import write_text_atomic
from brefine.io.outputs import is_page, refuse_replacing, refuse_unwritable
from brefine.phasedir import CheckpointCard, Manifest, PhaseDir
from brefine.run.gate_report import judge_phase
from brefine.run.report_boundaries import audio_of, extremes, picture, read_boundaries
from brefine.run.report_html import html_page
from brefine.run.report_models import calibration_section, curves_section, models_section
from brefine.run.report_record import boundaries_section, cost_section, decisions_section, provenance_section
from brefine.run.report_verdict import criteria_section, head, integration_section
from brefine.run.snapshot import PhaseSnapshot
from brefine.run.store import PhaseStore


def write_report(phase: PhaseDir, out: Path | None = None) -> Path:
    """Writes the report of what the phase has so far; returns its path.

    Raises:
        BrefineError: it cannot be written, or `out` would replace a file of the phase, or another file that is not a page.
    """
    if out is not None:
        files = [path for path in phase.path.rglob("*") if path.suffix != ".html"]
        refuse_replacing(files, [out], "page", is_page)
    else:
        refuse_unwritable([phase.report], hint="write it elsewhere: -o FILE")
    snapshot = _judged_today(PhaseStore(phase.path).snapshot(drain=True), phase)
    try:
        manifest = Manifest.read_if_there(phase.manifest)
    except FormatError:  # the gate says what is wrong with it
        manifest = None
    path = phase.report if out is None else out
    write_text_atomic(path, report_page(snapshot, manifest, phase))
    return path


def _judged_today(snapshot: PhaseSnapshot, phase: PhaseDir) -> PhaseSnapshot:
    """The snapshot with the verdict on file; if that is on earlier evidence or would now differ, with today's and a note."""
    if not phase.gate.exists():
        return snapshot
    today, filed = judge_phase(phase), snapshot.gate
    standing = snapshot.standing_gate
    if standing is not None and standing.verdict == today.verdict:
        return snapshot
    if filed is None:
        note = []
    elif standing is None and not snapshot.turns_changed:
        of = "another evaluation, selection or integration"
        note = [f"the verdict on file ({filed.verdict}) is of {of}; judged again for this report"]
    else:
        note = [f"the verdict on file was {filed.verdict}; judged again for this report it is {today.verdict}"]
    return replace(snapshot, gate=today.model_copy(update={"notes": [*today.notes, *note]}))


def report_page(snapshot: PhaseSnapshot, manifest: Manifest | None, phase: PhaseDir) -> str:
    """The page as HTML."""
    chosen = _chosen(snapshot)
    rows = [] if chosen is None else read_boundaries(phase.boundaries(chosen, "validation"))
    best, worst = extremes(rows)
    cards = {model: CheckpointCard.read_if_sound(phase.run(model).card("best")) for model in MODEL_NAMES}
    audio = {} if manifest is None else audio_of(Path(manifest.corpus))
    sections = {
        "criteria": criteria_section(snapshot),
        "integration": integration_section(snapshot),
        "models": models_section(snapshot, chosen),
        "curves": curves_section(snapshot, {name: card.n_parameters for name, card in cards.items() if card is not None}),
        "calibration": calibration_section(snapshot),
        "boundaries": boundaries_section(
            chosen, [picture(row, audio) for row in best], [picture(row, audio) for row in worst], n_boundaries=len(rows)
        ),
        "cost": cost_section(snapshot),
        "decisions": decisions_section(phase.read_decisions(), snapshot.alerts),
        "provenance": provenance_section(snapshot, manifest),
    }
    made = {name: section for name, section in sections.items() if section}
    return html_page(_plain_title(snapshot.name), "\n".join([head(snapshot, made), *made.values()]))


def _chosen(snapshot: PhaseSnapshot) -> ModelName | None:
    """The model whose boundaries are shown: the selected one, else the first one that was evaluated."""
    if snapshot.selection is not None:
        return snapshot.selection.model
    return next((report.model for report in snapshot.evaluations.values()), None)


def _plain_title(name: str) -> str:
    return "".join(letter for letter in name if letter.isalnum() or letter in "-_. ")
