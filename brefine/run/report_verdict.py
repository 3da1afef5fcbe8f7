"""The report's verdict, the evidence for it, and what the chosen model did behind the diarizer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from html import escape
from typing import Final

from brefine.core.figures import improvement, milliseconds, percent
from brefine.phasedir import DerFigures
from brefine.run.report_charts import Axis, Rule, Series, bar_chart, scatter_chart
from brefine.run.report_html import html_figure, html_section, html_table, sentence, side_by_side
from brefine.run.snapshot import PhaseSnapshot
from brefine.run.tables import earlier_verdicts, judged, mae_change, rate_rows, scored_text, utc_text

_LEAST_DER_PCT: Final = 0.1
"""Where the logarithmic scatter begins; recordings without any error are drawn on its edge."""
_EVIDENCE: Final = {
    "simulated": "simulated recordings: they show the road and prove nothing about real ones",
    "real": "real recordings",
    None: "nothing is measured on the gate split yet",
}


def head(snapshot: PhaseSnapshot, anchors: Iterable[str]) -> str:
    """The phase's name, the verdict with the figures that it rests on, and links to the sections of the page."""
    gate = snapshot.gate
    verdict = "open" if gate is None else gate.verdict
    words = gate.recommendation if gate is not None else f"the phase is {snapshot.state}; gate 4 has not been judged"
    evidence = _EVIDENCE[None if gate is None else gate.evidence]
    links = "".join(f'<a href="#{name}">{name}</a>' for name in anchors)
    return (
        f"<h1>{escape(snapshot.name)}</h1>"
        f'<p class="quiet">{escape(snapshot.title)} · written {utc_text(snapshot.unix_s)} · {escape(str(snapshot.state))}</p>'
        f'<div class="verdict {verdict}"><b>Gate 4: {verdict.upper()}</b><p>{escape(sentence(words))}</p>'
        f'<p class="quiet">Evidence: {escape(evidence)}.</p></div>'
        f'<div class="cards">{"".join(_cards(snapshot))}</div><nav>{links}</nav>'
    )


def criteria_section(snapshot: PhaseSnapshot) -> str:
    if snapshot.gate is None:
        return html_section("criteria", "Criteria", "<p>Not judged yet: <code>brefine gate4</code>.</p>")
    rows = [
        (
            f"<code>{item.id}</code><br>{escape(item.question)}",
            escape(item.threshold),
            f'<span class="{item.finding}">{item.finding}</span><br>{escape(item.why)}',
            f'<span class="quiet">{escape(item.convention)}</span>',
            escape(item.answer or "–") + (f"<br>{escape(item.note)}" if item.note else ""),
        )
        for item in snapshot.gate.criteria
    ]
    notes = "".join(f"<li>{escape(note)}</li>" for note in [*snapshot.gate.notes, *earlier_verdicts(snapshot.gate)])
    table = html_table(("criterion", "threshold", "finding", "convention", "answer"), rows)
    return html_section("criteria", "Criteria", table + (f"<ul>{notes}</ul>" if notes else ""))


def integration_section(snapshot: PhaseSnapshot) -> str:
    report = snapshot.integration
    title = "Behind the diarizer"
    if report is None:
        return html_section("integration", title, "<p>Not measured yet: <code>brefine integrate</code>.</p>")
    table = html_table(("", "before", "after", "change", "95 % interval"), rate_rows(report), numbers=(1, 2, 3, 4))
    changes = report.recordings
    counts = Counter(map(judged, changes))
    rates = [rate for item in changes for rate in (item.der_before, item.der_after)]
    least = max(_LEAST_DER_PCT, 100 * min((rate for rate in rates if rate > 0.0), default=0.01) * 0.8)
    most = max(10.0 * least, 100 * max(rates, default=0.0) * 1.2)
    scatter = scatter_chart(
        [
            Series(
                "",
                "s0",
                [100 * item.der_before for item in changes],
                [100 * item.der_after for item in changes],
                [f"{item.recording}: {percent(item.der_before, 2)} → {percent(item.der_after, 2)}" for item in changes],
            )
        ],
        Axis("DER before, % (collar 0)", "log", low=least, high=most),
        Axis("DER after, %", "log", low=least, high=most),
        rules=[Rule("diagonal", "unchanged")],
    )
    parts = bar_chart(
        ("missed", "false alarm", "confusion"),
        [
            ("before", "base", _parts(report.der[0].before)),
            ("after", "s0", _parts(report.der[0].after)),
        ],
        "seconds of speech, collar 0",
    )
    caption = (
        f"One point a recording: below the line is better. {counts['better']} better, {counts['worse']} worse, "
        f"{counts['unchanged']} unchanged of {len(changes)}."
    )
    intro = (
        f"<p>{escape(report.model)} behind {escape(report.hypothesis_source)}, {report.n_recordings} recordings of the gate "
        f"split ({report.evidence}), overlap scored. {sentence(scored_text(report))}</p>"
    )
    figures = side_by_side(html_figure(scatter, caption), html_figure(parts, "What the DER consists of, before and after."))
    return html_section("integration", title, intro + table + figures)


def _cards(snapshot: PhaseSnapshot) -> Iterable[str]:
    report = snapshot.integration
    if report is not None:
        before, after = report.comparison.before, report.comparison.after
        more = (
            f"{' '.join(mae_change(report.comparison))}; gate split, W = {before.window_s:g} s, recall {percent(before.recall)}"
        )
        yield _card("boundary error (MAE)", f"{milliseconds(before.mae_ms)} → {milliseconds(after.mae_ms)}", more)
        for item in report.der:
            figure = f"{percent(item.before.der, 2)} → {percent(item.after.der, 2)}"
            more = improvement(item.relative, item.interval) if item.before.der else "nothing to improve"
            yield _card(f"DER, collar ±{item.collar_s:g} s", figure, more)
        yield _card("recordings", f"{report.n_recordings}", f"{report.evidence}, hypotheses: {escape(report.hypothesis_source)}")
        return
    for one in snapshot.evaluations.values():
        before, after = one.comparison.before, one.comparison.after
        yield _card(
            f"{one.model}, MAE",
            f"{milliseconds(before.mae_ms)} → {milliseconds(after.mae_ms)}",
            f"validation, W = {before.window_s:g} s",
        )


def _card(name: str, figure: str, more: str) -> str:
    return (
        f'<div class="card"><div class="name">{name}</div><div class="figure">{figure}</div><div class="more">{more}</div></div>'
    )


def _parts(figures: DerFigures) -> tuple[float, float, float]:
    return figures.missed_s, figures.false_alarm_s, figures.confusion_s
