"""What a supervisor does next: histories told event by event, with a clock that the test sets."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brefine.config import ModelName
from brefine.phasedir import RunState, Stage, Wish
from brefine.run.supervision import (
    NOT_STARTED,
    Action,
    AdoptTrainer,
    Asked,
    Began,
    Ended,
    Event,
    Found,
    Policy,
    Sign,
    StageEnded,
    Standing,
    StartStage,
    StartTrainer,
    State,
    StopStage,
    StopTrainer,
    Tell,
    Ticked,
    TrainerEnded,
)
from brefine.run.transitions import advance

POLICY = Policy(
    ("transformer", "mlp"), max_restarts=2, restart_backoff_s=5.0, stall_after_s=60.0, stop_grace_s=30.0, cap_usd=10.0
)
OK = Ended(0)


@dataclass(slots=True)
class History:
    """A supervisor under test: events go in, the actions of each come out."""

    policy: Policy = POLICY
    state: State = field(default_factory=State)
    actions: list[Action] = field(default_factory=list)

    def after(self, event: Event) -> list[Action]:
        self.state, actions = advance(self.state, event, self.policy)
        self.actions += actions
        return list(actions)

    def standing(self, model: ModelName) -> Standing:
        return self.state.trainers[model].standing

    def told(self, kind: str) -> list[Tell]:
        return [action for action in self.actions if isinstance(action, Tell) and action.kind == kind]


def training() -> History:
    """A phase that is prepared and trains both models since 0 s."""
    history = History()
    history.after(Began(0.0, prepared=True))
    return history


def finish(history: History, model: ModelName, now_s: float = 1.0) -> list[Action]:
    return history.after(TrainerEnded(now_s, model, OK, RunState.FINISHED))


def test_a_phase_without_trouble() -> None:
    """Prepare, train all models at once, evaluate those that finished, end."""
    history = History()
    assert history.after(Began(0.0)) == [StartStage(Stage.PREPARE)]
    assert history.after(StageEnded(1.0, Stage.PREPARE, OK)) == [StartTrainer("transformer", False), StartTrainer("mlp", False)]
    assert finish(history, "mlp") == []
    assert finish(history, "transformer") == [StartStage(Stage.EVALUATE, ("transformer", "mlp"))]
    history.after(StageEnded(9.0, Stage.EVALUATE, OK))
    assert (history.state.outcome, history.state.error) == ("finished", None)


def test_a_preparation_that_gives_a_reason_is_not_tried_again() -> None:
    """A corpus that is incomplete stays so; the person gets its words."""
    history = History()
    history.after(Began(0.0))
    history.after(StageEnded(1.0, Stage.PREPARE, Ended(1, None, "audio is missing for 3 recordings")))
    assert history.state.outcome == "failed"
    assert history.state.error == "prepare: audio is missing for 3 recordings"


def test_the_alert_of_a_stage_is_one_line() -> None:
    """What is expected and what to do stand in the phase's error; an alert says what has happened."""
    history = History()
    history.after(Began(0.0))
    history.after(StageEnded(1.0, Stage.PREPARE, Ended(1, None, "audio is missing\n  hint: --audio-from")))
    assert [tell.text for tell in history.told("crashed")] == ["the stage prepare ended with exit code 1: audio is missing"]
    assert history.state.error == "prepare: audio is missing\n  hint: --audio-from"


def test_a_preparation_that_was_killed_is_tried_again_with_growing_waits() -> None:
    """Out of memory may pass; twice is tried again, the third time it is over."""
    history = History()
    history.after(Began(0.0))
    killed = Ended(-9, "out-of-memory")
    history.after(StageEnded(1.0, Stage.PREPARE, killed))
    assert history.after(Ticked(5.9)) == []
    assert history.after(Ticked(6.0)) == [StartStage(Stage.PREPARE)]
    history.after(StageEnded(7.0, Stage.PREPARE, killed))
    assert history.after(Ticked(16.9)) == []
    assert history.after(Ticked(17.0)) == [StartStage(Stage.PREPARE)]
    history.after(StageEnded(18.0, Stage.PREPARE, killed))
    assert history.state.outcome == "failed"
    assert len(history.told("out-of-memory")) == 3


