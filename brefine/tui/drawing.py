"""Curves as braille text: a pure function from arrays to rows of characters with roles, so tests can read charts as text.

A terminal cell has 2 × 4 braille dots. Every dot column shows the least and the greatest value of its points, so a single peak
among 100,000 points stays visible and the cost of drawing does not grow with the curve. Not-a-number and infinity are marked
with ✕ where they occur.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from brefine.core.series import LARGEST, downsample_minmax, widened

DASHES = (
    (True,),
    (True, True, True, True, True, False, False, False),
    (True, True, False, False),
    (True, True, True, True, True, False, True, False),
    (True, False, False, False, False, False),
    (True, True, True, False, True, False, True, False),
)
"""Patterns of the dot columns that are drawn, repeated along a curve; without colour, a curve is recognised by its dash."""

_BRAILLE = 0x2800
_DOT_BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
_NOTHING = -1
_LEAST_LOG = 1e-100
"""Values between this and its inverse may have a logarithmic axis, since no quotient of two of them is infinite."""

NONFINITE = "✕"
ROLES = ("axis", "level", "nonfinite", "cursor", "text")


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """One curve.

    Attributes:
        label: a letter or two, drawn at the curve's end.
        look: its dash and colour.
        x: shape (n,), rising.
        y: shape (n,), may hold not-a-number and infinity.
    """

    label: str
    look: int
    x: NDArray[np.float64]
    y: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Level:
    """A horizontal line at a value that matters."""

    value: float
    label: str


@dataclass(frozen=True, slots=True, eq=False)
class Plot:
    """What to draw."""

    traces: Sequence[Trace]
    levels: Sequence[Level] = ()
    x_range: tuple[float, float] | None = None
    """None = all values."""
    y_range: tuple[float, float] | None = None
    """None = the range of the visible values and of the levels."""
    log_y: bool = False
    """Ignored if a visible value is not positive, or too small or too large for a logarithmic axis (`_LEAST_LOG`)."""
    cursor_x: float | None = None
    x_label: str = ""
    x_ticks: Sequence[tuple[float, str]] | None = None
    """None = round whole numbers: steps, epochs, seconds."""
    format_x: Callable[[float], str] = field(default=lambda value: f"{value:,.0f}")
    format_y: Callable[[float], str] | None = field(default=lambda value: f"{value:g}")
    """Formats the newest values, which are shown beside the labels; None = labels alone."""
    format_tick: Callable[[float], str] = field(default=lambda value: f"{value:.6g}")


@dataclass(frozen=True, slots=True)
class Span:
    """Neighbouring characters of one row that look the same."""

    text: str
    role: str
    """`trace-N` with N the trace's look, or one of `ROLES`."""
    under_cursor: bool = False


Row = list[Span]


def draw(plot: Plot, *, width: int, height: int) -> list[Row]:
    """Draws a plot into `height` rows of `width` cells, with the axis of the values left, the curves' labels right and `x` below.

    The rows are empty if the space is too small for any drawing.
    """
    visible = [_visible(trace, _x_range(plot)) for trace in plot.traces]
    labels = _labels(plot, visible)
    right = max((len(label) for _, label, _ in labels), default=0)
    right = right + 1 if right and width >= 44 else 0
    left = 6
    columns, rows = width - left - 1 - right, height - 1
    if columns < 4 or rows < 2:
        return [[Span(" " * width, "text")] for _ in range(height)]
    scale = _Scale.of(plot, visible, rows)
    x_low, x_high = _x_range(plot)
    cells = _Cells.blank(rows, columns)
    for level in plot.levels:
        if scale.shows(level.value):
            cells.put_level(scale.row(level.value))
    for trace in visible:
        cells.put_curve(trace, scale, x_low, x_high)
    cells.put_nonfinite(visible, scale, x_low, x_high)
    if plot.cursor_x is not None and x_low <= plot.cursor_x <= x_high:
        cells.put_cursor(round((plot.cursor_x - x_low) / (x_high - x_low) * (columns - 1)))
    ticks = scale.ticks(plot.format_tick)
    ends = _spread(labels, scale, rows)
    drawn: list[Row] = []
    for row in range(rows):
        tick = ticks.get(row)
        axis = [Span(f"{tick:>{left}}┤" if tick is not None else " " * left + "│", "axis")]
        label, role = ends.get(row, ("", "text"))
        drawn.append([*axis, *cells.spans(row), *([Span(f" {label}".ljust(right), role)] if right else [])])
    drawn.append([Span(_x_axis(plot, x_low, x_high, left, columns, right), "axis")])
    return drawn


