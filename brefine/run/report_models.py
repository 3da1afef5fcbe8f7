"""The models side by side: figures, curves, and whether their confidence can be believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

import numpy as np

from brefine.core.boundaries import BoundaryKind
from brefine.core.figures import milliseconds, percent, rounded, signed_milliseconds
from brefine.core.series import downsample_minmax
from brefine.phasedir import BoundaryFigures, EvaluationReport, Tag
from brefine.run.report_charts import Axis, Rule, Series, bar_chart, line_chart
from brefine.run.report_html import LOOKS, html_figure, html_section, html_table, side_by_side
from brefine.run.snapshot import Curve, PhaseSnapshot
from brefine.run.tables import choice_text, counts_text, cuts_text, interval_text

_MAX_POINTS: Final = 240
_VALIDATION: Final = (
    "A training validates the raw shift of each matched boundary by itself, where both ends lie clear of the recording's edge. "
    "Above and at the gate boundaries are scored after refinement, which weighs each shift by the system's errors and its "
    "neighbours and moves none at the edge: the same weights have another MAE there, and so have unrefined boundaries."
)


def models_section(snapshot: PhaseSnapshot, chosen: str | None) -> str:
    reports = list(snapshot.evaluations.values())
    if not reports:
        return html_section("models", "Models", "<p>None is evaluated yet: <code>brefine evaluate</code>.</p>")
    first = reports[0]
    rows = [_row("unrefined", first.comparison.before)]
    rows += [_row(one.model, one.comparison.after, one, chosen=one.model == chosen) for one in reports]
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
        "harm to good",
        "boundaries/s",
    )
    table = f'<div class="dense">{html_table(names, rows, numbers=tuple(range(1, len(names))))}</div>'
    before, cuts = first.comparison.before, cuts_text(reports)
    convention = (
        f"{first.split} split, {first.n_recordings} {first.evidence} recordings; pairs matched before refinement within W = "
        f"{before.window_s:g} s: {before.n_matched:,} of {before.n_reference:,} reference boundaries "
        f"(recall {percent(before.recall)}, precision {percent(before.precision)}{cuts and f'; {cuts}'}). "
        "Capped mean: over all reference boundaries, an unmatched one counts W. Harm to good: mean change of the error "
        "of boundaries that were within 50 ms before, above 0 = worse. Per s: boundaries a second, less the time in which other "
        "programs had the cores."
    )
    selection = snapshot.selection
    reason = ""
    if selection is not None:
        reason = f"<p>{escape(choice_text(selection).rstrip('.'))}.</p>"
    looked_at = next((one for one in reports if one.model == chosen), first)
    figures = side_by_side(
        html_figure(_cdf(reports), "Share of matched boundaries whose absolute error is no larger; further left is better."),
        html_figure(_kinds(looked_at), f"MAE by kind of the reference boundary, {escape(looked_at.model)}, validation split."),
    )
    return html_section("models", "Models", reason + table + f'<p class="quiet">{escape(convention)}</p>' + figures)


def curves_section(snapshot: PhaseSnapshot, n_parameters: Mapping[str, int]) -> str:
    """The curves, and a row for each training.

    Args:
        n_parameters: model → number of its parameters, for models that have a checkpoint.
    """
    charts = []
    for tag, label in ((Tag.VALIDATION_MAE_MS, "validation MAE, ms"), (Tag.LOSS, "training loss")):
        series = [
            _thinned(run.name, LOOKS[place % len(LOOKS)], run.curves[tag])
            for place, run in enumerate(snapshot.runs)
            if tag in run.curves and len(run.curves[tag].steps)
        ]
        if series:
            x = Axis("optimiser step", low=0.0, tick=lambda value: f"{value:,.0f}")
            low = 0.0 if tag is Tag.VALIDATION_MAE_MS else None
            chart = line_chart(series, x, Axis(label, low=low), points=tag is Tag.VALIDATION_MAE_MS)
            charts.append(html_figure(chart, "✗ marks values that are not numbers."))
    states = html_table(
        ("training", "state", "steps", "epochs", "parameters", "best validation MAE", "unrefined", "device"),
        [
            (
                escape(run.name),
                escape(str(run.state)),
                "–" if run.status is None else f"{run.status.step:,} of {run.status.n_steps:,}",
                "–" if run.status is None else f"{run.status.epoch} of {run.status.n_epochs}",
                f"{n_parameters[run.name]:,}" if run.name in n_parameters else "–",
                "–"
                if run.status is None or run.status.best is None
                else f"{milliseconds(run.status.best.mae_ms)} (epoch {run.status.best.epoch})",
                "–" if run.status is None else milliseconds(run.status.unrefined_mae_ms),
                "–" if run.status is None else escape(run.status.device),
            )
            for run in snapshot.runs
        ],
    )
    shown = side_by_side(*charts) + states if charts else states
    return html_section("curves", "Learning curves", f'{shown}<p class="quiet">{_VALIDATION}</p>')


def calibration_section(snapshot: PhaseSnapshot) -> str:
    series, rows = [], []
    for place, one in enumerate(snapshot.evaluations.values()):
        if one.calibration:
            confidence = [100 * item.confidence for item in one.calibration]
            right = [100 * item.within_100ms for item in one.calibration]
            labels = [f"{item.n:,} boundaries" for item in one.calibration]
            series.append(Series(one.model, LOOKS[place % len(LOOKS)], confidence, right, labels))
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
    table = html_table(("model", "expected calibration error", "proposals"), rows, numbers=(1, 2))
    note = (
        "<p>Below the diagonal the model is too sure of itself. A proposal is right if a boundary lies within 100 ms of it.</p>"
    )
    return html_section(
        "calibration",
        "Calibration",
        side_by_side(html_figure(chart, "Ten bins of equal width, validation split."), f"<div>{note}{table}</div>"),
    )


def _row(name: str, figures: BoundaryFigures, report: EvaluationReport | None = None, *, chosen: bool = False) -> tuple[str, ...]:
    """A row with the figures of a model, by its report, or of the boundaries before refinement."""
    return (
        f'<span class="{"chosen" if chosen else ""}">{escape(name)}{" ◀" if chosen else ""}</span>',
        milliseconds(figures.mae_ms),
        "" if report is None else interval_text(report.comparison.intervals.get("mae_ms")),
        milliseconds(figures.median_ms),
        milliseconds(figures.p90_ms),
        "–" if figures.bias_ms is None else f"{rounded(figures.bias_ms):+.0f} ms",
        *(percent(value) for value in (figures.within_50ms, figures.within_100ms, figures.within_200ms)),
        milliseconds(figures.capped_mean_ms),
        "" if report is None else counts_text(report.comparison),
        "" if report is None else signed_milliseconds(report.comparison.good_harm_ms),
        "" if report is None else f"{report.speed.boundaries_per_s:,.0f}",
    )


def _cdf(reports: Sequence[EvaluationReport]) -> str:
    share = [float(value) for value in range(101)]
    series = [Series("unrefined", "base", reports[0].before_abs_error_quantiles_ms, share)]
    series += [
        Series(one.model, LOOKS[place % len(LOOKS)], one.after_abs_error_quantiles_ms, share) for place, one in enumerate(reports)
    ]
    drawn = [Series(one.name, one.look, [max(1.0, x) for x in one.x], one.y) for one in series if len(one.x) == len(share)]
    return line_chart(drawn, Axis("absolute error, ms", "log", low=5.0, high=1000.0), Axis("boundaries, %", low=0.0, high=100.0))


def _kinds(report: EvaluationReport) -> str:
    before, after = report.comparison.before, report.comparison.after
    kinds = [kind for kind in BoundaryKind if kind in before.by_kind and before.by_kind[kind].n_matched]
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
    """The whole curve if it is short; for a long one, the middle between each bucket's extremes, with gaps kept."""
    if len(curve.steps) <= _MAX_POINTS:
        return Series(name, look, curve.steps.tolist(), curve.values.tolist(), [f"{value:.4g}" for value in curve.values])
    buckets = downsample_minmax(curve.steps, curve.values, _MAX_POINTS)
    known = ~np.isnan(buckets.low) | buckets.nonfinite
    middle = np.where(buckets.nonfinite, np.nan, (buckets.low + buckets.high) / 2)
    return Series(name, look, buckets.x[known].tolist(), middle[known].tolist())
