"""The last lines of the chosen training's log."""

from __future__ import annotations

from textual.content import Content

from brefine.run.snapshot import PhaseSnapshot
from brefine.tui.format import clip, harmless
from brefine.tui.widgets.panel import Panel, line, stack

_ROOMY = 10
"""Number of rows from which lines are wrapped; with fewer rows they are cut, so that more lines are shown."""


class LogPanel(Panel):
    """The tail of one run's log, newest line last."""

    def __init__(self) -> None:
        super().__init__(id="log", classes="panel")
        self.chosen = 0

    def text(self, snapshot: PhaseSnapshot, width: int, height: int) -> Content:
        if not snapshot.runs:
            self.entitle("log")
            return line((" waits for the first training", "$quiet"))
        run = snapshot.runs[min(self.chosen, len(snapshot.runs) - 1)]
        self.entitle(f"log {run.name}")
        if not run.log_tail:
            return line((" nothing written yet", "$quiet"))
        newest = [harmless(text) for text in run.log_tail[-height:]]
        if height < _ROOMY:
            return stack([line(f" {clip(text, width - 1)}") for text in newest])
        return stack([line(" ", part) for text in newest for part in line(text or " ").wrap(width - 1)][-height:])
