"""Evaluate: every model on the validation split, before and after."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical

from brefine.config import ModelName
from brefine.phasedir import Stage
from brefine.run.snapshot import PhaseSnapshot
from brefine.tui.actions import Actions
from brefine.tui.drawing import Plot, Trace
from brefine.tui.screens.boundaries import BoundaryScreen
from brefine.tui.screens.place import Place, Wanted
from brefine.tui.theme import dash_sample
from brefine.tui.widgets.chart import Chart, Waiting
from brefine.tui.widgets.comparison import ComparisonTable, KindTable, reports_in_order, waiting_for_evaluation
from brefine.tui.widgets.progress import ProgressPanel

_UNREFINED_LOOK = 4
_TICKS_MS = (5, 10, 20, 50, 100, 200, 500, 1000)


class EvaluatePlace(Place):
    """The comparison table, the errors' distribution, and the kinds of boundaries."""

    CHANGING = frozenset({"evaluate"})
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "boundaries", "boundaries"),
        Binding("i", "intervals", "intervals"),
        Binding("e", "evaluate", "evaluate again"),
    ]

    def __init__(self, actions: Actions, *, read_only: bool) -> None:
        super().__init__(id="evaluate", read_only=read_only)
        self._actions = actions
        self._computing: set[ModelName] = set()
        """Models whose posteriors are being computed, even if the viewer was left."""

    def compose(self) -> ComposeResult:
        yield ProgressPanel((Stage.EVALUATE,), id="evaluate-progress")
        with Container(id="evaluate-body"):
            with Vertical(id="evaluate-tables"):
                yield ComparisonTable()
                yield KindTable()
            yield Chart(id="cdf")

    def show(self, snapshot: PhaseSnapshot) -> None:
        self.snapshot = snapshot
        self.query_one(ProgressPanel).show(snapshot)
        self.query_one(ComparisonTable).show(snapshot)
        self.query_one(KindTable).show(snapshot)
        plot = plot_cdf(snapshot)
        self.query_one(Chart).show(
            plot if plot is not None else Waiting(waiting_for_evaluation(snapshot)), "boundaries (%) whose error is smaller"
        )

    def action_boundaries(self) -> None:
        """Opens the boundary viewer on the models that were evaluated, beginning with the selected one, or else the first."""
        models = list(reports_in_order(self.snapshot)) if self.snapshot is not None else []
        if self.snapshot is None or not models:
            self.app.notify("there is no boundary to look at before the evaluation", severity="warning")
            return
        selected = self.snapshot.selection.model if self.snapshot.selection is not None else models[0]
        models.sort(key=lambda model: model != selected)
        self.app.push_screen(BoundaryScreen(self._actions.book(), models, read_only=self.read_only, computing=self._computing))

    def action_intervals(self) -> None:
        table = self.query_one(ComparisonTable)
        table.with_intervals = not table.with_intervals
        table.redraw()

    def action_evaluate(self) -> None:
        """Evaluates; asks first if a choice or a verdict would lapse with the figures that it was made by."""
        if self.snapshot is not None and _is_evaluating(self.snapshot):  # refused before the person is asked for a confirmation
            self.app.notify("the evaluation runs", severity="warning")
            return
        wanted = Wanted(self._actions.evaluate)
        choice = None if self.snapshot is None else self.snapshot.standing_selection
        gate = None if self.snapshot is None else self.snapshot.standing_gate
        lapses = [] if choice is None else [f"The choice of {choice.model} lapses"]
        lapses += [] if gate is None else [f"{'the' if lapses else 'The'} verdict of gate 4 ({gate.verdict}) lapses"]
        if not lapses:
            self.post_message(wanted)
            return
        consequence = f"{' and '.join(lapses)}: place 3 asks for a choice again."
        self.ask_before(lambda: self.post_message(wanted), "Evaluate the models again?", consequence)


def _is_evaluating(snapshot: PhaseSnapshot) -> bool:
    progress = snapshot.progress.get(Stage.EVALUATE)
    return Stage.EVALUATE in snapshot.starting or (progress is not None and progress.state == "running")


def plot_cdf(snapshot: PhaseSnapshot) -> Plot | None:
    """The cumulative distribution of the absolute error before and after, over a logarithmic error axis."""
    reports = reports_in_order(snapshot)
    if not reports:
        return None
    names = [run.name for run in snapshot.runs]
    before_ms = next(iter(reports.values())).before_abs_error_quantiles_ms
    traces = [_cdf("unrefined", _UNREFINED_LOOK, before_ms)]
    for index, (model, report) in enumerate(reports.items()):
        look = names.index(model) if model in names else index
        traces.append(_cdf(model, look, report.after_abs_error_quantiles_ms))
    low, high = math.log10(_TICKS_MS[0]), math.log10(_TICKS_MS[-1])
    return Plot(
        traces=traces,
        x_range=(low, high),
        y_range=(0.0, 1.0),
        x_ticks=[(math.log10(ms), str(ms)) for ms in _TICKS_MS],
        x_label="ms",
        format_y=None,
        format_tick=lambda share: f"{100 * share:.0f}",
    )


def _cdf(name: str, look: int, quantiles_ms: list[float]) -> Trace:
    """A curve whose label shows its dash: all curves end at the same height, so not every label can be beside its curve."""
    errors_ms = np.maximum(np.asarray(quantiles_ms, dtype=np.float64), 0.1)
    return Trace(f"{dash_sample(look)} {name}", look, np.log10(errors_ms), np.linspace(0.0, 1.0, len(errors_ms)))
