"""Event files that every reader takes in the order in which they were written."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from brefine.run.tail.run import RunTail, event_files
from brefine.train.events import EventWriter


def read(folder: Path) -> EventAccumulator:
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    return events


def test_files_of_one_second_keep_their_order_however_many_there_are(tmp_path: Path) -> None:
    """Twelve processes, each killed one step after the next one's start: the curve has every step once, from the last."""
    for number in range(12):
        with EventWriter(tmp_path, start_step=number) as events:
            for step in (number + 1, number + 2):
                events.scalars({"loss": float(number)}, step)
    wanted = [(step, float(step - 1)) for step in range(1, 13)] + [(13, 11.0)]
    assert [(event.step, event.value) for event in read(tmp_path).Scalars("loss")] == wanted
    tail = RunTail(tmp_path)
    while tail.poll():
        pass
    curve = tail.curves()["loss"]
    assert list(zip(curve.steps.tolist(), curve.values.tolist(), strict=True)) == wanted


def test_what_a_process_wrote_before_its_first_checkpoint_is_void(tmp_path: Path) -> None:
    """All of it, the point before the first step among it: who begins again begins at nought."""
    for value, steps in ((1.0, (0, 1, 2)), (2.0, (0, 1))):
        with EventWriter(tmp_path, start_step=0) as events:
            for step in steps:
                events.scalars({"loss": value}, step)
    assert [(event.step, event.value) for event in read(tmp_path).Scalars("loss")] == [(0, 2.0), (1, 2.0)]
    tail = RunTail(tmp_path)
    while tail.poll():
        pass
    curve = tail.curves()["loss"]
    assert (curve.steps.tolist(), curve.values.tolist()) == ([0, 1], [2.0, 2.0])


def test_a_clock_that_was_set_back_does_not_turn_the_order(tmp_path: Path) -> None:
    """The next file's name follows the last one's, whatever the clock says, and names of other writers are no trouble."""
    (tmp_path / "events.out.tfevents.9999999990.host.1.0").write_bytes(b"")
    (tmp_path / "events.out.tfevents.strange").write_bytes(b"")
    with EventWriter(tmp_path, start_step=0):
        assert event_files(tmp_path)[1].name == "events.out.tfevents.9999999991.brefine"


def test_not_a_number_and_absent_values_are_told_apart(tmp_path: Path) -> None:
    """The first is written as it is, the second not at all."""
    with EventWriter(tmp_path, start_step=0) as events:
        events.scalars({"loss": math.nan, "memory": None}, 3)
    found = read(tmp_path)
    assert found.Tags()["scalars"] == ["loss"]
    assert math.isnan(found.Scalars("loss")[0].value)


def test_words_are_shown_by_tensorboard_and_disturb_no_curve(tmp_path: Path) -> None:
    """A text is a tensor of the plugin `text`; the tailer reads over it and finds no fault."""
    with EventWriter(tmp_path, start_step=0) as events:
        events.text("train/nonfinite", "ES2011a at 3.20 s", 7)
        events.scalars({"loss": 1.0}, 8)
    tensor = read(tmp_path).Tensors("train/nonfinite")[0]
    assert (tensor.step, tensor.tensor_proto.string_val[0]) == (7, b"ES2011a at 3.20 s")
    tail = RunTail(tmp_path)
    tail.poll()
    assert (list(tail.curves()), tail.faults) == (["loss"], ())


def test_what_was_flushed_is_on_disk_while_the_file_is_open(tmp_path: Path) -> None:
    """A checkpoint is never ahead of its curves."""
    with EventWriter(tmp_path, start_step=0) as events:
        events.scalars({"loss": 2.0}, 1)
        events.flush()
        assert read(tmp_path).Scalars("loss")[0].value == pytest.approx(2.0)