def test_a_crashed_trainer_is_started_again_from_its_checkpoint_with_growing_waits() -> None:
    """Back-off doubles, the cap holds, the other training is left alone, and each crash is told."""
    history = training()
    crash = Ended(1, None, "RuntimeError: boom")
    history.after(TrainerEnded(10.0, "mlp", crash, RunState.RUNNING, 7, True))
    assert history.standing("mlp") is Standing.WAITING
    assert history.after(Ticked(14.9)) == []
    assert history.after(Ticked(15.0)) == [StartTrainer("mlp", True)]
    history.after(TrainerEnded(20.0, "mlp", crash, RunState.RUNNING, 7, True))
    assert history.after(Ticked(29.9)) == []
    assert history.after(Ticked(30.0)) == [StartTrainer("mlp", True)]
    history.after(TrainerEnded(31.0, "mlp", crash, RunState.RUNNING, 7, True))
    assert history.standing("mlp") is Standing.FAILED
    assert history.standing("transformer") is Standing.RUNNING
    assert len({tell.key for tell in history.told("crashed")}) == 3
    assert finish(history, "transformer", 99.0) == [StartStage(Stage.EVALUATE, ("transformer",))]
    history.after(StageEnded(100.0, Stage.EVALUATE, OK))
    assert (history.state.outcome, history.state.error) == ("finished", "mlp: the training failed")


def test_a_trainer_without_a_checkpoint_starts_anew() -> None:
    """Killed before its first checkpoint there is nothing to resume from."""
    history = training()
    history.after(TrainerEnded(10.0, "mlp", Ended(-9), None, None, False))
    assert history.after(Ticked(15.0)) == [StartTrainer("mlp", False)]


def test_faults_of_the_recipe_and_declared_failures_are_not_repeated() -> None:
    """Exit codes 2 and 4 say that the same start would end in the same way."""
    for code in (2, 4):
        history = training()
        history.after(TrainerEnded(10.0, "mlp", Ended(code), RunState.FAILED))
        assert history.standing("mlp") is Standing.FAILED


def test_a_training_that_went_non_finite_is_told_and_not_repeated() -> None:
    """Its own policy has been tried inside; outside it is an error of kind nonfinite."""
    history = training()
    history.after(TrainerEnded(10.0, "mlp", Ended(4, None, "gave up after 10 non-finite steps"), RunState.NONFINITE, 120))
    assert history.standing("mlp") is Standing.FAILED
    (tell,) = history.told("nonfinite")
    assert (tell.level, tell.model, tell.step, tell.text) == ("error", "mlp", 120, "gave up after 10 non-finite steps")


def test_all_trainings_failed_is_a_failed_phase() -> None:
    """Without a trained model there is nothing to evaluate."""
    history = training()
    for model in POLICY.models:
        history.after(TrainerEnded(10.0, model, Ended(4), RunState.NONFINITE))
    assert (history.state.outcome, history.state.error) == ("failed", "transformer, mlp: the training failed")


def test_stop_checkpoints_all_and_ends() -> None:
    """The phase is stopped when the last trainer is gone, and nothing new is started."""
    history = training()
    assert history.after(Asked(5.0, "stop")) == [StopTrainer("transformer"), StopTrainer("mlp")]
    assert history.after(Asked(6.0, "stop")) == []
    history.after(TrainerEnded(7.0, "mlp", OK, RunState.STOPPED, 9, True))
    assert history.state.outcome is None
    history.after(TrainerEnded(8.0, "transformer", OK, RunState.STOPPED, 9, True))
    assert history.state.outcome == "stopped"
    assert not any(isinstance(action, StartStage) for action in history.actions)


