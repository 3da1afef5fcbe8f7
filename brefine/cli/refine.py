"""`brefine refine`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from brefine.cli.options import (
    PIPES,
    ArrayConfig,
    Audio,
    Device,
    Json,
    Set,
    Turns,
    Weights,
    a_file,
    finite,
    option_words,
    output_path,
    positive,
)
from brefine.config import load_config
from brefine.phasedir import refuse_unusable
from brefine.run.foreground import run_worker


def refine(
    audio: Audio,
    rttm: Turns,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            metavar="PATH",
            callback=a_file,
            help="RTTM file or folder to write (new/ is a folder); talk.refined.rttm beside talk.rttm if left out.",
        ),
    ] = None,
    weights: Weights = None,
    min_confidence: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, callback=finite, help="Leave less certain boundaries alone.")
    ] = None,
    max_shift_s: Annotated[
        float | None, typer.Option(callback=positive, help="Largest move, in seconds, above 0; 1 if left out.")
    ] = None,
    report: Annotated[Path | None, typer.Option(metavar="FILE", callback=a_file, help="CSV with one row a boundary.")] = None,
    calibration: Annotated[Path | None, typer.Option(metavar="FILE", help="Made by `brefine calibrate` for this system.")] = None,
    device: Device = "auto",
    config: ArrayConfig = None,
    overrides: Set = None,
    json: Json = False,
) -> None:
    """Example: brefine refine talk.wav talk.rttm

    Moves each turn's onset and offset to where the speech really starts or stops. No turn is added, dropped or renamed, except
    that turns that start after the end of the audio are left out, and turns that reach beyond it are cut there.
    With --config it works through thousands of recordings, one per RTTM file; if it is interrupted, the same command goes on, and
    nothing is done twice.
    """
    # A folder has no suffix, though its name may contain dots.
    target = rttm.parent / f"{rttm.name}.refined" if rttm.is_dir() else rttm.with_suffix(".refined.rttm")
    piped = rttm.parent in PIPES
    if out is None and piped:
        raise typer.BadParameter("turns from a pipe have no folder to write beside: say where to", param_hint="-o")
    if out is not None:
        target = Path(out) if rttm.is_dir() else output_path(out, f"{audio.stem}.rttm" if piped else rttm.name)
    given = option_words(
        {
            "--weights": weights,
            "--min-confidence": min_confidence,
            "--max-shift-s": max_shift_s,
            "--report": report,
            "--calibration": calibration,
            "--device": device,
        }
    )
    if config is not None:
        if report is not None or json:
            raise typer.BadParameter("--report and --json go with a run in one piece, not with --config")
        from brefine.cli.batches import go_through

        refuse_unusable(weights, calibration)
        raise typer.Exit(go_through("refine", audio, rttm, target, given, load_config(config, overrides or ())))
    raise typer.Exit(run_worker("brefine.evaluate", "refine", audio, rttm, "-o", target, *given, *option_words({"--json": json})))
