"""The ledger, plus time that is not in it yet: since a supervisor's last line, or of work that has outlived its supervisor."""

from __future__ import annotations

from pathlib import Path

from brefine.config import PhaseConfig
from brefine.errors import FormatError
from brefine.phasedir import PhaseDir, SupervisorState
from brefine.run.budget import TICK_S, Account
from brefine.run.lock import silence_s, supervising
from brefine.run.workers import left_at_work_until_unix_s


def billed_until_now(account: Account, now_unix_s: float) -> Account:
    """The account with all its phases billed until now; a phase is looked for where it was last."""
    for path in dict.fromkeys(session.phase for session in account.sessions):
        phase = PhaseDir(Path(path))
        supervisor = SupervisorState.read_if_sound(phase.supervisor)
        if supervisor is None or supervisor.state != "running":  # it has ended, and everything is billed
            continue
        try:
            config = phase.load_config()
        except FormatError:
            continue
        alive = supervising(phase, supervisor) is not None and silence_s(phase) is None
        account = with_debts_of(account, phase, config, supervisor, alive=alive, now_unix_s=now_unix_s)
    return account


def with_debts_of(
    account: Account, phase: PhaseDir, config: PhaseConfig, supervisor: SupervisorState | None, *, alive: bool, now_unix_s: float
) -> Account:
    """The account with one phase billed until now.

    A living supervisor writes a line a minute, or says why it cannot. So a longer gap means that the clock was set.
    """
    if config.executor.kind == "slurm":  # billed by allocations, which only the supervisor knows
        return account
    own = account.sessions_of(phase.path)
    if supervisor is None or not own:
        return account
    if not alive:
        left_until_unix_s = left_at_work_until_unix_s(phase, supervisor, now_unix_s)
        return account if left_until_unix_s is None else account.extended(own[-1].id, left_until_unix_s)
    due_unix_s = own[-1].until_unix_s + 2 * TICK_S
    return account.extended(own[-1].id, min(now_unix_s, due_unix_s) if supervisor.error is None else now_unix_s)
