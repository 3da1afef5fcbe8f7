"""What a supervisor does next: a pure function from what it knows and what has happened to what it is to do.

    state, actions = advance(state, event, policy)

Nothing here starts a process or reads a clock or a file; the thin shell `supervise.py` does that.
"""

from __future__ import annotations

import signal
from dataclasses import replace
from typing import Final

from brefine.config import ModelName
from brefine.errors import ConfigError, RunError
from brefine.phasedir import RunState, Stage, Wish
from brefine.run.supervision import (
    AT_REST,
    NOT_STARTED,
    Action,
    AdoptTrainer,
    Asked,
    Began,
    Ended,
    Event,
    Found,
    Outcome,
    Policy,
    StageEnded,
    Standing,
    StartStage,
    StartTrainer,
    State,
    StopStage,
    StopTrainer,
    Tell,
    Ticked,
    Trainer,
    TrainerEnded,
)
from brefine.run.vigilance import watch_disk, watch_money, watch_stage, watch_trainer

_RESTS: Final[dict[Wish, Standing]] = {"stop": Standing.STOPPED, "pause": Standing.PAUSED, "restart": Standing.WAITING}
"""Request → the state that it puts a training into; a restart is a rest that ends at once."""


def advance(state: State, event: Event, policy: Policy) -> tuple[State, tuple[Action, ...]]:
    """The next state, and what to do about the event."""
    if state.outcome is not None:
        return state, ()
    actions: list[Action] = []
    match event:
        case Began():
            state = _begin(state, event, policy, actions)
        case StageEnded():
            state = _stage_ended(state, event, policy, actions)
        case TrainerEnded():
            state = _with(state, _trainer_ended(state.trainers[event.model], event, policy, actions))
        case Asked():
            state = _asked(state, event, actions)
        case Ticked():
            state = _ticked(state, event, policy, actions)
    return _move_on(state, event.now_s, actions), tuple(actions)


def _begin(state: State, event: Began, policy: Policy, actions: list[Action]) -> State:
    trainers: dict[ModelName, Trainer] = {}
    for model in policy.models:
        found = event.found.get(model, Found())
        trainer = Trainer(model, start_at_s=event.now_s, resume=found.resumable, learned=found.learned, beat_s=event.now_s)
        if found.alive:
            trainer = replace(trainer, standing=Standing.RUNNING)
            actions.append(AdoptTrainer(model))
        elif found.state is RunState.FINISHED:
            trainer = replace(trainer, standing=Standing.FINISHED)
        elif found.state in (RunState.STARTING, RunState.RUNNING):  # the machine was rebooted, or everything was killed together
            how = "goes on from its checkpoint" if found.resumable else "starts anew"
            text = f"its process is gone without a word; it {how}"
            actions.append(Tell("lost", "error", text, f"begin:{event.now_s:.0f}", model))
        trainers[model] = trainer
    state = replace(state, trainers=trainers)
    if event.prepared or any(trainer.standing is not Standing.WAITING for trainer in trainers.values()):
        return replace(state, stage=Stage.TRAIN)
    actions.append(StartStage(Stage.PREPARE))
    return state


def _stage_ended(state: State, event: StageEnded, policy: Policy, actions: list[Action]) -> State:
    if state.ending is not None:
        return replace(state, outcome=state.ending)
    if event.how.code == 0 and state.stage is Stage.PREPARE:
        trainers = {model: replace(trainer, start_at_s=event.now_s) for model, trainer in state.trainers.items()}
        return replace(state, stage=Stage.TRAIN, trainers=trainers, stage_restarts=0)
    if event.how.code == 0:
        return replace(state, outcome="finished", error=_failures(state))
    actions.append(_ending(event.how, f"the stage {state.stage}", f"{state.stage}:{state.stage_restarts}"))
    was_killed = event.how.code is None or event.how.code < 0  # else it ended for a reason of its own, which would stop it again
    if was_killed and event.how.cause != "cancelled" and state.stage_restarts < policy.max_restarts:
        starts_at_s = event.now_s + policy.restart_backoff_s * 2**state.stage_restarts
        return replace(state, stage_restarts=state.stage_restarts + 1, stage_starts_at_s=starts_at_s)
    return replace(state, outcome="failed", error=f"{state.stage}: {event.how.text or f'exit code {event.how.code}'}")


