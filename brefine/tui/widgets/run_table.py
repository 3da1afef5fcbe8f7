"""One line per training: state, progress, figures; a run's message takes the place of its figures."""

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
from brefine.tui.curves import Metric, labels_of, metrics_of
from brefine.tui.format import (
    UNKNOWN,
    bar,
    clip,
    clip_middle,
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
"""Least width of the names and the blank behind them: the longest of brefine's own models needs this."""
_NAME_SHARE = 0.3
"""Share of the width that figures leave for longer names."""
_STATE_WIDTH = 9
_MESSAGE_WIDTH = 24
"""Least width in which a message, cut short, is worth showing beside the figures."""
_TAG_WIDTH = 16
"""Greatest width in cells of a column with a scalar that brefine does not know."""
_SCREEN_SHARE = 1 / 3
"""Share of the screen's height for the lines of the runs."""
_LEAST_RUNS = 3
"""Number of runs that even the smallest screen shows at once: as many as brefine trains."""
_HIDES_FIGURES = {ShownState.FAILED, ShownState.NONFINITE, ShownState.STALLED, ShownState.LOST, ShownState.STOPPED}
_SAME_WITHIN = 0.005
"""Relative change of the validation MAE below which it counts as unchanged."""


@dataclass(frozen=True, slots=True)
class Column:
    """One figure of a run."""

    title: str
    width: int
    least_screen: int
    """Screen width in cells from which the column is shown."""
    text: Callable[[RunView], str]
    style: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """How the lines of the table are divided into columns."""

    labels: Sequence[str]
    """The letters of the runs' curves, if they are not the initials of their names."""
    name_width: int
    columns: Sequence[Column]

    @classmethod
    def of(cls, snapshot: PhaseSnapshot, width: int) -> Layout:
        """The layout with the figures of a training, or those of a foreign folder that fit; names get the room that is left."""
        runs = snapshot.runs
        labels = labels_of(runs)
        if labels == [run.name[:1].upper() for run in runs]:
            labels = [""] * len(runs)
        longest = max(_NAME_WIDTH, *(len(harmless(run.name)) + 1 for run in runs))
        room = width - cls(labels, 0, ()).head_width - _STATE_WIDTH
        if snapshot.foreign:
            columns = _fitting(_foreign_columns(snapshot), room - min(longest, max(_NAME_WIDTH, int(_NAME_SHARE * width))))
        else:
            wanted = [column for column in COLUMNS if width >= column.least_screen - 2]
            fitting = _fitting(sorted(wanted, key=_importance), room - _NAME_WIDTH)
            columns = [column for column in wanted if column in fitting]
        left = room - sum(column.width for column in columns)
        return cls(labels, min(longest, max(_NAME_WIDTH, left)), columns)

    @property
    def label_width(self) -> int:
        """Width of the letters and the blank behind them."""
        longest = max(map(len, self.labels))
        return longest + 1 if longest else 0

    @property
    def head_width(self) -> int:
        """Width of everything before a run's state: the mark, the letter, the name and the dash."""
        return 3 + self.label_width + self.name_width + 4


class RunTable(Panel):
    """The runs, one of them chosen; if there are many, those around it that fit."""

    grows = True

    class RunChosen(Message):
        """A run was clicked."""

        def __init__(self, index: int) -> None:
            self.index = index
            super().__init__()

    def __init__(self) -> None:
        super().__init__(id="runs", classes="panel")
        self.chosen = 0
        self._most_runs = _LEAST_RUNS
        self._first = 0

    def show(self, snapshot: PhaseSnapshot) -> None:
        self._most_runs = max(_LEAST_RUNS, int(_SCREEN_SHARE * self.app.size.height))
        super().show(snapshot)

    def text(self, snapshot: PhaseSnapshot, width: int, height: int) -> Content:
        if not snapshot.runs:
            return line((" no training yet: the trainers start when the corpus is prepared", "$quiet"))
        layout = Layout.of(snapshot, width)
        head = f"{'':{3 + layout.label_width}}{'run' if snapshot.foreign else 'model':<{layout.name_width + 4}}"
        head += f"{'state':<{_STATE_WIDTH}}" + "".join(column.title.rjust(column.width) for column in layout.columns)
        lines = [line((head, "$quiet"))]
        for index in self._visible(snapshot):
            chosen = index == self.chosen and len(snapshot.runs) > 1
            lines.append(self._row(snapshot.runs[index], index, layout, width, chosen=chosen))
        return stack(lines)

    def on_click(self, event: events.Click) -> None:
        row = event.y - self.gutter.top - 1
        visible = () if self.snapshot is None else self._visible(self.snapshot)
        if 0 <= row < len(visible):
            self.post_message(self.RunChosen(visible[row]))

    def _visible(self, snapshot: PhaseSnapshot) -> range:
        """Indices of the runs that are shown, the chosen one among them; if these are not all, the title counts them."""
        n_runs = len(snapshot.runs)
        self._first = min(max(self._first, self.chosen - self._most_runs + 1), self.chosen, max(0, n_runs - self._most_runs))
        visible = range(self._first, min(n_runs, self._first + self._most_runs))
        self.entitle(f"{visible.start + 1}–{visible.stop} of {n_runs} runs" if len(visible) < n_runs else "")
        return visible

    def _row(self, run: RunView, index: int, layout: Layout, width: int, *, chosen: bool) -> Content:
        look = RUN_LOOKS[run.state]
        name = f"{layout.labels[index]:<{layout.label_width}}{clip_middle(harmless(run.name), layout.name_width - 1)}"
        head: list[str | Content | tuple[str, str]] = [
            ("›" if chosen else " ", "bold $primary"),
            (f"{look.glyph} ", look.style),
            (name.ljust(layout.label_width + layout.name_width), f"bold {curve_style(index)}" if chosen else curve_style(index)),
            (f"{dash_sample(index)} ", curve_style(index)),
        ]
        cells = [(column.text(run).rjust(column.width), column.style) for column in layout.columns]
        state = (run.state.ljust(_STATE_WIDTH), look.style)
        room = width - layout.head_width - _STATE_WIDTH - sum(len(text) for text, _ in cells) - 3
        message = message_of(run)
        waits = run.job is not None and run.job.waits
        urgent = waits or run.state in _HIDES_FIGURES or (run.status is not None and run.status.n_nonfinite > 0)
        if len(message) <= room or room >= _MESSAGE_WIDTH:
            return line(
                *head, state, *cells, (f"   {clip(message, room)}" if message else "", "$warning" if urgent else "$quiet")
            )
        if not message or not urgent:
            return line(*head, state, *cells)
        titles = [column.title for column in layout.columns]
        first = titles.index("epoch") + 1 if "epoch" in titles else 0
        last = titles.index("ETA") if "ETA" in titles else len(titles)
        room = sum(column.width for column in layout.columns[first:last]) - 2
        if room < 1:
            return line(*head, state, *cells)
        told = (f"  {clip(message, room):<{room}}", "$warning" if run.state is ShownState.RUNNING else look.style)
        return line(*head, state, *cells[:first], told, *cells[last:])


def _foreign_columns(snapshot: PhaseSnapshot) -> list[Column]:
    """The columns for event files alone: the figures of `COLUMNS` that some run has, then all other scalars, by importance."""
    known = [column for column in COLUMNS if any(column.text(run).strip(f" {UNKNOWN}") for run in snapshot.runs)]
    others = [_column_of(metric) for metric in metrics_of(snapshot) if metric.tag not in _TAGS_OF_COLUMNS]
    return sorted([*known, *others], key=lambda column: column.least_screen)


def _column_of(metric: Metric) -> Column:
    title = clip_middle(metric.title, _TAG_WIDTH - 2)
    return Column(title, max(10, len(title) + 2), 0, lambda run: format_scalar(run.newest(metric.tag)))


def _importance(column: Column) -> int:
    """Sort key of a column: columns with the least values are kept if there is no room for all."""
    return _IMPORTANT.index(column.title) if column.title in _IMPORTANT else len(_IMPORTANT)


def _fitting(columns: Sequence[Column], room: int) -> list[Column]:
    """The columns that there is room for; earlier ones take precedence."""
    fitting: list[Column] = []
    for column in columns:
        if column.width <= room:
            fitting.append(column)
            room -= column.width
    return fitting


def message_of(run: RunView) -> str:
    """What the person should know about a run: its error, its message, where its job is or why it waits; or nothing."""
    told = "" if run.status is None else reason_first(run.status.error or "") or run.status.message or ""
    return harmless(" · ".join(part for part in (_place(run.job), told.split("\n", maxsplit=1)[0]) if part))


def _place(job: JobRecord | None) -> str:
    """`waits: Resources`, `on gpu3`; empty for a process on this machine, or a job that is over."""
    if job is None or job.is_over:
        return ""
    return f"waits: {job.reason or job.state}" if job.waits else f"on {job.node}" if job.node else ""


def trend(curve: Curve | None) -> str:
    """The direction of the validation MAE: ↓ better, ↑ worse, → neither."""
    finite = curve.values[np.isfinite(curve.values)] if curve is not None else np.zeros(0)
    if len(finite) < 2:
        return " "
    before, now = float(finite[-2]), float(finite[-1])
    if abs(now - before) <= _SAME_WITHIN * abs(before):
        return "→"
    return "↓" if now < before else "↑"


def _mae(run: RunView) -> str:
    return f"{format_ms(run.newest(Tag.VALIDATION_MAE_MS))} {trend(run.curves.get(Tag.VALIDATION_MAE_MS))}"


def _speed(run: RunView) -> str:
    if run.state is not ShownState.RUNNING:
        return UNKNOWN
    speed = run.status.examples_per_s if run.status is not None else run.newest(Tag.EXAMPLES_PER_S)
    return format_speed(speed)


def _epochs(run: RunView) -> str:
    if run.status is not None:
        return f"{run.status.epoch}/{run.status.n_epochs}"
    epoch = run.newest(Tag.EPOCH)
    return UNKNOWN if epoch is None or not math.isfinite(epoch) else f"{epoch:.0f}"


def _progress(run: RunView) -> str:
    if run.status is None or run.status.n_steps == 0:
        return ""
    return bar(run.status.step / run.status.n_steps, 12)


def _best_epoch(run: RunView) -> str:
    return f"@{run.status.best.epoch}" if run.status is not None and run.status.best is not None else ""


COLUMNS = (
    Column("", 14, 160, _progress, "$quiet"),
    Column("epoch", 6, 0, _epochs),
    Column("step", 9, 120, lambda run: format_count(run.step)),
    Column("loss", 7, 0, lambda run: format_scalar(run.newest(Tag.LOSS))),
    Column("val MAE  ", 10, 0, _mae),
    Column("best", 7, 0, lambda run: format_ms(run.best_mae_ms)),
    Column("", 5, 120, _best_epoch),
    Column("@100ms", 7, 0, lambda run: format_rate(run.newest(Tag.WITHIN_100MS))),
    Column("grad", 9, 120, lambda run: format_scalar(run.newest(Tag.GRADIENT_NORM))),
    Column("ex/s", 6, 0, _speed),
    Column("ETA", 8, 0, lambda run: format_duration(run.eta_s)),
)
_IMPORTANT = ("val MAE  ", "ETA", "epoch", "loss", "best", "@100ms", "ex/s")
_TAGS_OF_COLUMNS = {
    Tag.EPOCH, Tag.LOSS, Tag.VALIDATION_MAE_MS, Tag.WITHIN_100MS, Tag.GRADIENT_NORM, Tag.EXAMPLES_PER_S,
}  # fmt: skip
