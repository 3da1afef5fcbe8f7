"""Trainings in this process: what they write, how they stop, resume, and survive numbers that are none."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from brefine.config import PhaseConfig
from brefine.data.batches import Batch
from brefine.errors import CheckpointError, RunError
from brefine.models.heads import target_distribution
from brefine.models.weights import load_refiner, read_weights
from brefine.phasedir import CheckpointCard, RunDir, RunState, RunStatus, Tag
from brefine.train import loop, validation
from brefine.train.checkpoint import Checkpoints, TrainingState
from brefine.train.device import Device
from brefine.train.loop import Batches, Training, train, validate
from brefine.train.losses import refiner_loss
from brefine.train.reporter import Plan, Reporter
from brefine.train.setup import build_training
from brefine.train.signals import StopSignal
from brefine.train.step import Taken
from tests.tiny_corpus import tiny_recipe

MakeRun = Callable[..., tuple[RunDir, PhaseConfig]]


class StopAt(StopSignal):
    """Asks for a stop as soon as it has been looked at so many times."""

    def __init__(self, looks: int) -> None:
        self._looks_left = looks

    @property
    def requested(self) -> bool:
        self._looks_left -= 1
        return self._looks_left < 0


class Poisoned:
    """Real batches, but one step's input is not a number, or so large that its gradient explodes."""

    def __init__(self, batches: Batches, steps: set[int], factor: float = math.nan) -> None:
        self._batches, self._steps, self._factor = batches, steps, factor

    def at(self, step: int) -> Batch:
        batch = self._batches.at(step)
        return batch._replace(features_BTF=batch.features_BTF * self._factor) if step in self._steps else batch

    def members(self, step: int) -> list[tuple[int, float]]:
        return self._batches.members(step)


class Breaking:
    """Real batches, but before one step a weight is no longer a number; when that step is taken again it is left alone."""

    def __init__(self, batches: Batches, weight: torch.Tensor, step: int | None) -> None:
        self._batches, self._weight, self._step = batches, weight, step

    def at(self, step: int) -> Batch:
        if step == self._step:
            self._weight.data.fill_(math.nan)
            self._step = None
        return self._batches.at(step)

    def members(self, step: int) -> list[tuple[int, float]]:
        return self._batches.members(step)


def go(
    run: RunDir,
    config: PhaseConfig,
    *,
    resume: bool = False,
    stop: StopSignal | None = None,
    poison: Callable[[Batches], Batches] = lambda batches: batches,
    explodes_at: int | None = None,
    breaks_at: int | None = None,
) -> tuple[RunState, TrainingState, Training]:
    training, state = build_training(run, "mlp", config, resume=resume)
    first = next(state.model.parameters())
    training = replace(training, batches=Breaking(poison(training.batches), first, breaks_at))
    steps = itertools.count(state.step)
    first.register_hook(lambda gradient: gradient * (1e9 if next(steps) == explodes_at else 1.0))
    with Reporter(run, "mlp", training.plan, training.device, every_s=60.0, start_step=state.step) as reporter:
        reporter.started(state, unrefined_mae_ms=training.validation.unrefined_mae_ms)
        outcome = train(training, state, reporter, stop or StopSignal())
        reporter.write(outcome, state)
    return outcome, state, training


def plan_of(made: tuple[RunDir, PhaseConfig]) -> Plan:
    """How many steps a training of this recipe has, untrained."""
    run, config = made
    return build_training(run, "mlp", config, resume=False)[0].plan


def scalars(run: RunDir, tag: Tag) -> list[tuple[int, float]]:
    events = EventAccumulator(str(run.path), size_guidance={"scalars": 0})
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(tag)]


