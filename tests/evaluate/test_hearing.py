"""Readings that are kept: given back where they answer the same question, and taken anew where they don't."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from brefine.core.turns import Diarization, Turn
from brefine.evaluate.hearing import read_heard, write_heard
from brefine.evaluate.moves import HeardRecording, movable
from brefine.models.reading import COLUMNS, Reading

TALK = Diarization("talk", (Turn(1.0, 2.0, "a"), Turn(2.0, 4.0, "b")))


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A file with the reading of a change."""
    boundaries = movable(TALK, 5.0)
    n = len(boundaries)
    change_B, onset_B = (torch.tensor([boundary.time_s == 2.0 for boundary in boundaries]), torch.arange(n) % 2 == 0)
    reading = Reading(torch.rand(n, 40), torch.rand(n), onset_B, change_B, torch.zeros(n), torch.rand(n), torch.rand(n, 20), 0.02)
    write_heard(tmp_path / "talk.safetensors", "key", HeardRecording(TALK, 5.0, boundaries, reading))
    return tmp_path / "talk.safetensors"


def test_what_was_kept_comes_back(kept: Path) -> None:
    """All columns, the truth values among them as such; another question has no answer."""
    heard = read_heard(kept, "key", TALK, 5.0)
    assert heard is not None
    assert heard.reading is not None
    assert heard.reading.change_B.tolist() == [False, True, True, False]
    assert heard.reading.onset_B.dtype == heard.reading.change_B.dtype == torch.bool
    assert read_heard(kept, "other key", TALK, 5.0) is None


@pytest.mark.parametrize("column", COLUMNS)
def test_a_reading_of_an_earlier_version_is_taken_anew(kept: Path, column: str) -> None:
    """Whatever column it did not have yet."""
    with safe_open(kept, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys() if name != column}  # noqa: SIM118
        metadata = file.metadata()
    save_file(tensors, kept, metadata)
    assert read_heard(kept, "key", TALK, 5.0) is None
