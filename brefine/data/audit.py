"""Checks a whole corpus before anything is made of it, and reports everything that is wrong with it at once."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from brefine.core.turns import Diarization, Regions
from brefine.data.copies import Envelope, envelope_of
from brefine.errors import BrefineError
from brefine.io.audio import audio_blocks, audio_files, probe_audio
from brefine.io.corpus import Recording, read_corpus
from brefine.io.rttm import read_rttm

END_TOLERANCE_S = 0.5
"""Turns may run this far past the audio (labels are rounded, diarizers overrun); they are clipped."""
SILENCE_DB = -75.0
"""Against full scale; a recording that stays below is silent."""

_Labels = dict[Path, dict[str, Diarization]]
_HOP = 160  # samples at 16 kHz: 10 ms


@dataclass(frozen=True, slots=True)
class Audited:
    """One recording with what was read of it; turns and regions are clipped to the audio.

    Attributes:
        regions_s: what is scored; the whole recording if no UEM says otherwise.
        sound: digest of the samples: the same for recordings with the same samples, whatever their names and containers.
        envelope: rises and falls of the level, by which `copies` recognises recordings that were re-encoded or cut.
    """

    recording: Recording
    reference: Diarization
    hypothesis: Diarization | None
    duration_s: float
    regions_s: Regions
    sound: str
    envelope: Envelope = field(default_factory=lambda: np.zeros(0, np.float32), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Audit:
    """What a corpus folder holds, what forbids its use, and what its user should know.

    Attributes:
        unusable: the problems that concern audio, as errors with hints.
    """

    recordings: tuple[Audited, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    unusable: tuple[BrefineError, ...]


def audit_corpus(
    folder: Path, *, needs_hypothesis: bool, on_progress: Callable[[int, int], None] = lambda done, total: None
) -> Audit:
    """Reads all labels and decodes all audio of a corpus folder.

    Problems: files without a partner, broken labels, unreadable or silent audio, samples that are not finite, references without
    speech, turns past the end, regions that lie wholly past the end, speakers for whom the audio is silent wherever the reference
    has them speak. Notes: turns of no length, audio below 16 kHz, clipped hypotheses, hypotheses without a turn, references
    without speech in what is scored.
    """
    problems: list[str] = []
    try:
        found: Sequence[Recording] = read_corpus(folder)
    except BrefineError as error:
        problems += error.problems or [str(error)]
        found = _whatever_is_there(folder)
    notes: list[str] = []
    audited: list[Audited] = []
    unusable: list[BrefineError] = []
    labels = _read_labels(found, notes)
    with ThreadPoolExecutor(4) as pool:  # decoding leaves the interpreter free
        results = pool.map(lambda one: _audit_recording(one, labels, needs_hypothesis=needs_hypothesis), found)
        for done, (good, own_problems, own_notes) in enumerate(results, start=1):
            problems += [problem if isinstance(problem, str) else str(problem).splitlines()[0] for problem in own_problems]
            unusable += [problem for problem in own_problems if isinstance(problem, BrefineError)]
            notes += own_notes
            audited += [good] if good is not None else []
            on_progress(done, len(found))
    return Audit(tuple(audited), tuple(dict.fromkeys(problems)), tuple(notes), tuple(unusable))


def _whatever_is_there(folder: Path) -> list[Recording]:
    """The audio of a folder whose labels have faults, each with the labels of its own name, so that it is checked as well."""
    found = []
    for audio in audio_files(folder / "audio"):
        labels = [folder / part / f"{audio.stem}.rttm" for part in ("reference", "hypothesis")]
        reference, hypothesis = (path if path.is_file() else None for path in labels)
        found.append(Recording(audio.stem, audio, reference, hypothesis, None))
    return found


def _read_labels(recordings: Iterable[Recording], notes: list[str]) -> _Labels:
    """Every RTTM file, read once however many recordings it holds; broken ones are left out, as the folder's faults list them."""
    labels: _Labels = {}
    for path in sorted({path for one in recordings for path in (one.reference, one.hypothesis) if path is not None}):
        with contextlib.suppress(BrefineError):
            labels[path] = read_rttm(path, tell=notes.append)
    return labels