def test_a_deaf_trainer_is_ended_by_force_after_the_grace() -> None:
    """Asked once, then forced at intervals until it is gone: a scheduler may not have heard."""
    history = training()
    history.after(Asked(0.0, "stop"))
    assert history.after(Ticked(29.0)) == []
    assert history.after(Ticked(31.0)) == [StopTrainer("transformer", True), StopTrainer("mlp", True)]
    assert history.after(Ticked(32.0)) == []
    history.after(TrainerEnded(33.0, "transformer", Ended(-9), RunState.RUNNING, 5, True))
    assert history.after(Ticked(62.0)) == [StopTrainer("mlp", True)]
    assert history.after(Ticked(63.0)) == []


def test_stop_while_preparing() -> None:
    """The stage is asked to end, then forced until it is gone; with it the phase is stopped."""
    history = History()
    history.after(Began(0.0))
    assert history.after(Asked(1.0, "stop")) == [StopStage()]
    assert history.after(Ticked(32.0)) == [StopStage(by_force=True)]
    assert history.after(Ticked(33.0)) == []
    assert history.after(Ticked(63.0)) == [StopStage(by_force=True)]
    history.after(StageEnded(64.0, Stage.PREPARE, Ended(-9)))
    assert history.state.outcome == "stopped"


def test_stop_while_waiting_to_try_again() -> None:
    """No process runs, so the phase is over at once."""
    history = History()
    history.after(Began(0.0))
    history.after(StageEnded(1.0, Stage.PREPARE, Ended(-9)))
    history.after(Asked(2.0, "stop"))
    assert history.state.outcome == "stopped"


def test_pause_and_resume_of_one_model() -> None:
    """A pause is a checkpoint and an end; the phase waits for the paused one, which goes on from there."""
    history = training()
    assert history.after(Asked(5.0, "pause", "mlp")) == [StopTrainer("mlp")]
    history.after(TrainerEnded(6.0, "mlp", OK, RunState.STOPPED, 9, True))
    assert history.standing("mlp") is Standing.PAUSED
    finish(history, "transformer", 7.0)
    history.after(Ticked(5000.0))
    assert history.state.stage is Stage.TRAIN
    assert history.after(Asked(5001.0, "resume", "mlp")) == [StartTrainer("mlp", True)]
    assert finish(history, "mlp", 6000.0) == [StartStage(Stage.EVALUATE, ("transformer", "mlp"))]


def test_resume_overtakes_a_pause() -> None:
    """Asked to resume before it has ended, a training starts again as soon as it has."""
    history = training()
    history.after(Asked(5.0, "pause", "mlp"))
    history.after(Asked(5.1, "resume", "mlp"))
    assert history.after(TrainerEnded(6.0, "mlp", OK, RunState.STOPPED, 9, True)) == [StartTrainer("mlp", True)]


def test_restart_of_one_model() -> None:
    """A restart is a stop and a start from the checkpoint; it forgives earlier crashes."""
    history = training()
    assert history.after(Asked(5.0, "restart", "mlp")) == [StopTrainer("mlp")]
    assert history.after(TrainerEnded(6.0, "mlp", OK, RunState.STOPPED, 9, True)) == [StartTrainer("mlp", True)]
    history.after(TrainerEnded(7.0, "mlp", Ended(4), RunState.FAILED, 9, True))
    assert history.after(Asked(8.0, "restart", "mlp")) == [StartTrainer("mlp", True)]
    assert history.state.trainers["mlp"].restarts == 0


