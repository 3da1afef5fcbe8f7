"""`brefine calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from brefine.cli.options import Json, a_file, option_words
from brefine.run.stages import run_worker


def calibrate(
    audio: Annotated[Path, typer.Argument(metavar="AUDIO", help="Audio file, or a folder of them.")],
    rttm: Annotated[
        Path, typer.Argument(metavar="RTTM", help="The diarizer's turns; a folder with the same stems for a folder.")
    ],
    reference: Annotated[
        Path, typer.Argument(metavar="REFERENCE", help="The labels: an RTTM file, or a folder of them, named after the audio.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", callback=a_file, help="Calibration file (JSON) to write.")],
    uem: Annotated[Path | None, typer.Option(metavar="FILE", help="What is labelled; everything if left out.")] = None,
    weights: Annotated[Path | None, typer.Option(metavar="FILE", help="Weights; those that ship if left out.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    json: Json = False,
) -> None:
    """Example: brefine calibrate talk.wav talk.rttm labels.rttm -o mine.json

    Learns from a few labelled minutes how far a diarizer's boundaries are off and how much room your labels leave around speech;
    `brefine refine --calibration mine.json` and `brefine diarize --calibration mine.json` then refine its other recordings
    accordingly. Of folders, the recordings that have labels count; the others are named. Where only a part of a recording is
    labelled, --uem says which: a turn that is cut there would else count as if it ended there.

    What labels win is told of recordings that they were not taken from: each one is refined with what the others' labels tell,
    and without any. Recordings that share a speaker by name are held out together.
    """
    given = option_words({"--uem": uem, "--weights": weights, "--device": device})
    arguments = [audio, rttm, reference, "-o", out, *given, *(["--json"] if json else [])]
    raise typer.Exit(run_worker("brefine.evaluate", "calibrate", *arguments))