def _audit_recording(
    recording: Recording, labels: _Labels, *, needs_hypothesis: bool
) -> tuple[Audited | None, list[str | BrefineError], list[str]]:
    name, problems, notes = recording.name, list[str | BrefineError](), list[str]()
    if recording.reference is None:
        problems.append(f"{name}: no reference")
    if needs_hypothesis and recording.hypothesis is None:
        problems.append(f"{name}: no hypothesis")
    reference, hypothesis = (_of(name, labels, path) for path in (recording.reference, recording.hypothesis))
    if reference is not None and not reference.turns:
        problems.append(f"{name}: the reference has no speech")
    try:
        info = probe_audio(recording.audio)
        level_db, sound = _listen(recording.audio)
    except BrefineError as error:
        return None, [*problems, error], notes
    if info.sample_rate_hz < 16000:
        notes.append(f"{name}: audio of {info.sample_rate_hz} Hz has nothing above {info.sample_rate_hz // 2} Hz")
    if level_db.max(initial=-200.0) < SILENCE_DB:
        problems.append(f"{name}: the audio is silent")
    elif reference is not None:
        problems += [f"{name}: speaker {speaker} is silent" for speaker in _silent_speakers(reference, level_db)]
    if reference is not None and reference.end_s > info.duration_s + END_TOLERANCE_S:
        problems.append(f"{name}: the reference ends at {reference.end_s:.2f} s, the audio at {info.duration_s:.2f} s")
    regions_s = _clipped(recording.regions_s or ((0.0, info.duration_s),), info.duration_s)
    problems += [] if regions_s else [f"{name}: every region of its UEM lies past the audio's end at {info.duration_s:.2f} s"]
    if hypothesis is not None:
        if hypothesis.end_s > info.duration_s + END_TOLERANCE_S:
            notes.append(f"{name}: the hypothesis ran {hypothesis.end_s - info.duration_s:.2f} s past the audio and is clipped")
        if not hypothesis.turns:
            notes.append(f"{name}: the hypothesis has no turn")
        hypothesis = hypothesis.clipped(0.0, info.duration_s)
    if problems or reference is None:
        return None, problems, notes
    reference = reference.clipped(0.0, info.duration_s)
    mute = f"{name}: nobody speaks inside the regions of its UEM, so it is no evidence behind the gate"
    notes += [] if reference.limited(regions_s).turns else [mute]
    return Audited(recording, reference, hypothesis, info.duration_s, regions_s, sound, envelope_of(level_db)), problems, notes


def _of(name: str, labels: _Labels, path: Path | None) -> Diarization | None:
    found = None if path is None else labels.get(path)
    if found is None:
        return None
    only = next(iter(found.values())) if len(found) == 1 else Diarization(name)  # the only one counts, whatever its name
    return Diarization(name, found.get(name, only).turns)


def _clipped(regions_s: Regions, duration_s: float) -> Regions:
    """The regions cut to the audio: nothing is annotated beyond it, and a turn that its end cuts has no boundary there."""
    return tuple((start_s, min(end_s, duration_s)) for start_s, end_s in regions_s if start_s < duration_s)


def _listen(audio: Path) -> tuple[NDArray[np.float64], str]:
    """Level of every 10 ms, in dB of full scale, and the samples' digest; only a block at a time is in memory."""
    levels: list[NDArray[np.float64]] = []
    rest = np.zeros(0, np.float32)
    digest = hashlib.sha256()
    for block in audio_blocks(audio):
        digest.update(block.tobytes())
        samples = np.concatenate([rest, block])
        n_whole = len(samples) // _HOP * _HOP
        rest = samples[n_whole:]
        power = np.square(samples[:n_whole], dtype=np.float64).reshape(-1, _HOP).mean(axis=1)
        levels.append(10.0 * np.log10(power + 1e-20))
    return np.concatenate(levels) if levels else np.zeros(0), digest.hexdigest()


def _silent_speakers(reference: Diarization, level_db: NDArray[np.float64]) -> Iterable[str]:
    for speaker in reference.speakers:
        spans = [(round(turn.onset_s * 100), round(turn.offset_s * 100)) for turn in reference.of(speaker)]
        heard = [level_db[start : max(end, start + 1)] for start, end in spans if start < len(level_db)]
        if heard and np.concatenate(heard).max() < SILENCE_DB:
            yield speaker
