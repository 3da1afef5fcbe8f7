"""A supervisor that lives and does not work is told from one that is slow, and from a machine that slept."""

from __future__ import annotations

from typing import Literal

import pytest

from brefine.identity import own_identity
from brefine.phasedir import Stage, SupervisorState
from brefine.run.pulse import Pulse

OWN = own_identity()


def word(beat_unix_s: float, state: Literal["running", "finished"] = "running") -> SupervisorState:
    """What a supervisor last said, at a time of the day."""
    return SupervisorState(process=OWN, stage=Stage.TRAIN, state=state, started_unix_s=0.0, heartbeat_unix_s=beat_unix_s)


class Reader:
    """Looks at a supervisor again and again, by two clocks that the test sets."""

    def __init__(self) -> None:
        self.awake_s = 0.0
        self.pulse = Pulse(lambda: self.awake_s)

    def look(self, beat_unix_s: float, now_unix_s: float, *, after_s: float = 1.0) -> float | None:
        self.awake_s += after_s
        return self.pulse.silence_s(word(beat_unix_s), OWN, now_unix_s)


@pytest.mark.parametrize(("now_unix_s", "silent_s"), [(1075.0, None), (1076.0, 76.0), (900.0, None)])
def test_one_look_goes_by_the_age_of_the_heartbeat(now_unix_s: float, silent_s: float | None) -> None:
    """A minute and a quarter is more than a supervisor waits for a scheduler; a heartbeat of tomorrow is none that is old."""
    assert Reader().look(1000.0, now_unix_s) == silent_s


def test_silence_grows_until_the_next_heartbeat() -> None:
    """Whoever goes on looking sees it end at once."""
    reader = Reader()
    assert reader.look(1000.0, 1001.0) is None
    assert reader.look(1000.0, 1061.0, after_s=60.0) is None
    assert reader.look(1000.0, 1101.0, after_s=40.0) == 101.0
    assert reader.look(1101.5, 1102.0) is None


@pytest.mark.parametrize("beat_unix_s", [1000.0, 1001.5], ids=["seen before", "not seen before"])
def test_a_machine_that_slept_and_a_clock_that_was_set_make_no_silence(beat_unix_s: float) -> None:
    """The supervisor slept as long as its reader; its last heartbeat before that may not have been read."""
    reader = Reader()
    assert reader.look(1000.0, 1001.0) is None
    assert reader.look(beat_unix_s, 9000.0) is None
    assert reader.look(beat_unix_s, 9001.0) is None


def test_whoever_does_not_supervise_is_not_silent() -> None:
    """A last word, a word of another process, and none at all."""
    other = OWN.model_copy(update={"pid": OWN.pid + 1})
    assert Pulse().silence_s(word(0.0, "finished"), OWN, 1000.0) is None
    assert Pulse().silence_s(word(0.0), other, 1000.0) is None
    assert Pulse().silence_s(word(0.0), None, 1000.0) is None
    assert Pulse().silence_s(None, OWN, 1000.0) is None


def test_a_clock_that_was_set_back_hides_no_silence() -> None:
    """A heartbeat of an hour ahead is as old as nothing, and not an hour younger than that."""
    reader = Reader()
    assert reader.look(4600.0, 1000.0) is None
    assert reader.look(4600.0, 1080.0, after_s=80.0) == 80.0


def test_a_reader_that_looks_seldom_takes_a_fresh_heartbeat_for_what_it_is() -> None:
    """It could have seen others in the meantime, but this one is a second old."""
    reader = Reader()
    assert reader.look(1000.0, 1001.0) is None
    assert reader.look(1200.0, 1201.0, after_s=200.0) is None


def test_silence_after_several_heartbeats_is_counted_from_the_last() -> None:
    """However often somebody looks."""
    reader = Reader()
    looks = [reader.look(min(1000.0 + second, 1003.0), 1001.0 + second) for second in range(100)]
    assert looks[:78] == [None] * 78
    assert looks[-1] == 97.0
