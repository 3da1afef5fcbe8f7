"""Corpora that exist already, a user's folders or VoxConverse: checked, divided into splits, given their hypotheses."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence, Set
from pathlib import Path

import numpy as np

from brefine.config import PhaseConfig
from brefine.core.boundaries import ends_of_speech, inside
from brefine.core.figures import counted
from brefine.core.kinship import crowding, groups_that_share, lasting_names, notes_on_names
from brefine.core.turns import Diarization
from brefine.data.audit import Audit, Audited, audit_corpus
from brefine.data.conversations import SIMULATED, is_simulated
from brefine.data.crossing import (
    SoundingAlike,
    copies_within,
    equal_to_references,
    in_common,
    names_in_common,
    sounding_alike,
)
from brefine.data.hypotheses import diarize_all, diarizer_of
from brefine.data.simulated import Studio, make_until
from brefine.data.system_errors import REPLAYED, learn_system_errors, load_system_errors, replay
from brefine.data.turn_taking import load_turn_taking
from brefine.data.voices import builtin_bank, digest_of_voices, find_utterances
from brefine.data.voxconverse import lay_out_voxconverse
from brefine.errors import DataError, FormatError, hint_of, one_line
from brefine.io.atomic import digest_of_files, read_json, write_json_atomic
from brefine.io.audio import audio_files
from brefine.io.rttm import NO_MARK, read_diarizations, recordings_marked, rttm_files, write_rttm
from brefine.phasedir import (
    CORPUS_FILE,
    SPLITS,
    SUMMARY_FILE,
    AudioFile,
    CorpusManifest,
    CorpusRecording,
    label_digests,
    source_folders,
)

OnProgress = Callable[[str, int, int], None]
"""Called with the current step in words, the parts done and the parts in all."""

_VOICES = "voices"
"""Name of the bank of voices among a corpus's sources."""
_SOURCES = "sources.json"
"""The file in a corpus's folder that says what it is being made from."""
_PARTS = ("hypothesis", "reference", "audio")


def manifest_of_folders(
    folder: Path, config: PhaseConfig, *, audio_from: Path | None, n_processes: int, on_progress: OnProgress
) -> tuple[CorpusManifest, tuple[str, ...]]:
    """Writes references and hypotheses of the recipe's corpora below `folder`; audio stays where it is.

    Anything prepared there from other labels is removed first, but only after these labels have proved to be usable.

    References and hypotheses are clipped to the audio, and so is what is scored. Evidence is real if recordings and hypotheses
    are: no conversation of brefine's own, no replayed errors. `corpus.synthetic_per_real` adds simulated conversations to the
    training split only.

    Returns:
        The manifest, and what the user should know about the audio and the labels.

    Raises:
        DataError: the corpora have faults, share recordings or speakers, or the gate has copies (everything is listed at once);
            or the hypotheses are the references.
    """
    train_folder, gate_folder = _folders(config, audio_from, on_progress)
    sources = sources_of(config)  # before they are read, so that a change meanwhile is noticed the next time
    needs_hypothesis = config.hypothesis.source == "folder" and config.hypothesis.folder is None
    audits = [_look_over(path, needs_hypothesis, on_progress) for path in (train_folder, gate_folder)]
    known, gate = (list(audit.recordings) for audit in audits)
    alike = sounding_alike([*known, *gate], on_progress, n_threads=n_processes)
    behind = {one.recording.name for one in gate}
    judged = [pair for pair in alike if pair.later.recording.name in behind]
    _refuse_faults(audits, judged, config, where=f"{train_folder}, {gate_folder}")
    local_names = config.corpus.local_speaker_names
    train, validation = divide(known, config.corpus.validation_fraction, seed=config.seed, alike=alike, local_names=local_names)
    splits = {"train": train, "validation": validation, "gate": gate}
    hypotheses, said = _hypotheses(splits, config, n_processes, on_progress)
    equal = equal_to_references({"train": known, "gate": gate}, hypotheses)
    replayed, simulated = _replayed(config, [*known, *gate]), _simulated([*known, *gate])
    forget_stale(folder, sources)
    written = {
        split: [_write(folder, split, one, hypotheses, simulated=simulated, replayed=replayed) for one in own]
        for split, own in splits.items()
    }
    notes = [note for audit in audits for note in audit.notes] + [f"train: {words}" for words in copies_within(known)]
    notes += [*map(str, alike), *equal, *_notes_on_gate(known, gate, written["gate"], config)]
    if config.corpus.synthetic_per_real > 0.0:
        added, note = _simulate_more(folder, config, splits, hypotheses, n_processes, on_progress)
        written["train"] += added
        notes.append(note)
    return (
        CorpusManifest(
            title=config.corpus.title,
            evidence="simulated" if any(one.replayed or one.simulated for one in written["gate"]) else "real",
            hypothesis_source=said,
            splits=written,
            sources=sources,
            alike=[f"gate: {pair}" for pair in judged],
        ),
        tuple(notes),
    )


