"""The pipeline for Python users: any diarizer in front, a refiner behind."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from pyannote.core import Annotation, Segment

from brefine.config import RefineConfig
from brefine.core.turns import Diarization
from brefine.diarizers.diarizer import ReportProgress
from brefine.errors import ConfigError, DataError, ProcessError
from brefine.evaluate import __main__ as processes
from brefine.evaluate.pipeline import RefinedPipeline
from brefine.io.rttm import read_rttm, write_rttm
from brefine.models import build_model
from brefine.models.weights import save_weights
from tests.evaluate.conftest import EXAMPLES, FEATURES, bursts, save_calibration, save_untrained


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
    """Turns stay as many and as whose they were; every boundary has a move with its reason, and the whole its file."""
    audio, hypothesis, weights = talk
    found = RefinedPipeline(_Told(hypothesis), weights=weights)(str(audio))
    assert found.audio == audio
    assert [turn.speaker for turn in found.hypothesis.turns] == [turn.speaker for turn in hypothesis.turns]
    assert len(found.refined.turns) == len(hypothesis.turns)
    assert len(found.moves) == 2 * len(hypothesis.turns)


def test_what_a_diarizer_tells_of_its_steps_is_passed_on(talk: tuple[Path, Diarization, Path]) -> None:
    """It takes longer than what comes behind it."""
    audio, hypothesis, weights = talk

    class Telling(_Told):
        def diarize(self, audio: Path, *, report: ReportProgress | None = None) -> Diarization:
            assert report is not None
            report("listening", 1, 2)
            return super().diarize(audio)

    steps: list[tuple[str, int, int]] = []
    RefinedPipeline(Telling(hypothesis), weights=weights)(audio, report=lambda *step: steps.append(step))
    assert steps == [("listening", 1, 2), ("refining", 0, 1)]


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


def test_audio_may_be_given_as_pyannotes_pipelines_take_it(talk: tuple[Path, Diarization, Path]) -> None:
    """A mapping with a path is that path, samples and single channels are refused in words, and so is what is no path at all."""
    audio, hypothesis, weights = talk
    pipeline = RefinedPipeline(_Told(hypothesis), weights=weights)
    assert pipeline({"uri": "a talk", "audio": str(audio)}).refined == pipeline(audio).refined
    assert [one.refined for one in pipeline.together([{"audio": audio}])] == [pipeline(audio).refined]
    for given, got in (
        ({"waveform": np.zeros((1, 16000)), "sample_rate": 16000}, "a mapping of waveform, sample_rate"),
        ({"audio": audio, "channel": 0}, "a mapping of audio, channel"),
        (np.zeros(16000), "ndarray"),
    ):
        with pytest.raises(
            DataError, match=rf"a path to the audio is needed \(expected a path, or {{'audio': path}}, got {got}\)"
        ):
            pipeline(given)


def test_what_cannot_diarize_or_configure_is_refused_at_once() -> None:
    """Before weights are loaded, and in words: not when the first recording has been heard. A class is called first."""
    given: Any
    for given in (3, "builtin", SimpleNamespace(diarize="talk.wav"), _Told):
        with pytest.raises(ConfigError, match=r"this is not a diarizer \(expected one of brefine's, or a callable .*, got "):
            RefinedPipeline(given, weights="nowhere")
    for given in ({"max_shift_s": 0.1}, 0.1):
        with pytest.raises(ConfigError, match=r"this is not a configuration \(expected a RefineConfig, or None, got .*0\.1"):
            RefinedPipeline(_Told(Diarization("talk")), weights="nowhere", config=given)


def test_a_calibration_counts_as_on_the_command_line(
    talk: tuple[Path, Diarization, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The turns are those of `refine --calibration`, the path may be text; none there is refused before anything is heard."""
    audio, hypothesis, weights = talk
    calibration = tmp_path / "mine.json"
    with pytest.raises(DataError, match="no such calibration"):
        RefinedPipeline(_Told(hypothesis), weights=weights, calibration=calibration)
    save_calibration(calibration, weights)
    found = RefinedPipeline(_Told(hypothesis), weights=str(weights), calibration=str(calibration))(audio)
    write_rttm(tmp_path / "talk.rttm", hypothesis)
    given = [str(audio), str(tmp_path / "talk.rttm"), "-o", str(tmp_path / "out.rttm")]
    options = ["--weights", str(weights), "--calibration", str(calibration)]
    monkeypatch.setattr("sys.argv", ["evaluate", "refine", *given, *options, "--device", "cpu"])
    processes.main()
    (written,) = read_rttm(tmp_path / "out.rttm").values()
    assert ends_s(found.refined) == pytest.approx(ends_s(written), abs=2e-6)
    assert ends_s(found.refined) != pytest.approx(ends_s(RefinedPipeline(_Told(hypothesis), weights=weights)(audio).refined))


