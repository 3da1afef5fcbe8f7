"""Reads a phase directory, or any folder of event files, into snapshots: incrementally, so that one or two a second are cheap."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from pathlib import Path
from socket import gethostname
from typing import Any, Final

from brefine.config import ModelName
from brefine.errors import BrefineError, printable
from brefine.identity import boot_id, is_alive
from brefine.phasedir import (
    Alert,
    EvaluationReport,
    GateRecord,
    IntegrationReport,
    JobRecord,
    PhaseDir,
    Progress,
    RunStatus,
    SelectionRecord,
    Stage,
    SupervisorState,
    is_phase,
)
from brefine.run.alerts import AlertLog, alert_of_fault, alerts_of_curves
from brefine.run.billing import with_debts_of
from brefine.run.budget import Account, Ledger, ledger_path, view_budget
from brefine.run.documents import WatchedDocument
from brefine.run.folder_store import FolderStore
from brefine.run.gate_turns import WatchedTurns
from brefine.run.gpu import GpuProbe, find_gpus, read_host
from brefine.run.idleness import BY_HAND, OtherPhases, last_sign_unix_s
from brefine.run.lock import holder, supervising
from brefine.run.pulse import Pulse
from brefine.run.snapshot import WORKING, BudgetView, PhaseSnapshot, PhaseState, RunView, ShownState
from brefine.run.standing import phase_state, shown_state
from brefine.run.supervisor_seen import SeenSupervisor
from brefine.run.tail.log import LogTail
from brefine.run.tail.run import RunTail, find_run_folders
from brefine.run.vigilance import STAGE_STALLS_AFTER, words_of_silence

_JOB_QUIET_S: Final = 300.0
_SAME_CAUSE_S: Final = 60.0
"""Something that is seen less than this after an alert of its kind is what that alert reported: two machines' clocks differ."""


def open_store(path: Path) -> PhaseStore | FolderStore:
    """A store for a phase directory or for a foreign folder of event files.

    Raises:
        BrefineError: the folder is neither.
    """
    if is_phase(path):
        return PhaseStore(path)
    if path.is_dir() and find_run_folders(path, limit=1):
        return FolderStore(path)
    raise BrefineError(
        "there is nothing to watch" if path.is_dir() else "there is no such folder",
        where=path,
        expected="a phase directory (phase.toml), or a folder with TensorBoard event files",
        hint="`brefine runs` lists the phases there are",
    )


