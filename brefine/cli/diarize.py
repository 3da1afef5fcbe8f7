"""`brefine diarize`."""

from __future__ import annotations

import shlex
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Any

import typer

from brefine.cli.options import ArrayConfig, Audio, Json, Set, a_file, option_words, output_path
from brefine.cli.output import print_json
from brefine.config import DiarizerName, load_config
from brefine.errors import tell
from brefine.io.audio import audio_files
from brefine.io.interpreter import word_of
from brefine.io.outputs import refuse_replacing
from brefine.io.rttm import is_rttm
from brefine.phasedir import refuse_unusable
from brefine.run.foreground import parse_answer, run_worker

_INTERRUPTED = tuple(128 + number for number in (signal.SIGINT, signal.SIGTERM))


def diarize(
    audio: Audio,
    to: Annotated[
        str,
        typer.Option("--out", "-o", metavar="PATH", callback=a_file, help="RTTM file or folder to write (new/ is a folder)."),
    ],
    diarizer: Annotated[DiarizerName, typer.Option(help="Which one.")] = "builtin",
    diarizer_python: Annotated[
        Path | None, typer.Option(metavar="PATH", help="DiariZen: the interpreter of its environment.")
    ] = None,
    diarizer_model: Annotated[
        str | None, typer.Option(metavar="NAME", help="Hub id or local folder of the diarizer's weights.")
    ] = None,
    no_refine: Annotated[bool, typer.Option("--no-refine", help="The diarizer alone.")] = False,
    weights: Annotated[
        Path | None,
        typer.Option(metavar="FILE", exists=True, dir_okay=False, help="The refiner's weights; those that ship if left out."),
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(metavar="FILE", exists=True, dir_okay=False, help="Made by `brefine calibrate` for this diarizer."),
    ] = None,
    config: ArrayConfig = None,
    overrides: Set = None,
    json: Json = False,
) -> None:
    """Example: brefine diarize talk.wav -o talk.rttm

    Says who spoke when: a diarizer, then the refiner on its turns. The built-in diarizer needs no account and no network.
    With --config it works through thousands of recordings; if it is interrupted, the same command goes on, and nothing is done
    twice.
    """
    out = Path(to) if audio.is_dir() else output_path(to, f"{audio.stem}.rttm")
    refining = option_words({"--weights": weights, "--calibration": calibration})
    if not no_refine:
        refuse_unusable(weights, calibration)
    if config is not None:
        if json:
            raise typer.BadParameter("--json goes with a run in one piece, not with --config")
        from brefine.cli.batches import go_through

        given = option_words(
            {
                "--diarizer": diarizer,
                "--no-refine": no_refine,
                "--diarizer-python": diarizer_python,
                "--diarizer-model": diarizer_model,
            }
        )
        raise typer.Exit(go_through("diarize", audio, None, out, [*given, *refining], load_config(config, overrides or ())))
    files = audio_files(audio) if audio.is_dir() else [audio]
    in_folder = audio.is_dir() or out.is_dir()
    refuse_replacing(files, [out / f"{path.stem}.rttm" if in_folder else out for path in files], "RTTM", is_rttm)
    with tempfile.TemporaryFile("w+", encoding="utf-8") as told, _kept_if_unrefined(audio, out, refining) as scratch:
        # The refiner wants a folder of turns for a folder of audio; for a file it names its output after the turns' file.
        unrefined = scratch if audio.is_dir() else scratch / f"{audio.stem}.rttm"
        options = option_words({"--python": diarizer_python, "--model": diarizer_model})
        answer = out if no_refine else unrefined
        code, document = _run(told, "brefine.diarizers", audio, "-o", answer, "--diarizer", diarizer, "--json", *options)
        refined = {}
        if not no_refine:
            left, found = _run(told, "brefine.evaluate", "refine", audio, unrefined, "-o", out, "--json", *refining)
            refined = {one.pop("recording"): one for one in found["recordings"]}
            code = code or left
        done = []
        for one in document["recordings"]:
            path = Path(one["rttm"])
            one["rttm"] = str(out / path.name if out.is_dir() else out)
            one["refined"] = refined.get(path.stem, refined.get(one["recording"]))  # by stem if several share a name
            if no_refine or one["refined"] or not one["turns"]:
                done.append(one)
                (scratch / path.name).unlink(missing_ok=True)
        if json:
            print_json(document | {"recordings": done})
        raise typer.Exit(code)


@contextmanager
def _kept_if_unrefined(audio: Path, out: Path, refining: list[str]) -> Iterator[Path]:
    """A folder for the diarizer's turns. Turns that are left in it at the end are kept: they may have taken hours.

    Args:
        refining: the refiner's options, for the command that refines the turns that were kept.
    """
    turns = Path(tempfile.mkdtemp(prefix="brefine-turns-"))
    try:
        yield turns
    finally:
        if left := sorted(turns.glob("*.rttm")):
            again = [audio, turns if audio.is_dir() else left[0], "-o", out, *refining]
            tell(f"the diarizer's turns are kept in {turns}; to refine them: brefine refine {shlex.join(map(word_of, again))}")
        else:
            shutil.rmtree(turns, ignore_errors=True)


def _run(told: IO[str], module: str, *arguments: object) -> tuple[int, Any]:
    """The exit code of a worker, and the JSON document that it has printed into the file `told`.

    Raises:
        typer.Exit: the worker was interrupted, or has printed nothing.
        ProcessError: it has printed something that is not JSON.
    """
    told.seek(0)
    told.truncate()
    code = run_worker(module, *arguments, stdout=told)
    told.seek(0)
    document = told.read()
    if not document or code in _INTERRUPTED:
        raise typer.Exit(code or 1)
    return code, parse_answer(document)
