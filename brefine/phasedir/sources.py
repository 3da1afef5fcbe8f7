"""The labels that a corpus is prepared from: where they are, and whether they were corrected since."""

from __future__ import annotations

from pathlib import Path

from brefine.config import PhaseConfig, prepared_corpus_path
from brefine.io.atomic import digest_of_files
from brefine.io.folders import files_of
from brefine.io.rttm import rttm_files
from brefine.io.uem import UEM_FILE
from brefine.phasedir.corpus import CorpusManifest


def source_folders(config: PhaseConfig) -> dict[str, Path]:
    """Split (train, gate) → the corpus folder that it is prepared from; empty if brefine makes everything itself."""
    corpus = config.corpus
    if corpus.kind == "simulated":
        return {}
    if corpus.kind == "voxconverse":
        home = Path(corpus.root) / "voxconverse"
        return {"train": home / "dev", "gate": home / "test"}
    return {"train": Path(corpus.train or ""), "gate": Path(corpus.gate or "")}


def label_digests(config: PhaseConfig) -> dict[str, str]:
    """File of labels of the recipe's corpus, such as `gate/reference/a.rttm` → digest of its content.

    These are RTTMs, UEMs, and a summary of errors to replay if it is a file of the user's own, also for conversations that
    brefine makes itself. A folder that is missing is left out. A missing `all.uem` has a digest, too: everything is scored
    without it, so adding one later is a change.
    """
    folders, hypothesis = source_folders(config), config.hypothesis
    brought = bool(folders) and hypothesis.source == "folder"
    kinds = ("reference", "hypothesis") if brought and hypothesis.folder is None else ("reference",)
    files: dict[str, Path] = {}
    for part, folder in folders.items():
        if folder.is_dir():
            found = [path for kind in kinds for path in files_of(folder / kind, {".rttm"})]
            files |= {f"{part}/{path.relative_to(folder)}": path for path in (*found, folder / UEM_FILE)}
    if brought and hypothesis.folder is not None:
        place = Path(hypothesis.folder)
        found = rttm_files(place)
        files |= {f"hypothesis/{path.name}": path for path in found if path.is_file()}
    errors = Path(hypothesis.errors)
    if (hypothesis.source == "replayed" or (folders and config.corpus.synthetic_per_real > 0.0)) and errors.is_file():
        files[f"hypothesis/{errors.name}"] = errors
    return {name: digest_of_files([path]) for name, path in files.items()}


def corrected_labels(manifest: CorpusManifest, config: PhaseConfig) -> list[str]:
    """Labels that have changed since the corpus was prepared: the files that it was made from, and the labels made from them.

    Files that are out of reach count as unchanged.
    """
    edited = manifest.edited_labels(prepared_corpus_path(config))
    if manifest.sources is None:
        return edited
    try:
        now = label_digests(config)
    except OSError:
        return edited
    return [name for name, digest in manifest.sources.items() if now.get(name, digest) != digest] + edited