def test_a_training_learns_and_leaves_curves_status_and_weights(make_run: MakeRun) -> None:
    """After two epochs on noises the boundaries lie nearer than the hypothesis had them, and every file says so."""
    run, config = make_run(train={"epochs": 4})
    outcome, _, training = go(run, config)
    status = RunStatus.read(run.status)
    assert outcome is status.state is RunState.FINISHED
    assert status.best is not None
    assert status.best.mae_ms < 0.8 * status.unrefined_mae_ms
    assert status.best.confidence is not None
    assert 0.0 < status.best.confidence < 1.0
    assert (status.step, status.epoch, status.eta_s) == (training.plan.n_steps, 4, 0.0)
    assert len(scalars(run, Tag.LOSS)) == training.plan.n_steps
    maes = scalars(run, Tag.VALIDATION_MAE_MS)
    assert [step for step, _ in maes] == [training.plan.steps_per_epoch * epoch for epoch in (1, 2, 3, 4)]
    assert min(value for _, value in maes) == pytest.approx(status.best.mae_ms, rel=1e-5)
    assert scalars(run, Tag.UNREFINED_MAE_MS)[0][1] == pytest.approx(status.unrefined_mae_ms, rel=1e-5)
    assert CheckpointCard.read(run.card("best")).validation == status.best
    assert load_refiner(run.weights("best")).card.model == "mlp"
    assert sum(CheckpointCard.read(run.card("best")).prior.values()) == pytest.approx(1.0, abs=1e-3)


