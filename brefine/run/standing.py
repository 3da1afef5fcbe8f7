"""The state of a training and of a phase, from their files and from which of their processes still run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from socket import gethostname

from brefine.identity import ProcessIdentity, boot_id, is_alive, is_same
from brefine.phasedir import (
    EvaluationReport,
    GateRecord,
    IntegrationReport,
    JobRecord,
    Progress,
    RunState,
    RunStatus,
    SelectionRecord,
    Stage,
    SupervisorState,
)
from brefine.run.lock import works_elsewhere
from brefine.run.snapshot import PhaseState, RunView, ShownState

_ACTIVE = (RunState.STARTING, RunState.RUNNING)
_OVER = (RunState.FINISHED, RunState.FAILED, RunState.NONFINITE)


def shown_state(
    status: RunStatus | None,
    *,
    now_unix_s: float,
    stall_after_s: float,
    supervisor: ProcessIdentity | None,
    paused: bool,
    ended: str | None = None,
    job: JobRecord | None = None,
    started: ProcessIdentity | None = None,
) -> ShownState:
    """The state that the person is shown: the trainer's own, unless its process is gone (LOST) or silent (STALLED).

    From here one cannot see whether a process on another machine lives: for it, the scheduler's word on its `job` counts, or else
    the process's own heartbeat. A living supervisor sees a process end within a second and acts, so no supervised training is
    shown as LOST. A training that the supervisor has `ended`, by force or by giving it up, cannot report that itself.

    Args:
        supervisor: the process that supervises the phase now.
        started: the process that a supervisor has started last, which may not have reported yet.
    """
    silent = started is not None and (status is None or not is_same(started, status.process)) and is_alive(started)
    if paused or silent:
        return ShownState.PAUSED if paused else ShownState.STARTING
    queued = job is not None and job.waits
    over = None if ended is None else ShownState(ended)
    if status is None or (queued and status.state not in _OVER):
        return over or ShownState.PENDING
    if status.state not in _ACTIVE:
        return ShownState(status.state.value)
    allocated = job is not None and not job.is_over
    if not (allocated or is_alive(status.process) or (job is None and _lives_elsewhere(status, supervisor, now_unix_s))):
        return over or (ShownState.LOST if supervisor is None else ShownState.STARTING)
    if now_unix_s - status.heartbeat_unix_s > stall_after_s:
        return ShownState.STALLED
    return ShownState(status.state.value)


def _lives_elsewhere(status: RunStatus, supervisor: ProcessIdentity | None, now_unix_s: float) -> bool:
    """Whether a trainer lives on another machine: with its supervisor there, or, without one, by its fresh heartbeat."""
    if status.process.host == gethostname():  # this machine was restarted since
        return False
    if supervisor is None:
        return works_elsewhere(status.process, status.heartbeat_unix_s, now_unix_s)
    return supervisor.boot_id == status.process.boot_id != boot_id()


def phase_state(
    *,
    supervisor: SupervisorState | None,
    supervisor_alive: bool,
    runs: Iterable[RunView],
    progress: Mapping[Stage, Progress],
    evaluations: Mapping[str, EvaluationReport],
    selection: SelectionRecord | None,
    integration: IntegrationReport | None,
    gate: GateRecord | None,
    integrates_elsewhere: bool = False,
) -> PhaseState:
    """The furthest state that the files prove; whatever is at work comes first, by its supervisor's stage."""
    runs = tuple(runs)
    if supervisor is not None and supervisor_alive:
        stages = {Stage.PREPARE: PhaseState.PREPARING, Stage.TRAIN: PhaseState.TRAINING, Stage.EVALUATE: PhaseState.EVALUATING}
        return stages.get(supervisor.stage, PhaseState.INTEGRATING)

    def works(stage: Stage) -> bool:
        told = progress.get(stage)
        return told is not None and told.state == "running" and is_alive(told.process)

    # Findings about a model that is no longer selected, or about an earlier integration, do not count.
    integrated = integration is not None and (selection is None or selection.model == integration.model)
    anew = [] if selection is None else selection.overtaken_by(evaluations.values())
    fallen = selection is not None and selection.model in anew
    judged = gate is not None and gate.verdict != "open" and gate.judges(selection, integration, evaluations)
    proofs = (
        (PhaseState.INTEGRATING, integrates_elsewhere or works(Stage.INTEGRATE)),
        (PhaseState.EVALUATING, works(Stage.EVALUATE)),
        (PhaseState.PREPARING, works(Stage.PREPARE)),
        (PhaseState.TRAINING, any(map(_is_at_work, runs))),
        (PhaseState.DECIDED, judged and not fallen),
        (PhaseState.TO_SELECT, bool(anew)),
        (PhaseState.TO_DECIDE, integrated),
        (PhaseState.TO_INTEGRATE, selection is not None),
        (PhaseState.TO_SELECT, bool(evaluations)),
    )
    for state, proved in proofs:
        if proved:
            return state
    return _unproved_state(supervisor, runs)


def _is_at_work(run: RunView) -> bool:
    """Whether a training goes on without a supervisor. A scheduler's old word does not prove that for a silent training."""
    if run.state is ShownState.STALLED:
        return run.job is None
    return run.state in (ShownState.STARTING, ShownState.RUNNING)


def _unproved_state(supervisor: SupervisorState | None, runs: Sequence[RunView]) -> PhaseState:
    if any(run.state is ShownState.STALLED for run in runs):
        return PhaseState.TRAINING
    if supervisor is None:  # a training in the foreground, which does not report its preparation
        return PhaseState.PREPARING if all(run.state is ShownState.PENDING for run in runs) else PhaseState.STOPPED
    return PhaseState.FAILED if supervisor.state == "failed" else PhaseState.STOPPED