def _folders(config: PhaseConfig, audio_from: Path | None, on_progress: OnProgress) -> tuple[Path, Path]:
    """The folders to train on and behind the gate; VoxConverse's are laid out if need be."""
    if config.corpus.kind == "voxconverse":
        return lay_out_voxconverse(Path(config.corpus.root) / "voxconverse", audio_from=audio_from, on_progress=on_progress)
    return Path(config.corpus.train or ""), Path(config.corpus.gate or "")


def _refuse_faults(audits: Sequence[Audit], judged: Sequence[SoundingAlike], config: PhaseConfig, *, where: str) -> None:
    """Refuses what is wrong with the folders, and whatever they share; `judged` are gate recordings that sound like others."""
    known, gate = (audit.recordings for audit in audits)
    local_names = config.corpus.local_speaker_names
    refused = [] if config.corpus.kind == "voxconverse" else _not_known_to_differ(judged, config)
    problems = [
        *(problem for audit in audits for problem in audit.problems),
        *in_common(known, gate, local_names),
        *(f"gate: {words}" for words in copies_within(gate)),  # each copy would count as evidence of its own
        *(f"gate: {pair}" for pair in refused),
        *_strangers([*known, *gate], config),
    ]
    if problems:
        let_through = _let_through(refused, names_in_common(known, gate, local_names), config)
        hint = hint_of((fault for audit in audits for fault in audit.unusable), *let_through)
        raise DataError("the corpora have faults", where=where, problems=problems, hint=hint)


def _notes_on_gate(
    known: Sequence[Audited], gate: Sequence[Audited], written: Sequence[CorpusRecording], config: PhaseConfig
) -> Iterator[str]:
    """Why the gate's recordings are no evidence, or weaker evidence than their number suggests."""
    local_names = config.corpus.local_speaker_names
    trained, behind_gate = ([who for one in own for who in one.reference.speakers] for own in (known, gate))
    yield from notes_on_names(trained, behind_gate, local_names)
    crowd = crowding([one.speakers for one in written if not one.simulated], local_names)
    if crowd is not None:
        yield f"gate: {crowd}"
    n_simulated = sum(one.simulated for one in written)
    if n_simulated:
        yield f"gate: {n_simulated} of its recordings were simulated by brefine, so the evidence is simulated"
    n_replayed = sum(one.replayed for one in written)
    if n_replayed and config.hypothesis.source == "folder":
        yield f"gate: {n_replayed} of its hypotheses are errors that brefine replayed, so the evidence is simulated"


def _let_through(refused: Sequence[SoundingAlike], shared: Sequence[str], config: PhaseConfig) -> Iterator[str]:
    """What to write into the recipe, beside what it has, to let through refused pairs and names that may be harmless."""
    if refused:
        named = json.dumps([*config.corpus.known_to_differ, *map(_names, refused)], ensure_ascii=False)
        yield f"recordings that only sound alike are let through by corpus.known_to_differ = {named}"
    if shared:
        named = json.dumps([*config.corpus.local_speaker_names, *shared], ensure_ascii=False)
        yield f"roles that somebody else has in each recording are let through by corpus.local_speaker_names = {named}"


def _not_known_to_differ(pairs: Iterable[SoundingAlike], config: PhaseConfig) -> list[SoundingAlike]:
    known = {frozenset(names) for names in config.corpus.known_to_differ}
    return [pair for pair in pairs if frozenset(_names(pair)) not in known]


def _names(pair: SoundingAlike) -> tuple[str, str]:
    return pair.later.recording.name, pair.earlier.recording.name