@pytest.fixture(scope="module")
def whole(corpus_root: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[RunDir, TrainingState]:
    """A training that nobody stops."""
    run = RunDir(tmp_path_factory.mktemp("whole") / "mlp")
    run.path.mkdir()
    return run, go(run, tiny_recipe(corpus_root))[1]


@pytest.mark.parametrize("looks", [0, 3, 10, 11, 15])
def test_a_stopped_training_resumes_bit_for_bit(make_run: MakeRun, whole: tuple[RunDir, TrainingState], looks: int) -> None:
    """Weights, validation figures and curves equal those of a training that was never stopped, wherever the stop fell."""
    unstopped, uninterrupted = whole
    run, config = make_run()
    outcome, state, _ = go(run, config, stop=StopAt(looks))
    assert outcome is RunState.STOPPED
    assert state.step == looks + 1
    assert RunStatus.read(run.status).state is RunState.STOPPED
    outcome, state, _ = go(run, config, resume=True)
    assert outcome is RunState.FINISHED
    assert state.best == uninterrupted.best
    for name in ("best", "last"):
        mine, theirs = read_weights(run.weights(name)), read_weights(unstopped.weights(name))
        assert mine[1] == theirs[1]
        assert all(torch.equal(mine[0][key], theirs[0][key]) for key in theirs[0])
    for tag in (Tag.LOSS, Tag.LEARNING_RATE, Tag.GRADIENT_NORM, Tag.VALIDATION_MAE_MS, Tag.VALIDATION_LOSS):
        assert scalars(run, tag) == scalars(unstopped, tag)


def test_who_asks_for_a_stop_at_the_last_step_has_a_finished_training(make_run: MakeRun) -> None:
    """Nothing is left that could be resumed."""
    made = make_run(train={"epochs": 1})
    n_steps = plan_of(made).n_steps
    outcome, state, _ = go(*made, stop=StopAt(n_steps - 1))
    assert (outcome, state.step) == (RunState.FINISHED, n_steps)


def test_another_recipe_does_not_resume_this_run(make_run: MakeRun) -> None:
    """A changed learning rate makes it another training."""
    run, config = make_run()
    go(run, config, stop=StopAt(2))
    changed = config.model_copy(update={"train": config.train.model_copy(update={"lr": 0.5})})
    with pytest.raises(CheckpointError, match="another training"):
        build_training(run, "mlp", changed, resume=True)


def test_a_skipped_batch_leaves_the_weights_alone_and_shows_in_the_curve(make_run: MakeRun) -> None:
    """Not-a-number reaches the event file and the message names its examples, but neither weights nor moments."""
    run, config = make_run(train={"nonfinite": "skip"})
    outcome, state, training = go(run, config, poison=lambda batches: Poisoned(batches, {4}))
    assert outcome is RunState.FINISHED
    assert state.n_nonfinite == 1
    assert all(torch.isfinite(parameter).all() for parameter in state.model.parameters())
    assert [step for step, value in scalars(run, Tag.LOSS) if math.isnan(value)] == [5]
    status = RunStatus.read(run.status)
    assert status.message is not None
    assert "skipped step 5" in status.message
    assert "train-" in status.message
    assert "non-finite loss" in status.message
    own = [f"{training.recordings[recording]} at {time_s:.2f} s" for recording, time_s in training.batches.members(4)]
    assert (status.nonfinite_batch, len(own)) == (own, 8)
    events = EventAccumulator(str(run.path))
    events.Reload()
    words = events.Tensors(Tag.NONFINITE)[0].tensor_proto.string_val[0].decode()
    assert all(example in words for example in status.nonfinite_batch)


def test_a_rollback_returns_to_the_last_checkpoint_with_half_the_rate(make_run: MakeRun) -> None:
    """The weights after the step are those of the checkpoint; later steps learn at half the rate."""
    run, config = make_run(train={"nonfinite": "rollback"})
    _, _, training = go(*make_run("clean"))
    bad = training.plan.steps_per_epoch + 2
    outcome, state, _ = go(run, config, poison=lambda batches: Poisoned(batches, {bad}))
    assert outcome is RunState.FINISHED
    assert state.rate_scale == 0.5
    assert f"rolled back to step {training.plan.steps_per_epoch}" in (RunStatus.read(run.status).message or "")
    rates = dict(scalars(run, Tag.LEARNING_RATE))
    clean = dict(scalars(RunDir(run.path.parents[1] / "clean" / "mlp"), Tag.LEARNING_RATE))
    assert rates[bad] == pytest.approx(clean[bad])
    assert rates[bad + 2] == pytest.approx(0.5 * clean[bad + 2])
    # the optimiser's own, also after it was given the state of the checkpoint
    assert float(state.optimizer.param_groups[0]["lr"]) == pytest.approx(rates[state.step])


@pytest.mark.parametrize(
    ("torn", "words"),
    [
        (["last.state"], "rolled back to step {steps_per_epoch:,}, learning rate halved, at step"),
        (["last.state", "previous.state"], "no checkpoint can be used: skipped, learning rate halved, at step"),
    ],
)
def test_a_rollback_names_the_checkpoints_that_it_could_not_use(make_run: MakeRun, torn: list[str], words: str) -> None:
    """Whoever reads of an earlier step, or of none, learns why; and that two files lie there."""
    run, config = make_run(train={"nonfinite": "rollback", "epochs": 3})
    bad = 2 * plan_of((run, config)).steps_per_epoch + 1

    class Tearing(Poisoned):
        def at(self, step: int) -> Batch:
            if step == bad:
                for name in torn:
                    (run.checkpoints / name).write_bytes(b"torn")
            return super().at(step)

    outcome, state, training = go(run, config, poison=lambda batches: Tearing(batches, {bad}))
    assert (outcome, state.n_nonfinite, state.rate_scale) == (RunState.FINISHED, 1, 0.5)
    message = RunStatus.read(run.status).message or ""
    assert message.startswith(words.format(steps_per_epoch=training.plan.steps_per_epoch))
    refusal = "the checkpoint is torn (expected a whole state, got 4 bytes that are none)"
    assert message.endswith("(non-finite loss)" + "".join(f"; {run.checkpoints / name}: {refusal}" for name in torn))


@pytest.mark.parametrize("policy", ["skip", "rollback"])
def test_nobody_is_advised_to_the_policy_that_he_has(make_run: MakeRun, policy: str) -> None:
    """A training that was rolled back too often is not helped by rolling it back."""
    run, config = make_run(train={"nonfinite": policy, "max_nonfinite": 1})
    with pytest.raises(RunError, match=r"--set train\.lr") as refused:
        go(run, config, poison=lambda batches: Poisoned(batches, {1, 2}))
    assert ('nonfinite = "rollback"' in str(refused.value)) == (policy != "rollback")


def test_it_is_told_what_broke(make_run: MakeRun) -> None:
    """A loss that is none is looked for in the batch, a gradient in the model, and one that explodes in the rate."""
    run, config = make_run(train={"nonfinite": "skip"})
    training, state = build_training(run, "mlp", config, resume=False)
    broken = {
        "non-finite loss": (math.nan, math.nan),
        "non-finite gradient": (1.0, math.inf),
        "exploding gradient (norm 2e+04)": (1.0, 2e4),
    }
    with Reporter(run, "mlp", training.plan, training.device, every_s=60.0) as reporter:
        for words, (loss, norm) in broken.items():
            loop._handle_nonfinite(training, state, reporter, Taken(4, 1e-3, loss, norm, sound=False))
            assert f"({words})" in (RunStatus.read(run.status).message or "")


def test_an_exploding_gradient_is_skipped(make_run: MakeRun) -> None:
    """A gradient a thousand times the clipping norm would turn the optimiser's moments for hundreds of steps."""
    run, config = make_run(train={"nonfinite": "skip", "capture": "off"})
    outcome, state, _ = go(run, config, explodes_at=4)
    assert outcome is RunState.FINISHED
    assert (state.n_nonfinite, state.rate_scale) == (1, 1.0)
    status = RunStatus.read(run.status)
    assert "skipped step 5" in (status.message or "")
    assert "exploding gradient" in (status.message or "")
    assert len(status.nonfinite_batch) == 8
    assert max(scalars(run, Tag.GRADIENT_NORM), key=lambda point: point[1])[0] == 5


def test_an_exploding_gradient_is_rolled_back(make_run: MakeRun) -> None:
    """As a non-finite one: to the last checkpoint, with half the learning rate."""
    run, config = make_run(train={"nonfinite": "rollback", "capture": "off"})
    _, _, training = go(*make_run("clean"))
    saved = training.plan.steps_per_epoch
    outcome, state, _ = go(run, config, explodes_at=saved + 2)
    assert outcome is RunState.FINISHED
    assert (state.n_nonfinite, state.rate_scale) == (1, 0.5)
    message = RunStatus.read(run.status).message or ""
    assert f"rolled back to step {saved}" in message
    assert "exploding gradient" in message
    rates, clean = (dict(scalars(RunDir(run.path.parents[1] / name / "mlp"), Tag.LEARNING_RATE)) for name in ("phase", "clean"))
    assert rates[saved + 4] == pytest.approx(0.5 * clean[saved + 4])


def test_an_exploding_gradient_stops_the_training(make_run: MakeRun) -> None:
    """Where the policy is to stop; the weights that are kept are those of the last checkpoint."""
    run, config = make_run(train={"nonfinite": "stop", "capture": "off"})
    saved = plan_of((run, config)).steps_per_epoch
    with pytest.raises(RunError, match=f"exploding gradient .* at step {saved + 3}"):
        go(run, config, explodes_at=saved + 2)
    assert "exploding gradient" in (RunStatus.read(run.status).message or "")
    assert build_training(run, "mlp", config, resume=True)[1].step == saved


def test_the_policy_stop_ends_at_the_first_broken_step(make_run: MakeRun) -> None:
    """The error names the step."""
    run, config = make_run(train={"nonfinite": "stop"})
    with pytest.raises(RunError, match="non-finite loss at step 4"):
        go(run, config, poison=lambda batches: Poisoned(batches, {3}))


def test_too_many_broken_steps_end_the_training(make_run: MakeRun) -> None:
    """A corpus that is broken throughout is not skipped to the end."""
    run, config = make_run(train={"nonfinite": "skip", "max_nonfinite": 2})
    with pytest.raises(RunError, match="non-finite"):
        go(run, config, poison=lambda batches: Poisoned(batches, set(range(20))))
    assert RunStatus.read(run.status).n_nonfinite == 3


def test_a_training_out_of_patience_ends_and_stays_ended(make_run: MakeRun) -> None:
    """Where no epoch betters the first, it ends after `patience` more; resumed, it has nothing left to do."""
    run, config = make_run(train={"epochs": 6, "patience": 1, "lr": 1e-12, "ema_decay": 0.0})
    outcome, state, training = go(run, config)
    assert outcome is RunState.FINISHED
    assert state.step < training.plan.n_steps
    assert state.last.epoch == state.best.epoch + 1
    assert RunStatus.read(run.status).eta_s == 0.0
    assert go(run, config, resume=True)[1].step == state.step


@pytest.mark.parametrize(
    ("policy", "broken"), [("skip", set()), *itertools.product(("skip", "rollback", "stop"), ({1, 3}, {2, 9}))]
)
def test_reading_late_changes_nothing(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, policy: str, broken: set[int]) -> None:
    """Where the host reads after several steps, as on a GPU, weights, curves and what is said of broken steps stay the same."""
    first = plan_of(make_run("plan")).steps_per_epoch
    steps = {first + step for step in broken}
    runs = {}
    for read_every in (1, 5):
        monkeypatch.setattr(Device, "read_every", read_every)
        run, config = make_run(f"every-{read_every}", train={"nonfinite": policy})
        try:
            _, state, _ = go(run, config, poison=lambda batches: Poisoned(batches, steps))
        except RunError as error:
            assert policy == "stop" and broken, error
            state = build_training(run, "mlp", config, resume=True)[1]
        runs[read_every] = run, state
    (now, state), (late, late_state) = runs.values()
    assert (late_state.n_nonfinite, late_state.rate_scale) == (state.n_nonfinite, state.rate_scale)
    assert all(torch.equal(*pair) for pair in zip(state.model.parameters(), late_state.model.parameters(), strict=True))
    words, late_words = RunStatus.read(now.status), RunStatus.read(late.status)
    assert (late_words.message, late_words.nonfinite_batch) == (words.message, words.nonfinite_batch)
    for tag in (Tag.LOSS, Tag.LEARNING_RATE, Tag.VALIDATION_MAE_MS):
        assert str(scalars(late, tag)) == str(scalars(now, tag))


def test_weights_that_broke_are_rolled_back_once(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many steps were taken from them before the host read: they are one fault, and those steps are taken anew."""
    monkeypatch.setattr(Device, "read_every", 5)
    run, config = make_run(train={"nonfinite": "rollback", "max_nonfinite": 1})
    outcome, state, _ = go(run, config, breaks_at=plan_of((run, config)).steps_per_epoch + 1)
    assert (outcome, state.n_nonfinite, state.rate_scale) == (RunState.FINISHED, 1, 0.5)
    assert all(torch.isfinite(parameter).all() for parameter in state.model.parameters())


def test_before_the_first_checkpoint_a_broken_step_is_skipped_and_halves_the_rate(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However late the host reads: nothing is taken back, so that no other step is taken twice."""
    told = []
    for read_every in (1, 5):
        monkeypatch.setattr(Device, "read_every", read_every)
        run, config = make_run(f"every-{read_every}", train={"nonfinite": "rollback", "epochs": 1})
        _, state, training = go(run, config, poison=lambda batches: Poisoned(batches, {1, 3}))
        n_followed = {int(of_weight["step"]) for of_weight in state.optimizer.state.values()}
        told.append((state.n_nonfinite, state.rate_scale, RunStatus.read(run.status).message, n_followed))
    assert told[0] == told[1]
    assert told[0][:2] == (2, 0.25)
    assert told[0][3] == {training.plan.n_steps - 2}


def test_a_broken_step_that_is_read_after_the_last_one_is_only_skipped(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a checkpoint; no step is left that a smaller rate could be for."""
    monkeypatch.setattr(Device, "read_every", 1000)
    states = {}
    for policy in ("skip", "rollback"):
        _, states[policy], _ = go(
            *make_run(policy, train={"nonfinite": policy, "epochs": 1}), poison=lambda batches: Poisoned(batches, {1, 3})
        )
    pairs = zip(*(state.model.parameters() for state in states.values()), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)


def test_a_torn_checkpoint_is_named_and_the_previous_one_used(make_run: MakeRun, capsys: pytest.CaptureFixture[str]) -> None:
    """So is one of another training that was copied over it; the training goes on from an epoch earlier."""
    run, config = make_run()
    _, _, training = go(run, config)
    foreign, changed = make_run("foreign", train={"lr": 0.5})
    go(foreign, changed, stop=StopAt(2))
    for content, word in ((b"PK torn", "torn"), (foreign.training_state.read_bytes(), "another training")):
        run.training_state.write_bytes(content)
        _, state = build_training(run, "mlp", config, resume=True)
        assert state.step == training.plan.steps_per_epoch
        told = capsys.readouterr().out
        assert word in told
        assert "using the checkpoint before it" in told


def test_no_checkpoint_is_ahead_of_its_curves(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training that is killed right after one goes on from it, and no point of the curves before it is missing."""
    run, config = make_run()
    save, last_points = Checkpoints.save, []

    def look_and_save(checkpoints: Checkpoints, state: TrainingState) -> None:
        last_points.append((state.step, scalars(run, Tag.LOSS)[-1][0]))
        save(checkpoints, state)

    monkeypatch.setattr("brefine.train.events._FLUSH_S", math.inf)
    monkeypatch.setattr(Checkpoints, "save", look_and_save)
    _, _, training = go(run, config)
    assert last_points == [(training.plan.steps_per_epoch * epoch,) * 2 for epoch in (1, 2)]


def test_a_validation_gives_signs_of_life(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """One a batch, so that nobody takes a trainer for hung that measures."""

    class Listening(Reporter):
        def alive(self, state: TrainingState) -> None:
            beats.append(state.step)

    run, config = make_run()
    training, state = build_training(run, "mlp", config, resume=False)
    state.step, beats = 3, []
    monkeypatch.setattr(validation, "_BATCH", len(training.validation) - 1)
    with Listening(run, "mlp", training.plan, training.device, every_s=60.0) as reporter:
        validate(training, state, reporter)
    assert beats == [3, 3]


def test_the_weights_that_are_measured_are_those_that_are_kept(make_run: MakeRun) -> None:
    """The average, by which boundaries are moved later; not those that were learned last."""
    run, config = make_run()
    training, state = build_training(run, "mlp", config, resume=False)
    state.average.load_state_dict({name: 0.5 * tensor for name, tensor in state.model.state_dict().items()})
    with Reporter(run, "mlp", training.plan, training.device, every_s=60.0) as reporter:
        validate(training, state, reporter)
    for name in ("best", "last"):
        kept, _ = read_weights(run.weights(name))
        assert all(torch.equal(kept[key], 0.5 * tensor) for key, tensor in state.model.state_dict().items())


def test_only_a_beginning_is_validated_before_the_first_step(make_run: MakeRun) -> None:
    """A training that goes on from a checkpoint has been: another point would lie in its curves where no other run has one."""
    run, config = make_run()
    training, state = build_training(run, "mlp", config, resume=False)
    training = replace(training, settings=training.settings.model_copy(update={"start": "shipped"}))
    with Reporter(run, "mlp", training.plan, training.device, every_s=60.0) as reporter:
        for step in (0, 3):
            state.step = step
            train(training, state, reporter, StopAt(0))
    assert [step for step, _ in scalars(run, Tag.VALIDATION_MAE_MS)] == [0]


def test_labels_are_as_wide_as_the_recipe_says(make_run: MakeRun) -> None:
    """0.03 s are three frames of 0.01 s: the first loss is that against labels of this width."""
    run, config = make_run(train={"label_sigma_s": 0.03})
    training, state = build_training(run, "mlp", config, resume=False)
    features_BTF, offset_frames_B = training.batches.at(0)
    output = state.model(features_BTF)
    expected = refiner_loss(output, target_distribution(offset_frames_B, features_BTF.shape[1], 3.0), offset_frames_B)
    go(run, config, stop=StopAt(0))
    assert scalars(run, Tag.LOSS) == [(1, pytest.approx(expected.item(), rel=1e-4))]


def test_a_corpus_that_loads_slowly_gives_signs_of_life(make_run: MakeRun) -> None:
    """One a recording, so that nobody takes a trainer for hung that is reading."""
    run, config = make_run()
    beats: list[None] = []
    build_training(run, "mlp", config, resume=False, alive=lambda: beats.append(None))
    assert len(beats) == 4


def test_validations_of_trainings_that_share_a_machine_are_staggered() -> None:
    """Each has one an epoch and one at its end, and before that no two fall on the same step."""
    n_steps, per_epoch = 60, 12
    plans = [Plan(n_steps, per_epoch, 8, stagger) for stagger in (0, 4, 8)]
    places = [[step for step in range(1, n_steps + 1) if plan.validates(step)] for plan in plans]
    assert [len(steps) for steps in places] == [5, 5, 5]
    assert all(steps[-1] == n_steps for steps in places)
    early = [step for steps in places for step in steps[:-1]]
    assert len(early) == len(set(early))
