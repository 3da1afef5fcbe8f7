"""The supervisor's own checks of what the trainings write: damaged event files, and non-finite validations."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from brefine.config import ModelName
from brefine.io.folders import is_gone
from brefine.phasedir import Alert, PhaseDir
from brefine.run.alerts import alert_of_fault, alerts_of_curves
from brefine.run.tail.run import RunTail

_EVERY_S: Final = 5.0
_LIMIT_S: Final = 0.1


class EventInspector:
    """Follows the event files of all models, so that their faults are reported even if nobody watches.

    Trainers report non-finite losses and gradients themselves, with what was done about them; here only the validation curves
    are checked.
    """

    def __init__(self, phase: PhaseDir, models: Sequence[ModelName]) -> None:
        self._folder = phase.path
        self._tails = {model: RunTail(phase.run(model).path) for model in models}
        self._looked_s = float("-inf")

    def look(self, *, now: bool = False) -> list[Alert]:
        """Everything that is wrong so far, every few seconds; nothing in between. `AlertLog` reports each alert only once."""
        if not now and time.monotonic() - self._looked_s < _EVERY_S:
            return []
        self._looked_s = time.monotonic()
        alerts: list[Alert] = []
        for model, tail in self._tails.items():
            while tail.poll(limit_s=_LIMIT_S) and now:
                pass
            alerts += [alert_of_fault(model, fault, time.time()) for fault in tail.faults]
            validation = [curve for tag, curve in tail.curves().items() if tag.startswith("validation/")]
            alerts += alerts_of_curves(model, validation)
        return [] if is_gone(self._folder) else alerts  # a folder that was moved as a whole has lost no event file
