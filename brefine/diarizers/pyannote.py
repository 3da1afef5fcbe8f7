"""pyannote.audio 4 in this process: an optional dependency, with its telemetry off.

The audio is decoded by brefine and handed over as samples, so that neither ffmpeg nor torchcodec has to work. A pipeline in
a local folder needs no network and no account; a gated pipeline from the hub needs the token that `huggingface-cli login` keeps.
"""

from __future__ import annotations

import importlib
import os
from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from typing import Any, Final

from brefine.core.turns import Diarization
from brefine.data.hypotheses import DEFAULT_MODELS
from brefine.diarizers.annotation import diarization_of
from brefine.diarizers.diarizer import ReportProgress, silent
from brefine.errors import ProcessError
from brefine.io.audio import read_audio
from brefine.io.folders import from_home

MODEL: Final = DEFAULT_MODELS["pyannote"]
_RATE_HZ: Final = 16000


class PyannoteDiarizer:
    """See the module."""

    def __init__(self, model: str = MODEL) -> None:
        self._model = model
        self._pipeline: Any = None

    @classmethod
    def find(cls, model: str | None) -> PyannoteDiarizer:
        """The diarizer, checked but not loaded.

        Raises:
            ProcessError: pyannote.audio is not installed, or the model is a path that does not exist.
        """
        if not _is_installed():
            raise ProcessError(
                "pyannote.audio is not installed", hint="pip install 'brefine[pyannote]', or choose another: --diarizer builtin"
            )
        if model is not None and model.startswith((".", "/", "~")) and not from_home(model).exists():
            raise ProcessError("there is no such pipeline", where=model, expected="a hub id (owner/name), or a local folder")
        return cls(MODEL if model is None else model)

    @property
    def name(self) -> str:
        return "pyannote"

    def diarize(self, audio: str | PathLike[str], *, report: ReportProgress | None = None) -> Diarization:
        audio, tell = Path(audio), report or silent
        samples = read_audio(audio, sample_rate_hz=_RATE_HZ)
        pipeline = self._loaded(tell)
        torch = importlib.import_module("torch")
        given = {"waveform": torch.from_numpy(samples)[None], "sample_rate": _RATE_HZ, "uri": audio.stem}

        def hook(step: str, _artifact: Any, file: Any = None, total: int | None = None, completed: int | None = None) -> None:
            tell(step.replace("_", " "), int(completed or 0), int(total or 1))  # pyannote passes numpy integers

        try:
            output = pipeline(given, hook=hook)
        except Exception as error:
            raise ProcessError(
                "pyannote failed on this recording", where=audio, got=f"{type(error).__name__}: {error}"
            ) from error
        annotation = getattr(output, "speaker_diarization", output)  # before version 4 the output was the annotation
        return diarization_of(annotation, audio.stem, duration_s=len(samples) / _RATE_HZ)

    def _loaded(self, tell: ReportProgress) -> Any:
        if self._pipeline is None:
            tell(f"loading {self._model}", 0, 1)
            os.environ["PYANNOTE_METRICS_ENABLED"] = "0"  # read on import; telemetry is on by default
            try:
                pipeline = importlib.import_module("pyannote.audio").Pipeline.from_pretrained(str(from_home(self._model)))
            except Exception as error:
                raise self._refusal(f"{type(error).__name__}: {error}") from error
            if pipeline is None:  # pyannote returns None if the hub refused
                raise self._refusal("the hub refused it")
            torch = importlib.import_module("torch")
            if torch.cuda.is_available():
                pipeline.to(torch.device("cuda"))
            self._pipeline = pipeline
        return self._pipeline

    def _refusal(self, got: str) -> ProcessError:
        hint = "accept its conditions on the hub and log in (huggingface-cli login), or name a local folder of it"
        return ProcessError("pyannote's pipeline cannot be loaded", where=self._model, got=got, hint=hint)


def _is_installed() -> bool:
    try:
        return find_spec("pyannote.audio") is not None
    except ModuleNotFoundError:  # not even the namespace package
        return False
