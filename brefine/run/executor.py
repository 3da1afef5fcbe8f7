"""Where the processes of a phase run: on this machine, or as jobs of a scheduler (`slurm.py`)."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from brefine.config import PhaseConfig
from brefine.errors import ConfigError
from brefine.identity import ProcessIdentity, is_alive
from brefine.phasedir import PhaseDir, SupervisorState
from brefine.run.children import Adopted, Child
from brefine.run.gpu import find_gpus
from brefine.run.meter import Meter
from brefine.run.oom import OomKills
from brefine.run.placement import trainer_environments
from brefine.run.slurm import SlurmExecutor
from brefine.run.supervision import Tell
from brefine.run.work import Billing, Executor, Order, Work
from brefine.run.workers import left_at_work_until_unix_s


class ThisMachine:
    """Finds processes on this machine, for which no recipe is needed."""

    poll_s = 0.1

    def __init__(self) -> None:
        self._oom_kills = OomKills()

    def find(self, name: str, *, log: Path, process: ProcessIdentity | None) -> Work | None:
        if process is None or not is_alive(process):
            return None
        return Adopted(process, log=log, oom_kills=self._oom_kills)


class LocalExecutor(ThisMachine):
    """This machine: each order becomes a process in a session of its own."""

    price_goes_on = True

    def __init__(self, phase: PhaseDir, config: PhaseConfig) -> None:
        super().__init__()
        self._phase = phase
        self._budget = config.budget
        self._environments = trainer_environments(
            tuple(config.models), threads=config.train.threads, base=os.environ, gpus=find_gpus()
        )

    def start(self, order: Order) -> Work:
        environment = self._environments.get(order.name, {**os.environ, "PYTHONUNBUFFERED": "1"})
        return Child(order.command, log=order.log, environment=environment, oom_kills=self._oom_kills, holds=order.holds)

    def billing(self) -> Billing:
        earlier = SupervisorState.read_if_sound(self._phase.supervisor)
        left_until_unix_s = left_at_work_until_unix_s(self._phase, earlier, time.time())
        return Meter(self._budget, self._phase.path, left_until_unix_s=left_until_unix_s)

    def news(self) -> Sequence[Tell]:
        return ()


def refuse_without_slurm(config: PhaseConfig) -> None:
    """Refuses, before anything is made or submitted, a recipe whose jobs this machine cannot submit.

    Raises:
        ConfigError: the executor is Slurm, whose commands are not on the PATH.
    """
    missing = [command for command in ("sbatch", "squeue", "scancel") if shutil.which(command) is None]
    if config.executor.kind == "slurm" and missing:
        raise ConfigError(
            "this machine cannot submit Slurm jobs",
            where="[executor] kind",
            expected="Slurm's commands on the PATH",
            got=f"no {', no '.join(missing)}",
            hint='use a login node of the cluster, or a recipe with kind = "local"',
        )


def executor_of(phase: PhaseDir, config: PhaseConfig) -> Executor:
    """The executor that the phase's recipe names."""
    if config.executor.kind == "slurm":
        return SlurmExecutor(phase, config)
    return LocalExecutor(phase, config)
