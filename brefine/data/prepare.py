"""Makes a prepared corpus: audio, references and hypotheses in three splits, the feature store, a summary, and `corpus.json`.

`corpus.json` is written last, so its presence means that everything is there; a half-made corpus is resumed, a complete one
reused. Everything is made in the folder that `config.prepared_corpus_path` names after the settings, so other settings use
another folder. If labels were corrected, prepared labels edited, audio exchanged, recordings added or removed, or if a simulated
corpus gets other voices or errors to replay, then what depends on them is made again in the same folder; weights that were
trained on other labels then no longer fit its fingerprint. The same holds for a corpus by an earlier version, which did not
record what it read: a verdict might rest on labels older than their correction, and reading them again takes only minutes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

from brefine.config import DiarizerName, HypothesisConfig, PhaseConfig, prepared_corpus_path
from brefine.data.corpora import (
    OnProgress,
    audio_of_folders,
    changes_since,
    forget_stale,
    manifest_of_folders,
    refuse_users_own,
    sources_of,
    voice_bank,
)
from brefine.data.feature_store import build_store, is_built
from brefine.data.hypotheses import diarize_all, diarizer_of
from brefine.data.simulated import Studio, Take, make_conversations
from brefine.data.summary import summarise
from brefine.data.system_errors import SystemErrors, load_system_errors
from brefine.data.turn_taking import load_turn_taking
from brefine.data.voices import find_utterances, split_by_speaker
from brefine.errors import ConfigError
from brefine.io.atomic import digest_of_files, remove_leftovers, write_json_atomic, write_text_atomic
from brefine.io.lock import held
from brefine.io.rttm import write_rttm
from brefine.io.uem import UEM_FILE
from brefine.phasedir import CORPUS_FILE, SPLITS, SUMMARY_FILE, CorpusManifest, CorpusRecording

_MOST_TOLD = 20


def prepare(
    config: PhaseConfig,
    *,
    out: Path | None = None,
    audio_from: Path | None = None,
    n_processes: int | None = None,
    on_progress: OnProgress = lambda step, done, total: None,
) -> Path:
    """Makes what is missing of the recipe's corpus and returns its folder; writes nothing if nothing is missing.

    Args:
        out: another folder than the one named after the settings.
        audio_from: kind "voxconverse": a folder with audio that was downloaded before.
        n_processes: worker processes; None = one per core. The result does not depend on it.

    Raises:
        DataError: audio, labels or voices are missing or unusable; everything found is listed.
        ConfigError: the recipe asks for what its corpus cannot give.
        OSError: the disk has no room.
        ProcessError: a worker process was killed.
    """
    folder = prepared_corpus_path(config) if out is None else out.absolute()
    workers = n_processes or len(os.sched_getaffinity(0))
    if _is_whole(folder, config):
        return folder
    refuse_users_own(folder, config)
    with _locked(folder, on_progress):
        remove_leftovers(folder)
        manifest, notes = CorpusManifest.read_if_there(folder / CORPUS_FILE), tuple[str, ...]()
        changes = [] if manifest is None else changes_since(manifest, folder, config)
        if manifest is None or changes:
            if config.corpus.kind == "simulated":
                manifest = _simulate_corpus(folder, config, workers, on_progress)
            else:
                manifest, notes = manifest_of_folders(
                    folder, config, audio_from=audio_from, n_processes=workers, on_progress=on_progress
                )
            notes = (*notes, *([f"prepared anew ({_some(changes)})"] if changes else []))
        build_store(
            folder / "features",
            _audio_of(manifest, folder),
            config.features,
            known=manifest.untouched_audio(folder),
            n_processes=workers,
            on_progress=lambda done, total: on_progress("computing features", done, total),
        )
        if not (folder / SUMMARY_FILE).exists():
            write_json_atomic(folder / SUMMARY_FILE, summarise(folder, manifest, notes=notes))
        manifest.write(folder / CORPUS_FILE)
    return folder


def _is_whole(folder: Path, config: PhaseConfig) -> bool:
    """Whether the corpus is complete and fits the recipe and its sources; such a corpus may be in a read-only folder."""
    manifest = CorpusManifest.read_if_there(folder / CORPUS_FILE)
    return (
        manifest is not None
        and (folder / SUMMARY_FILE).exists()
        and not changes_since(manifest, folder, config)
        and is_built(folder / "features", _audio_of(manifest, folder), config.features, known=manifest.untouched_audio(folder))
    )


def _audio_of(manifest: CorpusManifest, folder: Path) -> dict[str, Path]:
    return {recording.name: folder / recording.audio for split in SPLITS for recording in manifest.splits[split]}


def prepare_part(config: PhaseConfig, *, index: int, n_parts: int, n_processes: int | None = None) -> None:
    """Makes a share of the slow parts, conversations and the diarizer's answers, for a later `prepare` of the whole.

    Shares write different files, so they may run at the same time; an empty share does nothing. Audio that has not been
    downloaded yet is left to the `prepare` of the whole.
    """
    folder = prepared_corpus_path(config)
    manifest = CorpusManifest.read_if_there(folder / CORPUS_FILE)
    if manifest is not None and not changes_since(manifest, folder, config):
        return
    workers = n_processes or len(os.sched_getaffinity(0))

    def silent(step: str, done: int, total: int) -> None: ...

    if config.corpus.kind == "simulated":
        refuse_users_own(folder, config)
        sources = sources_of(config)
        studio, takes = _studio(folder, config, silent)
        with _locked(folder, silent):  # the first share removes what is stale, before any share makes something
            forget_stale(folder, sources)
        made = make_conversations(studio, takes[index::n_parts], n_processes=workers)
        audio = {one.name: folder / one.audio for one in made if not one.replayed}
    else:
        there = audio_of_folders(config) if config.hypothesis.source in get_args(DiarizerName) else {}
        audio = {name: there[name] for name in sorted(there)[index::n_parts]}
    if audio:
        diarize_all(audio, diarizer_of(config), cache=Path(config.corpus.root) / "hypotheses", n_processes=workers)


@contextmanager
def _locked(folder: Path, on_progress: OnProgress) -> Iterator[None]:
    """Keeps a second process out while a corpus is made; it waits, then finds everything ready."""
    with held(folder / ".lock", wait=False) as lock:
        if lock is not None:
            yield
            return
    on_progress("waiting for another process that prepares this corpus", 0, 1)
    with held(folder / ".lock"):
        yield


def _some(changes: Sequence[str]) -> str:
    return "; ".join(changes[:_MOST_TOLD]) + (f"; and {len(changes) - _MOST_TOLD} more" if len(changes) > _MOST_TOLD else "")


def _simulate_corpus(folder: Path, config: PhaseConfig, workers: int, on_progress: OnProgress) -> CorpusManifest:
    sources = sources_of(config)
    studio, takes = _studio(folder, config, on_progress)
    forget_stale(folder, sources)
    made = make_conversations(
        studio,
        takes,
        n_processes=workers,
        on_progress=lambda done, total: on_progress("simulating conversations", done, total),
    )
    audio = {one.name: folder / one.audio for one in made if not one.replayed}
    if audio:
        cache = Path(config.corpus.root) / "hypotheses"
        heard = diarize_all(audio, diarizer_of(config), cache=cache, n_processes=workers, on_progress=on_progress)
        for place, one in enumerate(made):
            if one.replayed:
                continue
            write_rttm(folder / one.hypothesis, heard[one.name].clipped(0.0, one.duration_s))
            labels = [folder / one.reference, folder / one.hypothesis]
            made[place] = one.model_copy(update={"labels_sha256": digest_of_files(labels)})
    splits: dict[str, list[CorpusRecording]] = {split: [] for split in SPLITS}
    for take, recording in zip(takes, made, strict=True):
        splits[take.split].append(recording)
    for split in SPLITS:
        lines = [f"{one.name} 1 0.000 {one.duration_s:.3f}\n" for one in splits[split]]
        write_text_atomic(folder / split / UEM_FILE, "".join(lines))
    return CorpusManifest(
        title=config.corpus.title,
        evidence="simulated",
        hypothesis_source=_source_in_words(config.hypothesis, studio.errors),
        splits=splits,
        sources=sources,
    )


def _source_in_words(hypothesis: HypothesisConfig, errors: SystemErrors | None) -> str:
    if errors is None:
        return hypothesis.source
    share = hypothesis.builtin_share
    heard = f"; for {100.0 * share:g} % of train and validation the built-in diarizer's own" if share > 0.0 else ""
    return f"replayed errors: {errors.source}{heard}"


def _is_heard(index: int, share: float) -> bool:
    """Whether a diarizer hears this conversation of a split: a share of them does, evenly spread; with a half, 1, 3, 5, …"""
    return int((index + 1) * share) > int(index * share)


def _studio(folder: Path, config: PhaseConfig, on_progress: OnProgress) -> tuple[Studio, list[Take]]:
    """What the conversations of a recipe are made with, and the list of all conversations."""
    simulation, source = config.corpus.simulation, config.hypothesis.source
    if source == "folder":
        raise ConfigError(
            "simulated conversations take their hypotheses from measured errors or from a diarizer",
            where="hypothesis.source",
            expected='"replayed", "builtin", "diarizen" or "pyannote"',
            got=repr(source),
        )
    errors = load_system_errors(config.hypothesis.errors) if source == "replayed" else None
    counts = {"train": simulation.n_train, "validation": simulation.n_validation, "gate": simulation.n_gate}
    # The square root gives small splits enough different voices.
    weights = {split: counts[split] ** 0.5 for split in SPLITS}
    bank = find_utterances(voice_bank(config, on_progress))
    voices = split_by_speaker(bank, weights, least=simulation.n_speakers[1], seed=config.seed)
    shares = dict.fromkeys(("train", "validation"), config.hypothesis.builtin_share)
    takes = [
        Take(split, f"{split}-{index:05d}", (SPLITS.index(split), index), heard=_is_heard(index, shares.get(split, 0.0)))
        for split in SPLITS
        for index in range(counts[split])
    ]
    return Studio(folder, simulation, voices, load_turn_taking(), errors, config.seed), takes
