"""A foreign folder of event files, read into snapshots like a phase."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from brefine.config import BudgetConfig, GateConfig
from brefine.errors import printable
from brefine.phasedir import Alert
from brefine.run.alerts import alert_of_fault, alerts_of_curves
from brefine.run.budget import Ledger, ledger_path, view_budget
from brefine.run.gpu import find_gpus, read_host
from brefine.run.snapshot import PhaseSnapshot, PhaseState, RunView, ShownState, SupervisorView
from brefine.run.tail.run import RunTail, find_run_folders

_FOLDERS_EVERY_S: Final = 5.0
_FOREIGN_QUIET_S: Final = 300.0
"""A foreign run that has written nothing for this long counts as stopped: event files do not say."""


class FolderStore:
    """Reads a foreign folder of event files: itself and every folder below it is a run if it contains some."""

    def __init__(self, path: Path) -> None:
        self._root = path.resolve()
        self._gpus = find_gpus()
        self._tails: dict[Path, RunTail] = {}
        self._looked_s = float("-inf")
        self._budget = BudgetConfig()
        self._ledger = Ledger(ledger_path(self._budget))
        self._seen: dict[str, Alert] = {}
        read_host(path)

    def snapshot(self, *, drain: bool = False) -> PhaseSnapshot:
        """The folder now; see `run.store.PhaseStore.snapshot`."""
        now_unix_s = time.time()
        self._find_runs()
        runs = tuple(self._view(tail, drain) for tail in self._tails.values())
        for run, tail in zip(runs, self._tails.values(), strict=True):
            for fault in tail.faults:
                alert = alert_of_fault(run.name, fault, now_unix_s)
                self._seen.setdefault(alert.id, alert)
            for alert in alerts_of_curves(run.name, run.curves.values()):
                self._seen.setdefault(alert.id, alert)
        return PhaseSnapshot(
            unix_s=now_unix_s,
            path=self._root,
            name=printable(self._root.name),
            title="event files",
            simulated=False,
            state=PhaseState.TRAINING if any(run.state is ShownState.RUNNING for run in runs) else PhaseState.STOPPED,
            started_unix_s=None,
            eta_s=None,
            supervisor=SupervisorView(alive=False, pid=None, heartbeat_unix_s=None, error=None),
            runs=runs,
            progress={},
            alerts=tuple(self._seen.values()),
            gpus=self._gpus.read(),
            gpu_note=self._gpus.note,
            host=read_host(self._root),
            budget=view_budget(self._budget, self._ledger.read(), self._root, None),
            gate_mae_ms=GateConfig().mae_ms,
            evaluations={},
            selection=None,
            integration=None,
            gate=None,
            foreign=True,
        )

    def _find_runs(self) -> None:
        if time.monotonic() - self._looked_s < _FOLDERS_EVERY_S:
            return
        self._looked_s = time.monotonic()
        for folder in find_run_folders(self._root):
            self._tails.setdefault(folder, RunTail(folder))

    def _name(self, folder: Path) -> str:
        """A run's name: its path below the root, or the root's name; a folder in the root with the root's name is `./name`."""
        if folder == self._root:
            return printable(self._root.name)
        place = folder.relative_to(self._root).as_posix()
        return printable(f"./{place}" if place == self._root.name else place)

    def _view(self, tail: RunTail, drain: bool) -> RunView:
        while tail.poll() and drain:
            pass
        written = tail.last_written_unix_s()
        fresh = written is not None and time.time() - written < _FOREIGN_QUIET_S
        return RunView(self._name(tail.folder), ShownState.RUNNING if fresh else ShownState.STOPPED, None, tail.curves(), ())
