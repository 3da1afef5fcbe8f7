"""Reports as plain tables: the evaluation before and after, the integration, the gate's checklist."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

from brefine.core.figures import milliseconds, percent, signed_milliseconds, signed_percent, some_of
from brefine.phasedir import (
    BoundaryFigures,
    Comparison,
    EvaluationReport,
    GateRecord,
    IntegrationReport,
    Manifest,
    RecordingChange,
    Scored,
    SelectionRecord,
)

_FINDINGS: Final = {"met": "[x]", "not-met": "[ ]", "unknown": "[?]"}
_NO_INTERVAL: Final = "[n/a]"
_SAME_WITHIN: Final = 5e-5
"""A smaller change of a recording's DER does not show in two decimals of a percentage."""


def evaluation_table(reports: Mapping[str, EvaluationReport]) -> list[str]:
    """A row per figure, a column per model, and a column for the hypotheses before refinement."""
    if not reports:
        return ["no model is evaluated yet"]
    first = next(iter(reports.values()))
    before = first.comparison.before
    rows: list[tuple[str, ...]] = [("", "unrefined", *reports)]
    rows += [
        (
            f"MAE, W = {before.window_s:g} s",
            milliseconds(before.mae_ms),
            *(_mae(report.comparison) for report in reports.values()),
        ),
        *(_row(label, before, reports, figure) for label, figure in _FIGURES),
        *(_part_row(part, name, before, reports) for part in ("by_side", "by_kind") for name in getattr(before, part)),
        ("improved / worse / unchanged", "", *(counts_text(report.comparison) for report in reports.values())),
        (
            "harm to good (≤ 50 ms before)",
            "",
            *(signed_milliseconds(report.comparison.good_harm_ms) for report in reports.values()),
        ),
        ("boundaries a second", "", *(f"{report.speed.boundaries_per_s:,.0f}" for report in reports.values())),
        ("seconds an hour of audio", "", *(f"{report.speed.seconds_per_audio_hour:.1f}" for report in reports.values())),
    ]
    n = f"{first.n_recordings} recordings, {_matched(list(reports.values()))}"
    return [*align(rows), f"{first.split} split, {first.evidence}: {n}; errors of {first.hypothesis_source}; [95 % intervals]"]


def integration_table(report: IntegrationReport) -> list[str]:
    """DER and MAE of the gate split before and after the chosen model."""
    rows: list[tuple[str, ...]] = [("", "before", "after", "change", "95 % interval"), *rate_rows(report)]
    before, after = report.comparison.before, report.comparison.after
    figures = (milliseconds(before.mae_ms), milliseconds(after.mae_ms), *mae_change(report.comparison))
    rows.append((f"MAE, W = {before.window_s:g} s", *figures))
    evidence = f"{report.model} on {report.n_recordings} recordings of the gate split, {report.evidence}"
    return [*align(rows), evidence, scored_text(report)]


def rate_rows(report: IntegrationReport) -> list[tuple[str, ...]]:
    """DER at each collar, with overlap and without, and JER: name, before, after, relative change, its interval."""
    scorings = [(item, "") for item in report.der] + [(item, ", without overlap") for item in report.der_without_overlap]
    figures = [
        (f"DER, collar {item.collar_s:g} s{how}", item.before.der, item.after.der, item.relative, item.interval)
        for item, how in scorings
    ]
    figures.append(("JER", report.jer_before, report.jer_after, report.jer_relative, report.jer_interval))
    return [
        (
            name,
            percent(before, 2),
            percent(after, 2),
            signed_percent(-relative) if before else "",
            improvement_text(interval),
        )
        for name, before, after, relative, interval in figures
    ]


def mae_change(comparison: Comparison) -> tuple[str, str]:
    """How the MAE has changed, and an interval: unlike for a rate's change, it is that of the MAE after."""
    before_ms, after_ms = comparison.before.mae_ms, comparison.after.mae_ms
    change = signed_percent(after_ms / before_ms - 1.0) if before_ms and after_ms is not None else ""
    interval = comparison.intervals.get("mae_ms")
    return change, interval_text(None) if interval is None else f"after: {interval_text(interval)} ms"


def judged(change: RecordingChange) -> Literal["better", "worse", "unchanged"]:
    """Whether a recording's DER got better or worse, as far as two decimals of a percentage show."""
    gained = change.der_before - change.der_after
    return "better" if gained > _SAME_WITHIN else "worse" if gained < -_SAME_WITHIN else "unchanged"


def choice_text(record: SelectionRecord) -> str:
    """Which model goes on, who says so, and why; the rule's reason is given only for the model that it recommends."""
    chosen = f"{record.model} goes on (chosen by the {record.chosen_by})"
    if record.model == record.recommended:
        return f"{chosen}, as recommended: {record.reason}"
    because = f", because: {record.override_reason}" if record.override_reason else ""
    return f"{chosen}; recommended was {record.recommended}: {record.reason}; chosen instead: {record.model}{because}"


def scored_text(report: IntegrationReport) -> str:
    """How much was scored, how many reference boundaries were matched there, and how many hypothesised ones moved."""
    scored, matched = report.scored, _matched([report])
    moved = f"{report.n_moved:,} of {report.n_boundaries:,} boundaries moved"
    if scored is None:
        return f"{matched}; {moved}"
    if not scored.is_limited:
        return f"{amount_text(scored)} scored; {matched}; {moved}"
    moved = f"{scored.n_moved:,} of {scored.n_boundaries:,} boundaries there moved"
    return f"{amount_text(scored)} scored, limited by a UEM; {matched}; {moved}"


