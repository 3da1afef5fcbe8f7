"""A whole phase without a person: follow the supervisor, take the recommended model, integrate it, judge the gate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from brefine.errors import one_line
from brefine.phasedir import GateRecord, PhaseDir, SupervisorState
from brefine.run.decide import choose
from brefine.run.gate_report import write_gate
from brefine.run.plain import PlainLines, duration, follow
from brefine.run.snapshot import PhaseSnapshot, ShownState
from brefine.run.stages import evaluation_reports, integration_report, start_integration
from brefine.run.store import PhaseStore
from brefine.run.tables import choice_text, evaluation_table, gate_table, integration_table

_RUN_FAILED: Final = 4
_BUDGET: Final = 5
_INTERRUPTED: Final = 130


def go_the_road(phase: PhaseDir, write: Callable[[str], None]) -> int:
    """Follows a supervised phase in plain lines and goes on by rule to the gate's verdict; returns the exit code.

    Nobody is asked: the gate's questions to a person stay open. If it is interrupted, the supervisor and its trainings go on,
    and an integration ends.
    """
    store, lines = PhaseStore(phase.path), PlainLines()
    try:
        snapshot = follow(store.snapshot, write, lines=lines)
        code = _after_supervision(phase, snapshot, write)
        if code is not None:
            return code
    except KeyboardInterrupt:
        write(f"Training goes on. `brefine watch {phase.argument}` brings you back; `brefine stop {phase.argument}` ends it.")
        return _INTERRUPTED
    try:
        _decide(phase, store, lines, write)
    except KeyboardInterrupt:
        state = store.snapshot().state
        write(f"Interrupted; nothing goes on. The phase is at: {state}. `brefine watch {phase.argument}` leads on from there.")
        return _INTERRUPTED
    broken = [run.name for run in snapshot.runs if run.state in (ShownState.FAILED, ShownState.NONFINITE)]
    return _RUN_FAILED if broken else 0


def _after_supervision(phase: PhaseDir, snapshot: PhaseSnapshot, write: Callable[[str], None]) -> int | None:
    """The exit code if the phase ends here; None if it goes on to the choice of a model."""
    supervisor = SupervisorState.read_if_there(phase.supervisor)
    if supervisor is None or supervisor.state == "running":
        write(f"The supervisor is gone without a word. `brefine resume {phase.argument}` starts a new one.")
        return 1
    if supervisor.state == "finished":
        return None
    if supervisor.state == "budget":
        write("Stopped at the cap of the budget; what had begun is checkpointed.")
        return _BUDGET
    if supervisor.state == "stopped":
        write(f"Stopped; what had begun is checkpointed. `brefine resume {phase.argument}` goes on.")
        return _INTERRUPTED
    write(f"Failed: {supervisor.error}")
    return _RUN_FAILED if any(run.status is not None for run in snapshot.runs) else 1


def _decide(phase: PhaseDir, store: PhaseStore, lines: PlainLines, write: Callable[[str], None]) -> GateRecord:
    selection = choose(phase, by="rule")
    for line in ("", *evaluation_table(evaluation_reports(phase)), choice_text(selection), ""):
        write(line)
    process = start_integration(phase, selection.model)
    try:
        follow(store.snapshot, write, lines=lines, until=lambda _: process.exit_code() is not None)
    except BaseException:
        process.end()
        raise
    process.wait()
    for line in ("", *integration_table(integration_report(phase))):
        write(line)
    record = write_gate(phase)
    written = f"written: {one_line(phase.gate)}, {one_line(phase.gate_page)}"
    for line in ("", _times(store.snapshot()), written, "", *gate_table(record)):
        write(line)
    return record


def _times(snapshot: PhaseSnapshot) -> str:
    shown = [f"{stage} {duration(took_s)}" for stage, took_s in snapshot.took_s.items()]
    total = "" if snapshot.started_unix_s is None else f"; {duration(snapshot.unix_s - snapshot.started_unix_s)} in all"
    return "times: " + ", ".join(shown) + total
