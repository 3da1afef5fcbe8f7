"""Following one event file through everything that happens to files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from brefine.run.tail import file as file_module
from brefine.run.tail.file import EventFileTail
from tests.run.tail.event_writing import ramp, record, scalar, session_start, version, write_events


def read_all(tail: EventFileTail) -> list[int]:
    while tail.poll():
        pass
    series = tail.series.get("train/loss")
    return [] if series is None else series.steps.tolist()


def kinds(tail: EventFileTail) -> list[str]:
    return [fault.kind for fault in tail.faults]


def test_a_file_cut_at_every_byte_and_then_completed_is_read_whole(tmp_path: Path) -> None:
    """Wherever the writer was interrupted, the tail waits without complaint and goes on when the rest comes."""
    records = [version(), *ramp(range(1, 5))]
    content = b"".join(records)
    ends = [sum(map(len, records[: n + 1])) for n in range(len(records))]
    path = tmp_path / "events.out.tfevents.1"
    for cut in range(len(content) + 1):
        path.write_bytes(content[:cut])
        tail = EventFileTail(path)
        n_scalars = max(0, sum(end <= cut for end in ends) - 1)
        assert read_all(tail) == list(range(1, 1 + n_scalars))
        with path.open("ab") as file:
            file.write(content[cut:])
        assert read_all(tail) == [1, 2, 3, 4]
        assert tail.faults == [], cut


def test_every_flipped_byte_is_told_and_costs_little(tmp_path: Path) -> None:
    """Whatever byte is damaged, the damage is told, at most two values are lost, and no wrong value is shown."""
    records = [version(), *ramp(range(1, 8))]
    content = b"".join(records)
    path = tmp_path / "events.out.tfevents.1"
    for place in range(len(content)):
        bad = bytearray(content)
        bad[place] ^= 0x55
        path.write_bytes(bytes(bad))
        tail = EventFileTail(path)
        found = read_all(tail)
        assert tail.faults, place
        assert set(found) <= set(range(1, 8)) and len(found) >= 6, place
        assert tail.series["train/loss"].values.tolist() == [float(step) for step in found]


def test_damage_is_stepped_over_while_the_file_grows(tmp_path: Path) -> None:
    """After damage, reading resumes at the next record, also when that one is written later."""
    path = write_events(tmp_path / "events.out.tfevents.1", [version(), *ramp([1, 2]), b"\x07" * 100])
    tail = EventFileTail(path)
    assert read_all(tail) == [1, 2]
    with path.open("ab") as file:
        file.write(b"".join(ramp([3, 4])))
    assert read_all(tail) == [1, 2, 3, 4]
    assert set(kinds(tail)) == {"damaged"}


def test_much_damage_is_told_in_few_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every fault is an alert that is written to disk: a file without a sound record makes one a chunk, and only so many."""
    path = tmp_path / "events.out.tfevents.1"
    sound, bad = scalar(1, 1.0), bytearray(scalar(2, 2.0))
    bad[-6] ^= 0x55
    path.write_bytes(version() + sound + bytes(bad) * 8000)
    tail = EventFileTail(path)
    assert read_all(tail) == [1]
    (fault,) = tail.faults
    assert (fault.kind, fault.text) == ("damaged", "8,000 records are damaged; they are left out")
    assert fault.offset == len(version() + sound) + 12
    monkeypatch.setattr(file_module, "CHUNK_BYTES", 256)
    tail = EventFileTail(path)
    assert read_all(tail) == [1]
    assert len(tail.faults) == 20
    assert tail.faults[-1].text.endswith("left out; more of this kind is not told")
    path.unlink()
    read_all(tail)
    assert kinds(tail)[-1] == "deleted"


def test_a_pipe_in_the_place_of_a_file_is_told_and_not_waited_for(tmp_path: Path) -> None:
    """It has no writer, and reading it would last for ever."""
    path = write_events(tmp_path / "events.out.tfevents.1", [version(), *ramp([1, 2])])
    tail = EventFileTail(path)
    read_all(tail)
    path.unlink()
    os.mkfifo(path)
    assert (read_all(tail), kinds(tail)) == ([1, 2], ["unreadable"])
    assert tail.faults[0].text == "the file cannot be read: it is not a regular file"