def counts_text(comparison: Comparison) -> str:
    """Boundaries that were improved, worsened, and left as they are: `790 / 214 / 200`."""
    return f"{comparison.improved:,} / {comparison.worsened:,} / {comparison.unchanged:,}"


def cuts_text(reports: Sequence[EvaluationReport | IntegrationReport]) -> str:
    """How many boundaries were made by the cut of recordings, and whether the figures include them; empty if there are none."""
    cuts = reports[0].comparison.at_cuts
    if cuts is None:
        return ""
    counting = [report.model for report in reports if report.comparison.counts_cuts]
    if not counting:
        return f"{cuts.n_reference:,} made by the cut left out"
    whose = "" if len(counting) == len(reports) else f" for {', '.join(counting)}"
    return f"{cuts.n_reference:,} made by the cut among them, as an earlier version counted{whose}"


def amount_text(scored: Scored) -> str:
    """`18.20 of 19.65 h`; in minutes for less than an hour of audio."""
    unit, unit_s, digits = ("h", 3600.0, 2) if scored.audio_s >= 3600.0 else ("min", 60.0, 1)
    return f"{scored.scored_s / unit_s:.{digits}f} of {scored.audio_s / unit_s:.{digits}f} {unit}"


def code_text(manifest: Manifest) -> str:
    """The code that was launched: `5213c16… with uncommitted changes`."""
    return (manifest.git_commit or "an installed package") + (" with uncommitted changes" if manifest.git_dirty else "")


def versions_text(manifest: Manifest) -> str:
    """`python 3.11.2, brefine 0.1.0, …`."""
    return ", ".join(f"{name} {version}" for name, version in manifest.versions.items())


def gate_table(record: GateRecord) -> list[str]:
    """The checklist: the questions, the findings, the person's answers, and the verdict."""
    lines = []
    for item in record.criteria:
        lines.append(f"{_FINDINGS[item.finding]} {item.id}: {item.question} ({item.threshold})")
        lines.append(f"    {item.finding}: {item.why} [{item.convention}]")
        if item.answer is not None:
            lines.append(f"    answered {item.answer}" + (f": {item.note}" if item.note else ""))
    lines += [f"note: {note}" for note in record.notes]
    lines += earlier_verdicts(record)
    return [*lines, f"recommendation: {record.recommendation}", verdict_text(record)]


def verdict_text(record: GateRecord) -> str:
    """`gate 4: PASS (the evidence is real)`."""
    evidence = "no evidence yet" if record.evidence is None else f"the evidence is {record.evidence}"
    return f"gate 4: {record.verdict.upper()} ({evidence})"


def earlier_verdicts(record: GateRecord) -> list[str]:
    """One line with the dates of the last earlier verdicts; no line if there are none."""
    earlier = [f"{one.verdict.upper()} ({utc_text(one.unix_s)})" for one in reversed(record.earlier)]
    return [f"earlier verdicts: {some_of(earlier)}"] if earlier else []


def improvement_text(low_high: tuple[float, float] | None) -> str:
    """An interval of improvements as one of changes, where less is better; `[n/a]` if there is none."""
    return _NO_INTERVAL if low_high is None else f"[{signed_percent(-low_high[1])}, {signed_percent(-low_high[0])}]"


def interval_text(low_high: tuple[float, float] | None) -> str:
    """`[80, 100]`, in the unit of the figure beside it; `[n/a]` if there is none."""
    return _NO_INTERVAL if low_high is None else f"[{low_high[0]:.0f}, {low_high[1]:.0f}]"


def utc_text(unix_s: float) -> str:
    """`2026-11-22 14:02 UTC`, independent of the reader's time zone."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(unix_s))


def align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows with aligned columns: the first one left, figures right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        ).rstrip()
        for row in rows
    ]


def _matched(reports: Sequence[EvaluationReport | IntegrationReport]) -> str:
    before, cuts = reports[0].comparison.before, cuts_text(reports)
    matched = f"{before.n_matched:,} of {before.n_reference:,} reference boundaries matched"
    return f"{matched}, {cuts}" if cuts else matched


def _row(
    label: str, before: BoundaryFigures, reports: Mapping[str, EvaluationReport], figure: Callable[[BoundaryFigures], str]
) -> tuple[str, ...]:
    return (label, figure(before), *(figure(report.comparison.after) for report in reports.values()))


def _part_row(part: str, name: str, before: BoundaryFigures, reports: Mapping[str, EvaluationReport]) -> tuple[str, ...]:
    """The MAE of one side or kind of boundary."""
    figures = [before, *(report.comparison.after for report in reports.values())]
    own = [getattr(one, part).get(name) for one in figures]
    return (f"MAE of {name}s", *(milliseconds(one and one.mae_ms) for one in own))


def _mae(comparison: Comparison) -> str:
    after_ms = comparison.after.mae_ms
    interval = "" if after_ms is None else f" {interval_text(comparison.intervals.get('mae_ms'))}"
    return f"{milliseconds(after_ms)}{interval}"


_FIGURES: Final[tuple[tuple[str, Callable[[BoundaryFigures], str]], ...]] = (
    ("median", lambda figures: milliseconds(figures.median_ms)),
    ("p90", lambda figures: milliseconds(figures.p90_ms)),
    ("bias", lambda figures: milliseconds(figures.bias_ms)),
    ("within 50 ms", lambda figures: percent(figures.within_50ms)),
    ("within 100 ms", lambda figures: percent(figures.within_100ms)),
    ("within 200 ms", lambda figures: percent(figures.within_200ms)),
    ("capped mean, all boundaries", lambda figures: milliseconds(figures.capped_mean_ms)),
    ("recall", lambda figures: percent(figures.recall)),
    ("precision", lambda figures: percent(figures.precision)),
)
