"""`brefine evaluate`: checkpoints on one split, boundary by boundary, before and after."""

from __future__ import annotations

import copy
import csv
import io
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from brefine.config import ModelName, PhaseConfig
from brefine.core.boundaries import boundaries_of
from brefine.core.boundary_error import BoundaryErrors
from brefine.core.matching import WINDOWS_S
from brefine.evaluate.device import DeviceName, pick_device
from brefine.evaluate.hearing import hear_kept, kept_heard
from brefine.evaluate.moves import HeardRecording, fit_prior, hear_recording, refine_heard
from brefine.evaluate.recordings import GivenRecording, GivenSplit
from brefine.evaluate.score import ScoredRecording, abs_error_quantiles_ms, at_window, calibrate, compare, of_recording
from brefine.evaluate.speed import Stopwatch, speed_of
from brefine.io.atomic import write_text_atomic
from brefine.models.weights import Refiner, load_refiner
from brefine.phasedir import (
    BoundaryRow,
    EvaluationReport,
    FoundWeights,
    Look,
    PhaseDir,
    Speed,
    find_all_weights,
    find_weights,
)


def load_checkpoint(phase: PhaseDir, model: ModelName, checkpoint: str, device: DeviceName) -> Refiner:
    """The weights of a phase's model: `best`, `last`, or a file.

    Raises:
        CheckpointError: there are no such weights, or they are of another architecture.
    """
    return _load(find_weights(phase, model, checkpoint), device)


def load_checkpoints(
    phase: PhaseDir, models: Sequence[ModelName] | None, checkpoints: Sequence[str], device: DeviceName
) -> dict[str, list[Refiner]]:
    """Name of a checkpoint → its refiners; see `find_all_weights`."""
    found = find_all_weights(phase, models, checkpoints)
    return {name: [_load(one, device) for one in own] for name, own in found.items()}


def _load(weights: FoundWeights, device: DeviceName) -> Refiner:
    return load_refiner(weights.path, pick_device(device), hint=weights.hint)


def evaluate_refiner(
    refiner: Refiner,
    split: GivenSplit,
    config: PhaseConfig,
    *,
    checkpoint: str = "best",
    kept: Path | None = None,
    report: Callable[[int], None] = lambda done: None,
) -> tuple[EvaluationReport, list[BoundaryRow]]:
    """Refines a split with `config.refine` and scores it at the cap W of the gate.

    As `brefine refine` does with a folder, all recordings are heard before any boundary is moved: together they show how far
    their system's boundaries are off. No labels are used for that.

    Args:
        checkpoint: its name, for the report.
        kept: folder of the readings that `hear_part` has left; the first recording is heard in any case, to be timed.
        report: called with the number of recordings done.

    Returns:
        The report, and every matched boundary.
    """
    hearing, moving = Stopwatch(), Stopwatch()
    heard: list[HeardRecording] = []
    timed: list[int] = []
    warm_up(refiner, split)
    for done, recording in enumerate(split.recordings):
        report(done)
        found = None if kept is None or done == 0 else kept_heard(_kept(kept, refiner, recording), refiner, split, recording)
        if found is None:
            frames = split.frames(recording, refiner)
            with hearing:
                found = hear_recording(refiner, frames, recording.hypothesis, duration_s=recording.duration_s)
            timed.append(done)
        heard.append(found)
    with moving:
        prior = fit_prior(heard)
        refinements = [refine_heard(refiner, one, prior, config=config.refine) for one in heard]

    def scored_at(window_s: float) -> list[ScoredRecording]:
        return [
            ScoredRecording.of(recording.reference, refinement, regions_s=recording.regions_s, window_s=window_s)
            for recording, refinement in zip(split.recordings, refinements, strict=True)
        ]

    def audio_s(places: Iterable[int]) -> float:
        return sum(split.recordings[place].duration_s for place in places)

    scored = scored_at(config.gate.window_s)
    report(len(scored))
    bins, expected_error = calibrate([outcome for one in scored for outcome in one.outcomes()])
    return EvaluationReport(
        model=refiner.card.model,
        split=split.name,
        evidence=split.manifest.evidence,
        hypothesis_source=split.manifest.hypothesis_source,
        checkpoint=checkpoint,
        weights_sha256=refiner.card.weights_sha256,
        refine=config.refine.model_dump(mode="json"),
        checkpoint_step=0 if refiner.card.validation is None else refiner.card.validation.step,
        n_recordings=len(scored),
        recordings=[one.recording for one in scored],
        comparison=compare(scored),
        before_abs_error_quantiles_ms=abs_error_quantiles_ms(BoundaryErrors.joined(one.before for one in scored)),
        after_abs_error_quantiles_ms=abs_error_quantiles_ms(BoundaryErrors.joined(one.after for one in scored)),
        at_windows=[at_window(scored_at(window_s)) for window_s in WINDOWS_S],
        by_recording=[of_recording(one) for one in scored],
        calibration=bins,
        expected_calibration_error=expected_error,
        speed=speed_of(
            refiner,
            refining_s=hearing.seconds + moving.seconds * audio_s(timed) / audio_s(range(len(scored))),
            n_boundaries=sum(len(heard[place].boundaries) for place in timed),
            audio_s=audio_s(timed),
            sample=min(split.recordings, key=lambda recording: recording.duration_s).audio,
        ),
        speed_on_cpu=None if refiner.device.type == "cpu" else speed_on_cpu(refiner, split),
        unix_s=time.time(),
        looked_at=split.looked_at() if split.name == "gate" else [],
    ), [row for one in scored for row in one.rows()]


