"""Integrate: the selected model behind the diarizer, DER before and after."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content

from brefine.core.figures import rounded, signed_percent
from brefine.phasedir import Comparison, DerComparison, IntegrationReport, RecordingChange, Stage
from brefine.run.snapshot import PhaseSnapshot
from brefine.run.tables import judged, scored_text
from brefine.tui.actions import Actions
from brefine.tui.format import UNKNOWN, clip, format_count, format_der, format_ms, harmless
from brefine.tui.screens.place import Place, Wanted
from brefine.tui.widgets.panel import Panel, line, stack, why_empty, wrapped
from brefine.tui.widgets.progress import ProgressPanel

_WIDE = 100
"""Width in cells from which each recording's JER and MAE are shown beside its DER."""
_MARKS = {"better": ("✓", "$success"), "worse": ("✗", "$error"), "unchanged": ("=", "$quiet")}


class Outcome(Panel):
    """The whole corpus: DER at each collar with and without overlap, the DER's parts, JER, boundaries, recordings."""

    grows = True
    BORDER_TITLE = "behind the diarizer"

    def __init__(self) -> None:
        super().__init__(id="outcome", classes="panel")

    def text(self, snapshot: PhaseSnapshot, width: int, height: int) -> Content:
        report = snapshot.integration
        if report is None:
            return line((f" {_waiting(snapshot)}", "$quiet"))
        lines = [line((f" {'':20}{'before':>9}{'after':>12}{'change':>11}   95 % interval", "$quiet"))]
        lines += [_der_line(f"DER ±{der.collar_s:g} s", der) for der in report.der]
        lines += [_der_line(f"  no overlap ±{der.collar_s:g} s", der) for der in report.der_without_overlap]
        lines.append(_row("JER", report.jer_before, report.jer_after, report.jer_relative, report.jer_interval))
        lines.append(_mae_line(report.comparison))
        if report.der:
            lines.append(line((_parts(report.der[0]), "$quiet")))
        lines += [_boundaries_line(report.comparison), *_recordings_lines(report.recordings, width)]
        return stack([*lines, *wrapped(_words(report), width, "$quiet")])


class RecordingList(Panel):
    """Every recording, in the order of refinement, or with the most worsened first."""

    grows = True
    BORDER_TITLE = "DER by recording, collar 0"

    def __init__(self) -> None:
        super().__init__(id="recordings", classes="panel")
        self.worst_first = False

    def text(self, snapshot: PhaseSnapshot, width: int, height: int) -> Content:
        report = snapshot.integration
        if report is None:
            return stack(wrapped(_heard(snapshot), width, "$quiet"))
        wide = width >= _WIDE
        head = f"{'DER before':>11}{'after':>11}{'change':>9}"
        if wide:
            head += f"{'JER before':>12}{'after':>11}{'MAE before':>12}{'after':>10}"
        changes = sorted(report.recordings, key=_gained) if self.worst_first else report.recordings
        return stack([line((f" {'':27}{head}", "$quiet")), *(_recording_line(change, wide=wide) for change in changes)])


class IntegratePlace(Place):
    """Progress while it runs, the outcome when it is done."""

    CHANGING = frozenset({"integrate"})
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "integrate", "run the integration"),
        Binding("w", "worst_first", "worst first"),
    ]

    def __init__(self, actions: Actions, *, read_only: bool) -> None:
        super().__init__(id="integrate", read_only=read_only)
        self._actions = actions
        self._told_from_unix_s = 0.0
        """When snapshots begin to show whether the integration that was asked for runs; infinite until its process exists."""

    def compose(self) -> ComposeResult:
        yield ProgressPanel((Stage.INTEGRATE,), id="integrate-progress")
        yield Outcome()
        yield RecordingList()

    def show(self, snapshot: PhaseSnapshot) -> None:
        if _is_running(snapshot):
            self._told_from_unix_s = 0.0
        if snapshot.unix_s < self._told_from_unix_s:
            snapshot = replace(snapshot, starting=snapshot.starting | {Stage.INTEGRATE})
        self.snapshot = snapshot
        for panel in self.query(Panel):
            panel.show(snapshot)

    def action_integrate(self) -> None:
        """Integrates; asks first if gate 4 has judged the present integration, since verdict and answers are only about that."""
        if self.snapshot is None or Stage.INTEGRATE in self.snapshot.starting:
            return
        if _is_running(self.snapshot):
            self.app.notify("the integration runs", severity="warning")
            return
        gate = self.snapshot.standing_gate
        if gate is None:
            self._integrate()
            return
        consequence = f"The verdict of gate 4 ({gate.verdict}) lapses, and so do the answers to it: place 5 asks for them again."
        self.ask_before(self._integrate, "Run the integration again?", consequence)

    def _integrate(self) -> None:
        def integrate() -> str:
            try:
                return self._actions.integrate()
            finally:
                self._told_from_unix_s = time.time()

        self._told_from_unix_s = math.inf
        self.post_message(Wanted(integrate))
        if self.snapshot is not None:
            self.show(self.snapshot)

    def action_worst_first(self) -> None:
        """Sorts the recordings by how much the refiner has worsened them, or puts them back in order."""
        recordings = self.query_one(RecordingList)
        recordings.worst_first = not recordings.worst_first
        recordings.entitle(RecordingList.BORDER_TITLE + (", worst first" if recordings.worst_first else ""))
        recordings.redraw()


