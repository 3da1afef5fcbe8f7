"""Any diarizer with a refiner behind it, for use from Python.

    from pathlib import Path
    from brefine.diarizers.builtin import BuiltinDiarizer
    from brefine.evaluate.pipeline import RefinedPipeline

    pipeline = RefinedPipeline(BuiltinDiarizer(), weights=Path("best.safetensors"))
    result = pipeline(Path("talk.wav"))
    result.refined          # turns: result.hypothesis with better ends
    result.moves            # one per boundary: how far, how sure, why
    for result in pipeline.together(sorted(Path("talks").glob("*.wav"))):
        result.audio        # recordings of one kind say more about the diarizer's errors than each alone

Instead of a diarizer it takes any callable from a path to a `pyannote.core.Annotation` (or to an object that has one as
`speaker_diarization`): a pipeline of pyannote or of DiariZen as it is. Each of its labels is a speaker, whose name has `_` for
blanks, and a number if another's would be the same. Audio is a path, or a mapping that has one as `audio`, which those pipelines
also take; not samples, nor one channel of a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

from brefine.config import RefineConfig
from brefine.core.turns import Diarization
from brefine.diarizers.annotation import diarization_of
from brefine.diarizers.diarizer import Diarizer, ReportProgress, silent
from brefine.errors import BrefineError, ConfigError, DataError, ProcessError, one_line, tell
from brefine.evaluate.calibration import read_calibration
from brefine.evaluate.device import DeviceName
from brefine.evaluate.moves import HeardRecording, Refinement, fit_prior, hear_recording, refine_heard
from brefine.evaluate.refine import frames_of, load_weights
from brefine.io.audio import probe_all, raise_all
from brefine.models.error_prior import ErrorPrior

Audio = Path | str | Mapping[str, Any]
"""A path, or a mapping that has one as `audio`."""


class RefinedPipeline:
    """See the module.

    Args:
        diarizer: one of brefine's, or a callable that takes a path as text and returns an annotation.
        weights: those that ship with brefine if left out.
        calibration: a file that `brefine calibrate` made for this diarizer with these weights; None = the hypotheses show
            their system's errors.
        config: when and how far boundaries may move.
        device: auto, cpu or cuda; the environment's CUDA_VISIBLE_DEVICES says which of several GPUs.

    Raises:
        CheckpointError: there are no such weights.
        ConfigError: there is no such device, or the diarizer or the configuration is of a wrong type.
        DataError: there is no such calibration.
        FormatError: the file is not a calibration, or is one of other weights.
    """

    def __init__(
        self,
        diarizer: Diarizer | Callable[[str], Any],
        *,
        weights: str | PathLike[str] | None = None,
        calibration: str | PathLike[str] | None = None,
        config: RefineConfig | None = None,
        device: DeviceName = "auto",
    ) -> None:
        if isinstance(diarizer, type) or not callable(getattr(diarizer, "diarize", diarizer)):
            expected = "one of brefine's, or a callable that takes a path and returns an annotation"
            raise ConfigError("this is not a diarizer", expected=expected, got=repr(diarizer))
        if not isinstance(config, RefineConfig | None):
            raise ConfigError("this is not a configuration", expected="a RefineConfig, or None", got=repr(config))
        self._diarizer: Any = diarizer
        self._refiner = load_weights(None if weights is None else Path(weights), device)
        self._prior = None if calibration is None else read_calibration(Path(calibration), self._refiner)
        self._config = config or RefineConfig()

    def __call__(self, audio: Audio, *, report: ReportProgress | None = None) -> Refinement:
        """Diarizes and refines one file; without a calibration, it alone shows how far the system's boundaries are off.

        Several recordings of one kind are better refined by `together`.

        Raises:
            DataError: the audio cannot be used, or is not given as a path.
            ProcessError: the diarizer failed.
        """
        tell_step = report or silent
        path = _path_of(audio)
        heard = self._heard(path, tell_step)
        tell_step("refining", 0, 1)
        return self._refined(path, heard, self._prior or fit_prior([heard]))

    def together(self, audio: Iterable[Audio], *, report: ReportProgress | None = None) -> Iterator[Refinement]:
        """Diarizes and refines recordings of one kind, in their order, as `brefine diarize` and `refine` do with a folder.

        All are heard before any boundary is moved: without a calibration, they show together how far the system's boundaries are
        off. Their audio is not kept meanwhile. If a recording cannot be done, the others are, but then fewer refinements come
        than recordings were given: `audio` of each says which it is, a `zip` with the paths does not.

        Raises:
            DataError: audio cannot be used (raised before anything is diarized if headers show it, else after the last
                refinement), or one recording is given instead of several.
            ProcessError: the diarizer failed; likewise raised after the last refinement.
        """
        if isinstance(audio, (str, PathLike, Mapping)):
            raise DataError("several recordings are needed", expected="a list of paths", got=repr(audio))
        paths = [_path_of(one) for one in audio]
        for doubt in probe_all(paths):
            tell(doubt)
        tell_step = report or silent
        heard: list[tuple[Path, HeardRecording]] = []
        faults: list[BrefineError] = []
        for place, path in enumerate(paths):
            tell_step(f"hearing {one_line(path.stem)}", place, len(paths))
            try:
                heard.append((path, self._heard(path, tell_step)))
            except BrefineError as fault:
                faults.append(fault)
        prior = self._prior or fit_prior([recording for _, recording in heard])
        for place, (path, recording) in enumerate(heard):
            tell_step("refining", place, len(heard))
            yield self._refined(path, recording, prior)
        raise_all(faults)

    def _heard(self, audio: Path, report: ReportProgress) -> HeardRecording:
        frames, duration_s = frames_of(audio, self._refiner.features)
        return hear_recording(self._refiner, frames, self._hypothesis(audio, duration_s, report), duration_s=duration_s)

    def _refined(self, audio: Path, heard: HeardRecording, prior: ErrorPrior) -> Refinement:
        return replace(refine_heard(self._refiner, heard, prior, config=self._config), audio=audio)

    def _hypothesis(self, audio: Path, duration_s: float, report: ReportProgress) -> Diarization:
        diarize = getattr(self._diarizer, "diarize", None)
        try:
            if diarize is not None:
                found: Diarization = diarize(audio, report=report)
                return found
            output = self._diarizer(str(audio))
            annotation = getattr(output, "speaker_diarization", output)
            return diarization_of(annotation, audio.stem, duration_s=duration_s)
        except BrefineError:
            raise
        except Exception as error:
            raise ProcessError("the diarizer failed", where=audio, got=f"{type(error).__name__}: {error}") from error


def _path_of(audio: Audio) -> Path:
    path = audio.get("audio") if isinstance(audio, Mapping) and "channel" not in audio else audio
    if isinstance(path, (str, PathLike)):
        return Path(path)
    got = f"a mapping of {', '.join(map(str, audio))}" if isinstance(audio, Mapping) else type(audio).__name__
    raise DataError(
        "a path to the audio is needed", expected="a path, or {'audio': path}", got=got, hint="write samples to a file"
    )
