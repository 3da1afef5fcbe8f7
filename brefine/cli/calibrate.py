"""`brefine calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from brefine.cli.options import Audio, Device, Json, Turns, Weights, a_file, an_input, option_words
from brefine.run.foreground import run_worker


def calibrate(
    audio: Audio,
    rttm: Turns,
    reference: Annotated[
        Path,
        typer.Argument(
            metavar="REFERENCE", callback=an_input, help="The labels: an RTTM file, or a folder of them, named after the audio."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", callback=a_file, help="Calibration file (JSON) to write.")],
    uem: Annotated[Path | None, typer.Option(metavar="FILE", help="What is labelled; everything if left out.")] = None,
    weights: Weights = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Example: brefine calibrate talk.wav talk.rttm labels.rttm -o mine.json

    Learns from a few labelled minutes how far a diarizer's boundaries are off and how much room your labels leave around speech;
    `brefine refine --calibration mine.json` and `brefine diarize --calibration mine.json` then refine its other recordings
    accordingly. In folders, only recordings with labels count; the others are named. If only part of a recording is labelled,
    --uem says which: otherwise a turn that is cut there would count as ending there.

    The gain is measured on recordings that the labels were not taken from: each one is refined with the others' labels, and
    without any. Recordings that share a speaker by name are held out together.
    """
    given = option_words({"--uem": uem, "--weights": weights, "--device": device, "--json": json})
    raise typer.Exit(run_worker("brefine.evaluate", "calibrate", audio, rttm, reference, "-o", out, *given))
