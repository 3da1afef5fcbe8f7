"""What a supervisor watches for: silence, non-finite numbers, divergence, slowness, a full disk, spent money."""

from __future__ import annotations

from dataclasses import replace

from brefine.core.figures import percent
from brefine.phasedir import AlertLevel, Stage
from brefine.run.budget import TIERS
from brefine.run.supervision import Action, Policy, Sign, Standing, State, StopTrainer, Tell, Ticked, Trainer

_HANGS_AFTER = 2.0
"""A trainer that is silent for this many times `stall_after_s` is ended and restarted: a hung GPU costs as much as a busy one."""
STAGE_STALLS_AFTER = 10.0
"""A stage that is silent for this many times `stall_after_s` is reported: a long recording may occupy a diarizer for minutes."""
_DIVERGES_BY = 1.5
"""A validation MAE of this many times the best one means that the training diverges from what it had learned …"""
_LOSS_RISES_BY = 3.0
"""… and so does a training loss of this many times the least one."""
_SLOW_BELOW = 1 / 3
"""A trainer whose speed is below this share of its fastest is slow …"""
_SLOW_AFTER_S = 60.0
"""… if that lasts this long: validations and checkpoints take their time, too."""
_LOW_DISK_BYTES = 1 << 30
_FULL_DISK_BYTES = 64 << 20
_ROOMY_DISK_BYTES = 2 << 30
"""Once more than this is free, the next shortage is reported again. So a disk that wavers around the limit is reported once."""


def watch_trainer(trainer: Trainer, sign: Sign | None, now_s: float, policy: Policy, actions: list[Action]) -> Trainer:
    """Reports silence and non-finite steps; ends a trainer that hangs or does not stop when asked."""
    if trainer.standing is Standing.STOPPING and now_s - trainer.since_s > policy.stop_grace_s:
        actions.append(StopTrainer(trainer.model, by_force=True))
        return replace(trainer, since_s=now_s)
    if trainer.standing is not Standing.RUNNING:
        return trainer
    if sign is not None and sign.beat != trainer.beat:
        trainer = replace(trainer, beat=sign.beat, beat_s=now_s, stalled=False)
    if sign is not None and sign.n_nonfinite > trainer.n_nonfinite:
        text = sign.message or "a loss or gradient was not finite"
        actions.append(Tell("nonfinite", "warning", text, f"{trainer.starts}:{sign.n_nonfinite}", trainer.model, sign.step))
        trainer = replace(trainer, n_nonfinite=sign.n_nonfinite)
    if sign is not None:
        trainer = _watch_learning(trainer, sign, actions)
        trainer = _watch_speed(trainer, sign, now_s, actions)
    return _watch_silence(trainer, None if sign is None else sign.step, now_s - trainer.beat_s, now_s, policy, actions)


def watch_stage(state: State, beat: float | None, now_s: float, policy: Policy, actions: list[Action]) -> State:
    """Reports a stage that has fallen silent, once until it reports again. It is not ended, since its work may take long.

    Args:
        beat: see `Ticked.stage_beat`.
    """
    if beat is None or beat != state.stage_beat:
        return replace(state, stage_beat=beat, stage_beat_s=now_s, stage_stalled=False)
    silent_s = now_s - state.stage_beat_s
    if state.stage_stalled or silent_s <= STAGE_STALLS_AFTER * policy.stall_after_s:
        return state
    text = words_of_silence(state.stage, silent_s)
    actions.append(Tell("stalled", "warning", text, f"{state.stage}:{state.stage_restarts}:{beat}"))
    return replace(state, stage_stalled=True)


def words_of_silence(stage: Stage, silent_s: float) -> str:
    """The words for a stage that has been silent for so long."""
    return f"the stage {stage} gives no sign of life for {silent_s:,.0f} s; it hangs, or its step is long: see logs/{stage}.log"


