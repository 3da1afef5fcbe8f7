"""Turns a snapshot's curves into a plot: which scalar, on which axis, which part of it, and how smooth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from string import ascii_lowercase

import numpy as np
from numpy.typing import NDArray

from brefine.core.series import smooth, widened
from brefine.phasedir import Tag
from brefine.run.snapshot import Curve, PhaseSnapshot, RunView
from brefine.tui.drawing import Level, Plot, Trace
from brefine.tui.format import format_duration, format_scalar, harmless
from brefine.tui.theme import N_CURVE_LOOKS

SMOOTHINGS = (0.0, 0.6, 0.9)
AXES = ("step", "epoch", "time")


@dataclass(frozen=True, slots=True)
class Metric:
    """One scalar that can be drawn."""

    tag: str
    title: str
    format_y: Callable[[float], str]
    format_tick: Callable[[float], str] = lambda value: f"{value:.6g}"
    waits_for: str = "no value yet"

    @property
    def noisy(self) -> bool:
        """Whether it is worth smoothing; validation figures are few and are shown unsmoothed."""
        return not self.tag.startswith("validation/")


METRICS = (
    Metric(
        Tag.VALIDATION_MAE_MS,
        "validation MAE (ms)",
        lambda ms: f"{ms:.0f}",
        waits_for="the first validation follows the first epoch",
    ),
    Metric(Tag.LOSS, "training loss", lambda loss: format_scalar(loss, 0), waits_for="waits for the first training step"),
    Metric(Tag.WITHIN_100MS, "validation within 100 ms (%)", lambda rate: f"{100 * rate:.0f}", lambda rate: f"{100 * rate:.4g}"),
    Metric(Tag.VALIDATION_LOSS, "validation loss", lambda loss: format_scalar(loss, 0)),
    Metric(Tag.GRADIENT_NORM, "gradient norm", lambda norm: format_scalar(norm, 0)),
    Metric(Tag.LEARNING_RATE, "learning rate", lambda rate: f"{rate:.1e}"),
    Metric(Tag.EXAMPLES_PER_S, "examples a second", lambda per_s: format_scalar(per_s, 0)),
)


def metrics_of(snapshot: PhaseSnapshot) -> tuple[Metric, ...]:
    """The scalars that can be drawn: those of a training, or, for a foreign folder, all that its event files contain."""
    if not snapshot.foreign:
        return METRICS
    tags = {tag for run in snapshot.runs for tag in run.curves}
    known = [metric for metric in METRICS if metric.tag in tags]
    others = sorted(tags - {metric.tag for metric in known})
    return (*known, *(Metric(tag, harmless(tag), lambda value: format_scalar(value, 0)) for tag in others)) or METRICS


@dataclass(frozen=True, slots=True)
class View:
    """Which part of the curves is shown, and how; all charts of a place share it."""

    axis: str = "step"
    smoothing: float = 0.6
    log_y: bool = False
    span: float | None = None
    """Length of the visible part of the x axis; None = all of it."""
    end: float | None = None
    """Right end of the visible part; None = follows the newest value."""
    cursor: float | None = None

    def smoother(self) -> View:
        """The view with the next degree of smoothing."""
        return replace(self, smoothing=SMOOTHINGS[(SMOOTHINGS.index(self.smoothing) + 1) % len(SMOOTHINGS)])

    def other_axis(self) -> View:
        """The view with the next x axis, reset to all of it, since positions on the old axis mean nothing there."""
        return replace(self, axis=AXES[(AXES.index(self.axis) + 1) % len(AXES)], span=None, end=None, cursor=None)

    def range_in(self, extent: tuple[float, float]) -> tuple[float, float]:
        """The visible part of `extent`."""
        if self.span is None:
            return extent
        end = extent[1] if self.end is None else self.end
        return end - self.span, end

    def zoomed(self, factor: float, extent: tuple[float, float]) -> View:
        """Shows `factor` times as much, around the cursor or, without one, at the right end."""
        low, high = self.range_in(extent)
        whole = extent[1] - extent[0]
        span = max((high - low) * factor, whole * 1e-4)
        if span >= whole:
            return replace(self, span=None, end=None)
        if self.cursor is None:
            return replace(self, span=span)
        share = (self.cursor - low) / (high - low) if high > low else 0.5
        end = min(max(self.cursor + (1 - share) * span, extent[0] + span), extent[1])
        return replace(self, span=span, end=end)

    def panned(self, share: float, extent: tuple[float, float]) -> View:
        """Moves the visible part by a share of itself; at the right end it follows the newest value again."""
        if self.span is None:
            return self
        end = max(self.range_in(extent)[1] + share * self.span, extent[0] + self.span)
        return replace(self, end=None if end >= extent[1] else end)

    def pointed(self, cursor: float, extent: tuple[float, float]) -> View:
        """Puts the cursor there and lets the visible part follow it."""
        cursor = min(max(cursor, extent[0]), extent[1])
        low, high = self.range_in(extent)
        if self.span is not None and not low <= cursor <= high:
            end = cursor if cursor > high else cursor + self.span
            return replace(self, cursor=cursor, end=end)
        return replace(self, cursor=cursor)

    def moved(self, share: float, extent: tuple[float, float]) -> View:
        """Moves the cursor by a share of the visible part; the first move puts it at the newest value."""
        low, high = self.range_in(extent)
        return self.pointed(high if self.cursor is None else self.cursor + share * (high - low), extent)


def labels_of(runs: Sequence[RunView]) -> list[str]:
    """A letter for each run: its initial where that is unique, else a, b, c … z, aa, ab …"""
    initials = [run.name[:1].upper() for run in runs]
    if len(set(initials)) == len(initials):
        return initials
    letters = ascii_lowercase
    return [(letters[index // 26 % 26 - 1] if index >= 26 else "") + letters[index % 26] for index in range(len(runs))]


def plot_metric(metric: Metric, snapshot: PhaseSnapshot, view: View, *, chosen: int = 0) -> Plot | None:
    """The plot of one scalar for all runs, with the chosen run's curve on top; None if no run has a value of it."""
    traces = _traces(metric, snapshot.runs, view, snapshot.started_unix_s)
    if not traces:
        return None
    traces.sort(key=lambda trace: trace.look == chosen % N_CURVE_LOOKS)
    return Plot(
        traces=traces,
        levels=_levels(metric, snapshot),
        x_range=view.range_in(extent_of(metric, snapshot, view)),
        log_y=view.log_y,
        cursor_x=view.cursor,
        x_label="min:s" if view.axis == "time" else view.axis,
        format_x=_format_x(view.axis),
        format_y=metric.format_y,
        format_tick=metric.format_tick,
    )


