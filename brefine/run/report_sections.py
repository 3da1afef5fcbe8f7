"""The sections of the report, each from one snapshot; a section without evidence says what would bring it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

import numpy as np

from brefine.core.series import downsample_minmax
from brefine.phasedir import (
    Alert,
    BoundaryFigures,
    Comparison,
    Decision,
    EvaluationReport,
    Manifest,
    Stage,
    Tag,
)
from brefine.run.plain import duration
from brefine.run.report_boundaries import BoundaryPicture
from brefine.run.report_charts import Axis, Rule, Series, bar_chart, line_chart, scatter_chart
from brefine.run.snapshot import Curve, PhaseSnapshot

_LOOKS: Final = ("s0", "s1", "s2")
_MAX_POINTS: Final = 240
_LEAST_DER_PCT: Final = 0.1
"""Where the logarithmic scatter begins: recordings without any error stand on its edge."""
_KINDS: Final = ("pause", "change", "overlap", "edge")
_EVIDENCE: Final = {
    "simulated": "simulated recordings: they show the road and prove nothing about real ones",
    "real": "real recordings",
    None: "nothing is measured on the gate split yet",
}


def head(snapshot: PhaseSnapshot) -> str:
    """Name, verdict and the figures that it rests on."""
    gate = snapshot.gate
    verdict = "open" if gate is None else gate.verdict
    words = gate.recommendation if gate is not None else f"the phase is {snapshot.state}; gate 4 has not been judged"
    evidence = _EVIDENCE[None if gate is None else gate.evidence]
    anchors = ("criteria", "integration", "models", "curves", "calibration", "boundaries", "cost", "decisions", "provenance")
    links = "".join(f'<a href="#{name}">{name}</a>' for name in anchors)
    return (
        f"<h1>{escape(snapshot.name)}</h1>"
        f'<p class="quiet">{escape(snapshot.title)} · written {_when(snapshot.unix_s)} · {escape(str(snapshot.state))}</p>'
        f'<div class="verdict {verdict}"><b>Gate 4: {verdict.upper()}</b><p>{escape(_sentence(words))}</p>'
        f'<p class="quiet">Evidence: {escape(evidence)}.</p></div>'
        f'<div class="cards">{"".join(_cards(snapshot))}</div><nav>{links}</nav>'
    )


def criteria_section(snapshot: PhaseSnapshot) -> str:
    if snapshot.gate is None:
        return _section("criteria", "Criteria", "<p>Not judged yet: <code>brefine gate4</code>.</p>")
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
    notes = "".join(f"<li>{escape(note)}</li>" for note in snapshot.gate.notes)
    table = _table(("criterion", "threshold", "finding", "convention", "answer"), rows)
    return _section("criteria", "Criteria", table + (f"<ul>{notes}</ul>" if notes else ""))


def integration_section(snapshot: PhaseSnapshot) -> str:
    report = snapshot.integration
    title = "Behind the diarizer"
    if report is None:
        return _section("integration", title, "<p>Not measured yet: <code>brefine integrate</code>.</p>")
    rows = []
    for item, how in [*((one, "") for one in report.der), *((one, ", without overlap") for one in report.der_without_overlap)]:
        low, high = item.interval
        before_after = f"{item.before.der:.2%}", f"{item.after.der:.2%}"
        rows.append(
            (f"DER, collar ±{item.collar_s:g} s{how}", *before_after, f"{-item.relative:+.1%}", f"[{-high:+.1%}, {-low:+.1%}]")
        )
    rows.append(("JER", f"{report.jer_before:.2%}", f"{report.jer_after:.2%}", "", ""))
    table = _table(("", "before", "after", "relative", "95 % interval"), rows, numbers=(1, 2, 3, 4))
    changes = report.recordings
    better = sum(item.der_after < item.der_before for item in changes)
    worse = sum(item.der_after > item.der_before for item in changes)
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
                [f"{item.recording}: {item.der_before:.2%} → {item.der_after:.2%}" for item in changes],
            )
        ],
        Axis("DER before, % (collar 0)", "log", low=least, high=most),
        Axis("DER after, %", "log", low=least, high=most),
        rules=[Rule("diagonal", "unchanged")],
    )
    parts = bar_chart(
        ("missed", "false alarm", "confusion"),
        [
            ("before", "base", [1.0 * value for value in _parts(report.der[0].before)]),
            ("after", "s0", [1.0 * value for value in _parts(report.der[0].after)]),
        ],
        "seconds of speech, collar 0",
    )
    caption = (
        f"One point a recording: below the line is better. {better} better, {worse} worse, "
        f"{len(changes) - better - worse} unchanged of {len(changes)}."
    )
    moved = f"{report.n_moved:,} of {report.n_boundaries:,} boundaries moved."
    intro = (
        f"<p>{escape(report.model)} behind {escape(report.hypothesis_source)}, {report.n_recordings} recordings of the gate "
        f"split ({report.evidence}), overlap scored. {moved}</p>"
    )
    figures = _pair(_figure(scatter, caption), _figure(parts, "What the DER consists of, before and after."))
    return _section("integration", title, intro + table + figures)


def models_section(snapshot: PhaseSnapshot, chosen: str | None) -> str:
    reports = list(snapshot.evaluations.values())
    if not reports:
        return _section("models", "Models", "<p>None is evaluated yet: <code>brefine evaluate</code>.</p>")
    first = reports[0]
    rows = [_model_row("unrefined", first.comparison.before, None, None)]
    rows += [_model_row(one.model, one.comparison.after, one.comparison, one, one.model == chosen) for one in reports]
    names = (
        "",
        "MAE",
        "95 %",
        "median",
        "p90",
        "bias",
        "≤ 50 ms",
        "≤ 100 ms",
        "≤ 200 ms",
        "capped mean",
        "improved / worse / same",
        "boundaries/s",
    )
    table = f'<div class="dense">{_table(names, rows, numbers=tuple(range(1, len(names))))}</div>'
    before = first.comparison.before
    convention = (
        f"{first.split} split, {first.n_recordings} {first.evidence} recordings; pairs matched before refinement within W = "
        f"{before.window_s:g} s: {before.n_matched:,} of {before.n_reference:,} reference boundaries "
        f"(recall {_rate(before.recall)}, precision {_rate(before.precision)}). "
        "Capped mean: over all reference boundaries, an unmatched one counts W. Per s: boundaries a second."
    )
    selection = snapshot.selection
    reason = ""
    if selection is not None:
        reason = f"<p><b>{escape(selection.model)}</b> goes on (chosen by {selection.chosen_by}): {escape(selection.reason)}.</p>"
        if selection.override_reason:
            reason += f"<p>{escape(selection.recommended)} was recommended; against it: {escape(selection.override_reason)}</p>"
    looked_at = next((one for one in reports if one.model == chosen), first)
    figures = _pair(
        _figure(_cdf(reports), "Share of matched boundaries whose absolute error is no larger; further left is better."),
        _figure(_kinds(looked_at), f"MAE by kind of the reference boundary, {escape(looked_at.model)}, validation split."),
    )
    return _section("models", "Models", reason + table + f'<p class="quiet">{escape(convention)}</p>' + figures)


def curves_section(snapshot: PhaseSnapshot) -> str:
    charts = []
    for tag, label, rules in (
        (Tag.VALIDATION_MAE_MS, "validation MAE, ms", [Rule(snapshot.gate_mae_ms, f"gate: {snapshot.gate_mae_ms:g} ms")]),
        (Tag.LOSS, "training loss", []),
    ):
        series = [
            _thinned(run.name, _LOOKS[place % len(_LOOKS)], run.curves[tag])
            for place, run in enumerate(snapshot.runs)
            if tag in run.curves and len(run.curves[tag].steps)
        ]
        if series:
            x = Axis("optimiser step", low=0.0, tick=lambda value: f"{value:,.0f}")
            low = 0.0 if tag is Tag.VALIDATION_MAE_MS else None
            chart = line_chart(series, x, Axis(label, low=low), rules=rules, points=tag is Tag.VALIDATION_MAE_MS)
            charts.append(_figure(chart, "✗ marks values that are not numbers."))
    states = _table(
        ("training", "state", "steps", "epochs", "best validation MAE", "unrefined", "device"),
        [
            (
                escape(run.name),
                escape(str(run.state)),
                "–" if run.status is None else f"{run.status.step:,} of {run.status.n_steps:,}",
                "–" if run.status is None else f"{run.status.epoch} of {run.status.n_epochs}",
                "–"
                if run.status is None or run.status.best is None
                else f"{_ms(run.status.best.mae_ms)} (epoch {run.status.best.epoch})",
                "–" if run.status is None else _ms(run.status.unrefined_mae_ms),
                "–" if run.status is None else escape(run.status.device),
            )
            for run in snapshot.runs
        ],
    )
    return _section("curves", "Learning curves", _pair(*charts) + states if charts else states)


def calibration_section(snapshot: PhaseSnapshot) -> str:
    series, rows = [], []
    for place, one in enumerate(snapshot.evaluations.values()):
        if one.calibration:
            confidence = [100 * item.confidence for item in one.calibration]
            right = [100 * item.within_100ms for item in one.calibration]
            labels = [f"{item.n:,} boundaries" for item in one.calibration]
            series.append(Series(one.model, _LOOKS[place % len(_LOOKS)], confidence, right, labels))
            error = one.expected_calibration_error
            rows.append(
                (escape(one.model), "–" if error is None else f"{error:.3f}", f"{sum(item.n for item in one.calibration):,}")
            )
    if not series:
        return ""
    chart = line_chart(
        series,
        Axis("confidence of the model, %", low=0.0, high=100.0),
        Axis("truly within 100 ms, %", low=0.0, high=100.0),
        rules=[Rule("diagonal", "perfectly calibrated")],
        points=True,
    )
    table = _table(("model", "expected calibration error", "proposals"), rows, numbers=(1, 2))
    note = (
        "<p>Below the diagonal the model is too sure of itself. A proposal is right if a boundary lies within 100 ms of it.</p>"
    )
    return _section(
        "calibration",
        "Calibration",
        _pair(_figure(chart, "Ten bins of equal width, validation split."), f"<div>{note}{table}</div>"),
    )


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
    return _section("boundaries", "Best and worst boundaries", "".join(parts))


def cost_section(snapshot: PhaseSnapshot) -> str:
    budget = snapshot.budget
    priced = "" if budget.priced_on is None else f", priced on {escape(budget.priced_on)}"
    cap = "none" if budget.cap_usd is None else f"${budget.cap_usd:,.2f}"
    rows = [
        ("price of the machine", f"${budget.price_usd_per_hour:,.2f} an hour{priced}"),
        ("spent by this phase", f"${budget.spent_usd:,.2f} (cap: {cap})"),
        ("left over all phases", f"${budget.remaining_usd:,.2f} of ${budget.total_usd:,.2f}"),
    ]
    for stage, progress in snapshot.progress.items():
        rows.append((f"{stage}", f"{duration(progress.unix_s - progress.started_unix_s)} ({progress.state})"))
        if stage is Stage.PREPARE and Stage.EVALUATE in snapshot.progress:
            trained_s = snapshot.progress[Stage.EVALUATE].started_unix_s - progress.unix_s
            rows.append(("train", f"{duration(trained_s)} (all models at once)"))
    for one in snapshot.evaluations.values():
        speed = one.speed
        hourly = f"{speed.seconds_per_audio_hour:.1f} s an hour of audio on {escape(speed.device)}"
        what = f"{speed.boundaries_per_s:,.0f} boundaries/s, {hourly}"
        rows.append((f"refining with {escape(one.model)}", what))
    return _section("cost", "Cost and time", _table(("", ""), rows))


def decisions_section(decisions: Sequence[Decision], alerts: Sequence[Alert]) -> str:
    rows = [
        (
            f'<span class="quiet">{_when(one.unix_s)}</span>',
            f"{escape(one.question)}<br><b>{escape(one.answer)}</b>{'<br>' + escape(one.note) if one.note else ''}",
            f'<span class="quiet">{escape(one.evidence)}</span>',
        )
        for one in decisions
    ]
    body = (
        _table(("when", "question, answer, note", "evidence that was shown"), rows)
        if rows
        else "<p>No decision is on record.</p>"
    )
    if alerts:
        told = [(f"{escape(one.level)}", escape(one.kind), escape(one.model or ""), escape(one.text)) for one in alerts]
        body += "<h3>Alerts</h3>" + _table(("", "kind", "model", ""), told)
    return _section("decisions", "Decisions and alerts", body)


def provenance_section(snapshot: PhaseSnapshot, manifest: Manifest | None) -> str:
    rows = [("phase", f"<code>{escape(str(snapshot.path))}</code>")]
    if manifest is not None:
        commit = manifest.git_commit or "an installed package"
        rows += [
            ("created", _when(manifest.created_unix_s)),
            ("command", f"<code>{escape(' '.join(manifest.argv))}</code>"),
            ("code", escape(commit) + (" with uncommitted changes" if manifest.git_dirty else "")),
            ("seed", str(manifest.seed)),
            ("corpus", f"<code>{escape(manifest.corpus)}</code>"),
            ("versions", escape(", ".join(f"{name} {version}" for name, version in manifest.versions.items()))),
        ]
    rows += [(f"{escape(one.model)} checkpoint", f"step {one.checkpoint_step:,}") for one in snapshot.evaluations.values()]
    rows += [("unreadable", escape(problem)) for problem in snapshot.problems]
    return _section("provenance", "Provenance", _table(("", ""), rows))


# --- pieces ---------------------------------------------------------------------------------------------------------------


def _cards(snapshot: PhaseSnapshot) -> Iterable[str]:
    report = snapshot.integration
    if report is not None:
        before, after = report.comparison.before, report.comparison.after
        mae = report.comparison.intervals.get("mae_ms")
        more = f"gate split, W = {before.window_s:g} s, recall {_rate(before.recall)}"
        yield _card("boundary error (MAE)", f"{_ms(before.mae_ms)} → {_ms(after.mae_ms)}", f"{_range(mae)} {more}")
        for item in report.der:
            low, high = item.interval
            figure = f"{item.before.der:.2%} → {item.after.der:.2%}"
            yield _card(f"DER, collar ±{item.collar_s:g} s", figure, f"{-item.relative:+.1%} [{-high:+.1%}, {-low:+.1%}]")
        yield _card("recordings", f"{report.n_recordings}", f"{report.evidence}, hypotheses: {escape(report.hypothesis_source)}")
        return
    for one in snapshot.evaluations.values():
        before, after = one.comparison.before, one.comparison.after
        yield _card(f"{one.model}, MAE", f"{_ms(before.mae_ms)} → {_ms(after.mae_ms)}", f"validation, W = {before.window_s:g} s")


def _card(name: str, figure: str, more: str) -> str:
    return (
        f'<div class="card"><div class="name">{name}</div><div class="figure">{figure}</div><div class="more">{more}</div></div>'
    )


def _model_row(
    name: str, figures: BoundaryFigures, comparison: Comparison | None, report: EvaluationReport | None, chosen: bool = False
) -> tuple[str, ...]:
    interval = None if comparison is None else comparison.intervals.get("mae_ms")
    counts = "" if comparison is None else f"{comparison.improved:,} / {comparison.worsened:,} / {comparison.unchanged:,}"
    return (
        f'<span class="{"chosen" if chosen else ""}">{escape(name)}{" ◀" if chosen else ""}</span>',
        _ms(figures.mae_ms),
        _range(interval),
        _ms(figures.median_ms),
        _ms(figures.p90_ms),
        "–" if figures.bias_ms is None else f"{figures.bias_ms:+.0f} ms",
        *(_rate(value) for value in (figures.within_50ms, figures.within_100ms, figures.within_200ms)),
        _ms(figures.capped_mean_ms),
        counts,
        "" if report is None else f"{report.speed.boundaries_per_s:,.0f}",
    )


def _cdf(reports: Sequence[EvaluationReport]) -> str:
    share = [float(value) for value in range(101)]
    series = [Series("unrefined", "base", reports[0].before_abs_error_quantiles_ms, share)]
    series += [
        Series(one.model, _LOOKS[place % len(_LOOKS)], one.after_abs_error_quantiles_ms, share)
        for place, one in enumerate(reports)
    ]
    drawn = [Series(one.name, one.look, [max(1.0, x) for x in one.x], one.y) for one in series if len(one.x) == len(share)]
    return line_chart(drawn, Axis("absolute error, ms", "log", low=5.0, high=1000.0), Axis("boundaries, %", low=0.0, high=100.0))


def _kinds(report: EvaluationReport) -> str:
    before, after = report.comparison.before, report.comparison.after
    kinds = [kind for kind in _KINDS if kind in before.by_kind and before.by_kind[kind].n_matched]
    groups = [f"{kind} ({before.by_kind[kind].n_matched:,})" for kind in kinds]
    sides = [side for side in ("onset", "offset") if side in before.by_side]
    return bar_chart(
        [*groups, *(f"{side}s" for side in sides)],
        [
            ("unrefined", "base", [*(before.by_kind[k].mae_ms for k in kinds), *(before.by_side[s].mae_ms for s in sides)]),
            (report.model, "s0", [*(after.by_kind[k].mae_ms for k in kinds), *(after.by_side[s].mae_ms for s in sides)]),
        ],
        "MAE, ms",
    )


def _thinned(name: str, look: str, curve: Curve) -> Series:
    """The whole curve where it is short; of a long one the middle of each bucket's extremes, gaps kept."""
    if len(curve.steps) <= _MAX_POINTS:
        return Series(name, look, curve.steps.tolist(), curve.values.tolist(), [f"{value:.4g}" for value in curve.values])
    buckets = downsample_minmax(curve.steps, curve.values, _MAX_POINTS)
    known = ~np.isnan(buckets.low) | buckets.nonfinite
    middle = np.where(buckets.nonfinite, np.nan, (buckets.low + buckets.high) / 2)
    return Series(name, look, buckets.x[known].tolist(), middle[known].tolist())


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
        f"<b>{one.before_ms:.0f} → {one.after_ms:.0f} ms</b></div>"
        f'<div class="sound">{sound}{marks}</div>'
        f'<div class="quiet">{row.side}, {row.kind}, at {row.reference_s:.2f} s, confidence {row.confidence:.0%}</div></div>'
    )


def _section(anchor: str, title: str, body: str) -> str:
    return f'<section id="{anchor}"><h2>{title}</h2>{body}</section>'


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[int] = ()) -> str:
    """Cells are HTML already."""

    def cells(tag: str, row: Sequence[str]) -> str:
        return "".join(f"<{tag}{' class=n' if place in numbers else ''}>{cell}</{tag}>" for place, cell in enumerate(row))

    top = f"<thead><tr>{cells('th', header)}</tr></thead>" if any(header) else ""
    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f'<div class="scroll"><table>{top}<tbody>{body}</tbody></table></div>'


def _pair(*parts: str) -> str:
    return f'<div class="pair">{"".join(parts)}</div>'


def _figure(chart: str, caption: str) -> str:
    return f"<figure>{chart}<figcaption>{caption}</figcaption></figure>"


def _parts(figures: object) -> tuple[float, float, float]:
    return tuple(getattr(figures, name) for name in ("missed_s", "false_alarm_s", "confusion_s"))


def _when(unix_s: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(unix_s))


def _sentence(text: str) -> str:
    text = text.strip()
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '!', '?')) else '.'}"


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f} ms"


def _rate(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _range(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f"[{interval[0]:.0f}, {interval[1]:.0f}]"
