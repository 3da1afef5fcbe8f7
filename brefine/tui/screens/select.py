"""Select: the recommendation with its reason, and the person's choice."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content

from brefine.core.figures import signed_milliseconds
from brefine.core.selection import Ranking
from brefine.phasedir import EvaluationReport, SelectionRecord
from brefine.run.snapshot import PhaseSnapshot, PhaseState
from brefine.tui.actions import Actions
from brefine.tui.format import format_interval, format_ms, format_rate, format_speed
from brefine.tui.screens.asking import AskLine
from brefine.tui.screens.place import Place, Wanted
from brefine.tui.widgets.comparison import convention, model_style, reports_in_order, waiting_for_evaluation
from brefine.tui.widgets.panel import Panel, line, refusal, stack, wrapped


class Choice(Panel):
    """The recommendation and the candidates."""

    grows = True
    BORDER_TITLE = "which model goes on?"

    def __init__(self) -> None:
        super().__init__(id="choice", classes="panel")
        self.ranking: Ranking | None = None
        self.problem: str | None = None
        """Why the models could not be compared when it was last tried."""
        self.chosen = 0

    def text(self, snapshot: PhaseSnapshot, width: int, height: int) -> Content:
        reports = reports_in_order(snapshot)
        if not reports:
            return line((f" {waiting_for_evaluation(snapshot)}", "$quiet"))
        lines = [line(""), *self._sentences(snapshot, width), line("")]
        head = f"   {'':12}{'capped':>8}  {'interval':<9}{'MAE':>8}{'@100':>6}{'harm':>10}{'bound./s':>9}"
        lines.append(line((head, "$quiet")))
        for index, (model, report) in enumerate(reports.items()):
            lines += self._candidate(snapshot, model, report, width, chosen=index == self.chosen)
        return stack([*lines, line(""), *convention(list(reports.values()), width)])

    def _candidate(
        self, snapshot: PhaseSnapshot, model: str, report: EvaluationReport, width: int, *, chosen: bool
    ) -> list[Content]:
        """A model's figures and its marks, which go below the figures if there is no room beside them."""
        after, comparison = report.comparison.after, report.comparison
        figures = line(
            (" › " if chosen else "   ", "bold $primary"),
            (f"{model:<12}", f"bold {model_style(snapshot, model)}" if chosen else model_style(snapshot, model)),
            f"{format_ms(after.capped_mean_ms, 8)}  {format_interval(comparison.intervals.get('capped_mean_ms')):<9}"
            f"{format_ms(after.mae_ms, 8)}{format_rate(after.within_100ms)} {signed_milliseconds(comparison.good_harm_ms):>9}",
            format_speed(report.speed.boundaries_per_s, 9),
        )
        marks = []
        if snapshot.selection is not None and model == snapshot.selection.model:
            marks.append("✓ selected" if snapshot.standing_selection is not None else "selected before")
        marks += ["recommended"] if self.ranking is not None and model == self.ranking.recommended else []
        marked = line((", ".join(marks), "$success"))
        if not marks:
            return [figures]
        if figures.cell_length + 2 + marked.cell_length <= width:
            return [line(figures, "  ", marked)]
        return [figures, line("     ", marked)]

    def _sentences(self, snapshot: PhaseSnapshot, width: int) -> list[Content]:
        selection = snapshot.selection
        if selection is None:
            return self._recommendation(width)
        who = "You chose" if selection.chosen_by == "person" else "The rule chose"
        told = [line((f" ✓ {who} {selection.model}.", "bold $success"))]
        anew = selection.overtaken_by(snapshot.evaluations.values())
        if anew:
            what = "The verdict stands until you choose again." if snapshot.state is PhaseState.DECIDED else "Choose again."
            since = f"▲ {who} {selection.model}; evaluated again since: {', '.join(anew)}. {what}"
            told = wrapped(since, width, "bold $warning")
        if selection.override_reason:
            told += wrapped(f"Why not {selection.recommended}: {selection.override_reason}", width, "", indent="   ")
        if anew:
            return [*told, *self._recommendation(width)]
        return [*told, *wrapped(f"The rule's reason: {selection.reason}", width, "$quiet")]

    def _recommendation(self, width: int) -> list[Content]:
        if self.ranking is None and self.problem is not None:
            return refusal(f"not compared, it is tried again: {self.problem}", width)
        if self.ranking is None:
            return [line((" comparing the models …", "$quiet"))]
        return [
            line((f" Recommended: {self.ranking.recommended}.", "bold $success")),
            *wrapped(f"{self.ranking.reason}.", width, ""),
        ]


