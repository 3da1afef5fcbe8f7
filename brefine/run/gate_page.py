"""`gate4.md`: the decision record of gate 4, which can be read years later without brefine."""

from __future__ import annotations

import time
from typing import Final

from brefine.phasedir import GateCriterion, GateRecord, IntegrationReport, Manifest, PhaseDir, SelectionRecord
from brefine.run.tables import choice_text, code_text, integration_table, utc_text, versions_text

_BOXES: Final = {"met": "☑", "not-met": "☒", "unknown": "☐"}


def gate_page(
    phase: PhaseDir,
    record: GateRecord,
    manifest: Manifest | None,
    selection: SelectionRecord | None,
    report: IntegrationReport | None,
) -> str:
    """The page as Markdown."""
    evidence = {"simulated": "simulated: it can never pass this gate", "real": "real recordings", None: "none yet"}
    lines = [
        f"# Gate 4: {record.verdict}",
        "",
        f"- Phase: `{phase.path.name}`",
        f"- Judged: {utc_text(record.unix_s)}",
        f"- Model: {record.winner or 'none is selected'}",
        f"- Evidence: {evidence[record.evidence]}",
        f"- Recommendation: {_plain(record.recommendation)}",
        "",
        "## Criteria",
        "",
        "| | criterion | threshold | finding | answer | note |",
        "|---|---|---|---|---|---|",
        *(_row(criterion) for criterion in record.criteria),
        "",
        *(f"- `{criterion.id}`: {_plain(criterion.convention)}" for criterion in record.criteria),
        "",
        *_notes(record),
        *_earlier(record),
        "## Evidence",
        "",
    ]
    if report is None:
        lines.append("Nothing has been measured on the gate split yet.")
    else:
        lines += ["```", *integration_table(report), "```", "", f"Hypotheses: {_plain(report.hypothesis_source)}."]
    if selection is not None:
        lines += ["", "## Selection", "", f"{_plain(choice_text(selection).rstrip('.'))}."]
    if manifest is not None:
        lines += ["", "## Provenance", "", *_provenance(manifest), *_digests(report)]
    return "\n".join(lines) + "\n"


def log_line(phase: PhaseDir, record: GateRecord) -> str:
    """The verdict as a list item, for a log that a person keeps in Markdown."""
    when = time.strftime("%Y-%m-%d", time.gmtime(record.unix_s))
    found = "; ".join(f"{item.id} {item.finding}" for item in record.criteria)
    evidence = record.evidence or "no"
    return (
        f"- {when} gate 4 **{record.verdict}** ({phase.path.name}, {record.winner or 'no model'}, {evidence} evidence): "
        f"{found}. {_plain(record.recommendation)}"
    )


def _row(criterion: GateCriterion) -> str:
    cells = (
        _BOXES[criterion.finding],
        f"`{criterion.id}` {_plain(criterion.question)}",
        _plain(criterion.threshold),
        f"{criterion.finding}: {_plain(criterion.why)}",
        criterion.answer or "",
        _plain(criterion.note or ""),
    )
    return "| " + " | ".join(cells) + " |"


def _notes(record: GateRecord) -> list[str]:
    return ["## To be known", "", *(f"- {_plain(note)}" for note in record.notes), ""] if record.notes else []


def _earlier(record: GateRecord) -> list[str]:
    lines = [
        f"- {utc_text(one.unix_s)}: **{one.verdict}** ({one.winner or 'no model'}): {_plain(one.recommendation)}"
        for one in record.earlier
    ]
    return ["## Earlier verdicts", "", *lines, ""] if lines else []


def _digests(report: IntegrationReport | None) -> list[str]:
    """Digests of what the figures were measured on, for a comparison years later."""
    if report is None:
        return []
    found = {"Weights": report.weights_sha256, "Splits": report.corpus_sha256, "Turns": report.turns_sha256}
    return [f"- {name}: sha256 {digest[:16]}" for name, digest in found.items()]


def _provenance(manifest: Manifest) -> list[str]:
    return [
        f"- Code: {code_text(manifest)}",
        f"- Seed: {manifest.seed}",
        f"- Corpus: `{manifest.corpus}`",
        f"- Versions: {versions_text(manifest)}",
    ]


def _plain(text: str) -> str:
    """Text from people and files as one cell of a table: without line breaks, bars or markup."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("`", "'")
