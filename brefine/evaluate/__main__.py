"""Evaluation as processes: `python -m brefine.evaluate evaluate|integrate PHASE_DIR`, and `refine AUDIO RTTM -o OUT`.

Torch takes seconds to load, so whatever needs it is imported where it is used: what cannot be done is refused before that.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from brefine.config import MODEL_NAMES, RefineConfig
from brefine.core.figures import counted, improvement, percent, rounded
from brefine.data.progress import ProgressReporter
from brefine.errors import BrefineError, ConfigError, DataError, one_line, run_main, tell, terminated_as_interrupted, words_of
from brefine.evaluate.labels import read_references, read_regions, require_enough
from brefine.evaluate.tasks import is_report, plan_refinement, require_usable, with_silent
from brefine.io.atomic import write_text_atomic
from brefine.io.folders import never_make_anew
from brefine.io.outputs import refuse_replacing, refuse_unwritable
from brefine.io.rttm import rttm_files
from brefine.phasedir import (
    Calibration,
    EvaluationReport,
    GateRecord,
    PhaseDir,
    SelectionRecord,
    Stage,
    find_all_weights,
    find_weights,
    phase_of_weights,
    refuse_unusable,
)

if TYPE_CHECKING:
    from brefine.evaluate.refine import Refined

_MANY = 100
"""More RTTMs than this may mean hours of hearing, which an interruption would lose."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m brefine.evaluate", description=__doc__)
    commands = parser.add_subparsers(required=True)

    evaluating = commands.add_parser("evaluate", help="boundary figures and speed of checkpoints on a split")
    evaluating.add_argument("phase", type=Path)
    evaluating.add_argument("--model", action="append", choices=MODEL_NAMES, help="repeatable; all of the phase if left out")
    evaluating.add_argument("--split", choices=("validation", "gate"), default="validation")
    evaluating.add_argument("--checkpoint", action="append", help="repeatable: best (if left out), last, or a .safetensors file")
    evaluating.set_defaults(run=_evaluate)

    integrating = commands.add_parser("integrate", help="the chosen model behind the diarizer on the gate split")
    integrating.add_argument("phase", type=Path)
    integrating.add_argument("--model", choices=MODEL_NAMES, help="the one that was selected if left out")
    integrating.add_argument("--checkpoint", default="best", help="best, last, or a .safetensors file")
    integrating.set_defaults(run=_integrate)

    refining = commands.add_parser("refine", help="refine the turns of any RTTM")
    refining.add_argument("audio", type=Path)
    refining.add_argument("rttm", type=Path)
    refining.add_argument("-o", "--out", type=Path, required=True)
    refining.add_argument("--weights", type=Path)
    refining.add_argument("--min-confidence", type=float)
    refining.add_argument("--max-shift-s", type=float)
    refining.add_argument("--report", type=Path, help="CSV with one row a boundary")
    refining.add_argument("--calibration", type=Path, help="a file made by `calibrate`")
    refining.set_defaults(run=_refine)

    calibrating = commands.add_parser("calibrate", help="what labelled recordings tell of a system's errors")
    calibrating.add_argument("audio", type=Path)
    calibrating.add_argument("rttm", type=Path)
    calibrating.add_argument("reference", type=Path)
    calibrating.add_argument("-o", "--out", type=Path, required=True)
    calibrating.add_argument("--uem", type=Path, help="what of the recordings is labelled")
    calibrating.add_argument("--weights", type=Path)
    calibrating.set_defaults(run=_calibrate)

    shipping = commands.add_parser("ship", help="the models of a phase as one weights file")
    shipping.add_argument("phase", type=Path)
    shipping.add_argument("-o", "--out", type=Path, required=True)
    shipping.add_argument("--model", action="append", choices=MODEL_NAMES, help="repeatable; all of the phase if left out")
    shipping.set_defaults(run=_ship)

    for command in (evaluating, integrating):
        command.add_argument("--progress", type=Path, help="file to tell the progress in")
        command.add_argument(
            "--part", metavar="K/N", help="hear every Nth recording alone, from K on, for a later call without it"
        )
    for command in (evaluating, integrating, refining, shipping, calibrating):
        command.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
        command.add_argument("--json", action="store_true", help="one JSON document on stdout")
    options = parser.parse_args()
    options.run(options)
    return 0


