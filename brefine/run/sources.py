"""A recipe's corpus before anything is started: whether it is prepared, and if not, whether what it is made from is there."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from brefine.config import PhaseConfig, prepared_corpus_path, with_absolute_paths
from brefine.errors import DataError, one_line
from brefine.phasedir import CORPUS_FILE, CorpusManifest, corrected_labels


def prepared_corpus(config: PhaseConfig) -> Path | None:
    """The recipe's prepared corpus; None if it does not exist, or if labels have been corrected since.

    Args:
        config: with absolute paths.
    """
    corpus = prepared_corpus_path(config)
    manifest = CorpusManifest.read_if_there(corpus / CORPUS_FILE)
    return None if manifest is None or corrected_labels(manifest, config) else corpus


def refuse_missing(config: PhaseConfig) -> None:
    """Refuses a recipe whose corpus cannot be prepared because a folder or a file that it names does not exist.

    Only for a corpus that is still to be prepared: a finished one no longer needs what it was made from.

    Raises:
        DataError: something is missing; all of it is listed.
    """
    missing = list(_missing(config))
    if missing and prepared_corpus(with_absolute_paths(config)) is None:
        raise DataError("the corpus cannot be prepared", problems=missing, hint="the recipe names what does not exist")


def _missing(config: PhaseConfig) -> Iterator[str]:
    corpus, hypothesis = config.corpus, config.hypothesis
    if corpus.kind == "folder":
        for key, folder in (("train", corpus.train), ("gate", corpus.gate)):
            if folder is not None and not Path(folder).is_dir():
                yield f"corpus.{key}: there is no such folder: {one_line(folder)}"
    simulates = corpus.kind == "simulated" or corpus.synthetic_per_real > 0.0
    voices = corpus.simulation.voices
    if simulates and voices != "builtin" and not Path(voices).is_dir():
        yield f"corpus.simulation.voices: there is no such folder of voices: {one_line(voices)}"
    if hypothesis.source == "folder" and hypothesis.folder is not None and not Path(hypothesis.folder).is_dir():
        yield f"hypothesis.folder: there is no such folder: {one_line(hypothesis.folder)}"
    shipped = files("brefine") / "data" / f"errors_{hypothesis.errors}.json"
    if hypothesis.source == "replayed" and not shipped.is_file() and not Path(hypothesis.errors).is_file():
        yield f"hypothesis.errors: there is no such summary of system errors: {one_line(hypothesis.errors)}"
