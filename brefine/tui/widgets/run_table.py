"""One line a training: state, progress, figures; what a run has to say stands where its figures would be."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from textual import events
from textual.content import Content
from textual.message import Message

from brefine.phasedir import JobRecord, Tag
from brefine.run.snapshot import Curve, PhaseSnapshot, RunView, ShownState
from brefine.tui.format import (
    UNKNOWN,
    bar,
    clip,
    format_count,
    format_duration,
    format_ms,
    format_rate,
    format_scalar,
    format_speed,
    harmless,
    reason_first,
)
from brefine.tui.theme import RUN_LOOKS, curve_style, dash_sample
from brefine.tui.widgets.panel import Panel, line, stack

_NAME_WIDTH = 12
_STATE_WIDTH = 9
_MESSAGE_WIDTH = 24
"""Least room in which a message, cut short, still says enough to stand beside the figures."""
_HEAD_WIDTH = 3 + _NAME_WIDTH + 4
_HIDES_FIGURES = {ShownState.FAILED, ShownState.NONFINITE, ShownState.STALLED, ShownState.LOST, ShownState.STOPPED}
_SAME_WITHIN = 0.005
"""Relative change of the validation MAE below which it counts as unchanged."""


@dataclass(frozen=True, slots=True)
class Column:
    """One figure of a run."""

    title: str
    width: int
    least_screen: int
    """Screen width from which the column is shown."""
    text: Callable[[RunView], str]
    style: str = ""


class RunTable(Panel):
    """The runs, one of them chosen."""

    grows = True

    class RunChosen(Message):
        """A run was clicked."""

        def __init__(self, index: int) -> None:
            self.index = index
            super().__init__()

    def __init__(self) -> None:
        super().__init__(id="runs", classes="panel")
        self.chosen = 0

    def text(self, snapshot: PhaseSnapshot, width: int, height: int) -> Content:
        if not snapshot.runs:
            return line((" no training yet: the trainers start when the corpus is prepared", "$quiet"))
        columns = [column for column in COLUMNS if width >= column.least_screen - 2]
        head = f"   {'model':<{_NAME_WIDTH + 4}}{'state':<{_STATE_WIDTH}}"
        head += "".join(column.title.rjust(column.width) for column in columns)
        lines = [line((head, "$quiet"))]
        for index, run in enumerate(snapshot.runs):
            lines.append(self._row(run, index, columns, width, chosen=index == self.chosen and len(snapshot.runs) > 1))
        return stack(lines)

    def on_click(self, event: events.Click) -> None:
        row = event.y - self.gutter.top - 1
        if self.snapshot is not None and 0 <= row < len(self.snapshot.runs):
            self.post_message(self.RunChosen(row))

    def _row(self, run: RunView, index: int, columns: Sequence[Column], width: int, *, chosen: bool) -> Content:
        look = RUN_LOOKS[run.state]
        name = clip(harmless(run.name), _NAME_WIDTH)
        head: list[str | Content | tuple[str, str]] = [
            ("›" if chosen else " ", "bold $primary"),
            (f"{look.glyph} ", look.style),
            (name.ljust(_NAME_WIDTH), f"bold {curve_style(index)}" if chosen else curve_style(index)),
            (f"{dash_sample(index)} ", curve_style(index)),
        ]
        cells = [(column.text(run).rjust(column.width), column.style) for column in columns]
        state = (run.state.ljust(_STATE_WIDTH), look.style)
        room = width - _HEAD_WIDTH - _STATE_WIDTH - sum(len(text) for text, _ in cells) - 3
        message = message_of(run)
        waits = run.job is not None and run.job.waits
        urgent = waits or run.state in _HIDES_FIGURES or (run.status is not None and run.status.n_nonfinite > 0)
        if len(message) <= room or room >= _MESSAGE_WIDTH:
            return line(
                *head, state, *cells, (f"   {clip(message, room)}" if message else "", "$warning" if urgent else "$quiet")
            )
        if not message or not urgent:
            return line(*head, state, *cells)
        tail = f" {_epochs(run):>6}{_eta(run):>8}"
        words = message if run.state is ShownState.RUNNING else f"{run.state}: {message}"
        room = width - _HEAD_WIDTH - len(tail)
        return line(*head, (clip(words, room).ljust(room), "$warning" if run.state is ShownState.RUNNING else look.style), tail)


def message_of(run: RunView) -> str:
    """What the person should know of a run: its error, its message, where its job is and why it waits, or nothing."""
    told = "" if run.status is None else reason_first(run.status.error or "") or run.status.message or ""
    return harmless(" · ".join(part for part in (_place(run.job), told.split("\n", maxsplit=1)[0]) if part))


def _place(job: JobRecord | None) -> str:
    """`waits: Resources`, `on gpu3`; nothing for a process of this machine, or a job that is over."""
    if job is None or job.is_over:
        return ""
    return f"waits: {job.reason or job.state}" if job.waits else f"on {job.node}" if job.node else ""


def trend(curve: Curve | None) -> str:
    """Where the validation MAE is going: ↓ better, ↑ worse, → neither."""
    finite = curve.values[np.isfinite(curve.values)] if curve is not None else np.zeros(0)
    if len(finite) < 2:
        return " "
    before, now = float(finite[-2]), float(finite[-1])
    if abs(now - before) <= _SAME_WITHIN * abs(before):
        return "→"
    return "↓" if now < before else "↑"


def _last(run: RunView, tag: Tag) -> float | None:
    curve = run.curves.get(tag)
    return curve.last if curve is not None else None


def _loss(run: RunView) -> str:
    """The newest training loss, as the event file has it: a NaN is shown as NaN."""
    newest = _last(run, Tag.LOSS)
    return format_scalar(newest if newest is not None or run.status is None else run.status.loss)


def _mae(run: RunView) -> str:
    newest = _last(run, Tag.VALIDATION_MAE_MS)
    if newest is None and run.status is not None and run.status.last is not None:
        newest = run.status.last.mae_ms
    return f"{format_ms(newest)} {trend(run.curves.get(Tag.VALIDATION_MAE_MS))}"


def _best(run: RunView) -> str:
    if run.status is not None and run.status.best is not None:
        return format_ms(run.status.best.mae_ms)
    curve = run.curves.get(Tag.VALIDATION_MAE_MS)
    finite = curve.values[np.isfinite(curve.values)] if curve is not None else np.zeros(0)
    return format_ms(float(finite.min()) if len(finite) else None)


def _within_100ms(run: RunView) -> str:
    newest = _last(run, Tag.WITHIN_100MS)
    if newest is None and run.status is not None and run.status.last is not None:
        newest = run.status.last.within_100ms
    return format_rate(newest)


def _speed(run: RunView) -> str:
    if run.state is not ShownState.RUNNING:
        return UNKNOWN
    speed = run.status.examples_per_s if run.status is not None else _last(run, Tag.EXAMPLES_PER_S)
    return format_speed(speed)


def _epochs(run: RunView) -> str:
    if run.status is not None:
        return f"{run.status.epoch}/{run.status.n_epochs}"
    epoch = _last(run, Tag.EPOCH)
    return UNKNOWN if epoch is None or not math.isfinite(epoch) else f"{epoch:.0f}"


def _steps(run: RunView) -> str:
    if run.status is not None:
        return format_count(run.status.step)
    newest = max((int(curve.steps[-1]) for curve in run.curves.values() if len(curve.steps)), default=None)
    return format_count(newest)


def _progress(run: RunView) -> str:
    if run.status is None or run.status.n_steps == 0:
        return ""
    return bar(run.status.step / run.status.n_steps, 12)


def _eta(run: RunView) -> str:
    if run.status is None or run.state not in (ShownState.RUNNING, ShownState.STARTING, ShownState.STALLED):
        return UNKNOWN
    return format_duration(run.status.eta_s, 0)


def _best_epoch(run: RunView) -> str:
    return f"@{run.status.best.epoch}" if run.status is not None and run.status.best is not None else ""


COLUMNS = (
    Column("", 14, 160, _progress, "$quiet"),
    Column("epoch", 6, 0, _epochs),
    Column("step", 9, 120, _steps),
    Column("loss", 7, 0, _loss),
    Column("val MAE  ", 10, 0, _mae),
    Column("best", 7, 0, _best),
    Column("", 5, 120, _best_epoch),
    Column("@100ms", 7, 0, _within_100ms),
    Column("grad", 9, 120, lambda run: format_scalar(_last(run, Tag.GRADIENT_NORM))),
    Column("ex/s", 6, 0, _speed),
    Column("ETA", 8, 0, _eta),
)
