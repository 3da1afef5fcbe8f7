"""What a supervisor watches for while time passes: silence, numbers that are none, a full disk, money."""

from __future__ import annotations

from dataclasses import replace

from brefine.run.budget import TIERS
from brefine.run.supervision import Action, AlertLevel, Policy, Sign, Standing, State, StopTrainer, Tell, Ticked, Trainer

_HANGS_AFTER = 2.0
"""A trainer silent for this many times `stall_after_s` is ended and started again: a hung GPU costs as much as a busy one."""
_LOW_DISK_BYTES = 1 << 30
_FULL_DISK_BYTES = 64 << 20


def watch_trainer(trainer: Trainer, sign: Sign | None, now_s: float, policy: Policy, actions: list[Action]) -> Trainer:
    """Tells of silence and non-finite steps; ends a trainer that hangs or does not stop when asked."""
    if trainer.standing is Standing.STOPPING and not trainer.forced and now_s - trainer.since_s > policy.stop_grace_s:
        actions.append(StopTrainer(trainer.model, by_force=True))
        return replace(trainer, forced=True)
    if trainer.standing is not Standing.RUNNING:
        return trainer
    if sign is not None and sign.beat != trainer.beat:
        trainer = replace(trainer, beat=sign.beat, beat_s=now_s, stalled=False)
    if sign is not None and sign.n_nonfinite > trainer.n_nonfinite:
        text = sign.message or "a loss or gradient was not finite"
        actions.append(Tell("nonfinite", "warning", text, f"{trainer.restarts}:{sign.n_nonfinite}", trainer.model, sign.step))
        trainer = replace(trainer, n_nonfinite=sign.n_nonfinite)
    return _watch_silence(trainer, None if sign is None else sign.step, now_s - trainer.beat_s, now_s, policy, actions)


def watch_disk(state: State, free_bytes: int | None, actions: list[Action]) -> State:
    """Tells once when little is free on the phase's disk, and once more when nothing is."""
    if free_bytes is None or free_bytes >= _LOW_DISK_BYTES:
        return state
    level: AlertLevel = "error" if free_bytes < _FULL_DISK_BYTES else "warning"
    if state.told_disk in (level, "error"):
        return state
    actions.append(Tell("disk-full", level, f"{free_bytes / (1 << 20):,.0f} MiB are free on the disk of the phase", level))
    return replace(state, told_disk=level)


def watch_money(state: State, event: Ticked, cap_usd: float, actions: list[Action]) -> State:
    """Tells at each tier of the cap."""
    reached = sum(event.spent_usd >= tier * cap_usd for tier in TIERS)
    if reached <= state.told_tiers:
        return state
    tier = TIERS[reached - 1]
    level: AlertLevel = "error" if tier >= 1.0 else "warning" if tier >= 0.9 else "info"
    text = f"${event.spent_usd:.2f} of ${cap_usd:.2f} are spent ({tier:.0%} of the cap)"
    actions.append(Tell("budget", level, text, f"{tier:.2f}"))
    return replace(state, told_tiers=reached)


def _watch_silence(
    trainer: Trainer, step: int | None, silent_s: float, now_s: float, policy: Policy, actions: list[Action]
) -> Trainer:
    key = f"{trainer.restarts}:{trainer.beat}"
    if silent_s > policy.stall_after_s and not trainer.stalled:
        actions.append(Tell("stalled", "warning", f"no sign of life for {silent_s:.0f} s", key, trainer.model, step))
        trainer = replace(trainer, stalled=True)
    if silent_s <= _HANGS_AFTER * policy.stall_after_s:
        return trainer
    again = trainer.restarts < policy.max_restarts
    text = f"no sign of life for {silent_s:.0f} s: ended by force" + (" and started again" if again else "; it counts as failed")
    actions += [Tell("stalled", "error", text, f"{key}:ended", trainer.model, step), StopTrainer(trainer.model, by_force=True)]
    return replace(
        trainer,
        standing=Standing.STOPPING,
        then=Standing.WAITING if again else Standing.FAILED,
        since_s=now_s,
        forced=True,
        restarts=trainer.restarts + again,
    )
