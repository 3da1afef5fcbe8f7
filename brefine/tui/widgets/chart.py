"""A chart of several runs in one place, drawn in braille, with a cursor that reads values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from brefine.tui.drawing import ROLES, Plot, Row, Span, draw
from brefine.tui.theme import N_CURVE_LOOKS
from brefine.tui.widgets.panel import line

_LEFT = 7
"""Width in cells of the values' axis, as `drawing.draw` draws it."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why there is nothing to draw yet, in the person's words."""

    reason: str


class Chart(Widget):
    """Draws a `Plot`, or says what it is waiting for."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *(f"chart--{role}" for role in ROLES),
        *(f"chart--trace-{look}" for look in range(N_CURVE_LOOKS)),
    }

    class Pointed(Message):
        """The mouse was clicked at a place along the x axis (0–1 of its length)."""

        def __init__(self, share: float) -> None:
            self.share = share
            super().__init__()

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 – Textual's name
        super().__init__(id=id, classes="panel")
        self._shown: Plot | Waiting = Waiting("")
        self._title = ""
        self._rows: list[Row] = []
        """The rows on the screen, at the size for which they were drawn."""
        self._drawn_for = Size()
        self._styles: dict[str, Style] = {}
        """Cache, role → style: asking Textual for every piece of a line takes longer than drawing it."""

    def show(self, plot: Plot | Waiting, title: str) -> None:
        """Shows a new plot and title; what has not changed is not sent to the terminal again."""
        self._shown = plot
        if title != self._title:
            self._title = title
            self.border_title = line(title)
        before, self._rows = self._rows, self._drawn()
        if len(before) != len(self._rows):
            self.refresh()
            return
        changed = [Region(0, y, self.content_size.width, 1) for y, row in enumerate(self._rows) if row != before[y]]
        if changed:
            self.refresh(*changed)

    def render_line(self, y: int) -> Strip:
        width = self.content_size.width
        if self._drawn_for != self.content_size:
            self._rows = self._drawn()
        segments = [
            Segment(span.text, self._style(span.role) + (self._style("cursor") if span.under_cursor else Style()))
            for span in self._rows[y]
        ]
        return Strip(segments).adjust_cell_length(width, self._style(""))

    def notify_style_update(self) -> None:
        """Forgets the cached colours, since the theme may have changed."""
        super().notify_style_update()
        self._styles.clear()

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is not None and offset.x >= _LEFT and isinstance(self._shown, Plot) and self._rows:
            columns = sum(len(span.text) for span in self._rows[0][1:-1]) or 1
            self.post_message(self.Pointed(min(1.0, (offset.x - _LEFT) / max(1, columns - 1))))

    def _drawn(self) -> list[Row]:
        """The rows to show, one for each line that there is room for."""
        self._drawn_for = width, height = self.content_size
        if isinstance(self._shown, Plot):
            return draw(self._shown, width=width, height=height)
        blank = [Span(" " * width, "text")]
        return [[Span(self._shown.reason.center(width)[:width], "text")] if y == height // 2 else blank for y in range(height)]

    def _style(self, role: str) -> Style:
        """The style of a role; without a role, the chart's own style."""
        style = self._styles.get(role)
        if style is None:
            style = self.rich_style if not role else self.get_component_rich_style(f"chart--{role}", partial=role == "cursor")
            self._styles[role] = style
        return style