def watch_disk(state: State, free_bytes: int | None, actions: list[Action]) -> State:
    """Reports once that little is free on the phase's disk, once more that nothing is, and again only after it had room."""
    if free_bytes is None:
        return state
    if free_bytes > _ROOMY_DISK_BYTES and state.told_disk is not None:
        return replace(state, told_disk=None, n_disk_relieved=state.n_disk_relieved + 1)
    if free_bytes >= _LOW_DISK_BYTES:
        return state
    level: AlertLevel = "error" if free_bytes < _FULL_DISK_BYTES else "warning"
    if state.told_disk in (level, "error"):
        return state
    text, key = f"{free_bytes / (1 << 20):,.0f} MiB are free on the disk of the phase", f"{level}:{state.n_disk_relieved}"
    actions.append(Tell("disk-full", level, text, key))
    return replace(state, told_disk=level)


def watch_money(state: State, event: Ticked, policy: Policy, actions: list[Action]) -> State:
    """Reports each tier that is reached of the cap, or, without one, of the money that was left before the phase."""
    limit_usd = policy.left_usd if policy.cap_usd is None else policy.cap_usd
    if limit_usd is None:
        return state
    reached = sum(event.spent_usd >= tier * limit_usd for tier in TIERS)
    if reached <= state.told_tiers:
        return state
    tier = TIERS[reached - 1]
    level: AlertLevel = "error" if tier >= 1.0 else "warning" if tier >= 0.9 else "info"
    of = "what was left" if policy.cap_usd is None else "the cap"
    text = f"${event.spent_usd:,.2f} of ${limit_usd:,.2f} are spent ({percent(tier, 0)} of {of})"
    key = f"{tier:.2f}" if policy.cap_usd is None else f"{tier:.2f}:{limit_usd:g}"  # a raised cap has tiers of its own
    actions.append(Tell("budget", level, text, key))
    return replace(state, told_tiers=reached)


def _watch_learning(trainer: Trainer, sign: Sign, actions: list[Action]) -> Trainer:
    """Reports once that validation or loss diverges, and again only after it had recovered."""
    least = trainer.least_loss
    if sign.loss is not None and sign.loss > 0.0:
        least = sign.loss if least is None else min(least, sign.loss)
    words = []
    if sign.mae_ms is not None and sign.best_mae_ms is not None and sign.mae_ms > _DIVERGES_BY * sign.best_mae_ms:
        words.append(f"validation MAE {sign.mae_ms:.0f} ms, best was {sign.best_mae_ms:.0f} ms")
    if sign.loss is not None and least is not None and sign.loss > _LOSS_RISES_BY * least:
        words.append(f"loss {sign.loss:.3g}, least was {least:.3g}")
    if words and not trainer.diverging:
        key = f"{trainer.starts}:{sign.step}"
        actions.append(Tell("diverging", "warning", "the training diverges: " + "; ".join(words), key, trainer.model, sign.step))
    return replace(trainer, least_loss=least, diverging=bool(words))


def _watch_speed(trainer: Trainer, sign: Sign, now_s: float, actions: list[Action]) -> Trainer:
    """Reports once that a training has been much slower for a while, and again only after it had recovered."""
    speed = sign.examples_per_s
    if speed is None:
        return trainer
    fastest = max(trainer.fastest_per_s, speed)
    if speed >= _SLOW_BELOW * fastest:
        return replace(trainer, fastest_per_s=fastest, slow_since_s=None, slow=False)
    since_s = now_s if trainer.slow_since_s is None else trainer.slow_since_s
    slow = now_s - since_s > _SLOW_AFTER_S
    if slow and not trainer.slow:
        text = f"{speed:,.0f} examples a second for {now_s - since_s:.0f} s, {fastest:,.0f} at its fastest"
        actions.append(Tell("slow", "warning", text, f"{trainer.starts}:{sign.step}", trainer.model, sign.step))
    return replace(trainer, fastest_per_s=fastest, slow_since_s=since_s, slow=slow or trainer.slow)


def _watch_silence(
    trainer: Trainer, step: int | None, silent_s: float, now_s: float, policy: Policy, actions: list[Action]
) -> Trainer:
    key = f"{trainer.starts}:{trainer.beat}"
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
        restarts=trainer.restarts + again,
    )