@pytest.mark.parametrize("wishes", [("restart",), ("pause", "resume")])
def test_a_training_that_runs_again_is_forgiven_its_crashes_as_one_that_waits_to(wishes: tuple[Wish, ...]) -> None:
    """Who wants it started anew wants it tried as often as at first, whether or not its process had come back by then."""
    history = training()
    for n, now_s in enumerate((10.0, 30.0)):
        history.after(TrainerEnded(now_s, "mlp", Ended(1), RunState.RUNNING, 9, True))
        assert history.after(Ticked(now_s + 5.0 * 2**n)) == [StartTrainer("mlp", resume=True)]
    for wish in wishes:
        history.after(Asked(50.0, wish, "mlp"))
    assert history.after(TrainerEnded(51.0, "mlp", OK, RunState.STOPPED, 20, True)) == [StartTrainer("mlp", resume=True)]
    history.after(TrainerEnded(60.0, "mlp", Ended(1), RunState.RUNNING, 21, True))
    assert history.standing("mlp") is Standing.WAITING


@pytest.mark.parametrize("action", ["resume", "restart"])
def test_what_befalls_a_training_that_was_asked_for_again_is_told_again(action: str) -> None:
    """The person's wish forgives earlier crashes; the next one, and whatever precedes it, is news all the same."""
    history = training()
    for now_s in (10.0, 20.0):
        history.after(Ticked(now_s, {"mlp": Sign(now_s, n_nonfinite=1, step=7)}))
        history.after(TrainerEnded(now_s + 1.0, "mlp", Ended(4, None, "gave up"), RunState.FAILED, 7, True))
        history.after(Asked(now_s + 2.0, action, "mlp"))
    for kind in ("nonfinite", "crashed"):
        assert len({tell.key for tell in history.told(kind)}) == len(history.told(kind)) == 2


@pytest.mark.parametrize(
    ("how", "told"),
    [(Ended(4), RunState.NONFINITE), (Ended(4), RunState.FAILED), (Ended(0), RunState.STOPPED)],
    ids=["non-finite", "given up", "somebody else's signal"],
)
def test_a_restart_goes_on_from_the_checkpoint_however_the_training_has_ended(how: Ended, told: RunState) -> None:
    """A trainer that is started anew beside its checkpoint refuses to overwrite it, and would fail at every restart."""
    history = training()
    history.after(TrainerEnded(7.0, "mlp", how, told, 9, resumable=True))
    assert history.after(Asked(8.0, "restart", "mlp")) == [StartTrainer("mlp", resume=True)]


def test_a_model_stopped_by_the_person_is_evaluated_with_the_rest() -> None:
    """Who stops one training early keeps what it has learned."""
    history = training()
    history.after(Asked(5.0, "stop", "mlp"))
    history.after(TrainerEnded(6.0, "mlp", OK, RunState.STOPPED, 9, True, learned=True))
    assert finish(history, "transformer", 7.0) == [StartStage(Stage.EVALUATE, ("transformer", "mlp"))]


def test_a_model_stopped_before_its_first_validation_is_not_judged() -> None:
    """It has left no weights to judge; the others are evaluated."""
    history = training()
    history.after(Asked(5.0, "stop", "mlp"))
    history.after(TrainerEnded(6.0, "mlp", OK, RunState.STOPPED, 1, True))
    assert finish(history, "transformer", 7.0) == [StartStage(Stage.EVALUATE, ("transformer",))]


@pytest.mark.parametrize("begun", [True, False])
def test_a_phase_whose_trainings_are_stopped_before_they_have_learned_is_stopped(begun: bool) -> None:
    """There is nothing to judge and nothing has failed, whether or not they had begun."""
    history = History()
    history.after(Began(0.0))
    if begun:
        history.after(StageEnded(1.0, Stage.PREPARE, OK))
    for model in POLICY.models:
        history.after(Asked(2.0, "stop", model))
    for model in POLICY.models if begun else ():
        history.after(TrainerEnded(3.0, model, OK, RunState.STOPPED, 1, True))
    if not begun:
        history.after(StageEnded(4.0, Stage.PREPARE, OK))
    assert (history.state.outcome, history.state.error) == ("stopped", None)
    assert StartStage not in map(type, history.actions[1:])


