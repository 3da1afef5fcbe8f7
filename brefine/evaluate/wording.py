"""Reports as plain text for a terminal; every figure with its convention."""

from __future__ import annotations

from collections.abc import Sequence

from brefine.core.figures import milliseconds, percent, signed_milliseconds
from brefine.phasedir import Comparison, DerComparison, EvaluationReport, IntegrationReport


def format_evaluations(reports: Sequence[EvaluationReport]) -> str:
    """One paragraph a model."""
    return "\n\n".join(_format_evaluation(report) for report in reports)


def format_integration(report: IntegrationReport) -> str:
    worse = sum(one.der_after > one.der_before for one in report.recordings)
    counted = report.scored or report
    lines = [
        f"{report.model} behind {report.hypothesis_source}: {report.n_recordings} {report.evidence} recordings",
        *(_der_line(one) for one in report.der),
        f"  JER {percent(report.jer_before)} → {percent(report.jer_after)}",
        *_comparison_lines(report.comparison),
        f"  {counted.n_moved} of {counted.n_boundaries} scored boundaries moved; {worse} recordings have a higher DER",
    ]
    return "\n".join(lines)


def _format_evaluation(report: EvaluationReport) -> str:
    calibration = "–" if report.expected_calibration_error is None else f"{report.expected_calibration_error:.3f}"
    lines = [
        f"{report.model} ({report.checkpoint}), {report.split} split: {report.n_recordings} {report.evidence} recordings, "
        f"hypotheses: {report.hypothesis_source}",
        *_comparison_lines(report.comparison),
        f"  expected calibration error {calibration}; {report.speed.boundaries_per_s:.0f} boundaries a second, "
        f"{report.speed.seconds_per_audio_hour:.1f} s an hour of audio on {report.speed.device}",
    ]
    return "\n".join(lines)


def _comparison_lines(comparison: Comparison) -> list[str]:
    before, after = comparison.before, comparison.after
    return [
        f"  boundaries matched within {before.window_s:g} s: {before.n_matched} of {before.n_reference} "
        f"(recall {percent(before.recall)}, precision {percent(before.precision)})",
        f"  MAE {milliseconds(before.mae_ms)} → {milliseconds(after.mae_ms)}{_interval(comparison, 'mae_ms')}, "
        f"median {milliseconds(before.median_ms)} → {milliseconds(after.median_ms)}, "
        f"p90 {milliseconds(before.p90_ms)} → {milliseconds(after.p90_ms)}",
        f"  within 50 / 100 / 200 ms: {_shares(before)} → {_shares(after)}; "
        f"capped mean over all {milliseconds(before.capped_mean_ms)} → {milliseconds(after.capped_mean_ms)}",
        f"  improved {comparison.improved}, worsened {comparison.worsened}, unchanged {comparison.unchanged}; "
        f"boundaries that were within 50 ms changed by {signed_milliseconds(comparison.good_harm_ms)}",
    ]


def _der_line(one: DerComparison) -> str:
    between = "no interval" if one.interval is None else f"95 % {' to '.join(percent(bound) for bound in one.interval)}"
    return (
        f"  DER at collar {one.collar_s:g} s: {percent(one.before.der, 2)} → {percent(one.after.der, 2)} "
        f"(relative improvement {percent(one.relative)}, {between})"
    )


def _interval(comparison: Comparison, name: str) -> str:
    if name not in comparison.intervals:
        return " (no interval)"
    low, high = comparison.intervals[name]
    return f" (95 % {low:.0f}–{high:.0f})"


def _shares(figures: object) -> str:
    return " / ".join(percent(getattr(figures, f"within_{limit}ms"), 0) for limit in (50, 100, 200))
