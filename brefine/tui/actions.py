"""What the person can do from the dashboard, as an interface: the screens know no process and no file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from brefine.phasedir import GateRecord

ControlAction = Literal["stop", "pause", "resume", "restart"]
Answer = Literal["yes", "no"]


@dataclass(frozen=True, slots=True)
class Recommendation:
    """Which model the rule would take, and why."""

    model: str
    reason: str
    others: Sequence[tuple[str, str]] = ()
    """The other models, best first, each with why it stands behind."""


class Actions(Protocol):
    """Each is called in a thread of its own and returns what was done, in the person's words.

    Every method raises BrefineError when it cannot be done.
    """

    def control(self, action: ControlAction, model: str | None) -> str:
        """Asks the supervisor to stop, pause, resume or restart one training, or all of them."""
        ...

    def evaluate(self) -> str:
        """Starts the evaluation of all trained models."""
        ...

    def recommend(self) -> Recommendation:
        """Says which model the rule would take."""
        ...

    def select(self, model: str, why: str | None) -> str:
        """Records the person's choice; `why` is given where it is not the recommended model."""
        ...

    def integrate(self) -> str:
        """Starts the run of the selected model behind the diarizer."""
        ...

    def judge(self) -> GateRecord:
        """Judges what can be judged, without writing anything."""
        ...

    def answer(self, criterion: str, answer: Answer, note: str | None) -> GateRecord:
        """Records the person's answer to one criterion and writes the gate's record anew."""
        ...