def test_a_stopped_training_does_not_hide_a_failed_one() -> None:
    """Where one has failed and the other had learned nothing, the phase has failed."""
    history = training()
    history.after(TrainerEnded(1.0, "transformer", Ended(4), RunState.FAILED))
    history.after(Asked(2.0, "stop", "mlp"))
    history.after(TrainerEnded(3.0, "mlp", OK, RunState.STOPPED, 1, True))
    assert (history.state.outcome, history.state.error) == ("failed", "transformer: the training failed")


def test_a_training_that_finished_before_it_heard_counts_as_finished() -> None:
    """A pause that comes too late pauses nothing."""
    history = training()
    history.after(Asked(5.0, "pause", "mlp"))
    finish(history, "mlp", 5.1)
    assert history.standing("mlp") is Standing.FINISHED


def test_silence_is_told_once_and_a_hang_is_ended() -> None:
    """No sign of life for a while: a warning; for twice as long: ended by force and started again."""
    history = training()
    beats = {model: Sign(1.0, step=5) for model in POLICY.models}
    history.after(Ticked(10.0, beats))
    history.after(Ticked(69.0, beats))
    assert history.told("stalled") == []
    moving = {**beats, "transformer": Sign(2.0)}
    history.after(Ticked(71.0, moving))
    history.after(Ticked(72.0, moving))
    (tell,) = history.told("stalled")
    assert (tell.model, tell.level, tell.step) == ("mlp", "warning", 5)
    assert StopTrainer("mlp", by_force=True) in history.after(Ticked(131.0, {**beats, "transformer": Sign(3.0)}))
    assert history.after(TrainerEnded(132.0, "mlp", Ended(-9), RunState.RUNNING, 5, True)) == [StartTrainer("mlp", True)]
    assert history.state.trainers["mlp"].restarts == 1


@pytest.mark.parametrize("beat", [0.0, 1000.0], ids=["mute", "silent"])
def test_a_stage_that_falls_silent_is_told_once_and_not_ended(beat: float) -> None:
    """After ten times `stall_after_s`, before its first word, too; each silence is an event of its own."""
    history = History()
    history.after(Began(0.0))
    history.after(Ticked(5.0, stage_beat=beat))
    history.after(Ticked(605.0, stage_beat=beat))
    assert history.told("stalled") == []
    for now_s in (606.0, 5000.0):
        history.after(Ticked(now_s, stage_beat=beat))
    (told,) = history.told("stalled")
    assert (told.level, told.model) == ("warning", None)
    assert told.text.startswith("the stage prepare gives no sign of life for 601 s")
    history.after(Ticked(5001.0, stage_beat=1001.0))
    history.after(Ticked(9000.0, stage_beat=1001.0))
    assert len({tell.key for tell in history.told("stalled")}) == 2
    assert [action for action in history.actions if isinstance(action, StopStage)] == []


def test_where_no_stage_works_none_is_silent() -> None:
    """While the trainings run, or a killed stage waits for its next try, time counts for nobody."""
    history = History()
    history.after(Began(0.0))
    history.after(Ticked(1.0, stage_beat=0.0))
    history.after(StageEnded(2.0, Stage.PREPARE, Ended(-9)))
    history.after(Ticked(3.0))
    history.after(Ticked(900.0, stage_beat=0.0))
    history.after(Ticked(1400.0, stage_beat=0.0))
    assert history.told("stalled") == []


def test_a_trainer_that_comes_back_from_silence_can_fall_silent_again() -> None:
    """Each silence is an event of its own."""
    history = training()
    history.after(Ticked(61.0))
    history.after(Ticked(62.0, {model: Sign(1.0) for model in POLICY.models}))
    history.after(Ticked(130.0, {model: Sign(1.0) for model in POLICY.models}))
    keys = [tell.key for tell in history.told("stalled") if tell.model == "mlp"]
    assert len(keys) == len(set(keys)) == 2


