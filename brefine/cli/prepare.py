"""`brefine prepare`."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from brefine.cli.options import Json, Set, option_words
from brefine.config import PhaseConfig, format_config, load_config, parse_config, with_absolute_paths
from brefine.errors import ConfigError
from brefine.run.foreground import run_worker

_KINDS = ("simulated", "voxconverse")
_DIARIZERS = ("diarizen", "pyannote", "builtin")
_SOURCES = ("replayed", "folder", *_DIARIZERS)


def prepare(
    corpus: Annotated[str, typer.Argument(metavar="CORPUS", help="simulated, voxconverse, or a folder of one's own.")],
    config: Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Recipe with the settings.")] = None,
    gate: Annotated[Path | None, typer.Option(metavar="DIR", help="With a folder: the corpus folder behind the gate.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where to; default: named after the settings.")] = None,
    audio_from: Annotated[Path | None, typer.Option(metavar="DIR", help="VoxConverse: audio that is there already.")] = None,
    hypothesis_from: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE", help="A folder of RTTMs, or: replayed, folder (beside the audio), diarizen, pyannote, builtin."
        ),
    ] = None,
    overrides: Set = None,
    json: Json = False,
) -> None:
    """Example: brefine prepare simulated --config configs/demo.toml

    Gets a corpus ready: audio, references and hypotheses in three splits that share no speaker and no recording, and its
    features; ends with a summary. What exists already is reused, unless labels, voices or errors to replay have changed or
    recordings were added or removed. A folder has audio/ reference/ hypothesis/ and optionally all.uem.
    """
    _refuse_misplaced(corpus, gate, audio_from)
    given = [f"corpus.kind={corpus}"] if corpus in _KINDS else ["corpus.kind=folder", f"corpus.train={_quoted(corpus)}"]
    given += [f"corpus.gate={_quoted(gate)}"] if gate is not None else []
    if hypothesis_from is not None and hypothesis_from not in _SOURCES and Path(hypothesis_from).is_dir():
        given += ["hypothesis.source=folder", f"hypothesis.folder={_quoted(hypothesis_from)}"]
    elif hypothesis_from is not None:
        given.append(f"hypothesis.source={hypothesis_from}")
        given += [f"diarizer.name={hypothesis_from}"] if hypothesis_from in _DIARIZERS else []
    given += overrides or []
    if corpus not in _KINDS and gate is None and _recipe(config, [*given, "corpus.kind=simulated"]).corpus.gate is None:
        raise ConfigError("a folder corpus needs a second folder, for the gate", where="--gate", expected="--gate DIR")
    recipe = _recipe(config, given)
    with tempfile.NamedTemporaryFile("w", suffix=".toml", encoding="utf-8") as file:
        file.write(format_config(with_absolute_paths(recipe)))
        file.flush()
        options = option_words({"--out": out, "--audio-from": audio_from, "--json": json})
        raise typer.Exit(run_worker("brefine.data", "prepare", file.name, *options))


def _refuse_misplaced(corpus: str, gate: Path | None, audio_from: Path | None) -> None:
    """Refuses an unknown CORPUS, and options of another one: were they ignored, it would take minutes to notice."""
    if corpus not in _KINDS and not Path(corpus).is_dir():
        raise ConfigError("there is no such corpus", where="CORPUS", expected="simulated, voxconverse or a folder", got=corpus)
    if gate is not None and corpus in _KINDS:
        raise ConfigError(
            "only a folder corpus takes a second folder for the gate", where="--gate", expected="brefine prepare DIR", got=corpus
        )
    if audio_from is not None and corpus != "voxconverse":
        raise ConfigError(
            "only VoxConverse is downloaded", where="--audio-from", expected="brefine prepare voxconverse", got=corpus
        )


def _recipe(config: Path | None, overrides: Sequence[str]) -> PhaseConfig:
    if config is not None:
        return load_config(config, overrides)
    return parse_config("schema = 1\n[corpus]\n[models.mlp]\n", where="brefine prepare", overrides=overrides)


def _quoted(path: object) -> str:
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'