def extent_of(metric: Metric, snapshot: PhaseSnapshot, view: View) -> tuple[float, float]:
    """First and last position of a scalar on the view's axis, over all runs."""
    as_written = replace(view, smoothing=0.0)  # smoothing does not change positions
    ends = [trace.x[[0, -1]] for trace in _traces(metric, snapshot.runs, as_written, snapshot.started_unix_s)]
    low, high = (float(min(end[0] for end in ends)), float(max(end[1] for end in ends))) if ends else (0.0, 1.0)
    return widened(low, high)


def title_of(metric: Metric, snapshot: PhaseSnapshot, view: View) -> str:
    """The chart's title, with how it is drawn, or, with a cursor, the values there."""
    if view.cursor is None:
        manner = [f"smooth {view.smoothing:.1f}".replace("0.", ".")] if view.smoothing and metric.noisy else []
        manner += ["log y"] if view.log_y else []
        manner += ["zoomed"] if view.span is not None else []
        return "  ".join([metric.title, *manner])
    values = []
    for label, run in zip(labels_of(snapshot.runs), snapshot.runs, strict=True):
        curve = run.curves.get(metric.tag)
        if curve is None or not len(curve.steps):
            continue
        x = _positions(curve, run, view.axis, snapshot.started_unix_s)
        index = int(np.searchsorted(x, view.cursor, side="right")) - 1
        value = float(curve.values[index]) if index >= 0 else None
        values.append(
            f"{label} {'–' if value is None else metric.format_y(value) if np.isfinite(value) else format_scalar(value, 0)}"
        )
    return f"{metric.title}  at {view.axis} {_format_x(view.axis)(view.cursor)}:  {'  '.join(values)}"


def _traces(metric: Metric, runs: Sequence[RunView], view: View, started_unix_s: float | None) -> list[Trace]:
    traces = []
    for look, (label, run) in enumerate(zip(labels_of(runs), runs, strict=True)):
        curve = run.curves.get(metric.tag)
        if curve is not None and len(curve.steps):
            x = _positions(curve, run, view.axis, started_unix_s)
            y = smooth(curve.values, view.smoothing) if view.smoothing and metric.noisy else curve.values
            traces.append(Trace(label, look % N_CURVE_LOOKS, x, y))
    return traces


def _positions(curve: Curve, run: RunView, axis: str, started_unix_s: float | None) -> NDArray[np.float64]:
    if axis == "time":
        since_s = curve.unix_s - (started_unix_s if started_unix_s is not None else curve.unix_s[0])
        return np.maximum.accumulate(since_s)  # a clock that was set back must not fold the curve
    if axis == "epoch" and run.status is not None and run.status.n_steps:
        return curve.steps.astype(np.float64) * (run.status.n_epochs / run.status.n_steps)
    return curve.steps.astype(np.float64)


def _levels(metric: Metric, snapshot: PhaseSnapshot) -> list[Level]:
    if metric.tag != Tag.VALIDATION_MAE_MS:
        return []
    levels = [Level(snapshot.gate_mae_ms, f"target {snapshot.gate_mae_ms:.0f}")]
    unrefined_ms = next(
        (run.status.unrefined_mae_ms for run in snapshot.runs if run.status is not None and run.status.unrefined_mae_ms), None
    )
    if unrefined_ms is not None:
        levels.append(Level(unrefined_ms, f"unrefined {unrefined_ms:.0f}"))
    return levels


def _format_x(axis: str) -> Callable[[float], str]:
    if axis == "time":
        return format_duration
    return lambda value: f"{value:,.0f}"
