"""Any diarizer with a refiner behind it, for use from Python.

    from pathlib import Path
    from brefine.diarizers.builtin import BuiltinDiarizer
    from brefine.evaluate.pipeline import RefinedPipeline

    pipeline = RefinedPipeline(BuiltinDiarizer(), weights=Path("best.safetensors"))
    result = pipeline(Path("talk.wav"))
    result.refined          # turns: result.hypothesis with better ends
    result.moves            # one a boundary: how far, how sure, why

Instead of a diarizer it takes any callable from a path to a `pyannote.core.Annotation` (or to an object that has one as
`speaker_diarization`): a pipeline of pyannote or of DiariZen as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from brefine.config import RefineConfig
from brefine.core.turns import Diarization
from brefine.diarizers.annotation import diarization_of
from brefine.diarizers.diarizer import Diarizer, ReportProgress
from brefine.evaluate.calibration import read_calibration
from brefine.evaluate.moves import Refinement, refine_recording
from brefine.evaluate.refine import frames_of, load_weights


class RefinedPipeline:
    """See the module.

    Args:
        diarizer: one of brefine's, or a callable that takes a path as text and returns an annotation.
        weights: those that ship with brefine if left out.
        calibration: a file that `brefine calibrate` made for this diarizer with these weights; without, what the hypothesis
            tells of its system's errors counts.
        config: when and how far boundaries may move.
        device: auto, cpu or cuda.

    Raises:
        CheckpointError: there are no such weights.
        DataError: there is no such calibration.
        FormatError: the calibration is none, or one of other weights.
    """

    def __init__(
        self,
        diarizer: Diarizer | Callable[[str], Any],
        *,
        weights: Path | None = None,
        calibration: Path | None = None,
        config: RefineConfig | None = None,
        device: str = "auto",
    ) -> None:
        self._diarizer = diarizer
        self._refiner = load_weights(weights, device)
        self._prior = None if calibration is None else read_calibration(calibration, self._refiner)
        self._config = config or RefineConfig()

    def __call__(self, audio: Path | str, *, report: ReportProgress | None = None) -> Refinement:
        """Diarizes and refines one file.

        Raises:
            DataError: the audio cannot be used.
            ProcessError: the diarizer failed.
        """
        path = Path(audio)
        frames, duration_s = frames_of(path, self._refiner.features)
        hypothesis = self._hypothesis(path, duration_s, report)
        if report is not None:
            report("refining", 0, 1)
        return refine_recording(self._refiner, frames, hypothesis, duration_s=duration_s, config=self._config, prior=self._prior)

    def _hypothesis(self, audio: Path, duration_s: float, report: ReportProgress | None) -> Diarization:
        diarize = getattr(self._diarizer, "diarize", None)
        if diarize is not None:
            found: Diarization = diarize(audio, report=report)
            return found
        assert callable(self._diarizer)
        output = self._diarizer(str(audio))
        annotation = getattr(output, "speaker_diarization", output)
        return diarization_of(annotation, audio.stem, duration_s=duration_s)
