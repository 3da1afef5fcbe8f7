"""The report's details: single boundaries, cost, decisions, provenance."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from brefine.core.figures import percent
from brefine.phasedir import Alert, Decision, Manifest, Stage
from brefine.run.plain import duration
from brefine.run.report_boundaries import BoundaryPicture
from brefine.run.report_html import html_section, html_table
from brefine.run.snapshot import PhaseSnapshot
from brefine.run.tables import code_text, utc_text, versions_text


def boundaries_section(
    model: str | None, best: Sequence[BoundaryPicture], worst: Sequence[BoundaryPicture], *, n_boundaries: int
) -> str:
    if model is None or not (best or worst):
        return ""
    key = (
        '<p class="quiet">loud is dark, 0–8 kHz <span class="mark ref"></span>reference <span class="mark hyp"></span>hypothesis '
        '<span class="mark now"></span>refined</p>'
    )
    intro = f"<p>Of {n_boundaries:,} matched boundaries of the validation split, refined by {escape(model)}.</p>{key}"
    parts = [intro]
    for title, pictures in (("Helped most", best), ("Harmed most", worst)):
        if pictures:
            parts.append(f'<h3>{title}</h3><div class="strips">{"".join(map(_strip, pictures))}</div>')
    return html_section("boundaries", "Best and worst boundaries", "".join(parts))


def cost_section(snapshot: PhaseSnapshot) -> str:
    budget = snapshot.budget
    priced = "" if budget.priced_on is None else f", priced on {escape(budget.priced_on)}"
    cap = "none" if budget.cap_usd is None else f"${budget.cap_usd:,.2f}"
    rows = [
        ("price of the machine", f"${budget.price_usd_per_hour:,.2f} an hour{priced}"),
        ("spent by this phase", f"${budget.spent_usd:,.2f} (cap: {cap})"),
        ("left over all phases", f"${budget.remaining_usd:,.2f} of ${budget.total_usd:,.2f}"),
    ]
    for stage, took_s in snapshot.took_s.items():
        at_once = "all models at once, with any time for which they were stopped"
        how = at_once if stage is Stage.TRAIN else snapshot.progress[stage].state
        rows.append((f"{stage}", f"{duration(took_s)} ({how})"))
    for one in snapshot.evaluations.values():
        speed = one.speed
        hourly = f"{speed.seconds_per_audio_hour:.1f} s an hour of audio on {escape(speed.device)}"
        what = f"{speed.boundaries_per_s:,.0f} boundaries/s, {hourly}"
        rows.append((f"refining with {escape(one.model)}", what))
    return html_section("cost", "Cost and time", html_table(("", ""), rows))


def decisions_section(decisions: Sequence[Decision], alerts: Sequence[Alert]) -> str:
    rows = [
        (
            f'<span class="quiet">{utc_text(one.unix_s)}</span>',
            f"{escape(one.question)}<br><b>{escape(one.answer)}</b>{'<br>' + escape(one.note) if one.note else ''}",
            f'<span class="quiet">{escape(one.evidence)}</span>',
        )
        for one in decisions
    ]
    body = (
        html_table(("when", "question, answer, note", "evidence that was shown"), rows)
        if rows
        else "<p>No decision is on record.</p>"
    )
    if alerts:
        told = [(f"{escape(one.level)}", escape(one.kind), escape(one.model or ""), escape(one.text)) for one in alerts]
        body += "<h3>Alerts</h3>" + html_table(("", "kind", "model", ""), told)
    return html_section("decisions", "Decisions and alerts", body)


def provenance_section(snapshot: PhaseSnapshot, manifest: Manifest | None) -> str:
    rows = [("phase", f"<code>{escape(str(snapshot.path))}</code>")]
    if manifest is not None:
        rows += [
            ("created", utc_text(manifest.created_unix_s)),
            ("command", f"<code>{escape(' '.join(manifest.argv))}</code>"),
            ("code", escape(code_text(manifest))),
            ("seed", str(manifest.seed)),
            ("corpus", f"<code>{escape(manifest.corpus)}</code>"),
            ("versions", escape(versions_text(manifest))),
        ]
    rows += [(f"{escape(one.model)} checkpoint", f"step {one.checkpoint_step:,}") for one in snapshot.evaluations.values()]
    rows += [("unreadable", escape(problem)) for problem in snapshot.problems]
    return html_section("provenance", "Provenance", html_table(("", ""), rows))


def _strip(one: BoundaryPicture) -> str:
    row, length_s = one.row, max(1e-6, one.end_s - one.start_s)
    marks = "".join(
        f'<i class="{look}" style="left:{100 * (time_s - one.start_s) / length_s:.2f}%"></i>'
        for look, time_s in (("ref", row.reference_s), ("hyp", row.hypothesis_s), ("now", row.refined_s))
    )
    sound = (
        f'<img alt="" src="data:image/png;base64,{one.image}">'
        if one.image
        else '<div class="gone">the audio is not there any more</div>'
    )
    return (
        f'<div class="strip"><div class="head"><span>{escape(row.recording)}, {escape(row.speaker)}</span>'
        f"<b>{1000 * abs(row.error_before_s):.0f} → {1000 * abs(row.error_after_s):.0f} ms</b></div>"
        f'<div class="sound">{sound}{marks}</div>'
        f'<div class="quiet">{row.side}, {row.kind}, at {row.reference_s:.2f} s, '
        f"confidence {percent(row.confidence, 0)}</div></div>"
    )