def test_a_hang_beyond_the_cap_of_restarts_counts_as_failed() -> None:
    """A trainer that hangs at the same place every time is given up."""
    history = History(replace(POLICY, max_restarts=0, models=("mlp",)))
    history.after(Began(0.0, prepared=True))
    history.after(Ticked(121.0))
    history.after(TrainerEnded(122.0, "mlp", Ended(-9), RunState.RUNNING, 5, True))
    assert (history.state.outcome, history.standing("mlp")) == ("failed", Standing.FAILED)


def test_non_finite_steps_are_told_as_they_happen() -> None:
    """Every increase is told once, with the trainer's own words."""
    history = training()
    sign = Sign(1.0, 1, 40, "rolled back to step 30")
    history.after(Ticked(1.0, {"mlp": sign}))
    history.after(Ticked(2.0, {"mlp": sign}))
    history.after(Ticked(3.0, {"mlp": replace(sign, n_nonfinite=2)}))
    assert [tell.text for tell in history.told("nonfinite")] == ["rolled back to step 30"] * 2


def test_budget_tiers_are_told_once_and_the_cap_stops_the_phase() -> None:
    """50, 75, 90 % are told, at 100 % every training is checkpointed and the outcome is `budget`."""
    history = training()
    for spent_usd in (4.0, 5.0, 5.1, 7.6, 9.5):
        history.after(Ticked(1.0, spent_usd=spent_usd))
    assert [tell.key for tell in history.told("budget")] == ["0.50:10", "0.75:10", "0.90:10"]
    assert history.after(Ticked(2.0, spent_usd=10.0))[1:] == [StopTrainer("transformer"), StopTrainer("mlp")]
    for model in POLICY.models:
        history.after(TrainerEnded(3.0, model, OK, RunState.STOPPED, 9, True))
    assert history.state.outcome == "budget"


def test_without_a_cap_the_tiers_are_those_of_what_was_left_and_nothing_is_stopped() -> None:
    """Half, three quarters, nine tenths and all of the money before the phase; whoever set no cap goes on."""
    history = History(replace(POLICY, cap_usd=None, left_usd=200.0))
    history.after(Began(0.0, prepared=True))
    for spent_usd in (99.0, 100.0, 140.0, 150.0, 180.0, 199.0, 200.0, 210.0):
        history.after(Ticked(1.0, spent_usd=spent_usd))
    told = [(tell.key, tell.level) for tell in history.told("budget")]
    assert told == [("0.50", "info"), ("0.75", "info"), ("0.90", "warning"), ("1.00", "error")]
    assert history.told("budget")[0].text == "$100.00 of $200.00 are spent (50 % of what was left)"
    assert history.state.ending is None


def test_a_free_machine_tells_nothing_of_money() -> None:
    """Neither a cap nor a price: there is nothing to tell."""
    history = History(replace(POLICY, cap_usd=None))
    history.after(Began(0.0, prepared=True))
    history.after(Ticked(1.0, spent_usd=0.0))
    assert history.told("budget") == []


def test_a_kill_is_called_out_of_memory_only_with_the_kernels_word() -> None:
    """`kill -9` looks the same from outside; what is known is said, not what is guessed."""
    for cause, kind, text in (
        (None, "crashed", "the training was killed (signal 9): epoch 3"),
        ("out-of-memory", "out-of-memory", "the training was killed by the kernel: out of memory: epoch 3"),
    ):
        history = training()
        history.after(TrainerEnded(1.0, "mlp", Ended(-9, cause, "epoch 3"), RunState.RUNNING, 7, True))
        assert [(tell.kind, tell.text) for tell in history.told(kind)] == [(kind, text)]
        assert history.standing("mlp") is Standing.WAITING


def test_a_disk_that_fills_up_is_told_twice() -> None:
    """Once when little is left, once when nothing is; not at every tick."""
    history = training()
    for free_bytes in (5 << 30, 900 << 20, 800 << 20, 10 << 20, 5 << 20, 900 << 20):
        history.after(Ticked(1.0, disk_free_bytes=free_bytes))
    assert [tell.level for tell in history.told("disk-full")] == ["warning", "error"]