def _trainer_ended(trainer: Trainer, event: TrainerEnded, policy: Policy, actions: list[Action]) -> Trainer:
    """The state of a training whose process has ended."""
    # If it is started again, it goes on from the checkpoint that it has left.
    trainer = replace(trainer, learned=event.learned, resume=event.resumable)
    if event.how.cause == "cancelled" and trainer.standing is not Standing.STOPPING:
        return _cancelled(trainer, event, actions)
    return _after_end(trainer, event, policy, actions)


def _after_end(trainer: Trainer, event: TrainerEnded, policy: Policy, actions: list[Action]) -> Trainer:
    """The state of a training whose process has ended and was not cancelled past the supervisor."""
    orderly = event.how.code in (0, None)
    if event.state is RunState.FINISHED and orderly:  # perhaps before the request to stop reached it
        return replace(trainer, standing=Standing.FINISHED)
    if trainer.standing is Standing.STOPPING:
        return replace(trainer, standing=trainer.then, start_at_s=event.now_s)
    if event.state is RunState.STOPPED and orderly:  # by a signal from somebody else
        return replace(trainer, standing=Standing.STOPPED)
    key = f"end:{trainer.starts}"
    if event.state is RunState.NONFINITE:
        text = event.how.text or "the training went non-finite and gave up"
        actions.append(Tell("nonfinite", "error", text, key, event.model, event.step))
        return replace(trainer, standing=Standing.FAILED)
    actions.append(replace(_ending(event.how, "the training", key), model=event.model, step=event.step))
    same_again = event.how.code in (ConfigError.exit_code, RunError.exit_code)
    if same_again or trainer.restarts >= policy.max_restarts:
        return replace(trainer, standing=Standing.FAILED)
    start_at_s = event.now_s + policy.restart_backoff_s * 2**trainer.restarts
    restarts = trainer.restarts + 1
    return replace(trainer, standing=Standing.WAITING, start_at_s=start_at_s, restarts=restarts)


def _cancelled(trainer: Trainer, event: TrainerEnded, actions: list[Action]) -> Trainer:
    """The state of a training that somebody has cancelled past the supervisor, and so does not want to have restarted."""
    if event.state is RunState.FINISHED:
        return replace(trainer, standing=Standing.FINISHED)
    text = event.how.text or "it was cancelled from outside"
    actions.append(Tell("cancelled", "warning", text, f"end:{trainer.starts}", event.model, event.step))
    return replace(trainer, standing=Standing.STOPPED)


def _asked(state: State, event: Asked, actions: list[Action]) -> State:
    if event.action == "stop" and event.model is None:
        return _end_all(state, "stopped", event.now_s, actions)
    if state.stage is Stage.EVALUATE or state.ending is not None:  # there is no training to act on
        return state
    for model, trainer in state.trainers.items():
        if event.model not in (None, model):
            continue
        if event.action == "resume":
            state = _with(state, _resumed(trainer, event.now_s))
        else:
            state = _with(state, _put_to_rest(trainer, _RESTS[event.action], event.now_s, actions))
    return state


def _resumed(trainer: Trainer, now_s: float) -> Trainer:
    if trainer.standing is Standing.STOPPING:
        return replace(trainer, then=Standing.WAITING, restarts=0)
    if trainer.standing in (Standing.PAUSED, Standing.STOPPED, Standing.FAILED):
        return replace(trainer, standing=Standing.WAITING, start_at_s=now_s, restarts=0)
    return trainer


def _put_to_rest(trainer: Trainer, rest: Standing, now_s: float, actions: list[Action]) -> Trainer:
    """Stops, pauses or restarts one training, by the standing that it is to have afterwards."""
    if trainer.standing is Standing.FINISHED:
        return trainer
    if rest is Standing.WAITING:
        trainer = replace(trainer, restarts=0)
    if trainer.standing is Standing.RUNNING:
        actions.append(StopTrainer(trainer.model))
        return replace(trainer, standing=Standing.STOPPING, then=rest, since_s=now_s)
    if trainer.standing is Standing.STOPPING:
        return replace(trainer, then=rest)
    if rest is Standing.WAITING:
        return replace(trainer, standing=rest, start_at_s=now_s)
    return replace(trainer, standing=rest) if trainer.standing in (Standing.WAITING, Standing.PAUSED) else trainer