def _strangers(recordings: Sequence[Audited], config: PhaseConfig) -> list[str]:
    """Names of `corpus.known_to_differ` that no recording has, of `corpus.local_speaker_names` that no speaker has, in words."""
    own = {one.recording.name for one in recordings}
    speakers = {who for one in recordings for who in one.reference.speakers}
    named = dict.fromkeys(name for pair in config.corpus.known_to_differ for name in pair)
    local_names = dict.fromkeys(config.corpus.local_speaker_names)
    return [
        *(f"corpus.known_to_differ: no recording is named {name}" for name in named if name not in own),
        *(f"corpus.local_speaker_names: no speaker is named {name}" for name in local_names if name not in speakers),
    ]


def audio_of_folders(config: PhaseConfig) -> dict[str, Path]:
    """Recording → its audio, for all that is in the recipe's corpora now."""
    return {path.stem: path for folder in source_folders(config).values() for path in audio_files(folder / "audio")}


def sources_of(config: PhaseConfig) -> dict[str, str]:
    """Digests of what the recipe's corpus would now be prepared from; see `CorpusManifest.sources`.

    Audio is listed by name, since each recording has a digest of its own. The built-in voices are left out, since brefine speaks
    them itself, and so are voices that are out of reach.
    """
    audio = {
        f"{part}/audio/{path.name}": ""
        for part, folder in source_folders(config).items()
        for path in audio_files(folder / "audio")
    }
    spoken = {}
    simulates = config.corpus.kind == "simulated" or config.corpus.synthetic_per_real > 0.0
    if simulates and config.corpus.simulation.voices != "builtin":
        with contextlib.suppress(DataError):
            spoken[_VOICES] = digest_of_voices(Path(config.corpus.simulation.voices))
    return label_digests(config) | spoken | dict(sorted(audio.items()))


def changes_since(manifest: CorpusManifest, folder: Path, config: PhaseConfig) -> list[str]:
    """What was added, removed or changed since the corpus in this folder was prepared, in words.

    This covers the sources, the prepared labels and the audio. Conversations no longer need the voices and errors that they were
    made from: if these are gone, that is no change.
    """
    now, folders = sources_of(config), source_folders(config)
    if manifest.sources is None:
        return ["an earlier version prepared it, and did not record from what"] if now or folders else []
    then = manifest.sources
    sources = [
        f"{name}: {'removed' if name not in now else 'changed' if name in then else 'added'}"
        for name in sorted(then.keys() | now.keys())
        if then.get(name) != now.get(name) and (name in now or (folders and name != _VOICES))
    ]
    edited = [f"{name}: edited" for name in manifest.edited_labels(folder)]
    return sources + edited + [f"{name}: changed" for name in manifest.other_audio(folder)]


def voice_bank(config: PhaseConfig, on_progress: OnProgress) -> Path:
    """The folder of utterances that the recipe's conversations are made of; the built-in voices are spoken if need be."""
    if config.corpus.simulation.voices != "builtin":
        return Path(config.corpus.simulation.voices)
    return builtin_bank(
        Path(config.corpus.root).absolute() / "voices",
        on_progress=lambda done, total: on_progress("speaking synthetic voices", done, total),
    )


def refuse_users_own(folder: Path, config: PhaseConfig) -> None:
    """Refuses to prepare a corpus where `forget_stale` would take a user's recordings for its own and remove them.

    Raises:
        DataError: what the corpus is made from lies in its folder, or recordings are there that brefine has not put there.
    """
    given = [*source_folders(config).values(), *map(Path, filter(None, [config.hypothesis.folder]))]
    removed = {(folder / split).resolve() for split in SPLITS}
    within = [path for path in given if not removed.isdisjoint((path.resolve(), *path.resolve().parents))]
    parts = [folder / split / part for split in SPLITS for part in _PARTS]
    is_ours = any((folder / name).exists() for name in (CORPUS_FILE, _SOURCES, ".lock"))
    there = [] if is_ours else [part for part in parts if part.is_dir() and any(part.iterdir())]
    if within or there:
        raise DataError(
            "the prepared corpus would replace recordings that brefine has not made; they are left alone",
            where=folder,
            problems=[one_line(path) for path in within or there],
            hint="prepare it into a folder of its own: --out DIR",
        )


