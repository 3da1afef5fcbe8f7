"""The pipeline for Python users: any diarizer in front, a refiner behind."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import soundfile
from pyannote.core import Annotation, Segment

from brefine.core.turns import Diarization
from brefine.diarizers.diarizer import ReportProgress
from brefine.errors import DataError
from brefine.evaluate import __main__ as processes
from brefine.evaluate.pipeline import RefinedPipeline
from brefine.io.rttm import read_rttm, write_rttm
from tests.evaluate.conftest import bursts, save_calibration, save_untrained


class _Told:
    """A diarizer that says what it is told to."""

    name = "told"

    def __init__(self, hypothesis: Diarization) -> None:
        self._hypothesis = hypothesis

    def diarize(self, audio: Path, *, report: ReportProgress | None = None) -> Diarization:
        return self._hypothesis


def ends_s(diarization: Diarization) -> list[float]:
    """Onset and offset of each turn."""
    return [end_s for turn in diarization.turns for end_s in (turn.onset_s, turn.offset_s)]


@pytest.fixture
def talk(tmp_path: Path) -> tuple[Path, Diarization, Path]:
    """Audio, a hypothesis of it, and weights."""
    samples, _, hypothesis = bursts(3)
    soundfile.write(tmp_path / "talk.wav", samples, 16000)
    save_untrained(tmp_path / "weights.safetensors", "mlp")
    return tmp_path / "talk.wav", hypothesis, tmp_path / "weights.safetensors"


def test_it_refines_what_one_of_our_diarizers_says(talk: tuple[Path, Diarization, Path]) -> None:
    """Turns stay as many and as whose they were; every boundary has a move with its reason."""
    audio, hypothesis, weights = talk
    found = RefinedPipeline(_Told(hypothesis), weights=weights)(audio)
    assert [turn.speaker for turn in found.hypothesis.turns] == [turn.speaker for turn in hypothesis.turns]
    assert len(found.refined.turns) == len(hypothesis.turns)
    assert len(found.moves) == 2 * len(hypothesis.turns)


@pytest.mark.parametrize("wrapped", [False, True])
def test_it_takes_any_callable_that_returns_an_annotation(talk: tuple[Path, Diarization, Path], wrapped: bool) -> None:
    """Bare, or inside the output of pyannote's version 4; the result is the same as from our own diarizer."""
    audio, hypothesis, weights = talk

    def pipeline(path: str) -> Any:
        assert path == str(audio)
        annotation = Annotation()
        for number, turn in enumerate(hypothesis.turns):
            annotation[Segment(turn.onset_s, turn.offset_s), number] = turn.speaker
        return SimpleNamespace(speaker_diarization=annotation) if wrapped else annotation

    steps: list[str] = []
    found = RefinedPipeline(pipeline, weights=weights)(audio, report=lambda step, done, total: steps.append(step))
    ours = RefinedPipeline(_Told(hypothesis), weights=weights)(audio)
    assert found.refined.turns == ours.refined.turns
    assert steps == ["refining"]


def test_a_calibration_counts_as_on_the_command_line(
    talk: tuple[Path, Diarization, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The turns are those of `refine --calibration`; a calibration that is not there is refused before anything is heard."""
    audio, hypothesis, weights = talk
    calibration = tmp_path / "mine.json"
    with pytest.raises(DataError, match="no such calibration"):
        RefinedPipeline(_Told(hypothesis), weights=weights, calibration=calibration)
    save_calibration(calibration, weights)
    found = RefinedPipeline(_Told(hypothesis), weights=weights, calibration=calibration)(audio)
    write_rttm(tmp_path / "talk.rttm", hypothesis)
    given = [str(audio), str(tmp_path / "talk.rttm"), "-o", str(tmp_path / "out.rttm")]
    options = ["--weights", str(weights), "--calibration", str(calibration)]
    monkeypatch.setattr("sys.argv", ["evaluate", "refine", *given, *options, "--device", "cpu"])
    processes.main()
    (written,) = read_rttm(tmp_path / "out.rttm").values()
    assert ends_s(found.refined) == pytest.approx(ends_s(written), abs=2e-6)
    assert ends_s(found.refined) != pytest.approx(ends_s(RefinedPipeline(_Told(hypothesis), weights=weights)(audio).refined))
