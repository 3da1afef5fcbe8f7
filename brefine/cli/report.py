"""`brefine report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from brefine.cli.options import RUNS, Json, Phase, Runs, a_page
from brefine.cli.output import print_json, print_lines
from brefine.errors import one_line
from brefine.phasedir import find_phase


def report(
    phase: Phase = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE.html", callback=a_page, help="Where to; PHASE/report.html if left out."),
    ] = None,
    json: Json = False,
    runs: Runs = RUNS,
) -> None:
    """Example: brefine report

    One HTML file that holds all of a phase: verdict, curves, errors, recordings, calibration, boundaries with their sound, cost,
    provenance. It loads nothing from anywhere, so it can be mailed and filed.
    """
    from brefine.run.report import write_report

    path = write_report(find_phase(phase, runs), out)
    print_json({"report": str(path), "bytes": path.stat().st_size}) if json else print_lines([f"written: {one_line(path)}"])
