"""Corpora that exist already: one's own folders, or VoxConverse once it is laid out; their splits and their hypotheses."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from brefine.config import PhaseConfig
from brefine.core.turns import Diarization
from brefine.data.system_errors import load_system_errors, replay
from brefine.errors import ConfigError, DataError
from brefine.io.audio import probe_audio
from brefine.io.corpus import Recording, read_corpus
from brefine.io.rttm import read_rttm, write_rttm
from brefine.phasedir import CorpusManifest, CorpusRecording

_LOCAL_NAME = re.compile(r"(?i)(spk|speaker|spkr|s)?[_-]?\d+|[a-z]|[a-z]?spk[_-]?[a-z0-9]")
"""Names such as spk00, SPEAKER_3, 2 or B: they number the speakers of one recording and mean nothing in the next."""


def folder_manifest(
    folder: Path,
    config: PhaseConfig,
    *,
    audio_from: Path | None,
    on_progress: Callable[[str, int, int], None],
) -> CorpusManifest:
    """Divides the recipe's corpus folders into splits and makes the hypotheses that it asks for, in `folder`.

    Raises:
        DataError: recordings lack a part, or a recording or speaker of `train` is also in `gate`; all are listed.
        ConfigError: the hypotheses' source does not go with this corpus.
    """
    if config.corpus.kind == "voxconverse":
        root = audio_from or Path(config.corpus.root) / "voxconverse"
        train_folder, gate_folder, title = root / "dev", root / "test", "VoxConverse dev→test"
    else:
        train_folder, gate_folder = Path(config.corpus.train or ""), Path(config.corpus.gate or "")
        title = f"{train_folder.name}→{gate_folder.name}"
    known = [_known(recording) for recording in read_corpus(train_folder).recordings]
    behind_gate = [_known(recording) for recording in read_corpus(gate_folder).recordings]
    _refuse_common(known, behind_gate)
    train, validation = split_recordings(known, config.corpus.validation_fraction, seed=config.seed)
    splits = {"train": train, "validation": validation, "gate": behind_gate}
    source = config.hypothesis.source
    if source == "replayed":
        errors = load_system_errors(config.hypothesis.errors)
        said = f"replayed errors: {errors.source}"
    elif source == "folder":
        said = "RTTMs beside the audio"
    else:
        raise ConfigError("hypotheses of a diarizer are made by `brefine diarize`", where="hypothesis.source", got=source)
    total = sum(map(len, splits.values()))
    done = 0
    listed: dict[str, list[CorpusRecording]] = {split: [] for split in splits}
    for number, (split, recordings) in enumerate(splits.items()):
        for index, (recording, reference) in enumerate(recordings):
            duration_s = probe_audio(recording.audio).duration_s
            hypothesis = folder / split / "hypothesis" / f"{recording.name}.rttm"
            if source == "replayed":
                rng = np.random.default_rng([config.seed, number, index])
                write_rttm(hypothesis, replay(errors, reference, duration_s=duration_s, rng=rng))
            else:
                assert recording.hypothesis is not None
                found = read_rttm(recording.hypothesis).get(recording.name, Diarization(recording.name))
                write_rttm(hypothesis, found.clipped(0.0, duration_s))
            listed[split].append(
                CorpusRecording(
                    name=recording.name,
                    audio=str(recording.audio.absolute()),
                    reference=str(recording.reference.absolute()) if recording.reference else "",
                    hypothesis=str(hypothesis.relative_to(folder)),
                    duration_s=duration_s,
                    regions_s=list(recording.regions_s or [(0.0, duration_s)]),
                    speakers=list(reference.speakers),
                )
            )
            done += 1
            on_progress("taking over recordings", done, total)
    return CorpusManifest(title=title, evidence="real", hypothesis_source=said, splits=listed)


Known = tuple[Recording, Diarization]


def split_recordings(known: Sequence[Known], validation_fraction: float, *, seed: int) -> tuple[list[Known], list[Known]]:
    """Divides recordings into training and validation so that nobody speaks in both.

    Recordings that share a speaker's name stay together, unless the name is a mere number (`spk00`), which every recording has.
    """
    groups = _speaker_groups(known)
    order = np.random.default_rng(seed).permutation(len(groups)).tolist()
    wanted = max(1, round(validation_fraction * len(known)))
    validation: set[int] = set()
    for place in order:
        if len(validation) >= wanted or len(validation) + len(groups[place]) >= len(known):
            continue
        validation |= set(groups[place])
    if not validation:
        raise DataError(
            "the training recordings cannot be divided: the same people speak in all of them",
            hint="name a corpus with at least two recordings that share no speaker",
        )
    return [one for i, one in enumerate(known) if i not in validation], [one for i, one in enumerate(known) if i in validation]


def _known(recording: Recording) -> Known:
    if recording.reference is None:
        raise DataError("the recording has no reference", where=recording.name)
    return recording, read_rttm(recording.reference).get(recording.name, Diarization(recording.name))


def _refuse_common(train: Iterable[Known], gate: Iterable[Known]) -> None:
    trained = {recording.name for recording, _ in train}
    heard = {name for _, reference in train for name in _lasting_names(reference)}
    problems = []
    for recording, reference in gate:
        if recording.name in trained:
            problems.append(f"recording {recording.name} is in both")
        problems += [f"speaker {name} of {recording.name} is in both" for name in _lasting_names(reference) if name in heard]
    if problems:
        raise DataError("the gate's corpus shares recordings or speakers with the training corpus", problems=problems)


def _lasting_names(reference: Diarization) -> list[str]:
    return [name for name in reference.speakers if not _LOCAL_NAME.fullmatch(name)]


def _speaker_groups(known: Sequence[Known]) -> list[list[int]]:
    """Places of recordings, joined where they share a lasting speaker name."""
    group_of = list(range(len(known)))

    def root(place: int) -> int:
        while group_of[place] != place:
            place = group_of[place]
        return place

    first: dict[str, int] = {}
    for place, (_, reference) in enumerate(known):
        for name in _lasting_names(reference):
            group_of[root(place)] = root(first.setdefault(name, place))
    groups: dict[int, list[int]] = defaultdict(list)
    for place in range(len(known)):
        groups[root(place)].append(place)
    return [groups[key] for key in sorted(groups)]
