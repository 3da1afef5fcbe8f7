"""Scalars and sessions in `Event` messages."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.compat.proto.event_pb2 import Event as EventProto
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto

from brefine.run.tail.events import Scalars, SessionStart, decode_frames, parse_event
from brefine.run.tail.tfrecord import FrameScanner
from tests.run.tail.event_writing import record, scalar, session_start, version

TAGS = st.sampled_from(["a", "train/loss", "train/lost", "validation/mae_ms", "größe"])
STEPS = st.integers(min_value=0, max_value=(1 << 62))
VALUES = st.floats(width=32)


def decode(buffer: bytes) -> tuple[list[Scalars | SessionStart], list[int]]:
    return decode_frames(buffer, FrameScanner().scan(buffer))


def rows(buffer: bytes) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, list[tuple[int, float]]] = {}
    for item in decode(buffer)[0]:
        if isinstance(item, Scalars):
            found.setdefault(item.tag, []).extend(zip(item.steps.tolist(), item.values.tolist(), strict=True))
    return found


@given(st.lists(st.tuples(TAGS, STEPS, VALUES), max_size=150))
@settings(max_examples=60, deadline=None)
def test_scalars_come_back_in_written_order(written: list[tuple[str, int, float]]) -> None:
    """Every tag's values, of any step and any float, are read in the order in which they were written."""
    expected: dict[str, list[tuple[int, float]]] = {}
    for tag, step, value in written:
        expected.setdefault(tag, []).append((step, value))
    found = rows(version() + b"".join(scalar(step, value, tag) for tag, step, value in written))
    assert {tag: repr(values) for tag, values in found.items()} == {tag: repr(values) for tag, values in expected.items()}


def test_many_alike_records_and_few_take_the_same_values() -> None:
    """The way for many records at once and the plain reader agree: 1,000 values in one buffer equal 1,000 buffers of one."""
    values = np.random.default_rng(3).normal(size=1000).astype(np.float32).tolist()
    values[10], values[20], values[30] = math.nan, math.inf, 0.0
    records = [scalar(step * 7, value, f"tag/{step % 3}") for step, value in enumerate(values)]
    together = rows(b"".join(records))
    alone: dict[str, list[tuple[int, float]]] = {}
    for one in records:
        for tag, found in rows(one).items():
            alone.setdefault(tag, []).extend(found)
    assert repr(sorted(together.items())) == repr(sorted(alone.items()))


def test_times_are_kept_to_the_last_digit() -> None:
    """Wall times are doubles and stay so."""
    (item,) = decode(b"".join(scalar(step, 1.0, wall_s=1.7e9 + 0.123456) for step in range(100)))[0]
    assert isinstance(item, Scalars)
    assert item.unix_s.tolist() == [1.7e9 + 0.123456 + step for step in range(100)]


def test_a_session_start_stands_between_what_it_parts() -> None:
    """What was written before a restart comes before it, what was written afterwards behind it."""
    buffer = (
        b"".join(scalar(step, step) for step in range(60)) + session_start(30) + b"".join(scalar(s, -s) for s in range(30, 90))
    )
    first, start, second = decode(buffer)[0]
    assert start == SessionStart(30)
    assert isinstance(first, Scalars) and first.steps.tolist() == list(range(60))
    assert isinstance(second, Scalars) and second.steps.tolist() == list(range(30, 90))


@pytest.mark.parametrize(
    "tensor",
    [
        TensorProto(dtype=1, float_val=[2.5]),
        TensorProto(dtype=2, double_val=[2.5]),
        TensorProto(dtype=1, tensor_content=np.float32(2.5).tobytes()),
        TensorProto(dtype=2, tensor_content=np.float64(2.5).tobytes()),
    ],
)
def test_scalars_written_as_tensors_are_read(tensor: TensorProto) -> None:
    """Newer writers put a scalar into a tensor of one number."""
    metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="scalars"))
    summary = Summary(value=[Summary.Value(tag="loss", tensor=tensor, metadata=metadata)])
    event = parse_event(EventProto(wall_time=1.0, step=4, summary=summary).SerializeToString())
    assert event.scalars == (("loss", 2.5),)


def test_other_summaries_are_passed_over() -> None:
    """Histograms and tensors of several numbers are no scalars, and no fault either."""
    several = Summary.Value(tag="t", tensor=TensorProto(dtype=1, float_val=[1.0, 2.0]))
    histogram = Summary.Value(tag="h", histo=HistogramProto(min=0.0, bucket=[1.0]))
    both = Summary(value=[several, histogram, Summary.Value(tag="loss", simple_value=3.0)])
    buffer = record(EventProto(wall_time=1.0, step=4, summary=both).SerializeToString())
    assert (rows(buffer), decode(buffer)[1]) == ({"loss": [(4, 3.0)]}, [])


@given(st.binary(max_size=200))
@settings(max_examples=300)
def test_anything_is_an_event_or_a_value_error(payload: bytes) -> None:
    """No bytes make the reader fail in another way, or run away."""
    try:
        parse_event(payload)
    except ValueError:
        return


def test_a_sound_record_that_is_no_event_is_a_fault() -> None:
    """A payload whose checksum holds but which is no message is reported with its place."""
    buffer = scalar(1, 1.0) + record(b"\xff" * 30) + scalar(2, 2.0)
    assert decode(buffer)[1] == [len(scalar(1, 1.0)) + 12]
    assert rows(buffer) == {"train/loss": [(1, 1.0), (2, 2.0)]}