def _waiting(snapshot: PhaseSnapshot) -> str:
    if Stage.INTEGRATE in snapshot.starting or _is_running(snapshot):
        return "the figures follow when the last recording is heard"
    if snapshot.selection is not None:
        return f"{snapshot.selection.model} is selected: enter runs it behind the diarizer on the gate split"
    return why_empty(snapshot, "waits for the selection of a model (place 3)")


def _is_running(snapshot: PhaseSnapshot) -> bool:
    progress = snapshot.progress.get(Stage.INTEGRATE)
    return progress is not None and progress.state == "running"


def _heard(snapshot: PhaseSnapshot) -> str:
    """How many recordings the model has processed; there are no figures before the last one, see `evaluate.integration`."""
    progress = snapshot.progress.get(Stage.INTEGRATE)
    if progress is None or progress.state != "running" or not progress.done:
        return "no recording refined yet"
    return f"{progress.done} of {progress.total} recordings heard; all are moved together, then their figures follow"


def _row(
    name: str, before: float, after: float, relative: float, interval: tuple[float, float] | None, style: str = "bold"
) -> Content:
    """One rate before and after; less is better, so an improvement is shown with a minus."""
    low, high = interval if interval is not None else (0.0, 0.0)
    colour = "$success" if low > 0 else "$error" if high < 0 else "$warning"
    return line(
        (f" {name}".ljust(21), style),
        f"{format_der(before, 9)}  → {format_der(after)}",
        (f"{signed_percent(-relative):>12}", colour),
        f"   {UNKNOWN}" if interval is None else f"   {rounded(-100 * high, 1):+.1f} to {rounded(-100 * low, 1):+.1f} %",
    )


def _der_line(name: str, der: DerComparison) -> Content:
    style = "$foreground" if name.startswith(" ") else "bold"
    return _row(name, der.before.der, der.after.der, der.relative, der.interval, style)


def _mae_line(comparison: Comparison) -> Content:
    before_ms, after_ms = comparison.before.mae_ms, comparison.after.mae_ms
    change = f"{signed_percent(after_ms / before_ms - 1.0):>12}" if before_ms and after_ms is not None else ""
    interval = comparison.intervals.get("mae_ms")
    return line(
        (f" MAE within {comparison.before.window_s:g} s".ljust(21), "bold"),
        f"{format_ms(before_ms, 9)}  → {format_ms(after_ms, 8)}{change}",
        f"   {UNKNOWN}" if interval is None else f"   after: {interval[0]:.0f} to {interval[1]:.0f} ms",
    )


def _parts(der: DerComparison) -> str:
    """The parts of the DER, as shares of the reference speech."""
    words = []
    for name, key in (("missed", "missed_s"), ("false alarm", "false_alarm_s"), ("confusion", "confusion_s")):
        before, after = (_share(getattr(side, key), side.reference_speech_s) for side in (der.before, der.after))
        words.append(f"{name} {before} → {after} %")
    return " " + "   ".join(words)


def _share(part_s: float, speech_s: float) -> str:
    return f"{100 * part_s / speech_s:.2f}" if speech_s > 0.0 else UNKNOWN


def _boundaries_line(comparison: Comparison) -> Content:
    return line(
        (" boundaries ", "bold"),
        (f" {format_count(comparison.improved)} improved", "$success"),
        (f"   {format_count(comparison.worsened)} worse", "$error"),
        f"   {format_count(comparison.unchanged)} unchanged",
    )


def _recordings_lines(changes: Sequence[RecordingChange], width: int) -> list[Content]:
    """How many recordings got better; the extremes beside that, or, without room, on a line of their own."""
    found = Counter(map(judged, changes))
    counts = line(
        (" recordings ", "bold"),
        (f" {found['better']} improved", "$success"),
        (f"   {found['worse']} worse", "$error"),
        f"   {found['unchanged']} unchanged",
    )
    if not changes:
        return [counts]
    extremes = "".join(
        f"   {name} {clip(harmless(one.recording), 12)} {rounded(-100 * _gained(one), 2):+.2f}"
        for name, one in (("worst", min(changes, key=_gained)), ("best", max(changes, key=_gained)))
    )
    if counts.cell_length + len(extremes) > width:
        return [counts, line(f"{'':10}{extremes}")]
    return [counts + extremes]


def _recording_line(change: RecordingChange, *, wide: bool) -> Content:
    glyph, style = _MARKS[judged(change)]
    more = ""
    if wide:
        more = f"{format_der(change.jer_before, 12)} → {format_der(change.jer_after)}"
        more += f"{format_ms(change.mae_before_ms, 12)} → {format_ms(change.mae_after_ms)}"
    return line(
        (f" {glyph} ", style),
        f"{clip(harmless(change.recording), 28):<28}{format_der(change.der_before)} → {format_der(change.der_after)}",
        (f"{rounded(-100 * _gained(change), 2):+9.2f}", style),
        more,
    )


def _gained(change: RecordingChange) -> float:
    return change.der_before - change.der_after


def _words(report: IntegrationReport) -> str:
    evidence = f"{report.model}, {report.split} split, {report.n_recordings} recordings, {report.evidence} evidence"
    return f"{evidence} · {scored_text(report)}"