def forget_stale(folder: Path, sources: Mapping[str, str]) -> None:
    """Removes conversations and labels below `folder` that are about to be replaced, and the files that vouch for them.

    A complete corpus is replaced because it is stale. For a half-made one, `sources.json` says what it was being made from: if
    that is the same, what has been made is kept, so that two states of the sources never mix. corpus.json is removed last: as
    long as it exists, a process that comes after an interruption removes the rest as well.
    """
    record, whole = folder / _SOURCES, folder / CORPUS_FILE
    try:
        made_from = read_json(record)
    except FileNotFoundError:
        made_from = {}
    except FormatError:
        made_from = None
    if not whole.exists() and made_from == sources:
        return
    for split in SPLITS:
        for part in _PARTS:
            if (folder / split / part).exists():
                shutil.rmtree(folder / split / part)
    for path in (folder / SUMMARY_FILE, whole):
        path.unlink(missing_ok=True)
    write_json_atomic(record, sources)


def _look_over(folder: Path, needs_hypothesis: bool, on_progress: OnProgress) -> Audit:
    return audit_corpus(
        folder,
        needs_hypothesis=needs_hypothesis,
        on_progress=lambda done, total: on_progress(f"looking over {folder.name}", done, total),
    )


def _simulate_more(
    folder: Path,
    config: PhaseConfig,
    splits: Mapping[str, Sequence[Audited]],
    hypotheses: Mapping[str, Diarization],
    n_processes: int,
    on_progress: OnProgress,
) -> tuple[list[CorpusRecording], str]:
    """Simulated conversations for the training split, and a note on them.

    Their errors are learned from the annotated parts of the training recordings alone, so that nothing of validation or gate is
    in them; if these are too few, the errors are those of `hypothesis.errors`. Voices whose names occur in validation or gate are
    left out.
    """
    train = splits["train"]
    if config.hypothesis.source == "replayed":
        errors = load_system_errors(config.hypothesis.errors)
    else:
        pairs = [(one.reference.limited(one.regions_s), hypotheses[one.recording.name].limited(one.regions_s)) for one in train]
        try:
            errors = learn_system_errors(pairs, source=f"{config.hypothesis.source} on the training recordings", seed=config.seed)
        except DataError:
            errors = load_system_errors(config.hypothesis.errors)
    judged = {name for split in ("validation", "gate") for one in splits[split] for name in one.reference.speakers}
    bank = find_utterances(voice_bank(config, on_progress))
    voices = tuple(utterance for utterance in bank if utterance.speaker not in judged)
    if not voices:
        raise DataError("every voice of the bank speaks in validation or gate", where=config.corpus.simulation.voices)
    n_real = sum(int(inside(ends_of_speech(one.reference), one.regions_s).sum()) for one in train)
    studio = Studio(folder, config.corpus.simulation, {"train": voices}, load_turn_taking(), errors, config.seed)
    made = make_until(
        studio,
        round(config.corpus.synthetic_per_real * n_real),
        key=len(splits),
        n_processes=n_processes,
        on_progress=lambda done, total: on_progress("simulating boundaries", done, total),
    )
    return made, f"train: {len(made)} of its recordings are simulated (simulated-*), their errors replayed: {errors.source}"


def divide(
    known: Sequence[Audited],
    validation_fraction: float,
    *,
    seed: int,
    alike: Iterable[SoundingAlike] = (),
    local_names: Collection[str] = (),
) -> tuple[list[Audited], list[Audited]]:
    """Divides recordings into training and validation so that nobody speaks in both.

    Recordings that share a speaker's name stay together, unless the name is a mere number (`spk00`), which every recording has,
    or one of the local names. Copies of one recording under two names stay together too, and so do recordings that sound alike.
    Validation gets at most its share, unless every group is larger: then it gets the smallest.

    Args:
        local_names: see `core.kinship.lasting_names`.

    Raises:
        DataError: all recordings share speakers.
    """
    groups = _groups(known, alike, local_names)
    if len(groups) < 2:
        raise DataError(
            "the training recordings cannot be divided" + (": the same people speak in all of them" if len(known) > 1 else ""),
            expected="at least two recordings that share no speaker",
            got=counted(len(known), "recording", "recordings"),
            hint="roles that somebody else has in each recording (agent, host) belong in corpus.local_speaker_names",
        )
    wanted = min(max(1, round(validation_fraction * len(known))), len(known) - 1)
    drawn = np.random.default_rng(seed).permutation(len(groups)).tolist()
    validation: set[int] = set()
    for place in drawn:
        if len(validation) + len(groups[place]) <= wanted:
            validation |= set(groups[place])
    validation = validation or set(groups[min(drawn, key=lambda place: len(groups[place]))])
    return [one for i, one in enumerate(known) if i not in validation], [one for i, one in enumerate(known) if i in validation]