class PhaseStore:
    """Reads one phase directory.

    Args:
        curves: whether snapshots hold curves; if not, event files are read only for trainings that have not reported a best
            validation.
    """

    def __init__(self, path: Path, *, gpus: GpuProbe | None = None, curves: bool = True) -> None:
        self.phase = PhaseDir(path.resolve())
        self.config = self.phase.load_config()
        self._gpus = gpus or find_gpus()
        self._ledger = Ledger(ledger_path(self.config.budget))
        self._others = OtherPhases(self.phase)
        self._alerts = AlertLog(self.phase.alerts)
        self._runs = {name: _RunReader(self.phase, name, curves=curves) for name in self.config.models}
        self._supervisor = WatchedDocument(self.phase.supervisor, SupervisorState)
        self._pulse = Pulse()
        self._progress = {stage: WatchedDocument(self.phase.progress(stage), Progress) for stage in Stage}
        self._evaluations = {
            name: WatchedDocument(self.phase.evaluation(name, "validation"), EvaluationReport) for name in self.config.models
        }
        self._selection = WatchedDocument(self.phase.selection, SelectionRecord)
        self._integration = WatchedDocument(self.phase.integration, IntegrationReport)
        self._gate = WatchedDocument(self.phase.gate, GateRecord)
        self._turns = WatchedTurns(self.phase, self.config)
        self._integration_job = WatchedDocument(self.phase.job(Stage.INTEGRATE), JobRecord)
        read_host(path)  # CPU use is measured between two calls

    def snapshot(self, *, drain: bool = False) -> PhaseSnapshot:
        """The phase now.

        Args:
            drain: read the event files to their ends, however long that takes, instead of a piece of bounded size of each.

        Raises:
            BrefineError: the phase is no longer there.
        """
        now_unix_s = time.time()
        self._refuse_if_gone()
        supervisor = self._look_at_supervisor(now_unix_s)
        stall_after_s = self.config.supervisor.stall_after_s
        runs = tuple(
            reader.view(now_unix_s, supervisor, stall_after_s=stall_after_s, drain=drain) for reader in self._runs.values()
        )
        told = {stage: word for stage, item in self._progress.items() if (word := item.read()) is not None}
        progress = {stage: word for stage, word in told.items() if not _has_vanished(word)}
        evaluations = {str(name): report for name, item in self._evaluations.items() if (report := item.read()) is not None}
        selection, integration, gate = self._selection.read(), self._integration.read(), self._gate.read()
        turns_changed = self._turns.outdate(gate, integration)
        eta_s = _longest_eta_s(runs)
        state = phase_state(
            supervisor=supervisor.word,
            supervisor_alive=supervisor.process is not None,
            runs=runs,
            progress=progress,
            evaluations=evaluations,
            selection=selection,
            integration=integration,
            gate=None if turns_changed else gate,
            integrates_elsewhere=self._integrates_elsewhere(now_unix_s),
        )
        return PhaseSnapshot(
            unix_s=now_unix_s,
            path=self.phase.path,
            name=printable(self.phase.path.name),
            title=self.config.corpus.title,
            simulated=self.config.corpus.kind == "simulated",
            state=state,
            started_unix_s=None if supervisor.word is None else supervisor.word.started_unix_s,
            eta_s=eta_s,
            supervisor=supervisor.view(),
            runs=runs,
            progress=progress,
            alerts=(*self._all_alerts(runs, progress.values(), now_unix_s), *supervisor.desertion(state)),
            gpus=self._gpus.read(),
            gpu_note=self._gpus.note,
            host=read_host(self.phase.path),
            budget=self._view_budget(supervisor, state, told.values(), self._billed_eta_s(runs, eta_s), now_unix_s),
            gate_mae_ms=self.config.gate.mae_ms,
            evaluations=evaluations,
            selection=selection,
            integration=integration,
            gate=gate,
            turns_changed=turns_changed,
            starting=frozenset(
                stage for stage in BY_HAND if stage not in progress and holder(self.phase.stage_lock(stage)) is not None
            ),
            problems=(*self._problems(), *supervisor.hindrances()),
        )

    def _look_at_supervisor(self, now_unix_s: float) -> SeenSupervisor:
        word = self._supervisor.read()
        process = supervising(self.phase, word)
        if word is not None and process is None and word.state == "running":
            word = self._supervisor.read()  # it may have ended in between: its last status, if any, is there now
        return SeenSupervisor(word, process, self._pulse.silence_s(word, process, now_unix_s))

    def _refuse_if_gone(self) -> None:
        """Refuses a phase that has vanished, which would seem to be preparing for ever; other problems are reported per file."""
        try:
            self.phase.config.stat()
        except (FileNotFoundError, NotADirectoryError):
            raise BrefineError(
                "the phase is no longer there", where=self.phase.path, hint="where it was moved to, brefine watch shows it"
            ) from None
        except OSError:
            return

    def _view_budget(
        self, supervisor: SeenSupervisor, state: PhaseState, stages: Iterable[Progress], eta_s: float | None, now_unix_s: float
    ) -> BudgetView:
        """The money of the phase.

        Args:
            eta_s: see `_billed_eta_s`.
        """
        account, word, at_work = self._ledger.read(), supervisor.word, supervisor.is_at_work
        return view_budget(
            self.config.budget,
            with_debts_of(account, self.phase, self.config, word, alive=at_work, now_unix_s=now_unix_s),
            self.phase.path,
            eta_s,
            guarded=at_work or state not in WORKING,
            idle_s=self._idle_s(word, state, stages, account, now_unix_s),
        )

    def _billed_eta_s(self, runs: tuple[RunView, ...], eta_s: float | None) -> float | None:
        """Seconds that remain to be billed: of the machine, or, on a cluster, of the GPUs of all trainings."""
        if self.config.executor.kind == "local" or eta_s is None:
            return eta_s
        waiting = [run.status.eta_s or 0.0 for run in runs if run.state is ShownState.RUNNING and run.status is not None]
        return sum(waiting) * max(1, self.config.executor.gpus)

    def _idle_s(
        self,
        supervisor: SupervisorState | None,
        state: PhaseState,
        stages: Iterable[Progress],
        account: Account,
        now_unix_s: float,
    ) -> float | None:
        """How long this machine has been without work since the supervisor ended.

        Stages that the person starts afterwards count as work, and so does everything that other phases do on it.
        """
        if self.config.executor.kind != "local" or self.config.budget.price_usd_per_hour == 0.0:
            return None
        if supervisor is None or supervisor.state == "running" or state in WORKING or supervisor.process.boot_id != boot_id():
            return None
        ends_unix_s = (
            supervisor.heartbeat_unix_s,
            last_sign_unix_s((told.process, told.unix_s) for told in stages),
            self._others.worked_until_unix_s(account),
        )
        idle_s = now_unix_s - max(unix_s for unix_s in ends_unix_s if unix_s is not None)
        return max(0.0, idle_s) if math.isfinite(idle_s) else None

    def _integrates_elsewhere(self, now_unix_s: float) -> bool:
        """Whether a cluster job is integrating: its starter renews the job's record as long as it waits for it."""
        job = self._integration_job.read()
        return job is not None and not job.is_over and now_unix_s - job.unix_s < _JOB_QUIET_S

    def _all_alerts(self, runs: tuple[RunView, ...], stages: Iterable[Progress], now_unix_s: float) -> tuple[Alert, ...]:
        """The supervisor's alerts, and what this reader sees itself (nobody supervises a phase that is over).

        The supervisor reports damage under the same ids as this reader. It reports non-finite numbers and absences in other words
        and soon after the cause, so they are matched by kind, model and time.
        """
        told = self._alerts.read()
        ids = {alert.id for alert in told}
        last_unix_s = {(alert.kind, alert.model): alert.unix_s for alert in sorted(told, key=lambda alert: alert.unix_s)}
        damage = [alert for reader in self._runs.values() for alert in reader.alerts(now_unix_s)]
        seen = [alert for run in runs for alert in alerts_of_curves(run.name, run.curves.values())]
        seen += [_absence_alert(run, now_unix_s) for run in runs if run.state in (ShownState.LOST, ShownState.STALLED)]
        stall_after_s = STAGE_STALLS_AFTER * self.config.supervisor.stall_after_s
        # A process on another machine may be gone, or wait in a queue: that cannot be seen from here.
        at_work = [stage for stage in stages if stage.state == "running" and is_alive(stage.process)]
        silent = [stage for stage in at_work if now_unix_s - stage.unix_s > stall_after_s]
        seen += [_silence_alert(stage, now_unix_s) for stage in silent]  # no supervisor reports a silent integration

        def is_news(alert: Alert) -> bool:
            return alert.unix_s > last_unix_s.get((alert.kind, alert.model), float("-inf")) + _SAME_CAUSE_S

        return (*told, *(alert for alert in damage if alert.id not in ids), *filter(is_news, seen))

    def _problems(self) -> tuple[str, ...]:
        documents: list[WatchedDocument[Any]] = [
            self._supervisor,
            *self._progress.values(),
            *self._evaluations.values(),
            self._selection,
            self._integration,
            self._gate,
            *(reader.status for reader in self._runs.values()),
        ]
        return tuple(item.problem for item in documents if item.problem is not None)


