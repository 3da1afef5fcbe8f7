"""Makes a prepared corpus: audio, references and hypotheses in three splits, the feature store, a summary, and `corpus.json`.

`corpus.json` is written last, so that its presence means that everything is there; a half-made corpus is resumed, a whole one
reused. Everything is made in the folder that `config.prepared_corpus_path` names after the settings: others, another folder.
"""

from __future__ import annotations

import fcntl
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from brefine.config import PhaseConfig, SimulationConfig, prepared_corpus_path
from brefine.data.conversations import simulate, write_audio
from brefine.data.corpora import OnProgress, manifest_of_folders
from brefine.data.features import build_store
from brefine.data.summary import summarise
from brefine.data.system_errors import SystemErrors, load_system_errors, replay
from brefine.data.turn_taking import TurnTaking, load_turn_taking
from brefine.data.voices import Utterance, builtin_bank, find_utterances, split_by_speaker
from brefine.errors import ConfigError, DataError
from brefine.io.atomic import write_json_atomic, write_text_atomic
from brefine.io.rttm import read_rttm, write_rttm
from brefine.phasedir import SPLITS, CorpusManifest, CorpusRecording

Voices = dict[str, tuple[Utterance, ...]]
"""Split → its utterances."""


def prepare(
    config: PhaseConfig,
    *,
    out: Path | None = None,
    audio_from: Path | None = None,
    n_processes: int | None = None,
    on_progress: OnProgress = lambda step, done, total: None,
) -> Path:
    """Makes what is missing of the recipe's corpus and returns its folder.

    Args:
        out: another folder than the one named after the settings.
        audio_from: kind "voxconverse": a folder with audio that was downloaded before.
        n_processes: worker processes; None = one a core. The result does not depend on it.

    Raises:
        DataError: audio, labels or voices are missing or unusable; everything found is listed.
        ConfigError: the recipe asks for what its corpus cannot give.
    """
    folder = prepared_corpus_path(config) if out is None else out.absolute()
    workers = n_processes or len(os.sched_getaffinity(0))
    with _locked(folder, on_progress):
        manifest, notes = CorpusManifest.read_if_there(folder / "corpus.json"), tuple[str, ...]()
        if manifest is None:
            if config.corpus.kind == "simulated":
                manifest = _simulate_corpus(folder, config, workers, on_progress)
            else:
                manifest, notes = manifest_of_folders(folder, config, audio_from=audio_from, on_progress=on_progress)
        audio = {recording.name: folder / recording.audio for split in SPLITS for recording in manifest.splits[split]}
        build_store(
            folder / "features",
            audio,
            config.features,
            n_processes=workers,
            on_progress=lambda done, total: on_progress("computing features", done, total),
        )
        if not (folder / "summary.json").exists():
            write_json_atomic(folder / "summary.json", summarise(folder, manifest, notes=notes))
        manifest.write(folder / "corpus.json")
    return folder


