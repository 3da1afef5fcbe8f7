"""pyannote.audio behind its adapter: a module that behaves like version 4 stands in its place."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from pyannote.core import Annotation, Segment

from brefine.config import DiarizerConfig
from brefine.core.turns import Turn
from brefine.diarizers.choice import build_diarizer
from brefine.diarizers.pyannote import PyannoteDiarizer
from brefine.errors import ProcessError


class _Pipeline:
    """Asks for samples, tells its steps, returns what version 4 returns."""

    def __init__(self) -> None:
        self.given: dict[str, Any] = {}

    def __call__(self, file: dict[str, Any], hook: Callable[..., None]) -> SimpleNamespace:
        self.given = file
        hook("segmentation", None, file=file, total=4, completed=2)
        hook("discrete_diarization", None)
        annotation = Annotation()
        annotation[Segment(0.0, 1.0), "a"] = "SPEAKER_00"
        annotation[Segment(0.5, 1.5), "b"] = "SPEAKER_00"
        annotation[Segment(1.4, 9.9), "c"] = "a guest"
        return SimpleNamespace(speaker_diarization=annotation, exclusive_speaker_diarization=Annotation())


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch) -> _Pipeline:
    """What the hub serves under every name but `gated`."""
    served = _Pipeline()
    module = ModuleType("pyannote.audio")
    module.__spec__ = SimpleNamespace(name="pyannote.audio")  # type: ignore[assignment]

    def from_pretrained(name: str) -> _Pipeline | None:
        assert os.environ["PYANNOTE_METRICS_ENABLED"] == "0"
        return None if name == "owner/gated" else served

    module.Pipeline = SimpleNamespace(from_pretrained=from_pretrained)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pyannote.audio", module)
    monkeypatch.setenv("PYANNOTE_METRICS_ENABLED", "1")
    return served


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    """Two seconds, stereo, at 8 kHz."""
    path = tmp_path / "talk.wav"
    soundfile.write(path, np.zeros((16000, 2), np.float32), 8000)
    return path


def test_its_turns_come_back_valid_and_within_the_audio(pipeline: _Pipeline, talk: Path) -> None:
    """Overlapping turns of one speaker are one; what runs past the end is cut; names hold no blanks."""
    found = PyannoteDiarizer.find(None).diarize(talk)
    assert found.recording == "talk"
    assert found.turns == (Turn(0.0, 1.5, "SPEAKER_00"), Turn(1.4, 2.0, "a_guest"))


def test_it_gets_samples_and_not_a_file_to_decode(pipeline: _Pipeline, talk: Path) -> None:
    """Mono at 16 kHz, as a batch of one channel: neither ffmpeg nor torchcodec has to work. The path may be text."""
    PyannoteDiarizer.find(None).diarize(str(talk))
    assert tuple(pipeline.given["waveform"].shape) == (1, 32000)
    assert pipeline.given["sample_rate"] == 16000


def test_its_hook_becomes_progress(pipeline: _Pipeline, talk: Path) -> None:
    """A step without a count is one of one."""
    told: list[tuple[str, int, int]] = []
    PyannoteDiarizer.find("owner/name").diarize(talk, report=lambda *news: told.append(news))
    assert told == [("loading owner/name", 0, 1), ("segmentation", 2, 4), ("discrete diarization", 0, 1)]


def test_a_pipeline_that_the_hub_refuses_says_what_to_do(pipeline: _Pipeline, talk: Path) -> None:
    """pyannote returns None for it."""
    with pytest.raises(ProcessError, match="accept its conditions"):
        PyannoteDiarizer.find("owner/gated").diarize(talk)


def test_a_folder_that_is_not_there_is_refused_at_once(pipeline: _Pipeline) -> None:
    """It is not taken for a hub id."""
    with pytest.raises(ProcessError, match="no such pipeline"):
        PyannoteDiarizer.find("/nowhere/pipeline")


def test_without_pyannote_the_way_to_it_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an optional dependency, and the error names the extra."""
    monkeypatch.setattr("brefine.diarizers.pyannote.find_spec", lambda name: None)
    with pytest.raises(ProcessError, match=r"brefine\[pyannote\]"):
        build_diarizer(DiarizerConfig(name="pyannote"))
