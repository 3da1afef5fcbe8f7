"""Alerts: one line each in alerts.jsonl; each cause is reported once."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from brefine.io.appended import AppendedLines
from brefine.phasedir import Alert
from brefine.run.snapshot import Curve
from brefine.run.tail.file import TailFault


class AlertLog:
    """alerts.jsonl: appended by the supervisor, followed by everybody else."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines = AppendedLines(path)
        self._alerts: dict[str, Alert] = {}

    def read(self) -> tuple[Alert, ...]:
        """All alerts, oldest first; lines that are torn or of another schema are skipped."""
        anew, lines = self._lines.fresh()
        if anew:
            self._alerts.clear()
        for line in lines:
            if (alert := Alert.parse_line(line, self._path)) is not None:
                self._alerts.setdefault(alert.id, alert)
        return tuple(self._alerts.values())

    def tell(self, alert: Alert) -> bool:
        """Appends an alert unless one with its id is there already; returns whether it was new."""
        self.read()
        if alert.id in self._alerts:
            return False
        alert.append_to(self._path)
        return True


def alert_of_fault(model: str | None, fault: TailFault, unix_s: float) -> Alert:
    """What a person is told about damage in an event file."""
    return Alert(
        id=f"corrupt-events:{model}:{fault.file}:{fault.kind}:{fault.offset}",
        level="warning",
        kind="corrupt-events",
        model=model,
        text=f"{fault.file} at byte {fault.offset:,}: {fault.text}",
        unix_s=unix_s,
    )


def alerts_of_curves(model: str, curves: Iterable[Curve]) -> list[Alert]:
    """One alert for each curve with non-finite values, at the first such step."""
    alerts = []
    for curve in curves:
        bad = np.flatnonzero(~np.isfinite(curve.values))
        if len(bad):
            step, value = int(curve.steps[bad[0]]), float(curve.values[bad[0]])
            alerts.append(
                Alert(
                    id=f"nonfinite:{model}:{curve.tag}:{step}",
                    level="error",
                    kind="nonfinite",
                    model=model,
                    step=step,
                    text=f"{curve.tag} is {value} at step {step:,}",
                    unix_s=float(curve.unix_s[bad[0]]),
                )
            )
    return alerts
