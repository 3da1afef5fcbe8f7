"""Evaluating a phase's checkpoints, with the real data path."""

from __future__ import annotations

import csv
import errno
import json
from dataclasses import replace
from typing import Any
from unittest.mock import MagicMock, Mock

import numpy as np
import pytest

from brefine.core.turns import Diarization, Turn
from brefine.errors import BrefineError, CheckpointError
from brefine.evaluate import __main__ as processes
from brefine.evaluate.evaluation import (
    evaluate_refiner,
    hear_part,
    load_checkpoint,
    load_checkpoints,
    speed_on_cpu,
    write_evaluation,
)
from brefine.evaluate.moves import HeardRecording, hear_recording
from brefine.evaluate.recordings import GivenSplit
from brefine.evaluate.speed import speed_of
from brefine.io.atomic import write_text_atomic
from brefine.models.weights import Refiner
from brefine.phasedir import EvaluationReport, PhaseDir, RunState, Speed, Validation
from tests.evaluate.conftest import all_earlier, save_untrained
from tests.run.records import status


def test_a_checkpoint_is_judged_on_its_split(phase: PhaseDir) -> None:
    """The report holds both recordings of the split, figures before and after, calibration, speed and all boundaries."""
    config = phase.load_config()
    done: list[int] = []
    report, rows = evaluate_refiner(
        load_checkpoint(phase, "mlp", "best", "cpu"), GivenSplit(config, "validation"), config, report=done.append
    )
    assert report.recordings == ["rec2", "rec3"]
    assert (report.evidence, report.split, report.model) == ("simulated", "validation", "mlp")
    assert len(rows) == report.comparison.before.n_matched == report.comparison.after.n_matched > 10
    assert report.comparison.improved + report.comparison.worsened + report.comparison.unchanged == len(rows)
    assert report.speed.boundaries_per_s > 0
    assert len(report.before_abs_error_quantiles_ms) == 101
    assert report.checkpoint_step == 0  # untrained
    assert done == [0, 1, 2]