def _evaluate(options: argparse.Namespace) -> None:
    phase = PhaseDir(options.phase)
    never_make_anew(phase.path)
    progress = options.progress if options.part is None else None  # one writer a file: the whole
    with ProgressReporter(progress, Stage.EVALUATE) as step:
        step("loading the recordings", 0, 1)
        config = phase.load_config()
        written = [phase.evaluation(model, options.split) for model in options.model or phase.models()]
        refuse_unwritable(written, hint="evaluate a copy of the phase: --phase COPY")
        checkpoints = options.checkpoint or ["best"]
        find_all_weights(phase, options.model, checkpoints)

        from brefine.evaluate.evaluation import evaluate_refiner, hear_part, load_checkpoints, write_evaluation
        from brefine.evaluate.recordings import GivenSplit

        found = load_checkpoints(phase, options.model, checkpoints, options.device)
        refiners = [(name, refiner) for name, own in found.items() for refiner in own]
        split = GivenSplit(config, options.split)
        total = len(refiners) * len(split.recordings)
        if options.part is not None:
            index, n_parts = _part(options.part)
            for _, refiner in refiners:
                hear_part(refiner, split, phase.heard(refiner.card.model), index=index, n_parts=n_parts)
            return
        reports: list[EvaluationReport] = []
        for place, (name, refiner) in enumerate(refiners):
            before = place * len(split.recordings)
            model = refiner.card.model
            report, rows = evaluate_refiner(
                refiner,
                split,
                config,
                checkpoint=name,
                kept=phase.heard(model),
                report=lambda done: step(f"evaluating {model}", before + done, total),  # noqa: B023
            )
            reports.append(write_evaluation(phase, report, rows))
    for report in reports:  # only after the last checkpoint of a model has been judged
        shutil.rmtree(phase.heard(report.model), ignore_errors=True)
    if options.json:
        print(json.dumps({"evaluations": [report.to_json() for report in reports]}, indent=1, allow_nan=False))
    else:
        print("\n".join(f"{report.model} ({report.checkpoint}) is evaluated on the {report.split} split" for report in reports))


def _integrate(options: argparse.Namespace) -> None:
    phase = PhaseDir(options.phase)
    never_make_anew(phase.path)
    progress = options.progress if options.part is None else None  # one writer a file: the whole
    with ProgressReporter(progress, Stage.INTEGRATE) as step:
        step("loading the recordings", 0, 1)
        config = phase.load_config()
        selected = SelectionRecord.read_if_there(phase.selection)
        model = options.model or (None if selected is None else selected.model)
        if model is None:
            raise BrefineError(
                "no model is chosen yet",
                where=phase.path,
                hint=f"choose one (`brefine select --phase {phase.argument}`), or name it: --model NAME",
            )
        find_weights(phase, model, options.checkpoint)

        from brefine.evaluate.evaluation import load_checkpoint
        from brefine.evaluate.integration import integrate, integrate_part
        from brefine.evaluate.recordings import GivenSplit

        split = GivenSplit(config, "gate")
        refiner = load_checkpoint(phase, model, options.checkpoint, options.device)
        total = len(split.recordings)
        if options.part is not None:
            index, n_parts = _part(options.part)
            integrate_part(refiner, split, phase, index=index, n_parts=n_parts)
            return
        report = integrate(refiner, split, config, phase, report=lambda done: step(f"refining with {model}", done, total))
        report.write(phase.integration)
    print(json.dumps(report.to_json(), indent=1, allow_nan=False) if options.json else f"written: {phase.integration}")


def _refine(options: argparse.Namespace) -> None:
    config = _refine_config(options)
    refuse_unusable(options.weights, options.calibration)
    tasks = plan_refinement(options.audio, options.rttm, options.out)
    if options.report is not None:
        read = [path for task in tasks for path in (task.rttm, *task.audio.values())]
        outs = [task.out for task in tasks]
        refuse_replacing(read, [options.report], "report", is_report, option="--report", beside=outs)
    if len(tasks) > _MANY:
        tell(
            f"nothing is written until the recordings of all {len(tasks):,} RTTMs have been heard; with --config RECIPE they are "
            "done in shares, and the same command goes on after an interruption"
        )
    require_usable(path for task in tasks for path in task.audio.values())

    from brefine.evaluate.calibration import read_calibration
    from brefine.evaluate.refine import load_weights, refine_tasks

    refiner = load_weights(options.weights, options.device)
    if options.weights is not None:
        _tell_failed_gate(options.weights)
    done: list[Refined] = []
    prior = None if options.calibration is None else read_calibration(options.calibration, refiner)
    n_written = 0
    fault: DataError | OSError | KeyboardInterrupt | None = None
    try:
        with terminated_as_interrupted():
            for refined in refine_tasks(refiner, tasks, config, prior=prior):
                n_written += 1
                done += refined
                for one in refined:
                    tell(_told(one))
    except (DataError, OSError, KeyboardInterrupt) as error:
        if not n_written:
            if isinstance(error, KeyboardInterrupt):
                tell("stopped before the first RTTM was written")
            raise
        tell(f"{n_written:,} of {len(tasks):,} RTTMs are written")
        fault = error  # reported after what is done
    _tell_of(done, options, fault)


def _tell_of(done: list[Refined], options: argparse.Namespace, fault: DataError | OSError | KeyboardInterrupt | None) -> None:
    """Writes report and document of what is refined; then raises the fault that stopped the rest, or the report's own."""
    from brefine.evaluate.refine import format_report

    if options.report is not None:
        try:
            write_text_atomic(options.report, format_report(done))
        except OSError as error:  # the same full disk, say
            if fault is not None:
                tell(f"no report: {words_of(error)}")
            fault = fault or error
    if options.json:
        print(json.dumps({"recordings": [one.summary() for one in done]}, indent=1, allow_nan=False))
    if fault is not None:
        raise fault