def test_a_disk_that_fills_up_again_is_told_again() -> None:
    """After it had room: not where it only wavers about what is low; each shortage under a key of its own."""
    history = training()
    for free_mib in (900, 1500, 900, 10, 1500, 10, 3000, 900, 3000, 10):
        history.after(Ticked(1.0, disk_free_bytes=free_mib << 20))
    told = history.told("disk-full")
    assert [(tell.level, tell.text.partition(" ")[0]) for tell in told] == [
        ("warning", "900"),
        ("error", "10"),
        ("warning", "900"),
        ("error", "10"),
    ]
    assert len({tell.key for tell in told}) == 4


def test_a_new_supervisor_takes_over_what_runs_and_resumes_the_rest() -> None:
    """Running trainers are adopted, finished ones left alone, interrupted ones resumed."""
    history = History(replace(POLICY, models=("transformer", "mlp", "contrastive")))
    found = {
        "transformer": Found(alive=True, state=RunState.RUNNING, resumable=True),
        "mlp": Found(alive=False, state=RunState.FINISHED, resumable=True),
        "contrastive": Found(alive=False, state=RunState.RUNNING, resumable=True),
    }
    actions = [action for action in history.after(Began(0.0, found=found)) if not isinstance(action, Tell)]
    assert actions == [AdoptTrainer("transformer"), StartTrainer("contrastive", True)]
    history.after(TrainerEnded(1.0, "transformer", Ended(None), RunState.FINISHED))
    assert finish(history, "contrastive") == [StartStage(Stage.EVALUATE, ("transformer", "mlp", "contrastive"))]


def test_an_adopted_trainer_that_vanishes_is_started_again() -> None:
    """Nobody knows its exit code; its last word was not an end, so it is lost, and told so."""
    history = History()
    history.after(Began(0.0, found={"mlp": Found(alive=True, state=RunState.RUNNING, resumable=True)}))
    history.after(TrainerEnded(1.0, "mlp", Ended(None, None, "epoch 1/60: loss 6.280"), RunState.RUNNING, 5, True))
    assert history.after(Ticked(6.0)) == [StartTrainer("mlp", True)]
    told = ("mlp", "the training ended and nobody saw how; last heard: epoch 1/60: loss 6.280")
    assert [(tell.model, tell.text) for tell in history.told("lost")] == [told]


def test_trainings_that_died_with_the_machine_are_told_as_lost_and_go_on() -> None:
    """After a reboot a status still says running while no process does; a training that had ended is not lost."""
    history = History()
    found = {"mlp": Found(state=RunState.RUNNING, resumable=True), "transformer": Found(state=RunState.STOPPED, resumable=True)}
    actions = history.after(Began(0.0, prepared=True, found=found))
    assert [(tell.model, tell.level) for tell in history.told("lost")] == [("mlp", "error")]
    assert StartTrainer("mlp", True) in actions and StartTrainer("transformer", True) in actions


def test_a_training_that_runs_away_from_its_best_is_told_once() -> None:
    """Half as much error again as the best validation is divergence; it is told anew only after it had come back."""
    history = training()
    for second, mae_ms in enumerate([170.0, 80.0, 119.0, 121.0, 150.0, 90.0, 130.0]):
        best_ms = min(170.0, 80.0) if second else 170.0
        history.after(Ticked(float(second), {"mlp": Sign(second, step=second, mae_ms=mae_ms, best_mae_ms=best_ms)}))
    assert [(tell.step, tell.level) for tell in history.told("diverging")] == [(3, "warning"), (6, "warning")]
    assert "validation MAE 121 ms, best was 80 ms" in history.told("diverging")[0].text


def test_a_loss_that_rises_threefold_diverges() -> None:
    """Between validations the training loss tells."""
    history = training()
    for second, loss in enumerate([9.0, 3.0, 1.0, 2.9, 3.1]):
        history.after(Ticked(float(second), {"mlp": Sign(second, step=second, loss=loss)}))
    assert [tell.step for tell in history.told("diverging")] == [4]