def test_what_an_array_has_heard_is_not_heard_again(phase: PhaseDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two shares hear a recording each; the whole hears the first one, for its speed, and comes to the same report."""
    config = phase.load_config()
    refiner, split = load_checkpoint(phase, "mlp", "best", "cpu"), GivenSplit(config, "validation")
    alone, rows = evaluate_refiner(refiner, split, config)
    for index in (0, 1):
        hear_part(refiner, split, phase.heard("mlp"), index=index, n_parts=2)
    heard: list[str] = []

    def hear_watched(refiner: Refiner, frames: Any, hypothesis: Diarization, *, duration_s: float) -> HeardRecording:
        heard.append(hypothesis.recording)
        return hear_recording(refiner, frames, hypothesis, duration_s=duration_s)

    monkeypatch.setattr("brefine.evaluate.evaluation.hear_recording", hear_watched)
    shared, rows_again = evaluate_refiner(refiner, split, config, kept=phase.heard("mlp"))
    assert heard.count("rec3") == 0
    assert rows_again == rows
    assert shared.comparison == alone.comparison
    assert shared.speed.boundaries_per_s > 0


def test_shares_of_several_checkpoints_are_all_used(phase: PhaseDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an array has heard of `best` is not overwritten by `last`; the evaluation of both takes it away."""
    save_untrained(phase.run("mlp").weights("last"), "mlp", seed=1)
    asked = ["evaluate", str(phase.path), "--model", "mlp", "--checkpoint", "best", "--checkpoint", "last", "--device", "cpu"]
    for index in (0, 1):
        monkeypatch.setattr("sys.argv", ["evaluate", *asked, "--part", f"{index}/2"])
        processes.main()
    heard: list[str] = []

    def hear_watched(refiner: Refiner, frames: Any, hypothesis: Diarization, *, duration_s: float) -> HeardRecording:
        heard.append(hypothesis.recording)
        return hear_recording(refiner, frames, hypothesis, duration_s=duration_s)

    monkeypatch.setattr("brefine.evaluate.evaluation.hear_recording", hear_watched)
    monkeypatch.setattr("sys.argv", ["evaluate", *asked])
    processes.main()
    assert heard == ["rec2", "rec2"]
    assert not phase.heard("mlp").exists()


def test_a_share_does_not_bring_back_a_phase_that_was_moved(phase: PhaseDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task of an array has no progress file, and writes into the phase all the same."""

    def moved(*_: object, **__: object) -> None:
        phase.path.rename(phase.path.with_name("away"))
        write_text_atomic(phase.heard("mlp") / "rec2.safetensors", "")

    monkeypatch.setattr("brefine.evaluate.evaluation.hear_part", moved)
    asked = ["evaluate", str(phase.path), "--model", "mlp", "--device", "cpu", "--part", "0/2"]
    monkeypatch.setattr("sys.argv", ["evaluate", *asked])
    with pytest.raises(FileNotFoundError, match="was it moved"):
        processes.main()
    assert not phase.path.exists()


def test_a_phase_that_can_only_be_read_is_not_evaluated_in_vain(phase: PhaseDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hours of a big split would end in a report that nobody can write."""
    monkeypatch.setattr("tempfile.TemporaryFile", Mock(side_effect=OSError(errno.EROFS, "Read-only file system")))
    monkeypatch.setattr("brefine.evaluate.evaluation.load_checkpoints", Mock(side_effect=AssertionError("it has begun")))
    monkeypatch.setattr("sys.argv", ["evaluate", "evaluate", str(phase.path)])
    with pytest.raises(BrefineError, match="the output cannot be written: Read-only file system"):
        processes.main()


def test_the_report_is_written_as_its_schema_says(phase: PhaseDir) -> None:
    """The JSON is read back by the schema, and the CSV gives the same MAE as the report."""
    config = phase.load_config()
    written = evaluate_refiner(load_checkpoint(phase, "mlp", "best", "cpu"), GivenSplit(config, "validation"), config)
    write_evaluation(phase, *written)
    report = EvaluationReport.read(phase.evaluation("mlp", "validation"))
    with phase.boundaries("mlp", "validation").open() as file:
        errors_s = [abs(float(row["refined_s"]) - float(row["reference_s"])) for row in csv.DictReader(file)]
    assert 1000 * sum(errors_s) / len(errors_s) == pytest.approx(report.comparison.after.mae_ms, abs=0.01)
    assert json.loads(phase.evaluation("mlp", "validation").read_text())["schema"] == 1


def test_other_caps_and_each_recording_stand_beside(phase: PhaseDir) -> None:
    """The same refinement at W = 0.25, 0.5, 1 and 2 s, and recording by recording at the gate's cap."""
    config = phase.load_config()
    report, _ = evaluate_refiner(load_checkpoint(phase, "mlp", "best", "cpu"), GivenSplit(config, "validation"), config)
    at = {one.window_s: one for one in report.at_windows}
    assert list(at) == [0.25, 0.5, 1.0, 2.0]
    assert at[1.0].mae_after_ms == report.comparison.after.mae_ms
    assert at[1.0].capped_mean_before_ms == report.comparison.before.capped_mean_ms
    recalls = [one.recall or 0.0 for one in report.at_windows]
    assert recalls == sorted(recalls)
    assert [one.recording for one in report.by_recording] == report.recordings
    assert sum(one.n_matched for one in report.by_recording) == report.comparison.before.n_matched
    error_ms = sum((one.mae_after_ms or 0.0) * one.n_matched for one in report.by_recording)
    assert error_ms / report.comparison.after.n_matched == pytest.approx(report.comparison.after.mae_ms)


def test_quantiles_are_those_of_the_errors_before_and_after(phase: PhaseDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """In milliseconds, of all matched boundaries, as the rows hold them."""
    monkeypatch.setattr("brefine.evaluate.evaluation.refine_heard", all_earlier)
    config = phase.load_config()
    report, rows = evaluate_refiner(load_checkpoint(phase, "mlp", "best", "cpu"), GivenSplit(config, "validation"), config)
    for quantiles_ms, ends_s in (
        (report.before_abs_error_quantiles_ms, [row.hypothesis_s for row in rows]),
        (report.after_abs_error_quantiles_ms, [row.refined_s for row in rows]),
    ):
        errors_ms = 1000.0 * np.abs(np.array(ends_s) - [row.reference_s for row in rows])
        assert quantiles_ms == pytest.approx(np.quantile(errors_ms, np.linspace(0.0, 1.0, 101)).tolist())
    assert report.before_abs_error_quantiles_ms != report.after_abs_error_quantiles_ms


def test_the_gates_own_cap_is_scored_at_the_checkpoints_step(phase: PhaseDir) -> None:
    """The comparison and each recording are matched within what the recipe's gate says; the step is that of the weights."""
    config = phase.load_config()
    config = config.model_copy(update={"gate": config.gate.model_copy(update={"window_s": 0.25})})
    refiner = load_checkpoint(phase, "mlp", "best", "cpu")
    figures = dict.fromkeys(("loss", "mae_ms", "median_ms", "within_50ms", "within_100ms", "within_200ms"), 0.5)
    trained = refiner.card.model_copy(update={"validation": Validation(step=7, epoch=3, **figures)})
    report, _ = evaluate_refiner(replace(refiner, card=trained), GivenSplit(config, "validation"), config)
    assert report.checkpoint_step == 7
    at = {one.window_s: one for one in report.at_windows}
    before, after = report.comparison.before, report.comparison.after
    assert (before.window_s, before.recall) == (0.25, at[0.25].recall)
    assert (before.mae_ms, after.mae_ms) == (at[0.25].mae_before_ms, at[0.25].mae_after_ms)
    assert before.mae_ms != at[1.0].mae_before_ms
    assert sum(one.n_matched for one in report.by_recording) == before.n_matched


def test_several_checkpoints_stand_side_by_side(phase: PhaseDir) -> None:
    """`best` and `last` of each model, a file of the model that it is; only `best` is what a model is chosen by."""
    save_untrained(phase.run("mlp").weights("last"), "mlp", seed=1)
    other = phase.path / "older.safetensors"
    save_untrained(other, "contrastive", seed=2)
    found = load_checkpoints(phase, None, ["best", str(other)], "cpu")
    digest = found["best"][1].card.weights_sha256
    (label,) = found.keys() - {"best"}
    assert [refiner.card.model for refiner in found["best"]] == ["mlp", "contrastive"]
    assert label.startswith("older-") and found[label][0].card.weights_sha256 != digest
    with pytest.raises(CheckpointError, match="another model"):
        load_checkpoints(phase, ["mlp"], [str(other)], "cpu")
    config = phase.load_config()
    for name, own in load_checkpoints(phase, ["mlp"], ["best", "last"], "cpu").items():
        write_evaluation(phase, *evaluate_refiner(own[0], GivenSplit(config, "validation"), config, checkpoint=name))
    best, last = (EvaluationReport.read(phase.evaluation("mlp", "validation", name)) for name in ("best", "last"))
    assert phase.evaluation("mlp", "validation") == phase.evaluation("mlp", "validation", "best")
    assert (best.checkpoint, last.checkpoint) == ("best", "last")
    assert best.weights_sha256 != last.weights_sha256


def test_looks_at_the_gate_split_outlive_their_reports(phase: PhaseDir) -> None:
    """Other weights under the same name are a further look, the same ones again are none; validation may be looked at freely."""
    config = phase.load_config()
    for seed in (1, 1, 2):
        save_untrained(phase.run("mlp").weights("best"), "mlp", seed=seed)
        for split in ("gate", "validation"):
            refiner = load_checkpoint(phase, "mlp", "best", "cpu")
            told = write_evaluation(phase, *evaluate_refiner(refiner, GivenSplit(config, split), config))
            assert EvaluationReport.read(phase.evaluation("mlp", split)).looks == told.looks
    assert told.looks == []
    looks = EvaluationReport.read(phase.evaluation("mlp", "gate")).looks
    assert len(looks) == len({look.weights_sha256 for look in looks}) == 2
    assert looks[-1].weights_sha256 == refiner.card.weights_sha256
    recordings = EvaluationReport.read(phase.evaluation("mlp", "gate")).recordings
    phase.evaluation("mlp", "gate").unlink()
    assert [record.look.refiner for record in phase.look_lines().readable] == [look.refiner for look in looks]
    assert [one.name for one in phase.look_lines().readable[0].recordings] == recordings


def test_the_speed_of_a_cpu_is_measured_on_one_recording(phase: PhaseDir) -> None:
    """Where the models ran on a GPU, the report tells what a CPU would have taken."""
    speed = speed_on_cpu(load_checkpoint(phase, "mlp", "best", "cpu"), GivenSplit(phase.load_config(), "validation"))
    assert speed.boundaries_per_s > 0 and speed.seconds_per_audio_hour > 0


def test_the_speed_of_a_cpu_is_not_measured_where_nobody_speaks(phase: PhaseDir) -> None:
    """However short a recording without a turn is: the model is not asked about it."""
    split = GivenSplit(phase.load_config(), "validation")
    first, *others = split.recordings
    split.recordings = (replace(first, hypothesis=Diarization(first.name), duration_s=1.0), *others)
    assert speed_on_cpu(load_checkpoint(phase, "mlp", "best", "cpu"), split).boundaries_per_s > 0


def test_the_speed_counts_hearing_and_moving(phase: PhaseDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """Moving all recordings is timed at once, and of that as much counts as the recordings that were heard make up."""
    config = phase.load_config()
    refiner, split = load_checkpoint(phase, "mlp", "best", "cpu"), GivenSplit(config, "validation")
    hear_part(refiner, split, phase.heard("mlp"), index=1, n_parts=2)
    timed_s: list[float] = []

    def speed_counted(*arguments: Any, refining_s: float, **options: Any) -> Speed:
        timed_s.append(refining_s)
        return speed_of(*arguments, refining_s=refining_s, **options)

    monkeypatch.setattr("brefine.evaluate.evaluation.speed_of", speed_counted)
    hearing, moving = MagicMock(seconds=2.0), MagicMock(seconds=3.0)
    monkeypatch.setattr("brefine.evaluate.evaluation.Stopwatch", Mock(side_effect=[hearing, moving]))
    evaluate_refiner(refiner, split, config, kept=phase.heard("mlp"))
    assert timed_s == [pytest.approx(2.0 + 3.0 / 2)]


def test_the_speed_counts_what_the_model_was_asked_about(phase: PhaseDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cuts within a speaker's own speech are ends, but cost the model nothing: they would make it look faster."""
    config = phase.load_config()
    refiner, split = load_checkpoint(phase, "mlp", "best", "cpu"), GivenSplit(config, "validation")
    counted: list[int] = []

    def speed_counted(*arguments: Any, n_boundaries: int, **options: Any) -> Speed:
        counted.append(n_boundaries)
        return speed_of(*arguments, n_boundaries=n_boundaries, **options)

    monkeypatch.setattr("brefine.evaluate.evaluation.speed_of", speed_counted)
    evaluate_refiner(refiner, split, config)
    split.recordings = tuple(replace(one, hypothesis=_cut_in_two(one.hypothesis)) for one in split.recordings)
    evaluate_refiner(refiner, split, config)
    assert counted[0] == counted[1] > 10


def _cut_in_two(hypothesis: Diarization) -> Diarization:
    halves = []
    for turn in hypothesis.turns:
        middle_s = (turn.onset_s + turn.offset_s) / 2
        halves += [Turn(turn.onset_s, middle_s, turn.speaker), Turn(middle_s, turn.offset_s, turn.speaker)]
    return Diarization(hypothesis.recording, tuple(halves))


def test_figures_are_the_same_each_time(phase: PhaseDir) -> None:
    """Everything but speed and clock is a function of weights and corpus."""
    config = phase.load_config()
    reports = [
        evaluate_refiner(load_checkpoint(phase, "contrastive", "best", "cpu"), GivenSplit(config, "gate"), config)[0]
        for _ in range(2)
    ]
    volatile = {"speed", "unix_s"}
    assert reports[0].model_dump(exclude=volatile) == reports[1].model_dump(exclude=volatile)


def test_weights_of_another_model_are_refused(phase: PhaseDir) -> None:
    """A checkpoint is named with the model that it is."""
    other = phase.path / "other.safetensors"
    save_untrained(other, "contrastive")
    with pytest.raises(CheckpointError, match="another model"):
        load_checkpoint(phase, "mlp", str(other), "cpu")
    with pytest.raises(CheckpointError, match="no such weights"):
        load_checkpoint(phase, "mlp", "last", "cpu")


@pytest.mark.parametrize("damage", ["missing", "torn"])
@pytest.mark.parametrize(
    ("state", "told"), [(None, "train first: brefine resume"), (RunState.FINISHED, "brefine launch-phase3 --config")]
)
def test_weights_that_are_not_there_yet_are_not_looked_for_elsewhere(
    phase: PhaseDir, damage: str, state: RunState | None, told: str
) -> None:
    """Who has no checkpoint is not sent to that very checkpoint, but to what makes one."""
    if state is not None:
        status("mlp", state).write(phase.run("mlp").status)
    weights = phase.run("mlp").weights("best")
    weights.unlink()
    if damage == "torn":
        weights.write_bytes(b"torn")
    with pytest.raises(CheckpointError) as told_error:
        load_checkpoint(phase, "mlp", "best", "cpu")
    assert told in str(told_error.value.hint)
    assert "best.safetensors" not in str(told_error.value.hint)