def hear_part(refiner: Refiner, split: GivenSplit, kept: Path, *, index: int, n_parts: int) -> None:
    """Hears every `n_parts`th recording from `index` on, for a later evaluation of the whole."""
    for recording in split.recordings[index::n_parts]:
        hear_kept(_kept(kept, refiner, recording), refiner, split, recording)


def _kept(folder: Path, refiner: Refiner, recording: GivenRecording) -> Path:
    """Path of a recording's reading; it names the weights, since several checkpoints of one model lie side by side."""
    return folder / f"{recording.name}.{refiner.card.weights_sha256[:8]}.reading.safetensors"


def speed_on_cpu(refiner: Refiner, split: GivenSplit) -> Speed:
    """The speed on a CPU, by the shortest recording that has boundaries, since a CPU may take long."""
    there = replace(refiner, model=copy.deepcopy(refiner.model).cpu(), device=torch.device("cpu"))
    spoken = [one for one in split.recordings if one.hypothesis.turns] or list(split.recordings)
    recording = min(spoken, key=lambda one: one.duration_s)
    frames, watch = split.frames(recording, there), Stopwatch()
    with watch:
        heard = hear_recording(there, frames, recording.hypothesis, duration_s=recording.duration_s)
    return speed_of(
        there,
        refining_s=watch.seconds,
        n_boundaries=len(heard.boundaries),
        audio_s=recording.duration_s,
        sample=recording.audio,
    )


def write_evaluation(phase: PhaseDir, report: EvaluationReport, rows: Sequence[BoundaryRow]) -> EvaluationReport:
    """Writes the boundaries, then the report, so that no report is without its boundaries.

    Returns:
        The report as it was written: of this phase, with the earlier looks at the gate split from the report that it replaces.
    """
    place = phase.evaluation(report.model, report.split, report.checkpoint)
    report = report.model_copy(update={"earlier_looks": _earlier_looks(place, report), "phase": phase.launched_as()})
    for look in report.looks[-1:]:
        phase.record_look(look, report.looked_at)
    write_text_atomic(phase.boundaries(report.model, report.split, report.checkpoint), format_rows(rows))
    report.write(place)
    return report


def _earlier_looks(place: Path, report: EvaluationReport) -> list[Look]:
    """Looks with other weights or settings, from the report that is about to be replaced."""
    before = EvaluationReport.read_if_sound(place)
    looks = [] if before is None else before.looks
    now = {look.refiner for look in report.looks}
    return [one for one in looks if one.refiner not in now]


def format_rows(rows: Sequence[BoundaryRow]) -> str:
    """CSV with the columns of `BoundaryRow`, times in seconds to the microsecond."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(BoundaryRow.model_fields)
    for row in rows:
        values = row.model_dump().values()
        writer.writerow([f"{value:.6f}" if isinstance(value, float) else value for value in values])
    return buffer.getvalue()


def warm_up(refiner: Refiner, split: GivenSplit) -> None:
    """Refines a few boundaries untimed: the first call of a model pays for memory and kernels."""
    recording = split.recordings[0]
    boundaries = boundaries_of(recording.hypothesis)[:16]
    if boundaries:
        refiner.read(split.frames(recording, refiner), recording.hypothesis, boundaries)
