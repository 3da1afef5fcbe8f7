"""Watch: the runs, their curves, what went wrong, the machine and the money."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal, Vertical

from brefine.phasedir import Stage, Wish
from brefine.run.snapshot import PhaseSnapshot, PhaseState, RunView, ShownState
from brefine.tui.actions import Actions
from brefine.tui.curves import View, extent_of, metrics_of, plot_metric, title_of
from brefine.tui.screens.place import Place, Wanted
from brefine.tui.widgets.alerts import AlertsPanel
from brefine.tui.widgets.budget import BudgetPanel
from brefine.tui.widgets.chart import Chart, Waiting
from brefine.tui.widgets.log import LogPanel
from brefine.tui.widgets.machine import MachinePanel
from brefine.tui.widgets.panel import why_empty
from brefine.tui.widgets.progress import ProgressPanel
from brefine.tui.widgets.run_table import RunTable

_STEP = 0.02
"""Share of the visible axis by which an arrow key moves the cursor."""
_ENDED = (ShownState.STOPPED, ShownState.FAILED, ShownState.NONFINITE)
_CONSEQUENCES = {
    "pause": "It saves a checkpoint and gives its memory back; p again, and it goes on from there.",
    "stop": "It saves a checkpoint and ends; `brefine resume` goes on from there.",
    "restart": "It saves a checkpoint, ends, and starts again from that checkpoint.",
}


class WatchPlace(Place):
    """The overview, made for a glance of two seconds as well as for an hour."""

    CHANGING = frozenset({"pause", "stop_run", "restart_run", "stop_all", "resume_all"})
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "other_chart", "chart"),
        Binding("s", "smooth", "smooth"),
        Binding("y", "log_y", "log y"),
        Binding("t", "axis", "axis"),
        Binding("left", "cursor(-1)", "cursor", key_display="←→"),
        Binding("right", "cursor(1)", show=False),
        Binding("shift+left", "cursor(-10)", "far", key_display="shift+←→", show=False),
        Binding("shift+right", "cursor(10)", show=False),
        Binding("plus,equals_sign", "zoom(0.5)", "zoom", key_display="+-"),
        Binding("minus", "zoom(2)", show=False),
        Binding("left_square_bracket", "pan(-0.5)", "pan", key_display="[]", show=False),
        Binding("right_square_bracket", "pan(0.5)", show=False),
        Binding("0", "whole", "whole curve", show=False),
        Binding("escape", "no_cursor", "cursor away", show=False),
        Binding("up", "choose(-1)", "run", key_display="↑↓"),
        Binding("down", "choose(1)", show=False),
        Binding("p", "pause", "pause/resume the run", show=False),
        Binding("x", "stop_run", "stop the run", show=False),
        Binding("r", "restart_run", "restart the run", show=False),
        Binding("X", "stop_all", "stop all runs", show=False),
        Binding("R", "resume_all", "resume the phase", show=False),
    ]

    def __init__(self, actions: Actions, *, read_only: bool) -> None:
        super().__init__(id="watch", read_only=read_only)
        self._actions = actions
        self._view = View()
        self._chosen = 0
        self._first_metric = 0

    def compose(self) -> ComposeResult:
        yield RunTable()
        yield ProgressPanel((Stage.PREPARE, Stage.EVALUATE, Stage.INTEGRATE), id="watch-progress")
        with Container(id="watch-body"):
            with Container(id="charts"):
                for index in range(4):
                    yield Chart(id=f"chart-{index}")
            with Vertical(id="side"):
                yield AlertsPanel()
                yield LogPanel()
        with Horizontal(id="foot"):
            yield MachinePanel()
            yield BudgetPanel()

    def show(self, snapshot: PhaseSnapshot) -> None:
        self.snapshot = snapshot
        self._chosen = min(self._chosen, max(0, len(snapshot.runs) - 1))
        table, log = self.query_one(RunTable), self.query_one(LogPanel)
        table.chosen = log.chosen = self._chosen
        table.show(snapshot)
        log.show(snapshot)
        for panel in (
            self.query_one(ProgressPanel),
            self.query_one(AlertsPanel),
            self.query_one(MachinePanel),
            self.query_one(BudgetPanel),
        ):
            panel.show(snapshot)
        self._draw()

    @property
    def chosen_run(self) -> RunView | None:
        """The run that keys act on."""
        return self.snapshot.runs[self._chosen] if self.snapshot is not None and self.snapshot.runs else None

    def action_other_chart(self) -> None:
        self._first_metric += 1
        self._draw()

    def action_smooth(self) -> None:
        self._look(self._view.smoother())

    def action_log_y(self) -> None:
        self._look(replace(self._view, log_y=not self._view.log_y))

    def action_axis(self) -> None:
        self._look(self._view.other_axis())

    def action_cursor(self, steps: int) -> None:
        self._look(self._view.moved(_STEP * steps, self._extent()))

    def action_no_cursor(self) -> None:
        self._look(replace(self._view, cursor=None))

    def action_zoom(self, factor: float) -> None:
        self._look(self._view.zoomed(factor, self._extent()))

    def action_pan(self, share: float) -> None:
        self._look(self._view.panned(share, self._extent()))

    def action_whole(self) -> None:
        self._look(replace(self._view, span=None, end=None))

    def action_choose(self, step: int) -> None:
        if self.snapshot is not None and self.snapshot.runs:
            self._chosen = (self._chosen + step) % len(self.snapshot.runs)
            self.show(self.snapshot)

    def action_pause(self) -> None:
        run = self.chosen_run
        if run is not None and run.state is ShownState.PAUSED:
            self.post_message(Wanted(lambda: self._actions.control("resume", run.name)))
        else:
            self._ask("pause")

    def action_stop_run(self) -> None:
        self._ask("stop")

    def action_restart_run(self) -> None:
        self._ask("restart")

    def action_stop_all(self) -> None:
        wanted = Wanted(lambda: self._actions.control("stop", None))
        self.ask_before(lambda: self.post_message(wanted), "Stop all trainings of this phase?", _CONSEQUENCES["stop"])

    def action_resume_all(self) -> None:
        self.post_message(Wanted(lambda: self._actions.control("resume", None)))

    def on_run_table_run_chosen(self, message: RunTable.RunChosen) -> None:
        self._chosen = message.index
        if self.snapshot is not None:
            self.show(self.snapshot)

    def on_chart_pointed(self, message: Chart.Pointed) -> None:
        low, high = self._view.range_in(self._extent())
        self._look(self._view.pointed(low + message.share * (high - low), self._extent()))

    def _ask(self, wish: Wish) -> None:
        run = self.chosen_run
        if run is None or self.snapshot is None:
            return
        name, reason = run.name, _in_vain(wish, run, self.snapshot)
        if reason is not None:
            self.app.notify(reason, severity="warning", markup=False)
            return
        wanted = Wanted(lambda: self._actions.control(wish, name))
        self.ask_before(lambda: self.post_message(wanted), f"{wish.capitalize()} {name}?", _CONSEQUENCES[wish])

    def _look(self, view: View) -> None:
        self._view = view
        self._draw()

    def _extent(self) -> tuple[float, float]:
        if self.snapshot is None:
            return 0.0, 1.0
        metrics = metrics_of(self.snapshot)
        return extent_of(metrics[self._first_metric % len(metrics)], self.snapshot, self._view)

    def _draw(self) -> None:
        if self.snapshot is None:
            return
        metrics = metrics_of(self.snapshot)
        for few in (1, 2, 3):
            self.query_one("#charts").set_class(len(metrics) == few, f"-of-{few}")
        for index, chart in enumerate(self.query(Chart)):
            if not chart.display or index >= len(metrics):
                continue
            metric = metrics[(self._first_metric + index) % len(metrics)]
            plot = plot_metric(metric, self.snapshot, self._view, chosen=self._chosen)
            waits = metric.waits_for if self.snapshot.state is not PhaseState.PREPARING else "the corpus is being prepared"
            chart.show(
                plot if plot is not None else Waiting(why_empty(self.snapshot, waits)),
                title_of(metric, self.snapshot, self._view),
            )


def _in_vain(wish: Wish, run: RunView, snapshot: PhaseSnapshot) -> str | None:
    """Why a request would have no effect; None if it has one. Checked before the person is asked for a confirmation."""
    if run.state is ShownState.FINISHED or (wish != "restart" and run.state in _ENDED):
        return f"there is nothing to {wish}: the state of {run.name} is {run.state}"
    if snapshot.state is PhaseState.EVALUATING:
        return "the trainings have ended, the models are evaluated now"
    return None