class _RunReader:
    """Reads one training's folder."""

    def __init__(self, phase: PhaseDir, name: ModelName, *, curves: bool) -> None:
        run = phase.run(name)
        self._curves = curves
        self.name: ModelName = name
        self.status: WatchedDocument[RunStatus] = WatchedDocument(run.status, RunStatus)
        self._job = WatchedDocument(phase.job(name), JobRecord)
        self._tail = RunTail(run.path)
        self._log = LogTail(run.log)
        self._first_seen: dict[str, Alert] = {}

    def view(self, now_unix_s: float, supervisor: SeenSupervisor, *, stall_after_s: float, drain: bool) -> RunView:
        if self._curves or (told := self.status.read()) is None or told.best is None:
            while self._tail.poll() and drain:
                pass
        status, job, word = self.status.read(), self._job.read(), supervisor.word
        state = shown_state(
            status,
            now_unix_s=now_unix_s,
            stall_after_s=stall_after_s,
            supervisor=supervisor.process,
            paused=word is not None and self.name in word.paused,
            ended=None if word is None else word.ended.get(self.name),
            started=None if word is None else word.processes.get(self.name),
            job=job,
        )
        restarts = 0 if word is None else word.restarts.get(self.name, 0)
        return RunView(self.name, state, status, self._tail.curves(), self._log.poll(), restarts, job)

    def alerts(self, now_unix_s: float) -> list[Alert]:
        for fault in self._tail.faults:
            alert = alert_of_fault(self.name, fault, now_unix_s)
            self._first_seen.setdefault(alert.id, alert)
        return list(self._first_seen.values())


def _has_vanished(progress: Progress) -> bool:
    """Whether a stage was stopped or killed before its last report; a process on another machine cannot be seen from here."""
    process = progress.process
    return progress.state == "running" and process.host == gethostname() and not is_alive(process)


def _longest_eta_s(runs: tuple[RunView, ...]) -> float | None:
    waiting = [run.status.eta_s for run in runs if run.state is ShownState.RUNNING and run.status is not None]
    known = [eta_s for eta_s in waiting if eta_s is not None]
    return max(known) if known else None


def _silence_alert(stage: Progress, now_unix_s: float) -> Alert:
    return Alert(
        id=f"stalled:{stage.stage}:{stage.unix_s:.0f}",
        level="warning",
        kind="stalled",
        text=words_of_silence(stage.stage, now_unix_s - stage.unix_s),
        unix_s=stage.unix_s,
    )


def _absence_alert(run: RunView, now_unix_s: float) -> Alert:
    lost = run.state is ShownState.LOST
    told = run.status.heartbeat_unix_s if run.status is not None else now_unix_s
    return Alert(
        id=f"{run.state}:{run.name}:{told:.0f}",
        level="error",
        kind="lost" if lost else "stalled",
        model=run.name,
        step=None if run.status is None else run.status.step,
        text="its process is gone without a word" if lost else "its process gives no sign of life",
        unix_s=told,
    )