def text_of(rows: Sequence[Row]) -> str:
    """The characters alone."""
    return "\n".join("".join(span.text for span in row) for row in rows)


def nice_ticks(low: float, high: float, most: int, *, whole: bool = False) -> list[float]:
    """At most `most` round numbers (1, 2, 5 × a power of ten) in `[low, high]`; if `whole`, only whole ones, perhaps none."""
    if not high > low or most < 1:
        return [low]
    magnitude = 10.0 ** (math.floor(math.log10((high - low) / most)) - 1)
    magnitude = max(magnitude, 1.0) if whole else magnitude
    for step in (factor * magnitude * 10**power for power in range(4) for factor in (1, 2, 5)):
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first < most:
            break
    return [index * step for index in range(first, last + 1)]


@dataclass(frozen=True, slots=True)
class _Scale:
    """Maps values to rows, on a linear or logarithmic axis."""

    low: float
    high: float
    log: bool
    rows: int

    @classmethod
    def of(cls, plot: Plot, visible: Sequence[Trace], rows: int) -> _Scale:
        finite = [trace.y[np.isfinite(trace.y)] for trace in visible]
        values = np.concatenate([*finite, [level.value for level in plot.levels]]) if finite or plot.levels else np.zeros(0)
        if plot.y_range is not None:
            low, high = plot.y_range
        elif len(values):
            low, high = max(float(values.min()), -LARGEST), min(float(values.max()), LARGEST)
        else:
            low, high = 0.0, 1.0
        log = plot.log_y and low > _LEAST_LOG and high < 1.0 / _LEAST_LOG
        if plot.y_range is None:
            if log:
                margin = 0.04 * math.log(high / low) or 0.1
                low, high = low * math.exp(-margin), high * math.exp(margin)
            else:
                margin = 0.04 * (high - low) or 0.1 * abs(high) or 1.0
                low, high = low - margin, high + margin
        return cls(*widened(low, high), log, rows)

    def share(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The values' places along the axis: 0 at the bottom, 1 at the top."""
        if self.log:
            return np.log(np.maximum(values, _LEAST_LOG) / self.low) / math.log(self.high / self.low)
        return (values - self.low) / (self.high - self.low)

    def dots(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """The values' dot rows, counted from the top and clipped to the plot."""
        last = 4 * self.rows - 1
        return np.clip(np.rint((1.0 - self.share(values)) * last), 0, last).astype(np.int64)

    def row(self, value: float) -> int:
        return int(self.dots(np.array([value]))[0]) // 4

    def shows(self, value: float) -> bool:
        return self.low <= value <= self.high

    def ticks(self, format_y: Callable[[float], str]) -> dict[int, str]:
        """Row → label, at least two rows apart; on a logarithmic axis, powers of ten come first."""
        most = max(2, self.rows // 3)
        wanted = nice_ticks(self.low, self.high, most)
        if self.log:
            exponents = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            decades = [factor * 10.0**exponent for factor in (1, 2, 5) for exponent in exponents]
            decades = [value for value in decades if self.shows(value)]
            wanted = decades if len(decades) >= 2 else wanted
        ticks: dict[int, str] = {}
        for value in wanted:
            row = self.row(value)
            if all(abs(row - other) >= 2 for other in ticks):
                ticks[row] = format_y(value)
        return ticks


@dataclass(slots=True)
class _Cells:
    """A grid of dots and characters to draw into."""

    dots: NDArray[np.bool_]
    """Shape (4 · rows, 2 · columns)."""
    owner: NDArray[np.int64]
    """Shape (rows, columns): the look of the curve drawn last through a cell."""
    text: list[list[tuple[str, str]]]
    cursor: int | None = None

    @classmethod
    def blank(cls, rows: int, columns: int) -> _Cells:
        return cls(
            dots=np.zeros((4 * rows, 2 * columns), dtype=np.bool_),
            owner=np.full((rows, columns), _NOTHING, dtype=np.int64),
            text=[[("", "text")] * columns for _ in range(rows)],
        )

    def put_level(self, row: int) -> None:
        self.text[row] = [("┄", "level")] * len(self.text[row])

    def put_cursor(self, column: int) -> None:
        self.cursor = column

    def put_curve(self, trace: Trace, scale: _Scale, x_low: float, x_high: float) -> None:
        buckets = downsample_minmax(trace.x, trace.y, self.dots.shape[1], x_range=(x_low, x_high))
        filled = np.flatnonzero(~np.isnan(buckets.low))
        if not len(filled):
            return
        columns = np.arange(filled[0], filled[-1] + 1)
        # A straight line between filled columns. Dot rows count from the top, so the greatest value has the least row.
        high = np.rint(np.interp(columns, filled, scale.dots(buckets.high[filled]))).astype(np.int64)
        low = np.rint(np.interp(columns, filled, scale.dots(buckets.low[filled]))).astype(np.int64)
        empty = np.isnan(buckets.low[columns])
        high[empty] = low[empty] = (high[empty] + low[empty]) // 2
        # Steep steps are joined half-way, so that the line has no gaps.
        down, up = high[1:] - low[:-1], high[:-1] - low[1:]
        low[:-1] = np.where(down > 1, low[:-1] + down // 2, low[:-1])
        high[1:] = np.where(down > 1, low[:-1] + 1, high[1:])
        high[:-1] = np.where(up > 1, high[:-1] - up // 2, high[:-1])
        low[1:] = np.where(up > 1, high[:-1] - 1, low[1:])
        dash = DASHES[trace.look % len(DASHES)]
        drawn = np.array(dash)[columns % len(dash)]
        rows = np.arange(self.dots.shape[0])[:, None]
        mask = np.zeros_like(self.dots)
        mask[:, columns] = (rows >= high) & (rows <= low) & drawn
        self.dots |= mask
        hit = mask.reshape(self.owner.shape[0], 4, self.owner.shape[1], 2).any(axis=(1, 3))
        self.owner[hit] = trace.look

    def put_nonfinite(self, traces: Sequence[Trace], scale: _Scale, x_low: float, x_high: float) -> None:
        marks = [mark for trace in traces for mark in self._marks(trace, scale, x_low, x_high)]
        for row, column, _ in marks:
            self._put_word(row, column, NONFINITE)
        # Words are written after all marks, so that no mark overwrites one.
        for row, column, word in marks:
            if self._is_free(row, column + 1, len(word)):
                self._put_word(row, column + 1, word)

    def _marks(self, trace: Trace, scale: _Scale, x_low: float, x_high: float) -> list[tuple[int, int, str]]:
        """Row, column and word of each non-finite value; each word only once per column."""
        rows, columns = self.owner.shape
        finite = np.isfinite(trace.y)
        before = np.maximum.accumulate(np.where(finite, np.arange(len(finite)), _NOTHING))
        marks: dict[tuple[int, str], int] = {}
        for index in np.flatnonzero(~finite).tolist():
            column = round((float(trace.x[index]) - x_low) / (x_high - x_low) * (columns - 1))
            value = float(trace.y[index])
            word = " NaN" if math.isnan(value) else " Inf" if value > 0 else " -Inf"
            if (column, word) in marks:
                continue
            if math.isnan(value):
                row = scale.row(float(trace.y[before[index]])) if before[index] != _NOTHING else 0
            else:
                row = 0 if value > 0 else rows - 1
            marks[column, word] = row
        return [(row, column, word) for (column, word), row in marks.items()]

    def _is_free(self, row: int, column: int, n: int) -> bool:
        fits = column + n <= self.owner.shape[1]
        return bool(fits and all(role != "nonfinite" for _, role in self.text[row][column : column + n])) and not bool(
            (self.owner[row, column : column + n] != _NOTHING).any()
        )

    def _put_word(self, row: int, column: int, word: str) -> None:
        for offset, character in enumerate(word):
            self.text[row][column + offset] = (character, "nonfinite")
            self.owner[row, column + offset] = _NOTHING

    def spans(self, row: int) -> Row:
        blocks = self.dots[4 * row : 4 * row + 4].reshape(4, -1, 2)
        codes = np.einsum("rcd,rd->c", blocks, _DOT_BITS)
        spans: Row = []
        for column, (code, owner) in enumerate(zip(codes.tolist(), self.owner[row].tolist(), strict=True)):
            character, role = self.text[row][column]
            here = column == self.cursor
            if owner != _NOTHING:
                character, role = chr(_BRAILLE + code), f"trace-{owner}"
            elif here and role != "nonfinite":
                character, role = "│", "cursor"
            elif not character:
                character = " "
            if spans and spans[-1].role == role and spans[-1].under_cursor == here:
                spans[-1] = Span(spans[-1].text + character, role, here)
            else:
                spans.append(Span(character, role, here))
        return spans


def _x_range(plot: Plot) -> tuple[float, float]:
    if plot.x_range is not None:
        low, high = plot.x_range
    else:
        ends = [(float(trace.x[0]), float(trace.x[-1])) for trace in plot.traces if len(trace.x)]
        low, high = (min(first for first, _ in ends), max(last for _, last in ends)) if ends else (0.0, 1.0)
    return widened(low, high)


def _visible(trace: Trace, x_range: tuple[float, float]) -> Trace:
    start, stop = np.searchsorted(trace.x, x_range[0], side="left"), np.searchsorted(trace.x, x_range[1], side="right")
    return Trace(trace.label, trace.look, trace.x[start:stop], trace.y[start:stop])


def _labels(plot: Plot, visible: Sequence[Trace]) -> list[tuple[float, str, str]]:
    """Value, text and role of every label at the right end; curves first, since they matter more than levels."""
    labels = []
    for trace in visible:
        finite = trace.y[np.isfinite(trace.y)]
        if trace.label and len(finite):
            newest = float(finite[-1])
            label = trace.label if plot.format_y is None else f"{trace.label} {plot.format_y(newest)}"
            labels.append((newest, label, f"trace-{trace.look}"))
    return labels + [(level.value, level.label, "level") for level in plot.levels if level.label]


def _spread(labels: Sequence[tuple[float, str, str]], scale: _Scale, rows: int) -> dict[int, tuple[str, str]]:
    """Row → label: each as near to its value as the labels before it leave room."""
    taken: dict[int, tuple[str, str]] = {}
    for value, label, role in labels:
        if not scale.shows(value):
            continue
        wanted = scale.row(value)
        free = [row for row in range(rows) if row not in taken]
        if free:
            taken[min(free, key=lambda row: (abs(row - wanted), row))] = (label, role)
    return taken


def _x_axis(plot: Plot, x_low: float, x_high: float, left: int, columns: int, right: int) -> str:
    line = ["─"] * columns
    ticks = plot.x_ticks
    if ticks is None:
        ticks = [(value, plot.format_x(value)) for value in nice_ticks(x_low, x_high, max(3, columns // 10), whole=True)]
    end = columns - (0 if right > len(plot.x_label) else len(plot.x_label) + 1)
    last, told = -2, ""
    for value, label in ticks:
        start = round((value - x_low) / (x_high - x_low) * (columns - 1)) - len(label) // 2
        start = max(start, 0)
        if start > last + 1 and start + len(label) <= end and label != told:
            line[start : start + len(label)] = label
            last, told = start + len(label), label
    if right > len(plot.x_label):
        return " " * left + "└" + "".join(line) + f" {plot.x_label}".ljust(right)
    line[end:] = f" {plot.x_label}"
    return " " * left + "└" + "".join(line) + " " * right