def test_a_training_that_became_slow_is_told_after_a_while() -> None:
    """A third of its own best speed for a minute; a short validation in between is no slowness."""
    history = training()
    speeds = [(0.0, 900.0), (10.0, 200.0), (60.0, 800.0), (70.0, 200.0), (120.0, 250.0), (131.0, 250.0), (200.0, 250.0)]
    for now_s, speed in speeds:
        history.after(Ticked(now_s, {"mlp": Sign(now_s, step=int(now_s), examples_per_s=speed)}))
    assert [tell.step for tell in history.told("slow")] == [131]
    assert "250 examples a second for 61 s, 900 at its fastest" in history.told("slow")[0].text


def test_a_process_that_cannot_be_started_counts_as_a_crash() -> None:
    """A disk without room for its log: told by its name, tried again with growing waits, then given up."""
    history = training()
    for now_s in (0.0, 5.0, 15.0):
        history.after(Ticked(now_s))
        history.after(TrainerEnded(now_s, "mlp", Ended(NOT_STARTED, "disk-full", "it cannot be started"), None, None, True))
    assert history.standing("mlp") is Standing.FAILED
    assert [tell.text for tell in history.told("disk-full")] == ["the training ended at once: it cannot be started"] * 3


def test_somebody_elses_signal_stops_one_training() -> None:
    """A trainer that was ended in order by a signal not ours stays stopped."""
    history = training()
    history.after(TrainerEnded(1.0, "mlp", OK, RunState.STOPPED, 9, True))
    assert history.standing("mlp") is Standing.STOPPED


EVENTS = st.one_of(
    st.builds(
        TrainerEnded,
        st.just(0.0),
        st.sampled_from(POLICY.models),
        st.builds(Ended, st.sampled_from([0, 1, 2, 4, -9, None])),
        st.sampled_from([None, *RunState]),
        st.none(),
        st.booleans(),
        st.booleans(),
    ),
    st.builds(StageEnded, st.just(0.0), st.just(Stage.PREPARE), st.builds(Ended, st.sampled_from([0, 1, -9]))),
    st.builds(
        Asked,
        st.just(0.0),
        st.sampled_from(["stop", "pause", "resume", "restart"]),
        st.sampled_from([None, *POLICY.models]),
    ),
    st.builds(Ticked, st.just(0.0), spent_usd=st.floats(0.0, 12.0), disk_free_bytes=st.integers(0, 1 << 31)),
)


@given(st.lists(st.tuples(EVENTS, st.floats(0.0, 100.0)), max_size=40))
@settings(max_examples=150, deadline=None)
def test_no_history_starts_a_process_twice_or_after_the_end(history: list[tuple[Event, float]]) -> None:
    """Whatever happens in whatever order: one process a model, nothing after the outcome, nothing new once it is to end."""
    told = History()
    running: set[object] = set()
    now_s = 0.0
    for drawn, wait_s in [(Began(0.0), 0.0), *history]:
        now_s += wait_s
        event = replace(drawn, now_s=now_s)
        if isinstance(event, TrainerEnded | StageEnded):
            ended = event.model if isinstance(event, TrainerEnded) else "stage"
            if ended not in running:
                continue  # a process that does not run does not end
            running.discard(ended)
        if isinstance(event, StageEnded):
            event = replace(event, stage=told.state.stage)
        ending, outcome = told.state.ending, told.state.outcome
        starts = [action for action in told.after(event) if isinstance(action, StartTrainer | StartStage)]
        started = [start.model if isinstance(start, StartTrainer) else "stage" for start in starts]
        assert not started or (ending is None and outcome is None)
        assert running.isdisjoint(started) and len(started) == len(set(started))
        running |= set(started)
        if told.state.outcome is not None:
            assert not running
