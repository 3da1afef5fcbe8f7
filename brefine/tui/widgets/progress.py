"""The progress of the stages other than training: preparing, evaluating, integrating."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from brefine.phasedir import Progress, Stage
from brefine.run.snapshot import PhaseSnapshot
from brefine.tui.format import bar, format_duration, harmless, reason_first
from brefine.tui.widgets.panel import Panel, line, stack

_NAMES = {Stage.PREPARE: "preparing", Stage.TRAIN: "training", Stage.EVALUATE: "evaluating", Stage.INTEGRATE: "integrating"}


class ProgressPanel(Panel):
    """One line for each of the named stages that is starting, runs or has failed; empty if there is none."""

    grows = True

    def __init__(self, stages: Sequence[Stage], *, id: str | None = None) -> None:  # noqa: A002 – Textual's name
        super().__init__(id=id)
        self._stages = stages

    def show(self, snapshot: PhaseSnapshot) -> None:
        self.display = bool(self._lines(snapshot, self.content_size.width))
        super().show(snapshot)

    def text(self, snapshot: PhaseSnapshot, width: int, height: int) -> Content:
        return stack(self._lines(snapshot, width))

    def _lines(self, snapshot: PhaseSnapshot, width: int) -> list[Content]:
        told = [snapshot.progress[stage] for stage in self._stages if stage in snapshot.progress]
        starting = [stage for stage in self._stages if stage in snapshot.starting]
        return [
            *(line((f" ● {_NAMES[stage]}  ", "bold $accent"), "is starting …") for stage in starting),
            *(progress_line(progress, width) for progress in told if progress.state != "finished"),
        ]


def progress_line(progress: Progress, width: int) -> Content:
    """` preparing  simulating conversations  ██████░░ 74/120  01:10 left`, or the failure."""
    name = _NAMES[progress.stage]
    if progress.state == "failed":
        reason = reason_first(progress.error or "no reason given").split("\n", maxsplit=1)[0]
        return line((f" ✗ {name} failed: ", "bold $error"), harmless(reason))
    share = progress.done / progress.total if progress.total else None
    count = f" {progress.done}/{progress.total}" if progress.total else ""
    left_s = (progress.unix_s - progress.started_unix_s) * (1 / share - 1) if share else None
    left = f"  {format_duration(left_s)} left" if left_s is not None and progress.done < progress.total else ""
    head = f" ● {name}  "
    step = harmless(progress.step)
    length = max(6, min(30, width - len(head) - len(step) - len(count) - len(left) - 4))
    return line((head, "bold $accent"), step, "  ", (bar(share, length), "$accent"), count, left)
