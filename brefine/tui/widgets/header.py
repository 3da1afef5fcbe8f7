"""The two lines at the top of every place: the phase, its state and its cost; and the places to go to."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator

from textual import events
from textual.content import Content
from textual.message import Message

from brefine.run.snapshot import PhaseSnapshot, PhaseState
from brefine.tui.format import UNKNOWN, clip, format_date, format_duration, format_usd
from brefine.tui.theme import PHASE_LOOKS
from brefine.tui.widgets.panel import Panel, line, stack

PLACES = {
    "watch": "Watch",
    "evaluate": "Evaluate",
    "select": "Select",
    "integrate": "Integrate",
    "gate": "Gate 4",
}
"""Id → title, in the order of the stages, which the number keys follow."""

_STATE_PLACES = {
    PhaseState.EVALUATING: "evaluate",
    PhaseState.TO_SELECT: "select",
    PhaseState.TO_INTEGRATE: "integrate",
    PhaseState.INTEGRATING: "integrate",
    PhaseState.TO_DECIDE: "gate",
    PhaseState.DECIDED: "gate",
}

_STAMP = re.compile(r"^\d{4}-?\d{2}-?\d{2}[0-9T:._-]*Z?-")


def place_of(state: PhaseState) -> str:
    """The place that belongs to this state of a phase."""
    return _STATE_PLACES.get(state, "watch")


def short_name(snapshot: PhaseSnapshot) -> str:
    """The phase's name without the time at its front; the time is shown beside it, in the person's time zone."""
    return snapshot.name if snapshot.foreign else _STAMP.sub("", snapshot.name) or snapshot.name


class PhaseHeader(Panel):
    """The phase line and the tabs."""

    class PlaceChosen(Message):
        """A tab was clicked."""

        def __init__(self, place: str) -> None:
            self.place = place
            super().__init__()

    class AlertsChosen(Message):
        """The count of alerts was clicked."""

    def __init__(self) -> None:
        super().__init__(id="header")
        self.place = "watch"
        self.read_only = False
        self.which = (0, 1)
        self._spans: list[tuple[int, int, str]] = []

    def text(self, snapshot: PhaseSnapshot, width: int, height: int) -> Content:
        return stack([self._phase_line(snapshot, width), self._tabs(snapshot, width)])

    def on_click(self, event: events.Click) -> None:
        if event.y != 1:
            return
        for start, end, place in self._spans:
            if start <= event.x < end:
                self.post_message(self.AlertsChosen() if place == "alerts" else self.PlaceChosen(place))

    def _phase_line(self, snapshot: PhaseSnapshot, width: int) -> Content:
        look = PHASE_LOOKS[snapshot.state]
        parts: list[tuple[str, str]] = [(f"{look.glyph} {snapshot.state}", f"bold {look.style}")]
        if self.read_only or snapshot.foreign:
            parts.append(("read only", "$warning"))
        if snapshot.eta_s is not None:
            parts.append((f"ETA {format_duration(snapshot.eta_s)}", ""))
        if not snapshot.foreign:
            parts.append((_money(snapshot), ""))
        right = "   ".join(text for text, _ in parts)
        room = width - len(right) - 4
        started = format_date(snapshot.started_unix_s)
        name, title = short_name(snapshot), snapshot.title
        number, n_phases = self.which
        if n_phases > 1:
            name = f"{number + 1}/{n_phases} {name}"
        left: list[tuple[str, str]] = [(f" {clip(name, max(8, room))}", "bold $primary")]
        used = len(left[0][0])
        # The title says what the evidence is worth, so it is the last to be dropped from a short line.
        if used + 3 + len(title) <= room:
            left.append((f"   {title}", ""))
            used += 3 + len(title)
        for when in (started, started[5:]) if started != UNKNOWN else ():
            if used + 1 + len(when) <= room:
                left.insert(1, (f" {when}", "$quiet"))
                used += 1 + len(when)
                break
        gap = " " * max(2, width - used - len(right) - 1)
        spaced: list[str | Content | tuple[str, str]] = []
        for index, part in enumerate(parts):
            spaced += ["   ", part] if index else [part]
        return line(*left, gap, *spaced)

    def _tabs(self, snapshot: PhaseSnapshot, width: int) -> Content:
        here = place_of(snapshot.state)
        parts: list[str | Content | tuple[str, str]] = []
        self._spans = []
        column = 0
        text, style = _attention(snapshot)
        tabs = list(self._tab_parts(here, PLACES))
        if sum(len(tab) for tab, _, _ in tabs) + len(text) + 2 > width:
            tabs = list(self._tab_parts(here, (self.place,)))
        for tab, tab_style, place in tabs:
            self._spans.append((column, column + len(tab), place))
            parts.append((tab, tab_style))
            column += len(tab)
        if text:
            gap = max(1, width - column - len(text) - 1)
            self._spans.append((column + gap, column + gap + len(text), "alerts"))
            parts += [" " * gap, (text, style)]
        return line(*parts)

    def _tab_parts(self, here: str, titled: Container[str]) -> Iterator[tuple[str, str, str]]:
        """Text, style and id of each place; places that are not `titled` show only their numbers."""
        for number, (place, title) in enumerate(PLACES.items(), start=1):
            mark = "●" if place == here and place != self.place else " "
            style = "bold $background on $primary" if place == self.place else "$warning" if mark == "●" else "$quiet"
            yield f" {number} {title}{mark}" if place in titled else f" {number}{mark}", style, place


def _money(snapshot: PhaseSnapshot) -> str:
    budget = snapshot.budget
    if budget.price_usd_per_hour == 0 and budget.spent_usd == 0:
        return "$0/h"
    if budget.cap_usd is not None:
        return f"{format_usd(budget.spent_usd)} of {format_usd(budget.cap_usd).removesuffix('.00')}"
    return f"{format_usd(budget.spent_usd)} spent"


def _attention(snapshot: PhaseSnapshot) -> tuple[str, str]:
    n_errors = sum(alert.level == "error" for alert in snapshot.alerts) + len(snapshot.problems)
    n_warnings = sum(alert.level == "warning" for alert in snapshot.alerts)
    n = n_errors + n_warnings
    if n == 0:
        return "", ""
    glyph, style = ("✗", "$error") if n_errors else ("▲", "$warning")
    return f"{n} alert{'s' if n > 1 else ''} {glyph}", f"bold {style}"