class SelectPlace(Place):
    """Enter takes the marked model; for one that is not recommended, it asks for one line that says why."""

    CHANGING = frozenset({"select"})
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "choose(-1)", "model", key_display="↑↓"),
        Binding("down", "choose(1)", show=False),
        Binding("enter", "select", "select this model"),
    ]

    def __init__(self, actions: Actions, *, read_only: bool) -> None:
        super().__init__(id="select", read_only=read_only)
        self._actions = actions
        self._asked_for: frozenset[tuple[str, float]] = frozenset()
        """Models and times of the reports that were ranked."""
        self._selection: SelectionRecord | None = None
        """The choice for which the mark was last placed."""

    def compose(self) -> ComposeResult:
        yield Choice()

    def show(self, snapshot: PhaseSnapshot) -> None:
        self.snapshot = snapshot
        compared = _compared(snapshot)
        choice = self.query_one(Choice)
        if snapshot.selection is not None and snapshot.selection != self._selection:
            self._mark(snapshot.selection.model)
        self._selection = snapshot.selection
        if self._asked_for != compared and _waits_for_choice(snapshot):
            self._asked_for = compared
            choice.ranking = None
            self.post_message(Wanted(self._actions.recommend, self._recommended, self._not_compared))
        choice.show(snapshot)

    def action_choose(self, step: int) -> None:
        choice = self.query_one(Choice)
        if self.snapshot is not None and self.snapshot.evaluations:
            choice.chosen = (choice.chosen + step) % len(self.snapshot.evaluations)
            choice.redraw()

    def action_select(self) -> None:
        choice = self.query_one(Choice)
        if self.snapshot is None or not self.snapshot.evaluations:
            return
        model, selection = list(reports_in_order(self.snapshot))[choice.chosen], self.snapshot.selection
        if selection is not None and model == selection.model and not _waits_for_choice(self.snapshot):
            self.app.notify(f"{model} is selected already", markup=False)
            return
        shown = choice.ranking if self._asked_for == _compared(self.snapshot) else None  # kept while the question waits
        recommended = shown.recommended if shown is not None else None
        if recommended is None and selection is not None:
            recommended = selection.recommended
        if recommended is None:  # the models are being compared
            return
        if model == recommended:
            self.post_message(Wanted(lambda: self._actions.select(model, None, shown)))
            return

        def take(why: str | None) -> None:
            if why:
                self.post_message(Wanted(lambda: self._actions.select(model, why, shown)))

        self.app.push_screen(
            AskLine(f"Why {model} and not {recommended}?", "one line, kept with the decision", required=True), take
        )

    def _recommended(self, ranking: Ranking) -> None:
        choice = self.query_one(Choice)
        choice.ranking, choice.problem = ranking, None
        self._mark(ranking.recommended)
        choice.redraw()

    def _not_compared(self, why: str) -> None:
        self._asked_for = frozenset()  # the next snapshot asks again
        choice = self.query_one(Choice)
        choice.problem = why
        choice.redraw()

    def _mark(self, model: str) -> None:
        models = [] if self.snapshot is None else list(reports_in_order(self.snapshot))
        self.query_one(Choice).chosen = models.index(model) if model in models else 0


def _compared(snapshot: PhaseSnapshot) -> frozenset[tuple[str, float]]:
    """What identifies a ranking: models and times of their reports."""
    return frozenset((model, report.unix_s) for model, report in snapshot.evaluations.items())


def _waits_for_choice(snapshot: PhaseSnapshot) -> bool:
    """Whether a model was evaluated since the last choice, or none was made yet."""
    return bool(snapshot.evaluations) and snapshot.standing_selection is None
