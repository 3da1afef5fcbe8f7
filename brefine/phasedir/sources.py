"""The labels that a corpus is prepared from: where they lie, and whether somebody has corrected them since."""

from __future__ import annotations

from pathlib import Path

from brefine.config import PhaseConfig, prepared_corpus_path
from brefine.io.atomic import digest_of_files
from brefine.io.folders import files_of
from brefine.io.rttm import rttm_files
from brefine.io.uem import UEM_FILE
from brefine.phasedir.corpus import CorpusManifest


def source_folders(config: PhaseConfig) -> dict[str, Path]:
    """train and gate → the corpus folder that it is prepared from; none where brefine makes everything itself."""
    corpus = config.corpus
    if corpus.kind == "simulated":
        return {}
    if corpus.kind == "voxconverse":
        home = Path(corpus.root) / "voxconverse"
        return {"train": home / "dev", "gate": home / "test"}
    return {"train": Path(corpus.train or ""), "gate": Path(corpus.gate or "")}


def label_digests(config: PhaseConfig) -> dict[str, str]:
    """Files of labels that go into the recipe's corpus, such as `gate/reference/a.rttm` → digest of the content: RTTM, UEM, and
    a summary of errors to replay where it is a file of one's own, also for conversations that brefine makes itself.

    Of a folder that is not there nothing is told. One without `all.uem` has everything scored, so that a later one is a change.
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
    """Labels with another content than when the corpus was prepared: files that it was made from, and what was made of them.

    Of files that are out of reach nothing is known.
    """
    edited = manifest.edited_labels(prepared_corpus_path(config))
    if manifest.sources is None:
        return edited
    try:
        now = label_digests(config)
    except OSError:
        return edited
    return [name for name, digest in manifest.sources.items() if now.get(name, digest) != digest] + edited
