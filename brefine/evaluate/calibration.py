"""`brefine calibrate`: what a few labelled minutes say about a system's errors and the labels' convention.

Without labels a refiner estimates the system's errors from its output (`models.error_prior`), but it can't tell a biased system
from a convention that leaves room around speech. Labels can. The constants are kept in a small JSON file that `refine` and
`diarize` read as `--calibration FILE`, and `pipeline.RefinedPipeline` as `calibration`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from brefine.core.turns import Diarization, Regions
from brefine.errors import FormatError
from brefine.evaluate.held_out import LabelledRecording, fit_to_labels, hold_out
from brefine.evaluate.labels import too_few
from brefine.evaluate.moves import hear_recording
from brefine.evaluate.refine import HearingProgress, frames_of
from brefine.evaluate.tasks import Task
from brefine.models.error_prior import ErrorPrior
from brefine.models.reading import SCALES_S
from brefine.models.weights import Refiner
from brefine.phasedir import Calibration


def calibrate_refiner(
    refiner: Refiner,
    tasks: Sequence[Task],
    references: Mapping[Path, Diarization],
    regions_s: Mapping[Path, Regions] | None = None,
) -> Calibration:
    """Fits the constants on the recordings of `tasks` that have labels.

    Args:
        references: audio → its labels, by `labels.read_references`; for audio that `tasks.require_usable` lets pass.
        regions_s: audio → which parts of it are labelled, by `labels.read_regions`; None = everything. Where the end of a part
            cuts a turn, the turn's boundary is not known.

    Raises:
        DataError: audio cannot be used, which its header did not show; or too few boundaries have a partner in the reference.
    """
    labelled = []
    progress = HearingProgress(len(references))
    for task in tasks:
        for hypothesis in task.hypotheses:
            audio = task.audio[hypothesis.recording]
            if audio not in references:
                continue
            frames, duration_s = frames_of(audio, refiner.features, report=progress.begin(audio.stem))
            heard = hear_recording(refiner, frames, hypothesis, duration_s=duration_s)
            labelled.append(LabelledRecording.of(heard, references[audio], None if regions_s is None else regions_s[audio]))
    prior = fit_to_labels(labelled)
    if prior is None:
        raise too_few(sum(one.n_known for one in labelled))
    errors_s = np.concatenate([one.errors_s(None) for one in labelled])
    left_s = np.concatenate([one.errors_s(one.refined(refiner, prior)) for one in labelled])
    return Calibration(
        weights_sha256=refiner.card.weights_sha256,
        scales_s=list(SCALES_S),
        weights=[round(weight, 5) for weight in prior.weights],
        change_weights=[round(weight, 5) for weight in prior.change_weights],
        habit_s=prior.habit_s,
        margin_s=prior.margin_s,
        doubt=round(prior.doubt, 5),
        n_recordings=len(labelled),
        n_boundaries=len(errors_s),
        mae_before_ms=round(1e3 * float(errors_s.mean()), 3),
        mae_after_ms=round(1e3 * float(left_s.mean()), 3),
        held_out=hold_out(refiner, labelled),
    )


def read_calibration(path: Path, refiner: Refiner) -> ErrorPrior:
    """The constants in a file, for the refiner that they were fitted with.

    Raises:
        FormatError: the file is not a calibration, or is one of another refiner or version.
        DataError: there is no such file.
    """
    found = Calibration.read_for(path, refiner.card.weights_sha256)
    if found.scales_s != list(SCALES_S):
        raise FormatError(
            "the calibration was made by another version of brefine", where=path, hint="make it again: brefine calibrate"
        )
    return prior_of(found)


def prior_of(found: Calibration) -> ErrorPrior:
    """A calibration's constants in the form that refinement takes."""
    return ErrorPrior(
        weights=tuple(found.weights),
        change_weights=tuple(found.change_weights or found.weights),
        habit_s=found.habit_s,
        margin_s=found.margin_s,
        doubt=found.doubt,
    )