@pytest.fixture
def talks(tmp_path: Path) -> Path:
    """A folder with audio/, rttm/ and weights that are sure of what they say, whatever it is."""
    (tmp_path / "audio").mkdir()
    for seed in range(3):
        samples, _, hypothesis = bursts(seed)
        soundfile.write(tmp_path / "audio" / f"rec{seed}.wav", samples, 16000)
        write_rttm(tmp_path / "rttm" / f"rec{seed}.rttm", hypothesis)
    torch.manual_seed(0)
    state = {
        name: value + 0.5 * torch.randn_like(value) for name, value in build_model("mlp", FEATURES, EXAMPLES).state_dict().items()
    }
    save_weights(tmp_path / "weights.safetensors", "mlp", state, FEATURES, EXAMPLES)
    return tmp_path


class _Read:
    """A diarizer that reads what it says of `audio/NAME.wav` from `rttm/NAME.rttm`."""

    name = "read"

    def diarize(self, audio: Path, *, report: ReportProgress | None = None) -> Diarization:
        (found,) = read_rttm(audio.parents[1] / "rttm" / f"{audio.stem}.rttm").values()
        return found


def test_recordings_of_one_kind_are_refined_as_a_folder_is(talks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is estimated of the diarizer's errors comes from all of them, as on the command line, and not from each alone."""
    pipeline = RefinedPipeline(_Read(), weights=talks / "weights.safetensors", device="cpu")
    audio = sorted((talks / "audio").iterdir())
    steps: list[tuple[str, int, int]] = []
    found = list(pipeline.together(audio, report=lambda *step: steps.append(step)))
    given = [*(str(talks / name) for name in ("audio", "rttm")), "-o", str(talks / "out")]
    options = ["--weights", str(talks / "weights.safetensors"), "--device", "cpu"]
    monkeypatch.setattr("sys.argv", ["evaluate", "refine", *given, *options])
    processes.main()
    for path, one in zip(audio, found, strict=True):
        (written,) = read_rttm(talks / "out" / f"{path.stem}.rttm").values()
        assert ends_s(one.refined) == pytest.approx(ends_s(written), abs=2e-6)
    assert [one.refined for one in found] != [pipeline(path).refined for path in audio]
    assert steps == [(f"hearing rec{n}", n, 3) for n in range(3)] + [("refining", n, 3) for n in range(3)]


def test_what_cannot_be_done_costs_the_other_recordings_nothing(talks: Path) -> None:
    """They are refined as if it weren't there, each named by its file, and it in the end; a broken header at once."""
    pipeline = RefinedPipeline(_Read(), weights=talks / "weights.safetensors", device="cpu")
    audio = sorted((talks / "audio").iterdir())
    expected = [(one.audio, one.refined) for one in pipeline.together(audio[1:])]
    assert [path for path, _ in expected] == audio[1:]
    samples = bursts(0)[0]
    samples[5000] = np.nan
    soundfile.write(audio[0], samples, 16000, subtype="FLOAT")
    done = []
    with pytest.raises(DataError, match=r"rec0\.wav: the audio holds samples that are not finite"):
        for one in pipeline.together(audio):
            done.append((one.audio, one.refined))
    assert done == expected
    audio[2].write_text("no audio")
    with pytest.raises(DataError, match=r"rec2\.wav"):
        next(pipeline.together(audio))


def test_the_given_limits_hold(talks: Path) -> None:
    """No boundary moves that the refiner is not sure enough of, none further than allowed; without limits, the usual ones."""
    weights, audio = talks / "weights.safetensors", talks / "audio" / "rec0.wav"
    usual, usual_too, short, sure = (
        RefinedPipeline(_Read(), weights=weights, device="cpu", config=config)(audio)
        for config in (None, RefineConfig(), RefineConfig(max_shift_s=0.01), RefineConfig(min_confidence=1.0))
    )
    assert usual.refined == usual_too.refined
    assert max(abs(move.shift_s) for move in usual.moves) > 0.05
    assert 0.0 < max(abs(move.shift_s) for move in short.moves) < 0.0101
    assert sure.n_moved == 0


class _Failing(_Read):
    """Fails at recordings that end in one of the given digits, in words of several lines."""

    def __init__(self, digits: str) -> None:
        self._digits = digits

    def __call__(self, audio: str) -> Annotation:
        if Path(audio).stem[-1] in self._digits:
            raise RuntimeError("CUDA oom\nTried to allocate")
        annotation = Annotation()
        for number, turn in enumerate(super().diarize(Path(audio)).turns):
            annotation[Segment(turn.onset_s, turn.offset_s), number] = turn.speaker
        return annotation

    def diarize(self, audio: Path, *, report: ReportProgress | None = None) -> Diarization:
        self(str(audio))
        return super().diarize(audio)


@pytest.mark.parametrize("called", [False, True])
def test_a_diarizer_that_breaks_costs_the_other_recordings_nothing(talks: Path, called: bool) -> None:
    """Whatever it raises is told after the others' refinements, with the recording's name; audio is not blamed for it."""
    audio = sorted((talks / "audio").iterdir())

    def breaking(digits: str) -> RefinedPipeline:
        failing = _Failing(digits)
        return RefinedPipeline(failing.__call__ if called else failing, weights=talks / "weights.safetensors", device="cpu")

    done = []
    with pytest.raises(ProcessError, match=r"rec1\.wav: the diarizer failed \(got RuntimeError: CUDA oom") as caught:
        for one in breaking("1").together(audio):
            done.append(one.hypothesis.recording)
    assert done == ["rec0", "rec2"]
    assert isinstance(caught.value.__cause__, RuntimeError)
    with pytest.raises(ProcessError, match="recordings could not be done") as listed:
        list(breaking("02").together(audio))
    assert [Path(problem.split(": ")[0]).name for problem in listed.value.problems] == ["rec0.wav", "rec2.wav"]
    with pytest.raises(ProcessError, match=r"rec0\.wav: the diarizer failed"):
        breaking("0")(audio[0])


def test_nothing_that_the_diarizer_raises_hides_an_interruption(talks: Path) -> None:
    """A person who stops it has stopped it, at whatever recording it is."""

    def interrupted(path: str) -> Annotation:
        raise KeyboardInterrupt

    pipeline = RefinedPipeline(interrupted, weights=talks / "weights.safetensors", device="cpu")
    with pytest.raises(KeyboardInterrupt):
        next(pipeline.together(sorted((talks / "audio").iterdir())))


def test_one_recording_is_not_taken_for_several(talk: tuple[Path, Diarization, Path]) -> None:
    """A path's letters are no paths; what is needed is said."""
    audio, hypothesis, weights = talk
    pipeline = RefinedPipeline(_Told(hypothesis), weights=weights)
    one: Any
    for one in (str(audio), audio, {"audio": audio}):
        with pytest.raises(DataError, match=r"several recordings are needed \(expected a list of paths, got "):
            next(pipeline.together(one))
