"""All event files of a training as one set of curves."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from brefine.run.tail.run import RunTail, find_run_folders
from brefine.run.tail.series import GrowingSeries
from tests.run.tail.event_writing import ramp, scalar, session_start, version, write_events


def drained(tail: RunTail) -> RunTail:
    while tail.poll():
        pass
    return tail


def test_curves_equal_those_of_tensorboard(tmp_path: Path) -> None:
    """EventAccumulator reads the same steps, values and times from what TensorBoard's writer wrote."""
    writer = EventFileWriter(str(tmp_path))
    generator = random.Random(1)
    for step in range(2000):
        for tag in ("train/loss", "validation/mae_ms", "train/lr"):
            if tag != "validation/mae_ms" or step % 50 == 0:
                summary = Summary(value=[Summary.Value(tag=tag, simple_value=generator.gauss(0.0, 1.0))])
                writer.add_event(Event(wall_time=1.7e9 + step / 7, step=step, summary=summary))
    writer.close()
    oracle = EventAccumulator(str(tmp_path), size_guidance={"scalars": 0}).Reload()
    curves = drained(RunTail(tmp_path)).curves()
    assert sorted(curves) == sorted(oracle.Tags()["scalars"])
    for tag, curve in curves.items():
        expected = oracle.Scalars(tag)
        assert curve.steps.tolist() == [event.step for event in expected]
        assert curve.values.tolist() == [event.value for event in expected]
        assert curve.unix_s.tolist() == [event.wall_time for event in expected]


def test_the_order_of_polls_does_not_matter(tmp_path: Path) -> None:
    """A file that grows by random pieces, polled in between, gives the curve of the file read at once."""
    content = b"".join([version(), *ramp(range(1, 400)), session_start(200), *ramp(range(200, 500), offset=0.25)])
    growing, whole = tmp_path / "growing" / "tfevents", tmp_path / "whole" / "tfevents"
    write_events(whole, [content])
    write_events(growing, [])
    tail, generator, written = RunTail(growing.parent), random.Random(5), 0
    while written < len(content):
        piece = content[written : written + generator.randint(1, 900)]
        with growing.open("ab") as file:
            file.write(piece)
        written += len(piece)
        tail.poll()
    expected = drained(RunTail(whole.parent)).curves()["train/loss"]
    found = drained(tail).curves()["train/loss"]
    assert np.array_equal(found.steps, expected.steps) and np.array_equal(found.values, expected.values)


@pytest.mark.parametrize("marked", [True, False])
def test_a_later_file_takes_over_without_a_saw_tooth(tmp_path: Path, marked: bool) -> None:
    """After a restart, with a session start or without, the curve follows the new file from its first step on."""
    write_events(tmp_path / "events.out.tfevents.100.host", [version(), *ramp(range(1, 11))])
    again = [version(), *([session_start(6)] if marked else []), *ramp(range(6, 9), offset=0.5)]
    write_events(tmp_path / "events.out.tfevents.200.host", again)
    curve = drained(RunTail(tmp_path)).curves()["train/loss"]
    assert curve.steps.tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert curve.values.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0, 6.5, 7.5, 8.5]


def test_a_session_start_cuts_every_tag(tmp_path: Path) -> None:
    """A tag that the restarted run has not yet written again does not show the voided future."""
    write_events(tmp_path / "tfevents.1", [version(), *ramp(range(1, 11), "validation/mae_ms")])
    write_events(tmp_path / "tfevents.2", [version(), session_start(4), scalar(4, 1.0)])
    assert drained(RunTail(tmp_path)).curves()["validation/mae_ms"].steps.tolist() == [1, 2, 3]


def test_curves_that_did_not_change_are_the_same_objects(tmp_path: Path) -> None:
    """A screen can see by identity what it need not draw again."""
    path = write_events(tmp_path / "tfevents.1", [version(), *ramp([1, 2]), *ramp([1], "other")])
    tail = drained(RunTail(tmp_path))
    before = tail.curves()
    with path.open("ab") as file:
        file.write(scalar(3, 3.0))
    after = drained(tail).curves()
    assert after["other"] is before["other"]
    assert after["train/loss"] is not before["train/loss"]


def test_a_curve_that_was_handed_out_never_changes(tmp_path: Path) -> None:
    """Snapshots are immutable: growing and cutting back leave the views of earlier ones alone."""
    path = write_events(tmp_path / "tfevents.1", [version(), *ramp(range(1, 1000))])
    tail = drained(RunTail(tmp_path))
    curve = tail.curves()["train/loss"]
    with path.open("ab") as file:
        file.write(b"".join(ramp(range(500, 800), offset=0.5)))
    drained(tail)
    assert curve.values.tolist() == [float(step) for step in range(1, 1000)]


def test_non_finite_values_are_kept(tmp_path: Path) -> None:
    """Not-a-number is shown where it happened, not hidden."""
    write_events(tmp_path / "tfevents.1", [version(), scalar(1, 1.0), scalar(2, float("nan")), scalar(3, float("inf"))])
    curve = drained(RunTail(tmp_path)).curves()["train/loss"]
    assert curve.steps[~np.isfinite(curve.values)].tolist() == [2, 3]


def test_run_folders_are_found_as_tensorboard_lists_them(tmp_path: Path) -> None:
    """Every folder at or under the root that holds event files is a run."""
    for name in ("events.out.tfevents.1", "a/events.out.tfevents.1", "b/c/events.out.tfevents.1", "d/other"):
        write_events(tmp_path / name, [version()])
    assert find_run_folders(tmp_path) == [tmp_path, tmp_path / "a", tmp_path / "b" / "c"]


def test_folders_and_files_that_vanish_under_a_reader_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody clears out old runs while they are looked for, or while they are watched."""
    for name in ("a", "b"):
        write_events(tmp_path / name / "events.out.tfevents.1", [version()])
    tail, scandir = RunTail(tmp_path / "a"), os.scandir

    def vanishing(path: str) -> Iterator[os.DirEntry[str]]:
        if Path(path).name == "b":
            Path(path).rename(tmp_path.with_name(f"{tmp_path.name}-gone"))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", vanishing)
    assert find_run_folders(tmp_path) == [tmp_path / "a"]
    monkeypatch.setattr("brefine.run.tail.run.event_files", lambda folder: [folder / "events.out.tfevents.0"])
    assert tail.last_written_unix_s() is None


def test_a_series_cut_to_nothing_is_empty(tmp_path: Path) -> None:
    """A run restarted from its beginning has no old values left."""
    write_events(tmp_path / "tfevents.1", [version(), *ramp(range(1, 5)), session_start(0)])
    assert drained(RunTail(tmp_path)).curves()["train/loss"].steps.tolist() == []
    assert GrowingSeries().steps.tolist() == []
