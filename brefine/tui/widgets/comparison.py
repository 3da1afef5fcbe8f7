"""Before and after: the figures of all models side by side, by figure and by kind of boundary."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from textual.content import Content

from brefine.core.boundaries import BoundaryKind
from brefine.core.figures import percent, signed_milliseconds
from brefine.phasedir import BoundaryFigures, Comparison, EvaluationReport
from brefine.run.snapshot import PhaseSnapshot
from brefine.run.tables import cuts_text
from brefine.tui.format import UNKNOWN, clip_middle, format_count, format_interval, format_ms, format_rate
from brefine.tui.theme import curve_style
from brefine.tui.widgets.panel import Panel, line, stack, why_empty, wrapped

KINDS: tuple[str, ...] = tuple(BoundaryKind)
_LABEL_WIDTH = 17
_LEAST_COLUMN = 10
"""Least width in cells of a model's column, with figures and the mark behind them; its name is cut to fit."""
_COLUMN_OF_SHARES = 13
"""Width in cells of a column from which a count has room for its share beside it; the share is dropped first."""

Better = Literal["less", "more"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table."""

    title: str
    key: str
    """The field of `BoundaryFigures`, and the key of the interval."""
    better: Better
    format: Callable[[float | None], str]
    scale: float
    """Factor to the unit that is shown, for the interval."""


FIGURES = (
    Figure("MAE", "mae_ms", "less", format_ms, 1.0),
    Figure("median", "median_ms", "less", format_ms, 1.0),
    Figure("90 % within", "p90_ms", "less", format_ms, 1.0),
    Figure("@50 ms", "within_50ms", "more", format_rate, 100.0),
    Figure("@100 ms", "within_100ms", "more", format_rate, 100.0),
    Figure("@200 ms", "within_200ms", "more", format_rate, 100.0),
    Figure("bias", "bias_ms", "less", format_ms, 1.0),
    Figure("capped mean", "capped_mean_ms", "less", format_ms, 1.0),
)


class ComparisonTable(Panel):
    """One column a model, the best figure of each row marked."""

    grows = True
    BORDER_TITLE = "before and after"

    def __init__(self) -> None:
        super().__init__(id="comparison", classes="panel")
        self.with_intervals = False

    def text(self, snapshot: PhaseSnapshot, width: int, height: int) -> Content:
        reports = reports_in_order(snapshot)
        if not reports:
            return line((f" {waiting_for_evaluation(snapshot)}", "$quiet"))
        first = next(iter(reports.values()))
        column = max(_LEAST_COLUMN, min(18, (width - _LABEL_WIDTH) // (len(reports) + 1)))
        head: list[str | Content | tuple[str, str]] = [" " * _LABEL_WIDTH, ("unrefined".rjust(column), "$quiet")]
        head += [
            (clip_middle(model, column - 2).rjust(column - 1) + " ", f"bold {model_style(snapshot, model)}") for model in reports
        ]
        lines = [line(*head)]
        for figure in FIGURES:
            lines += self._rows(figure, first.comparison.before, reports, column)
        lines.append(_counts("improved", reports, column, lambda comparison: comparison.improved))
        lines.append(_counts("worsened", reports, column, lambda comparison: comparison.worsened))
        lines.append(_counts("unchanged", reports, column, lambda comparison: comparison.unchanged))
        lines.append(
            _cells(
                "harm to good",
                UNKNOWN,
                [signed_milliseconds(report.comparison.good_harm_ms) for report in reports.values()],
                column,
            )
        )
        lines.append(
            _cells(
                "a boundary takes",
                UNKNOWN,
                [_time_of_one(report.speed.boundaries_per_s) for report in reports.values()],
                column,
            )
        )
        return stack([*lines, *convention(list(reports.values()), width)])

    def _rows(
        self, figure: Figure, before: BoundaryFigures, reports: Mapping[str, EvaluationReport], column: int
    ) -> list[Content]:
        """The figure of every model, with the intervals beside it, or, if a column is too narrow for both, below it."""
        values = [getattr(report.comparison.after, figure.key) for report in reports.values()]
        best = _best(figure, values)
        texts = [figure.format(value).strip() for value in values]
        intervals = [
            format_interval(report.comparison.intervals.get(figure.key), figure.scale)
            if self.with_intervals and value is not None
            else ""
            for value, report in zip(values, reports.values(), strict=True)
        ]
        both = [f"{text} {interval}".strip() for text, interval in zip(texts, intervals, strict=True)]
        fit = max(map(len, both)) < column - 1  # a blank before, and the mark behind
        parts: list[str | Content | tuple[str, str]] = [
            (f" {figure.title:<{_LABEL_WIDTH - 1}}", "$quiet"),
            figure.format(getattr(before, figure.key)).strip().rjust(column),
        ]
        for index, text in enumerate(both if fit else texts):
            mark = "◂" if index == best else " "
            parts += [(text.rjust(column - 1), "bold" if index == best else ""), (mark, "$success")]
        return [line(*parts)] if fit else [line(*parts), _cells("", "", intervals, column)]


class KindTable(Panel):
    """MAE by kind of boundary, before and after."""

    grows = True
    BORDER_TITLE = "MAE by kind of boundary"

    def __init__(self) -> None:
        super().__init__(id="kinds", classes="panel")

    def text(self, snapshot: PhaseSnapshot, width: int, height: int) -> Content:
        reports = reports_in_order(snapshot)
        if not reports:
            return line((f" {waiting_for_evaluation(snapshot)}", "$quiet"))
        before = next(iter(reports.values())).comparison.before.by_kind
        column = max(_LEAST_COLUMN, min(15, (width - 18) // (len(reports) + 1)))
        head: list[str | Content | tuple[str, str]] = [
            (f" {'kind':<9}{'matched':>8}", "$quiet"),
            ("unrefined".rjust(column), "$quiet"),
        ]
        head += [(clip_middle(model, column - 1).rjust(column), f"bold {model_style(snapshot, model)}") for model in reports]
        lines = [line(*head)]
        for kind in KINDS:
            if kind not in before:
                continue
            cells = [report.comparison.after.by_kind.get(kind) for report in reports.values()]
            figures = "".join(format_ms(cell.mae_ms if cell is not None else None, column) for cell in cells)
            lines.append(
                line(
                    (f" {kind:<9}", "$quiet"),
                    format_count(before[kind].n_matched, 8),
                    format_ms(before[kind].mae_ms, column),
                    figures,
                )
            )
        return stack(lines)


def reports_in_order(snapshot: PhaseSnapshot) -> dict[str, EvaluationReport]:
    """The reports in the order of the runs, so that a model keeps its column and its colour."""
    names = [run.name for run in snapshot.runs]
    order = [name for name in names if name in snapshot.evaluations]
    return {name: snapshot.evaluations[name] for name in [*order, *(name for name in snapshot.evaluations if name not in names)]}


def model_style(snapshot: PhaseSnapshot, model: str) -> str:
    """The colour of a model's curve."""
    names = [run.name for run in snapshot.runs]
    return curve_style(names.index(model)) if model in names else ""


def waiting_for_evaluation(snapshot: PhaseSnapshot) -> str:
    """Why there is no report yet."""
    if any(run.status is not None for run in snapshot.runs):
        return why_empty(snapshot, "the evaluation follows when the trainings have ended")
    return why_empty(snapshot, "waits for trained models") if snapshot.runs else "no training here"


def convention(reports: Sequence[EvaluationReport], width: int) -> list[Content]:
    """The convention of the figures, without which they say nothing."""
    report, cuts = reports[0], cuts_text(reports)
    before = report.comparison.before
    parts = [
        f"matched within {before.window_s:g} s: {format_count(before.n_matched)} boundaries",
        f"recall {percent(before.recall)} of {format_count(before.n_reference)}",
        *([cuts] if cuts else []),
        f"{report.split} split, {report.n_recordings} recordings",
        f"{report.evidence} evidence" + (f", {report.hypothesis_source}" if report.hypothesis_source else ""),
        "intervals: 95 %, bootstrap over recordings",
        "harm to good: mean change where the error was within 50 ms",
        "a training's validation MAE is of raw shifts",
    ]
    lines, current = [], ""
    for part in parts:
        joined = f"{current} · {part}" if current else f" {part}"
        if len(joined) > width and current:
            lines.append(current)
            joined = f" {part}"
        current = joined
    return [told for text in [*lines, current] for told in wrapped(text, width, "$quiet")]


def _best(figure: Figure, values: Sequence[float | None]) -> int | None:
    known = [
        (abs(value) if figure.better == "less" else -value, index) for index, value in enumerate(values) if value is not None
    ]
    return min(known)[1] if len({value for value, _ in known}) > 1 else None


def _counts(title: str, reports: Mapping[str, EvaluationReport], column: int, count: Callable[[Comparison], int]) -> Content:
    cells = []
    for report in reports.values():
        n = count(report.comparison)
        total = report.comparison.improved + report.comparison.worsened + report.comparison.unchanged
        share = f" {f'{100 * n / total:.0f} %' if total else '':>5}" if column >= _COLUMN_OF_SHARES else ""
        cells.append(f"{n:,}{share}")
    return _cells(title, UNKNOWN, cells, column)


def _cells(title: str, before: str, cells: Sequence[str], column: int) -> Content:
    text = "".join(cell.rjust(column - 1) + " " for cell in cells)
    return line((f" {title:<{_LABEL_WIDTH - 1}}", "$quiet"), before.rjust(column), text)


def _time_of_one(per_s: float) -> str:
    return f"{1000 / per_s:.1f} ms" if per_s > 0.0 else UNKNOWN  # unknown if the recordings that were timed have no boundary
