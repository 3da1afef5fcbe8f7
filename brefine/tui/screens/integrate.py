"""Integrate: the selected model behind the diarizer, DER before and after."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content

from brefine.phasedir import IntegrationReport, Stage
from brefine.run.snapshot import PhaseSnapshot
from brefine.tui.actions import Actions
from brefine.tui.format import clip, format_count, format_der, format_ms, harmless
from brefine.tui.screens.place import Place, Wanted
from brefine.tui.widgets.panel import Panel, line, stack
from brefine.tui.widgets.progress import ProgressPanel

_SAME_WITHIN = 5e-5
"""Change of a recording's DER that two decimals of a percentage do not show."""


class Outcome(Panel):
    """The corpus: DER at each collar, JER, boundaries."""

    grows = True
    BORDER_TITLE = "behind the diarizer"

    def __init__(self) -> None:
        super().__init__(id="outcome", classes="panel")

    def text(self, snapshot: PhaseSnapshot, width: int, height: int) -> Content:
        report = snapshot.integration
        if report is None:
            return line((f" {_waiting(snapshot)}", "$quiet"))
        lines = [line((f" {'':16}{'before':>9}{'after':>12}{'relative':>11}   95 % interval", "$quiet"))]
        for der in report.der:
            style = "$success" if der.interval[0] > 0 else "$error" if der.interval[1] < 0 else "$warning"
            lines.append(
                line(
                    (f" DER ±{der.collar_s:g} s".ljust(17), "bold"),
                    f"{format_der(der.before.der, 9)}  → {format_der(der.after.der)}",
                    (f"{-100 * der.relative:+10.1f} %", style),
                    f"   {-100 * der.interval[1]:+.1f} to {-100 * der.interval[0]:+.1f} %",
                )
            )
        before, after = report.comparison.before, report.comparison.after
        lines.append(line(" JER".ljust(17), f"{format_der(report.jer_before, 9)}  → {format_der(report.jer_after)}"))
        lines.append(line(" boundary MAE".ljust(17), f"{format_ms(before.mae_ms, 9)}  → {format_ms(after.mae_ms, 8)}"))
        lines.append(line((f" {_words(report)}", "$quiet")))
        return stack(lines)


class RecordingList(Panel):
    """Every recording, in the order it was refined."""

    grows = True
    BORDER_TITLE = "DER by recording, collar 0"

    def __init__(self) -> None:
        super().__init__(id="recordings", classes="panel")

    def text(self, snapshot: PhaseSnapshot, width: int, height: int) -> Content:
        report = snapshot.integration
        if report is None:
            return line((" no recording refined yet", "$quiet"))
        lines = []
        for change in report.recordings:
            gained = change.der_before - change.der_after
            glyph, style = (
                ("✓", "$success") if gained > _SAME_WITHIN else ("✗", "$error") if gained < -_SAME_WITHIN else ("=", "$quiet")
            )
            lines.append(
                line(
                    (f" {glyph} ", style),
                    f"{clip(harmless(change.recording), 28):<28}{format_der(change.der_before)} → {format_der(change.der_after)}",
                    (f"{-100 * gained:+9.2f}", style),
                )
            )
        return stack(lines)


class IntegratePlace(Place):
    """Progress while it runs, the outcome when it is done."""

    CHANGING = frozenset({"integrate"})
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "integrate", "run the integration")]

    def __init__(self, actions: Actions, *, read_only: bool) -> None:
        super().__init__(id="integrate", read_only=read_only)
        self._actions = actions

    def compose(self) -> ComposeResult:
        yield ProgressPanel((Stage.INTEGRATE,), id="integrate-progress")
        yield Outcome()
        yield RecordingList()

    def show(self, snapshot: PhaseSnapshot) -> None:
        self.snapshot = snapshot
        for panel in self.query(Panel):
            panel.show(snapshot)

    def action_integrate(self) -> None:
        self.post_message(Wanted(self._actions.integrate))


def _waiting(snapshot: PhaseSnapshot) -> str:
    progress = snapshot.progress.get(Stage.INTEGRATE)
    if progress is not None and progress.state == "running":
        return "the figures follow when the last recording is refined"
    if snapshot.selection is not None:
        return f"{snapshot.selection.model} is selected: enter runs it behind the diarizer on the gate split"
    return "waits for the selection of a model (place 3)"


def _words(report: IntegrationReport) -> str:
    moved = f"{format_count(report.n_moved)} of {format_count(report.n_boundaries)} boundaries moved"
    return f"{report.model}, {report.split} split, {report.n_recordings} recordings, {report.evidence} evidence · {moved}"
