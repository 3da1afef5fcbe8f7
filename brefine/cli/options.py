"""Options that several commands share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from brefine.io.interpreter import word_of


def an_input(value: Path) -> Path:
    """Callback of arguments that are read: refuses `-`, which would be a file of that name where stdin is meant."""
    if str(value) == "-":
        raise typer.BadParameter("this command reads files: give a path instead of -, or /dev/stdin for turns from a pipe.")
    return value


Phase = Annotated[
    str | None, typer.Argument(metavar="[PHASE]", help="Phase directory, or its name under runs/; the newest if left out.")
]
PhaseOption = Annotated[
    str | None, typer.Option("--phase", metavar="PHASE", help="Phase directory, or its name under runs/; the newest if left out.")
]
Runs = Annotated[Path, typer.Option("--runs", metavar="DIR", envvar="BREFINE_RUNS", help="Folder of the phase directories.")]
NewRuns = Annotated[
    Path | None,
    typer.Option("--runs", metavar="DIR", envvar="BREFINE_RUNS", help="Folder of the new phase, if not the recipe's."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override one key of the recipe (repeatable).")]
ArrayConfig = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="A recipe whose [executor] works through whole folders, resumable; on Slurm as a job array.",
    ),
]
Reference = Annotated[Path, typer.Option("--reference", metavar="PATH", help="RTTM file or folder of them: the truth.")]
Hypothesis = Annotated[Path, typer.Option("--hypothesis", metavar="PATH", help="RTTM file or folder of them.")]
Uem = Annotated[Path | None, typer.Option("--uem", metavar="FILE", help="What is scored; everything if left out.")]
Audio = Annotated[Path, typer.Argument(metavar="AUDIO", callback=an_input, help="Audio file, or a folder of them.")]
Turns = Annotated[
    Path,
    typer.Argument(metavar="RTTM", callback=an_input, help="The diarizer's turns; a folder with the same stems for a folder."),
]
Weights = Annotated[Path | None, typer.Option("--weights", metavar="FILE", help="Weights; those that ship if left out.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
Config = Annotated[Path, typer.Option("--config", metavar="FILE", help="The recipe.")]
NoInput = Annotated[bool, typer.Option("--no-input", help="Ask nothing.")]
Plain = Annotated[bool, typer.Option("--plain", help="Lines of text instead of the dashboard.")]

RUNS = Path("runs")
PIPES = frozenset(map(Path, ("/dev", "/dev/fd", "/proc/self/fd")))
"""Folders of `/dev/stdin` and of what a shell makes of `<(…)`; /dev/shm holds files like any other."""


def output_path(text: str, name: str) -> Path:
    """The path `text`, or `name` in it if it is a folder: one that exists, or ends in a slash, which a `Path` would drop."""
    return Path(text) / name if text.endswith("/") or Path(text).is_dir() else Path(text)


def option_words(given: Mapping[str, object]) -> list[str]:
    """Options as words for another command: the name of a flag, name and value of others; None and False are left out."""
    said = {name: value for name, value in given.items() if value is not None and value is not False}
    return [word_of(part) for name, value in said.items() for part in ((name,) if value is True else (name, value))]


def a_file(value: Path | str | None) -> Path | str | None:
    """Callback of options that name a result: refuses `-`, which would become a file of that name where stdout is meant."""
    if str(value) == "-":
        raise typer.BadParameter("results are written to files: give a path instead of -; --json prints to stdout.")
    return value


def a_page(value: Path | None) -> Path | None:
    """Callback of options that name a page: programs go by the suffix, and would not show HTML under that of an image."""
    if value is not None and value.suffix.lower() not in (".html", ".htm"):
        raise typer.BadParameter("an HTML page is written: give a name that ends in .html.")
    return value


def finite(value: float | None) -> float | None:
    """Callback of options that are numbers: a range alone lets not-a-number pass, and infinity where it is open."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is not a finite number.")
    return value


def positive(value: float | None) -> float | None:
    """Callback of options that are numbers above 0: Typer's ranges include their ends."""
    if value is not None and value <= 0.0:
        raise typer.BadParameter(f"{value} is not above 0.")
    return finite(value)
