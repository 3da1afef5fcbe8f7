"""What went wrong, when, and why: newest first."""

from __future__ import annotations

from textual.content import Content

from brefine.phasedir import Alert
from brefine.run.snapshot import PhaseSnapshot
from brefine.tui.format import clip, format_clock, format_count, harmless
from brefine.tui.theme import ALERT_LOOKS
from brefine.tui.widgets.panel import Panel, line, stack, wrapped


class AlertsPanel(Panel):
    """The newest alerts, as many as fit."""

    BORDER_TITLE = "alerts"

    def __init__(self) -> None:
        super().__init__(id="alerts", classes="panel")

    def text(self, snapshot: PhaseSnapshot, width: int, height: int) -> Content:
        if not snapshot.alerts and not snapshot.problems:
            return line((" nothing to report", "$quiet"))
        lines = problem_lines(snapshot, width)
        for alert in newest_first(snapshot):
            told = alert_lines(alert, width)
            if lines and len(lines) + len(told) > height:
                break
            lines += told
        return stack(lines[:height])


def problem_lines(snapshot: PhaseSnapshot, width: int) -> list[Content]:
    """Files that cannot be read or written now; these lines have no time and come before all alerts."""
    return [told for problem in snapshot.problems for told in wrapped(f"✗ {harmless(problem)}", width, "$error")]


def alert_lines(alert: Alert, width: int) -> list[Content]:
    """An alert in one line, or in several if its text is longer than the line."""
    look = ALERT_LOOKS[alert.level]
    about = " ".join(part for part in (alert.model, f"step {format_count(alert.step)}" if alert.step is not None else "") if part)
    head = f" {format_clock(alert.unix_s)} "
    text = harmless(alert.text)
    where = f"{about}: " if about else ""
    room = width - len(head) - 2
    first = line((head, "$quiet"), (f"{look.glyph} ", look.style))
    whole = line((where, "bold"), text)
    if whole.cell_length <= room:
        return [line(first, whole)]
    indent = " " * (len(head) + 2)
    return [line(first, (clip(f"{where}{alert.kind}", room), "bold")), *wrapped(text, width, "", indent=indent)]


def newest_first(snapshot: PhaseSnapshot) -> list[Alert]:
    """The alerts of the supervisor and of the reader together, newest first."""
    return sorted(snapshot.alerts, key=lambda alert: -alert.unix_s)
