"""What a snapshot tells beside what it was given."""

from __future__ import annotations

from brefine.phasedir import RunState, Stage
from brefine.run.snapshot import PhaseState, RunView, ShownState
from tests.run.records import status
from tests.tui import memory_phases


def _took_s(*, heartbeat_unix_s: float, evaluated_unix_s: float) -> dict[Stage, float]:
    """Of a phase that was prepared from 900 to 1000 and trained one model."""
    word = status("mlp", RunState.FINISHED, unix_s=heartbeat_unix_s)
    progress = memory_phases.progress(Stage.PREPARE, "", 1, 1, state="finished")
    prepared = progress.model_copy(update={"started_unix_s": 900.0, "unix_s": 1000.0})
    judged = {"stage": Stage.EVALUATE, "started_unix_s": evaluated_unix_s, "unix_s": evaluated_unix_s + 30.0}
    snapshot = memory_phases.phase(
        PhaseState.TO_SELECT,
        runs=(RunView("mlp", ShownState.FINISHED, word, {}, ()),),
        progress={Stage.PREPARE: prepared, Stage.EVALUATE: progress.model_copy(update=judged)},
    )
    return snapshot.took_s


def test_each_station_took_its_time_in_their_order() -> None:
    """Training has no word of its own as a station: it lies between preparation and evaluation."""
    took_s = _took_s(heartbeat_unix_s=1599.0, evaluated_unix_s=1600.0)
    assert list(took_s.items()) == [(Stage.PREPARE, 100.0), (Stage.TRAIN, 599.0), (Stage.EVALUATE, 30.0)]


def test_an_evaluation_days_later_makes_no_training_of_days() -> None:
    """Whoever evaluates again has not trained meanwhile: the trainers' last word ends the training."""
    assert _took_s(heartbeat_unix_s=1600.0, evaluated_unix_s=260_000.0)[Stage.TRAIN] == 600.0


def test_what_is_trained_after_an_evaluation_adds_nothing_to_the_time_before_it() -> None:
    """A trainer that goes on once more speaks later than the evaluation that has ended."""
    assert _took_s(heartbeat_unix_s=9000.0, evaluated_unix_s=1600.0)[Stage.TRAIN] == 600.0
