"""What the person can do from the dashboard: the interface that screens use, and its implementation for a phase directory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from brefine.config import MODEL_NAMES, ModelName
from brefine.errors import ProcessError
from brefine.phasedir import BoundaryRow, GateRecord, PhaseDir, RunStatus, SelectionRecord, Stage, Wish

if TYPE_CHECKING:  # imported by the actions that need them, so that the first frame need not wait
    from brefine.core.gate import Answer
    from brefine.core.selection import Ranking
    from brefine.run.boundary_book import Excerpt
    from brefine.run.stages import StageProcess

_DONE = {"stop": "is checkpointed and stopped", "pause": "is paused", "resume": "goes on", "restart": "is restarted"}


class Actions(Protocol):
    """Each method is called in a thread of its own. If it returns text, that says what was done, in words for the person.

    Every method raises BrefineError if the action cannot be done.
    """

    def control(self, wish: Wish, model: str | None) -> str:
        """Asks the supervisor to stop, pause, resume or restart one training, or, if `model` is None, all of them."""

    def evaluate(self) -> str:
        """Starts the evaluation of all trained models."""

    def recommend(self) -> Ranking:
        """The ranking, which says which model the rule recommends, and why."""

    def select(self, model: str, why: str | None, shown: Ranking | None) -> str:
        """Records the person's choice; `why` is given if it is not the recommended model, `shown` if a ranking was shown."""

    def integrate(self) -> str:
        """Starts the run of the selected model behind the diarizer."""

    def judge(self) -> GateRecord:
        """Judges what can be judged, without writing anything."""

    def answer(self, criterion: str, answer: Answer) -> GateRecord:
        """Records the person's answer to one criterion and rewrites the gate's record."""

    def book(self) -> Book:
        """The boundaries to look at one by one."""


class Book(Protocol):
    """The matched boundaries of the validation split; `run.boundary_book.BoundaryBook`, or memory in tests."""

    def rows(self, model: ModelName) -> Sequence[BoundaryRow]:
        """Every matched boundary, before and after the model."""

    def excerpt(self, model: ModelName, row: BoundaryRow, *, n_columns: int, n_bands: int) -> Excerpt:
        """The surroundings of one boundary."""

    def compute_posteriors(self, model: ModelName) -> str:
        """Runs the model once more for its posteriors, which show where else it may have put each boundary."""


class PhaseActions:
    """Acts on a phase directory. Processes that it starts go on when the dashboard is closed."""

    def __init__(self, phase: PhaseDir) -> None:
        self._phase = phase
        self._started: list[StageProcess] = []
        self._starting = Lock()

    def control(self, wish: Wish, model: str | None) -> str:
        from brefine.run.control import request
        from brefine.run.launch import ask_to_stop, resume_phase
        from brefine.run.lock import is_supervised, silence_s

        named = _model(model)
        if is_supervised(self._phase):
            if (wish, named) == ("stop", None):
                ask_to_stop(self._phase)
            else:
                request(self._phase, wish, named)
            if (silent_s := silence_s(self._phase)) is not None:
                return f"the supervisor gives no sign of life for {silent_s:,.0f} s: brefine stop {self._phase.argument}"
            models = MODEL_NAMES if named is None else (named,)
            if wish == "stop" and not any(RunStatus.read_if_sound(self._phase.run(one).status) for one in models):
                return f"{model or 'every training'} is kept from starting"
            return f"{model or 'every training'} {_DONE[wish]} in a moment"
        if wish == "resume":
            return f"{', '.join(resume_phase(self._phase)) or 'the phase'} goes on"
        raise ProcessError(
            "nobody supervises this phase",
            where=self._phase.path.name,
            hint=f"brefine resume {self._phase.argument} (or brefine stop {self._phase.argument})",
        )

    def evaluate(self) -> str:
        from brefine.run.stages import start_evaluation

        self._start(Stage.EVALUATE, lambda: start_evaluation(self._phase))
        return "the evaluation runs"

    def recommend(self) -> Ranking:
        from brefine.run.decide import recommend

        return recommend(self._phase)

    def select(self, model: str, why: str | None, shown: Ranking | None) -> str:
        from brefine.run.decide import choose

        record = choose(self._phase, model, why=why, shown=shown)
        return f"{record.model} is selected"

    def integrate(self) -> str:
        from brefine.run.stages import start_integration

        selection = SelectionRecord.read_if_there(self._phase.selection)
        if selection is None:
            raise ProcessError("no model is selected", where=self._phase.path.name, hint="choose one in place 3")
        self._start(Stage.INTEGRATE, lambda: start_integration(self._phase, selection.model))
        return f"{selection.model} runs behind the diarizer"

    def judge(self) -> GateRecord:
        from brefine.run.gate_report import judge_phase

        return judge_phase(self._phase)

    def answer(self, criterion: str, answer: Answer) -> GateRecord:
        from brefine.run.gate_report import write_gate

        return write_gate(self._phase, {criterion: answer})

    def book(self) -> Book:
        from brefine.run.boundary_book import BoundaryBook

        return BoundaryBook(self._phase)

    def _start(self, stage: Stage, start: Callable[[], StageProcess]) -> None:
        """Starts a stage unless this dashboard has started it already: its first report takes it a few seconds."""
        with self._starting:
            self._started = [earlier for earlier in self._started if earlier.exit_code() is None]
            if any(earlier.stage is stage for earlier in self._started):
                raise ProcessError(f"{stage} is at work already", got="this dashboard has started it")
            self._started.append(start())


def _model(name: str | None) -> ModelName | None:
    for known in MODEL_NAMES:
        if name == known:
            return known
    if name is None:
        return None
    raise ProcessError("there is no such training", got=name)