def _groups(known: Sequence[Audited], alike: Iterable[SoundingAlike], local_names: Collection[str]) -> list[list[int]]:
    """Places of recordings, joined where they share a lasting speaker name or their samples, or sound alike."""
    keys: dict[str, list[Hashable]] = {
        one.recording.name: [*lasting_names(one.reference.speakers, local_names), ("sound", one.sound)] for one in known
    }
    for place, pair in enumerate(alike):
        for one in (pair.earlier, pair.later):
            keys.get(one.recording.name, []).append(("alike", place))
    return groups_that_share([keys[one.recording.name] for one in known])


def _hypotheses(
    splits: Mapping[str, Sequence[Audited]], config: PhaseConfig, n_processes: int, on_progress: OnProgress
) -> tuple[dict[str, Diarization], str]:
    """Recording → hypothesis, and a word on where they come from."""
    everything = [one for own in splits.values() for one in own]
    source = config.hypothesis.source
    if source == "replayed":
        errors = load_system_errors(config.hypothesis.errors)
        found = {}
        for one in everything:
            rng = np.random.default_rng([config.seed, *one.recording.name.encode()])
            found[one.recording.name] = replay(errors, one.reference, duration_s=one.duration_s, rng=rng)
        return found, f"replayed errors: {errors.source}"
    if source == "folder":
        if config.hypothesis.folder is None:
            return {one.recording.name: one.hypothesis for one in everything if one.hypothesis}, "RTTMs beside the audio"
        place = Path(config.hypothesis.folder)
        found = read_diarizations(place)
        missing = [f"{one.recording.name}: no hypothesis" for one in everything if one.recording.name not in found]
        if missing:
            raise DataError("hypotheses are missing", where=place, problems=missing)
        return found, f"RTTMs from {place.name}"
    audio = {one.recording.name: one.recording.audio for one in everything}
    cache = Path(config.corpus.root) / "hypotheses"
    return diarize_all(audio, diarizer_of(config), cache=cache, n_processes=n_processes, on_progress=on_progress), source


def _replayed(config: PhaseConfig, recordings: Sequence[Audited]) -> set[str]:
    """Recordings whose hypotheses are replayed errors: all that the recipe replays, or those marked in a folder's files."""
    source, place = config.hypothesis.source, config.hypothesis.folder
    if source == "replayed":
        return {one.recording.name for one in recordings}
    if source != "folder":
        return set()
    beside = {one.recording.hypothesis for one in recordings if one.recording.hypothesis is not None}
    return recordings_marked(beside if place is None else rttm_files(Path(place)), REPLAYED)


def _simulated(recordings: Sequence[Audited]) -> set[str]:
    """Recordings that brefine made, by the marks in their audio or their references."""
    references = {one.recording.reference for one in recordings if one.recording.reference is not None}
    return recordings_marked(references, SIMULATED) | {
        one.recording.name for one in recordings if is_simulated(one.recording.audio)
    }


def _write(
    folder: Path,
    split: str,
    one: Audited,
    hypotheses: Mapping[str, Diarization],
    *,
    simulated: Set[str],
    replayed: Set[str],
) -> CorpusRecording:
    name = one.recording.name
    reference, hypothesis = (folder / split / part / f"{name}.rttm" for part in ("reference", "hypothesis"))
    write_rttm(reference, one.reference, mark=SIMULATED if name in simulated else NO_MARK)
    write_rttm(hypothesis, hypotheses[name].clipped(0.0, one.duration_s), mark=REPLAYED if name in replayed else NO_MARK)
    return CorpusRecording(
        name=name,
        audio=str(one.recording.audio.absolute()),
        reference=str(reference.relative_to(folder)),
        hypothesis=str(hypothesis.relative_to(folder)),
        duration_s=one.duration_s,
        regions_s=list(one.regions_s),
        speakers=list(one.reference.speakers),
        simulated=name in simulated,
        replayed=name in replayed,
        labels_sha256=digest_of_files([reference, hypothesis]),
        audio_file=AudioFile.of(one.recording.audio),
    )