def _ticked(state: State, event: Ticked, policy: Policy, actions: list[Action]) -> State:
    for model, trainer in state.trainers.items():
        state = _with(state, watch_trainer(trainer, event.signs.get(model), event.now_s, policy, actions))
    state = watch_stage(state, event.stage_beat, event.now_s, policy, actions)
    state = watch_disk(state, event.disk_free_bytes, actions)
    state = watch_money(state, event, policy, actions)
    if policy.cap_usd is not None and event.spent_usd >= policy.cap_usd:
        state = _end_all(state, "budget", event.now_s, actions)
    if state.ending is None and state.stage_starts_at_s is not None and state.stage_starts_at_s <= event.now_s:
        actions.append(StartStage(state.stage, _worth_judging(state)))
        state = replace(state, stage_starts_at_s=None)
    if state.stage_asked_s is not None and event.now_s - state.stage_asked_s > policy.stop_grace_s:
        actions.append(StopStage(by_force=True))
        state = replace(state, stage_asked_s=event.now_s)
    return state


def _end_all(state: State, outcome: Outcome, now_s: float, actions: list[Action]) -> State:
    """Stops every process, checkpointing first; the phase ends with `outcome` when the last one is gone."""
    if state.ending is not None:
        return state
    state = replace(state, ending=outcome)
    if state.stage is not Stage.TRAIN:
        if state.stage_starts_at_s is not None:  # nothing runs: the stage was waiting for its next try
            return replace(state, outcome=outcome)
        actions.append(StopStage())
        state = replace(state, stage_asked_s=now_s)
    for trainer in state.trainers.values():
        state = _with(state, _put_to_rest(trainer, Standing.STOPPED, now_s, actions))
    return state


def _move_on(state: State, now_s: float, actions: list[Action]) -> State:
    """Starts what is due, and leaves the training stage when every training is at rest."""
    if state.stage is not Stage.TRAIN or state.outcome is not None:
        return state
    for trainer in state.trainers.values():
        if state.ending is None and trainer.standing is Standing.WAITING and trainer.start_at_s <= now_s:
            actions.append(StartTrainer(trainer.model, trainer.resume))
            state = _with(state, _afresh(trainer, now_s))
    if not all(trainer.standing in AT_REST for trainer in state.trainers.values()):
        return state
    if state.ending is not None:
        return replace(state, outcome=state.ending)
    models = _worth_judging(state)
    if not models:
        failures = _failures(state)
        return replace(state, outcome="failed" if failures else "stopped", error=failures)
    actions.append(StartStage(Stage.EVALUATE, models))
    return replace(state, stage=Stage.EVALUATE, stage_restarts=0)


def _afresh(trainer: Trainer, now_s: float) -> Trainer:
    """The state of a trainer whose process has just been started; only the history of its starts is kept."""
    return Trainer(
        trainer.model,
        Standing.RUNNING,
        resume=trainer.resume,
        learned=trainer.learned,
        restarts=trainer.restarts,
        starts=trainer.starts + 1,
        beat_s=now_s,
        start_at_s=trainer.start_at_s,
    )


def _worth_judging(state: State) -> tuple[ModelName, ...]:
    """The models to evaluate: those that finished, or that the person stopped after they had learned something."""
    return tuple(
        trainer.model
        for trainer in state.trainers.values()
        if trainer.standing is Standing.FINISHED or (trainer.standing is Standing.STOPPED and trainer.learned)
    )


def _failures(state: State) -> str | None:
    failed = [trainer.model for trainer in state.trainers.values() if trainer.standing is Standing.FAILED]
    return f"{', '.join(failed)}: the training failed" if failed else None


def _ending(how: Ended, subject: str, key: str) -> Tell:
    heard = "; last heard: " if how.code is None else ": "
    said = heard + how.text.splitlines()[0] if how.text else ""
    kind = how.cause or ("lost" if how.code is None else "crashed")
    return Tell(kind, "error", f"{subject} {_manner(how)}{said}", key)


def _manner(how: Ended) -> str:
    if how.code is None:  # adopted: its exit code cannot be known
        return "ended and nobody saw how"
    if how.code == NOT_STARTED:
        return "ended at once"
    if how.code == -signal.SIGKILL:
        return "was killed by the kernel: out of memory" if how.cause == "out-of-memory" else "was killed (signal 9)"
    return f"ended by signal {-how.code}" if how.code < 0 else f"ended with exit code {how.code}"


def _with(state: State, trainer: Trainer) -> State:
    return replace(state, trainers={**state.trainers, trainer.model: trainer})
