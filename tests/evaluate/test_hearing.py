"""Readings that are kept: given back where they answer the same question, and taken anew where they don't."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from brefine.core.turns import Diarization, Turn
from brefine.evaluate import hearing
from brefine.evaluate.evaluation import load_checkpoint
from brefine.evaluate.hearing import read_heard, write_heard
from brefine.evaluate.movable import movable
from brefine.evaluate.moves import HeardRecording
from brefine.evaluate.recordings import GivenSplit
from brefine.models.reading import COLUMNS, Reading
from brefine.phasedir import PhaseDir, Validation

TALK = Diarization("talk", (Turn(1.0, 2.0, "a"), Turn(2.0, 4.0, "b")))


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A file with the reading of a change."""
    write_heard(tmp_path / "talk.safetensors", "key", heard_talk())
    return tmp_path / "talk.safetensors"


def heard_talk() -> HeardRecording:
    boundaries, generator = movable(TALK, 5.0), torch.Generator().manual_seed(0)
    n = len(boundaries)
    change_B, onset_B = (torch.tensor([boundary.time_s == 2.0 for boundary in boundaries]), torch.arange(n) % 2 == 0)
    ratio_BT, beyond_BR, there_B, centre_B, worth_B = (
        torch.rand(*shape, generator=generator) for shape in ((n, 40), (n, 20), (n,), (n,), (n,))
    )
    reading = Reading(ratio_BT, there_B, onset_B, change_B, centre_B, worth_B, beyond_BR, 0.02)
    return HeardRecording(TALK, 5.0, boundaries, reading)


def test_what_was_kept_comes_back(kept: Path) -> None:
    """All columns, the truth values among them as such; another question has no answer."""
    heard = read_heard(kept, "key", TALK, 5.0)
    assert heard is not None
    assert heard.reading is not None
    assert heard.reading.change_B.tolist() == [False, True, True, False]
    assert heard.reading.onset_B.dtype == heard.reading.change_B.dtype == torch.bool
    assert read_heard(kept, "other key", TALK, 5.0) is None
    before = heard_talk()
    assert (heard.hypothesis, heard.duration_s, heard.boundaries) == (before.hypothesis, before.duration_s, before.boundaries)
    assert before.reading is not None
    assert heard.reading.hop_s == before.reading.hop_s
    assert all(torch.equal(getattr(heard.reading, name), getattr(before.reading, name)) for name in COLUMNS)


def test_of_a_recording_without_boundaries_nothing_is_kept_and_that_comes_back(kept: Path) -> None:
    """It is not heard again; but nothing is no reading of a recording that has some, nor are rows for fewer of them."""
    silence = Diarization("talk")
    write_heard(kept, "key", HeardRecording(silence, 5.0, (), None))
    heard = read_heard(kept, "key", silence, 5.0)
    assert heard is not None
    assert (heard.hypothesis, heard.duration_s, heard.boundaries, heard.reading) == (silence, 5.0, (), None)
    assert read_heard(kept, "key", TALK, 5.0) is None
    write_heard(kept, "key", heard_talk())
    assert read_heard(kept, "key", Diarization("talk", TALK.turns[:1]), 5.0) is None


def test_a_reading_is_kept_for_all_that_it_depends_on_and_nothing_else(phase: PhaseDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the card tells of training and validation, turns, length, rules; not labels, nor where they are scored."""
    split, refiner = GivenSplit(phase.load_config(), "gate"), load_checkpoint(phase, "mlp", "best", "cpu")
    given, card = split.recordings[0], refiner.card
    measured = dict.fromkeys(("loss", "mae_ms", "median_ms", "within_50ms", "within_100ms", "within_200ms"))
    validation = Validation(step=1, epoch=1, **measured, confidence=0.5)
    others = [
        (replace(refiner, card=card.model_copy(update={"prior": {"trained_8ms": 1.0}})), given),
        (replace(refiner, card=card.model_copy(update={"validation": validation})), given),
        (replace(refiner, card=card.model_copy(update={"weights_sha256": "0" * 64})), given),
        (refiner, replace(given, hypothesis=split.recordings[1].hypothesis)),
        (refiner, replace(given, duration_s=given.duration_s + 0.5)),
        (refiner, split.recordings[1]),
    ]
    keys = [hearing._key(one, split, other) for one, other in [(refiner, given), *others]]
    unlabelled = replace(given, reference=Diarization("nobody"), regions_s=((0.0, 1.0),))
    assert hearing._key(refiner, split, unlabelled) == keys[0]
    for rule, value in (("READING_VERSION", -1), ("TOUCHING_S", 0.05), ("BRIDGED_S", 0.3)):
        with monkeypatch.context() as changed:
            changed.setattr(hearing, rule, value)
            keys.append(hearing._key(refiner, split, given))
    assert len(set(keys)) == len(keys) == 10


@pytest.mark.parametrize("column", COLUMNS)
def test_a_reading_of_an_earlier_version_is_taken_anew(kept: Path, column: str) -> None:
    """Whatever column it did not have yet."""
    with safe_open(kept, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys() if name != column}  # noqa: SIM118
        metadata = file.metadata()
    save_file(tensors, kept, metadata)
    assert read_heard(kept, "key", TALK, 5.0) is None