def _refine_config(options: argparse.Namespace) -> RefineConfig:
    given = {"min_confidence": options.min_confidence, "max_shift_s": options.max_shift_s}
    try:
        return RefineConfig(**{key: value for key, value in given.items() if value is not None})
    except ValidationError as error:
        faults = [f"--{str(item['loc'][0]).replace('_', '-')}: {item['msg']}" for item in error.errors()]
        raise ConfigError("options are out of range", problems=faults) from None


def _calibrate(options: argparse.Namespace) -> None:
    read = [options.audio, options.rttm, options.reference, *rttm_files(options.rttm), *rttm_files(options.reference)]
    read += [options.uem] if options.uem is not None else []
    refuse_replacing(read, [options.out], "calibration", _is_calibration)
    refuse_unusable(options.weights, None)
    tasks = with_silent(plan_refinement(options.audio, options.rttm), options.audio)
    references = read_references(options.reference, tasks)
    regions_s = None if options.uem is None else read_regions(options.uem, references)
    require_usable(references)
    require_enough(tasks, references, regions_s)

    from brefine.evaluate.calibration import calibrate_refiner
    from brefine.evaluate.refine import load_weights

    found = calibrate_refiner(load_weights(options.weights, options.device), tasks, references, regions_s)
    found.write(options.out)
    if options.json:
        print(json.dumps(found.to_json(), indent=1, allow_nan=False))
    else:
        print("\n".join(_calibrated(found)))


def _is_calibration(path: Path) -> bool:
    """Whether a file is a calibration, of any weights."""
    return Calibration.read_if_sound(path) is not None


def _calibrated(found: Calibration) -> Iterator[str]:
    onsets_ms, offsets_ms = (rounded(1e3 * margin_s) for margin_s in found.margin_s)
    yield (
        f"{found.n_boundaries} labelled boundaries in {counted(found.n_recordings, 'recording', 'recordings')}: labels stand "
        f"{onsets_ms:+.0f} ms (onsets) and {offsets_ms:+.0f} ms (offsets) from what is heard; "
        f"MAE {found.mae_before_ms:.0f} → {found.mae_after_ms:.0f} ms on the very boundaries that it was fitted on"
    )
    held_out = found.held_out
    if held_out is None:
        yield "too little is labelled to tell what it gains on other recordings: label recordings of more speakers"
        return
    before, without, with_labels = (percent(der, 2) for der in (held_out.der_before, held_out.der_without, held_out.der_with))
    yield (
        f"each recording refined with what others' labels tell: MAE {held_out.mae_with_ms:.0f} ms, without labels "
        f"{held_out.mae_without_ms:.0f} ms; DER {before} → {with_labels}, without labels {without} (collar 0, overlap scored)"
    )
    difference = improvement(held_out.der_relative, held_out.interval)
    if held_out.der_relative > 0.0:
        yield f"so the DER is {difference} with the calibration"
    else:
        yield f"so the calibration gains nothing here (DER {difference}): refine without it, or label more"


def _ship(options: argparse.Namespace) -> None:
    from brefine.evaluate.shipping import ship

    phase = PhaseDir(options.phase)
    models = options.model or list(phase.load_config().models)
    card = ship(phase, models, options.out, device=options.device)
    print(json.dumps(card.to_json(), indent=1) if options.json else f"{one_line(options.out)}: {', '.join(models)}")


def _part(text: str) -> tuple[int, int]:
    """`3/16`: the share and the number of shares."""
    index, _, n_parts = text.partition("/")
    return int(index), int(n_parts)


def _tell_failed_gate(weights: Path) -> None:
    """Tells the user if these weights are a checkpoint of a phase that failed its gate."""
    phase = phase_of_weights(weights)
    record = None if phase is None else GateRecord.read_if_sound(phase.gate)
    if record is not None and record.verdict == "fail":
        tell(f"these weights' phase failed gate 4: {one_line(record.recommendation)}")


def _told(refined: Refined) -> str:
    summary = refined.summary()
    lines = [
        f"{one_line(summary['recording'])}: {summary['moved']} of {summary['boundaries']} boundaries moved, "
        f"by {summary['mean_abs_shift_ms']:.0f} ms on average ({summary['seconds']:.1f} s)"
    ]
    left_out = counted(refined.n_left_out, "turn starts after it and is left out", "turns start after it and are left out")
    cut = counted(refined.n_cut, "turn was cut there", "turns were cut there")
    for n, what in ((refined.n_left_out, left_out), (refined.n_cut, cut)):
        if n:
            lines.append(f"  the audio ends at {refined.audio_s:.1f} s, and {what}: is the file complete?")
    return "\n".join(lines)


if __name__ == "__main__":
    run_main(main)
