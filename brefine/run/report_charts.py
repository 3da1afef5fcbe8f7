"""Charts of the report as SVG text: lines, bars, scatter. Colours come from the page's style sheet; this module escapes text."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Final, Literal

from brefine.core.series import widened

_WIDTH: Final = 520
_HEIGHT: Final = 300
_LEFT: Final = 58
_RIGHT: Final = 14
_TOP: Final = 14
_BOTTOM: Final = 44
_N_TICKS: Final = 5


@dataclass(frozen=True, slots=True)
class Series:
    """One line or set of points. `look` is a class of the style sheet: s0, s1, s2, base."""

    name: str
    look: str
    x: Sequence[float]
    y: Sequence[float]
    labels: Sequence[str] = ()
    """Each is shown while the pointer rests on its point."""


@dataclass(frozen=True, slots=True)
class Axis:
    label: str
    scale: Literal["linear", "log"] = "linear"
    low: float | None = None
    high: float | None = None
    tick: Callable[[float], str] = field(default=lambda value: f"{value:g}")


@dataclass(frozen=True, slots=True)
class Rule:
    """A line across the chart for a target: horizontal at a value of y, or the diagonal y = x."""

    at: float | Literal["diagonal"]
    label: str


def line_chart(series: Sequence[Series], x: Axis, y: Axis, *, rules: Sequence[Rule] = (), points: bool = False) -> str:
    """Lines through finite points; at a value that is not finite, the line breaks and a cross marks the place."""
    frame = _Frame.of(series, x, y, rules)
    body = [frame.grid(), *(frame.rule(rule) for rule in rules)]
    for one in series:
        body.append(frame.path(one))
        if points:
            body.append(frame.dots(one, 3.0))
    return _svg(body, series, f"{y.label} over {x.label}")


def scatter_chart(series: Sequence[Series], x: Axis, y: Axis, *, rules: Sequence[Rule]) -> str:
    frame = _Frame.of(series, x, y, rules)
    return _svg(
        [frame.grid(), *(frame.rule(rule) for rule in rules), *(frame.dots(one, 4.0) for one in series)],
        series,
        f"{y.label} over {x.label}",
    )


def bar_chart(groups: Sequence[str], series: Sequence[tuple[str, str, Sequence[float | None]]], label: str) -> str:
    """Bars side by side in groups; a bar without a value is left out.

    Args:
        series: for each series, name, look and one value per group.
    """
    high = max((value for _, _, values in series for value in values if value is not None), default=1.0) or 1.0
    y = Axis(label, low=0.0, high=high * 1.12)
    frame = _Frame(0.0, float(len(groups)), 0.0, high * 1.12, Axis(""), y)
    body = [frame.grid(x_ticks=False)]
    slot = (_WIDTH - _LEFT - _RIGHT) / max(1, len(groups))
    bar = min(34.0, 0.8 * slot / max(1, len(series)))
    for place, group in enumerate(groups):
        centre = _LEFT + (place + 0.5) * slot
        body.append(
            f'<text class="tick" x="{centre:.1f}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle">{escape(group)}</text>'
        )
        for column, (name, look, values) in enumerate(series):
            value = values[place]
            if value is None:
                continue
            left, top = centre + (column - len(series) / 2) * bar, frame.y_of(value)
            title = f"<title>{escape(name)}, {escape(group)}: {value:.0f}</title>"
            body.append(
                f'<rect class="bar {look}" x="{left + 1:.1f}" y="{top:.1f}" width="{bar - 2:.1f}" '
                f'height="{_HEIGHT - _BOTTOM - top:.1f}">{title}</rect>'
            )
            if bar >= 24:
                body.append(
                    f'<text class="value" x="{left + bar / 2:.1f}" y="{top - 4:.1f}" text-anchor="middle">{value:.0f}</text>'
                )
    return _svg(body, [Series(name, look, (), ()) for name, look, _ in series], label)


@dataclass(frozen=True, slots=True)
class _Frame:
    """The plotting area and its scales."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float
    x: Axis
    y: Axis

    @classmethod
    def of(cls, series: Sequence[Series], x: Axis, y: Axis, rules: Sequence[Rule]) -> _Frame:
        marks = [rule.at for rule in rules if not isinstance(rule.at, str)]
        x_low, x_high = _range(x, [value for one in series for value in one.x])
        y_low, y_high = _range(y, [*(value for one in series for value in one.y), *marks])
        return cls(x_low, x_high, y_low, y_high, x, y)

    def x_of(self, value: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * _share(value, self.x_low, self.x_high, self.x.scale)

    def y_of(self, value: float) -> float:
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * _share(value, self.y_low, self.y_high, self.y.scale)

    def grid(self, *, x_ticks: bool = True) -> str:
        parts = []
        for value in _ticks(self.y_low, self.y_high, self.y.scale):
            at = self.y_of(value)
            parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
            text = escape(self.y.tick(value))
            parts.append(f'<text class="tick" x="{_LEFT - 7}" y="{at + 4:.1f}" text-anchor="end">{text}</text>')
        for value in _ticks(self.x_low, self.x_high, self.x.scale) if x_ticks else ():
            at = self.x_of(value)
            parts.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/>')
            text = escape(self.x.tick(value))
            parts.append(f'<text class="tick" x="{at:.1f}" y="{_HEIGHT - _BOTTOM + 17}" text-anchor="middle">{text}</text>')
        middle_x, middle_y = (_LEFT + _WIDTH - _RIGHT) / 2, (_TOP + _HEIGHT - _BOTTOM) / 2
        parts.append(f'<text class="label" x="{middle_x}" y="{_HEIGHT - 8}" text-anchor="middle">{escape(self.x.label)}</text>')
        turned = f'transform="rotate(-90 13 {middle_y})"'
        parts.append(f'<text class="label" x="13" y="{middle_y}" text-anchor="middle" {turned}>{escape(self.y.label)}</text>')
        return "".join(parts)

    def rule(self, rule: Rule) -> str:
        if rule.at == "diagonal":
            low, high = max(self.x_low, self.y_low), min(self.x_high, self.y_high)
            ends = (self.x_of(low), self.y_of(low), self.x_of(high), self.y_of(high))
            text = f'x="{ends[0] + 26:.1f}" y="{ends[1] - 6:.1f}"'  # few points are here: the best have little to gain
        else:
            at = self.y_of(float(rule.at))
            ends = (float(_LEFT), at, float(_WIDTH - _RIGHT), at)
            text = f'x="{_WIDTH - _RIGHT - 4}" y="{at - 5:.1f}" text-anchor="end"'
        x1, y1, x2, y2 = ends
        line = f'<line class="rule" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'
        return f'{line}<text class="note" {text}>{escape(rule.label)}</text>'

    def path(self, one: Series) -> str:
        pieces, crosses, drawing = [], [], False
        for x, y in zip(one.x, one.y, strict=True):
            if not math.isfinite(y):
                crosses.append(f'<text class="cross" x="{self.x_of(x):.1f}" y="{_TOP + 10}" text-anchor="middle">✗</text>')
                drawing = False
                continue
            pieces.append(f"{'L' if drawing else 'M'}{self.x_of(x):.1f} {self.y_of(y):.1f}")
            drawing = True
        return f'<path class="line {one.look}" d="{"".join(pieces)}"/>{"".join(crosses)}'

    def dots(self, one: Series, radius: float) -> str:
        labels = one.labels or [""] * len(one.x)
        return "".join(
            f'<circle class="dot {one.look}" cx="{self.x_of(x):.1f}" cy="{self.y_of(y):.1f}" r="{radius}">'
            f"<title>{escape(label)}</title></circle>"
            for x, y, label in zip(one.x, one.y, labels, strict=True)
            if math.isfinite(x) and math.isfinite(y)
        )


def _svg(body: Sequence[str], series: Sequence[Series], title: str) -> str:
    swatches = "".join(
        f'<span class="key"><svg width="26" height="10"><line class="line {one.look}" x1="1" x2="25" y1="5" y2="5"/></svg>'
        f"{escape(one.name)}</span>"
        for one in series
        if one.name
    )
    legend = f'<div class="legend">{swatches}</div>' if swatches else ""
    drawing = f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">{"".join(body)}</svg>'
    return legend + drawing


def _range(axis: Axis, values: Sequence[float]) -> tuple[float, float]:
    finite = [value for value in values if math.isfinite(value) and (axis.scale == "linear" or value > 0)]
    low = axis.low if axis.low is not None else min(finite, default=1.0 if axis.scale == "log" else 0.0)
    high = axis.high if axis.high is not None else max(finite, default=low + 1.0)
    if axis.scale == "linear":
        low, high = widened(low, high)
    elif high <= low:
        high = low * 10.0
    if axis.high is None and axis.scale == "linear":
        high += 0.05 * (high - low)
    return low, high


def _share(value: float, low: float, high: float, scale: str) -> float:
    if scale == "log":
        share = (math.log(max(value, low)) - math.log(low)) / (math.log(high) - math.log(low))
    else:
        share = (value - low) / (high - low)
    return min(1.0, max(0.0, share))


def _ticks(low: float, high: float, scale: str) -> list[float]:
    if scale == "log":
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        steps = (1, 3) if len(decades) > 3 else (1, 2, 5)
        return [step * 10.0**decade for decade in decades for step in steps if low <= step * 10.0**decade <= high * (1 + 1e-9)]
    rough = (high - low) / _N_TICKS
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= rough)
    first = math.ceil(low / step - 1e-9)
    return [round(number * step, 12) for number in range(first, math.floor(high / step + 1e-9) + 1)]
