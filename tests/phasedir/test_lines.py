"""Files of lines: what was written last is found in a file of any size, and what is lost is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from brefine.io.atomic import append_line
from brefine.phasedir import Decision, Document, Look, LookedAt, PhaseDir, folders, lines

GATE = [
    LookedAt(name=f"g{index}", duration_s=10.0, audio_sha256="a" * 64, reference_sha256="b" * 64, hypothesis_sha256="c" * 64)
    for index in range(20)
]


def look(seed: int) -> Look:
    return Look(model="mlp", weights_sha256=f"{seed:064d}", refine={}, unix_s=1000.0 + seed)


def test_the_gate_split_is_written_once(tmp_path: Path) -> None:
    """A hundred looks at one state of it take little more room than one, and each is read with its recordings."""
    phase = PhaseDir(tmp_path)
    for seed in range(100):
        phase.record_look(look(seed), GATE)
    phase.record_look(look(0), GATE[1:])
    first, second, *_ = phase.looks.read_text().splitlines()
    assert len(second) < 500 < len(first)
    assert [(one.look, one.recordings) for one in phase.look_lines().readable] == [
        *((look(seed), GATE) for seed in range(100)),
        (look(0), GATE[1:]),
    ]
    assert phase.look_lines().loss is None


def test_a_damaged_line_of_recordings_loses_its_own_look_alone(tmp_path: Path) -> None:
    """The others are known without their recordings, which is told; the next look tells these anew."""
    phase = PhaseDir(tmp_path)
    for seed in range(3):
        phase.record_look(look(seed), GATE)
    phase.looks.write_text(phase.looks.read_text().replace('"g3"', '"g3', 1))
    torn = "1 line of looks.jsonl cannot be read"
    assert phase.look_lines().loss == f"{torn}; the recordings of 2 looks in looks.jsonl are not known"
    assert [(one.look, one.recordings) for one in phase.look_lines().readable] == [(look(seed), []) for seed in (1, 2)]
    phase.record_look(look(3), GATE)
    assert [(one.look, one.recordings) for one in phase.look_lines().readable] == [(look(seed), GATE) for seed in (1, 2, 3)]
    assert phase.look_lines().loss == torn


def test_recordings_that_do_not_fit_their_digest_tell_nothing(tmp_path: Path) -> None:
    """Whoever edits the one line that tells them changes what no look was at."""
    phase = PhaseDir(tmp_path)
    for seed in range(2):
        phase.record_look(look(seed), GATE)
    phase.looks.write_text(phase.looks.read_text().replace('"g3"', '"zz"', 1))
    assert phase.look_lines().loss == "the recordings of 2 looks in looks.jsonl are not known"
    assert [(one.look, one.recordings) for one in phase.look_lines().readable] == [(look(seed), []) for seed in range(2)]
    phase.record_look(look(2), GATE)
    assert [(one.look, one.recordings) for one in phase.look_lines().readable] == [(look(seed), GATE) for seed in range(3)]


def test_a_look_is_recorded_by_reading_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file may have grown to megabytes."""
    phase, read = PhaseDir(tmp_path), list[Path]()

    def counted(path: Path, kind: type[Document]) -> lines.Lines[Document]:
        read.append(path)
        return lines.read_lines(path, kind)

    monkeypatch.setattr(folders, "read_lines", counted)
    phase.record_look(look(0), GATE)
    assert read == [phase.looks]


def test_looks_of_earlier_versions_are_read(tmp_path: Path) -> None:
    """Each line told its recordings; what repeats one is not written again."""
    phase = PhaseDir(tmp_path)
    for seed in range(2):
        told = {"schema": 1, "look": look(seed).model_dump(), "recordings": [one.model_dump() for one in GATE]}
        append_line(phase.looks, json.dumps(told))
    before = phase.looks.read_bytes()
    phase.record_look(look(1).model_copy(update={"unix_s": 2e9}), GATE)
    assert phase.looks.read_bytes() == before
    assert [(one.look, one.recordings) for one in phase.look_lines().readable] == [(look(0), GATE), (look(1), GATE)]


def test_the_newest_lines_of_a_large_file_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest are left out, and that is told; what is on record is not appended again."""
    monkeypatch.setattr(lines, "_MOST_BYTES", 20_000)
    phase = PhaseDir(tmp_path)
    for seed in range(100):
        phase.record_look(look(seed), GATE)
        phase.record_decision(Decision(unix_s=1000.0 + seed, question="go on?", evidence="e" * 200, answer="yes"))
    assert phase.look_lines().readable[-1].look == look(99)
    assert phase.look_lines().loss == "looks.jsonl is larger than 20000 bytes, so only its end is read"
    assert phase.decision_lines().after_loss[-1].unix_s == 1099.0
    before = phase.looks.read_bytes()
    phase.record_look(look(99), GATE)
    assert phase.looks.read_bytes() == before