def test_damage_longer_than_a_chunk_is_stepped_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each poll reads one chunk, and the search goes on from poll to poll."""
    monkeypatch.setattr(file_module, "CHUNK_BYTES", 256)
    path = write_events(tmp_path / "events.out.tfevents.1", [version(), *ramp([1]), b"\x07" * 3000, *ramp([2])])
    assert read_all(EventFileTail(path)) == [1, 2]


def test_a_record_larger_than_a_chunk_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image of megabytes is not read, waited for while it is torn, and no fault."""
    monkeypatch.setattr(file_module, "CHUNK_BYTES", 4096)
    image = record(bytes(50_000))
    path = write_events(tmp_path / "events.out.tfevents.1", [version(), *ramp([1]), image[:20_000]])
    tail = EventFileTail(path)
    assert read_all(tail) == [1]
    with path.open("ab") as file:
        file.write(image[20_000:] + b"".join(ramp([2])))
    assert (read_all(tail), tail.faults) == ([1, 2], [])


def test_a_zero_filled_end_is_told_and_waited_for(tmp_path: Path) -> None:
    """A hole of zeros is told; if a network disk fills it later, nothing is lost."""
    whole = b"".join([version(), *ramp([1, 2, 3])])
    cut = len(whole) - len(scalar(3, 3.0)) - 10
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(whole[:cut] + bytes(len(whole) - cut))
    tail = EventFileTail(path)
    assert read_all(tail) == [1]
    assert "zero-filled" in kinds(tail) or "damaged" in kinds(tail)
    path.write_bytes(whole[: len(b"".join([version(), *ramp([1])]))] + bytes(200))
    tail = EventFileTail(path)
    assert (read_all(tail), kinds(tail)) == ([1], ["zero-filled"])
    with path.open("r+b") as file:
        file.write(whole)
        file.truncate()
    assert read_all(tail) == [1, 2, 3]


def test_a_shrunk_file_is_read_anew(tmp_path: Path) -> None:
    """A file that was cut and written again shows what it says now, and the reader says that it happened."""
    path = write_events(tmp_path / "events.out.tfevents.1", [version(), *ramp(range(1, 9))])
    tail = EventFileTail(path)
    read_all(tail)
    write_events(path, [version(), *ramp([5, 6])])
    assert (read_all(tail), kinds(tail)) == ([5, 6], ["rewritten"])


def test_a_file_replaced_by_a_longer_one_is_read_anew(tmp_path: Path) -> None:
    """Rotation under the same name is seen by the file's identity."""
    path = write_events(tmp_path / "events.out.tfevents.1", [version(), *ramp([1, 2])])
    tail = EventFileTail(path)
    read_all(tail)
    write_events(tmp_path / "new", [version(), *ramp(range(10, 20))]).replace(path)
    assert (read_all(tail), kinds(tail)) == (list(range(10, 20)), ["rewritten"])


def test_a_file_overwritten_in_place_by_a_longer_one_is_read_anew(tmp_path: Path) -> None:
    """The same inode, a larger size, other content: the bytes last read are not there any more."""
    path = write_events(tmp_path / "events.out.tfevents.1", [version(), *ramp([1, 2])])
    tail = EventFileTail(path)
    read_all(tail)
    write_events(path, [version(), *ramp(range(10, 20))])
    assert (read_all(tail), kinds(tail)) == (list(range(10, 20)), ["rewritten"])


def test_a_deleted_file_keeps_what_was_read(tmp_path: Path) -> None:
    """Curves do not vanish from the screen, and the person is told, once."""
    path = write_events(tmp_path / "events.out.tfevents.1", [version(), *ramp([1, 2])])
    tail = EventFileTail(path)
    read_all(tail)
    path.unlink()
    assert (read_all(tail), read_all(tail), kinds(tail)) == ([1, 2], [1, 2], ["deleted"])


def test_a_restart_within_a_file_cuts_back(tmp_path: Path) -> None:
    """With a session start or without one, later writings win and steps rise."""
    marked = [version(), *ramp(range(1, 9)), session_start(4), *ramp(range(4, 7), offset=0.5)]
    unmarked = [version(), *ramp(range(1, 9)), *ramp(range(4, 7), offset=0.5)]
    for name, records in (("marked", marked), ("unmarked", unmarked)):
        tail = EventFileTail(write_events(tmp_path / name, records))
        assert read_all(tail) == [1, 2, 3, 4, 5, 6]
        assert tail.series["train/loss"].values.tolist() == [1.0, 2.0, 3.0, 4.5, 5.5, 6.5]