@contextmanager
def _locked(folder: Path, on_progress: OnProgress) -> Iterator[None]:
    """Keeps a second process out while a corpus is made; it waits, then finds everything ready."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            on_progress("waiting for another process that prepares this corpus", 0, 1)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# --- simulated ---------------------------------------------------------------------------------------------------------


def _simulate_corpus(folder: Path, config: PhaseConfig, workers: int, on_progress: OnProgress) -> CorpusManifest:
    simulation = config.corpus.simulation
    if config.hypothesis.source != "replayed":
        raise ConfigError(
            "simulated conversations take their hypotheses from measured errors",
            where="hypothesis.source",
            expected='"replayed"',
            got=repr(config.hypothesis.source),
        )
    errors = load_system_errors(config.hypothesis.errors)
    counts = {"train": simulation.n_train, "validation": simulation.n_validation, "gate": simulation.n_gate}
    if simulation.voices == "builtin":
        bank = builtin_bank(
            Path(config.corpus.root).absolute() / "voices",
            on_progress=lambda done, total: on_progress("speaking synthetic voices", done, total),
        )
    else:
        bank = Path(simulation.voices)
    # The square root gives the small splits voices enough to be told apart by.
    weights = {split: counts[split] ** 0.5 for split in SPLITS}
    voices = split_by_speaker(find_utterances(bank), weights, least=simulation.n_speakers[1], seed=config.seed)
    for split in SPLITS:
        for part in ("audio", "reference", "hypothesis"):
            (folder / split / part).mkdir(parents=True, exist_ok=True)
    tasks = [(split, index) for split in SPLITS for index in range(counts[split])]
    recordings: dict[tuple[str, int], CorpusRecording] = {}
    with _pool(min(workers, len(tasks)), folder, simulation, voices, errors, config.seed) as pool:
        pending = {pool.submit(_make_conversation, *task): task for task in tasks}
        for done, future in enumerate(as_completed(pending), start=1):
            recordings[pending[future]] = future.result()
            on_progress("simulating conversations", done, len(tasks))
    splits = {split: [recordings[split, index] for index in range(counts[split])] for split in SPLITS}
    for split in SPLITS:
        lines = [f"{one.name} 1 0.000 {one.duration_s:.3f}\n" for one in splits[split]]
        write_text_atomic(folder / split / "all.uem", "".join(lines))
    return CorpusManifest(
        title="simulated conversations",
        evidence="simulated",
        hypothesis_source=f"replayed errors: {errors.source}",
        splits=splits,
    )


def _pool(workers: int, folder: Path, simulation: SimulationConfig, voices: Voices, errors: SystemErrors, seed: int) -> Executor:
    arguments = (folder, simulation, voices, load_turn_taking(), errors, seed)
    if workers == 1:  # a thread is enough, and starts at once
        return ThreadPoolExecutor(1, initializer=_start_worker, initargs=arguments)
    # Spawned, not forked: the caller may hold threads that a fork would break.
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _start_worker, arguments)


class _Worker:
    """What every conversation of one worker process needs; set once when the process starts."""

    folder: Path
    simulation: SimulationConfig
    voices: Voices
    statistics: TurnTaking
    errors: SystemErrors
    seed: int


def _start_worker(
    folder: Path,
    simulation: SimulationConfig,
    voices: Voices,
    statistics: TurnTaking,
    errors: SystemErrors,
    seed: int,
) -> None:
    _Worker.folder, _Worker.simulation, _Worker.voices = folder, simulation, voices
    _Worker.statistics, _Worker.errors, _Worker.seed = statistics, errors, seed


def _make_conversation(split: str, index: int) -> CorpusRecording:
    """Writes one conversation unless it is there; its generator depends on seed, split and index alone."""
    name = f"{split}-{index:05d}"
    home = _Worker.folder / split
    audio, reference_path = home / "audio" / f"{name}.flac", home / "reference" / f"{name}.rttm"
    hypothesis_path = home / "hypothesis" / f"{name}.rttm"
    duration_s = _Worker.simulation.duration_s
    if hypothesis_path.exists():  # written last of the three
        reference = read_rttm(reference_path)[name]
    else:
        sound, mistakes = np.random.default_rng([_Worker.seed, SPLITS.index(split), index]).spawn(2)
        made = simulate(name, _Worker.voices[split], _Worker.simulation, _Worker.statistics, rng=sound)
        reference = made.reference
        if not reference.turns:
            raise DataError("a simulated conversation came out without speech", where=name, hint="are the voices silent?")
        write_audio(audio, made.samples)
        write_rttm(reference_path, reference)
        hypothesis = replay(_Worker.errors, reference, duration_s=duration_s, rng=mistakes)
        while not hypothesis.turns:  # a system that heard nothing leaves nothing to refine
            hypothesis = replay(_Worker.errors, reference, duration_s=duration_s, rng=mistakes)
        write_rttm(hypothesis_path, hypothesis)
    return CorpusRecording(
        name=name,
        audio=str(audio.relative_to(_Worker.folder)),
        reference=str(reference_path.relative_to(_Worker.folder)),
        hypothesis=str(hypothesis_path.relative_to(_Worker.folder)),
        duration_s=duration_s,
        regions_s=[(0.0, duration_s)],
        speakers=list(reference.speakers),
    )
