"""Simulated conversations as files of a corpus: made in parallel, restartable, the same bytes on any number of processes.

Their hypotheses are replayed errors of a measured system; where there are none, or a take asks for it, a diarizer hears the audio
afterwards instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from brefine.config import SimulationConfig
from brefine.core.boundaries import ends_of_speech
from brefine.core.turns import Diarization
from brefine.data.conversations import SIMULATED, simulate, write_audio
from brefine.data.phrases import load_voice
from brefine.data.system_errors import REPLAYED, SystemErrors, replay
from brefine.data.turn_taking import TurnTaking
from brefine.data.voices import Utterance
from brefine.data.workers import worker_processes
from brefine.errors import DataError
from brefine.io.atomic import digest_of_files
from brefine.io.rttm import read_rttm, write_rttm
from brefine.phasedir import AudioFile, CorpusRecording

_AT_ONCE = 40
"""Conversations made in one round if their number follows from their boundaries."""
_MOST_SILENT = 100
"""After so many replays in a row without speech, the system counts as one that hears nothing."""


@dataclass(frozen=True, slots=True)
class Studio:
    """What all conversations of a corpus are made with.

    Attributes:
        voices: split → its utterances.
        errors: what the hypotheses get wrong; None = the hypotheses are made elsewhere.
        seed: with a task's key, all that a conversation depends on.
    """

    folder: Path
    simulation: SimulationConfig
    voices: dict[str, tuple[Utterance, ...]]
    statistics: TurnTaking
    errors: SystemErrors | None
    seed: int


@dataclass(frozen=True, slots=True)
class Take:
    """One conversation: its split, its name, and its place in the random numbers.

    Attributes:
        heard: its hypothesis is made elsewhere, even if the studio has errors to replay.
    """

    split: str
    name: str
    key: tuple[int, ...]
    heard: bool = False


def make_conversations(
    studio: Studio,
    takes: Sequence[Take],
    *,
    n_processes: int,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[CorpusRecording]:
    """Makes the conversations that are still missing, and returns all in the order of `takes`.

    Raises:
        DataError: a conversation came out without speech, or the system whose errors are replayed hears none in it.
        ProcessError: a worker process was killed.
    """
    with _pool(studio, min(n_processes, len(takes))) as pool:
        return _make(pool, takes, on_progress)


def make_until(
    studio: Studio,
    wanted_boundaries: int,
    *,
    key: int,
    n_processes: int,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[CorpusRecording]:
    """Makes training conversations until their references have that many boundaries; the last one may exceed the number.

    Args:
        on_progress: called with boundaries made and wanted.

    Raises:
        DataError: conversations come out without speech, or without a boundary, or the system whose errors are replayed hears
            no speech in one.
        ProcessError: a worker process was killed.
    """
    made: list[CorpusRecording] = []
    counts: list[int] = []
    with _pool(studio, n_processes) as pool:
        while sum(counts) < wanted_boundaries:
            if len(counts) >= _AT_ONCE and not sum(counts):
                raise DataError("simulated conversations come out without a boundary", where=studio.folder)
            takes = [Take("train", f"simulated-{index:05d}", (key, index)) for index in range(len(made), len(made) + _AT_ONCE)]
            fresh = _make(pool, takes, lambda done, total: None)
            made += fresh
            counts += [_n_boundaries(studio.folder, one) for one in fresh]
            on_progress(min(sum(counts), wanted_boundaries), wanted_boundaries)
    n_kept = int(np.searchsorted(np.cumsum(counts), wanted_boundaries)) + 1 if wanted_boundaries > 0 else 0
    for one in made[n_kept:]:
        for path in (one.audio, one.reference, one.hypothesis):
            (studio.folder / path).unlink(missing_ok=True)
    return made[:n_kept]


def _n_boundaries(folder: Path, recording: CorpusRecording) -> int:
    reference = read_rttm(folder / recording.reference)[recording.name]
    return len(ends_of_speech(reference, extent_s=(0.0, recording.duration_s)))


def _make(pool: Executor, takes: Sequence[Take], on_progress: Callable[[int, int], None]) -> list[CorpusRecording]:
    pending = {pool.submit(_make_conversation, take): take for take in takes}
    made: dict[Take, CorpusRecording] = {}
    for done, future in enumerate(as_completed(pending), start=1):
        made[pending[future]] = future.result()
        on_progress(done, len(takes))
    return [made[take] for take in takes]


@contextmanager
def _pool(studio: Studio, workers: int) -> Iterator[Executor]:
    for split in studio.voices:
        for part in ("audio", "reference", "hypothesis"):
            (studio.folder / split / part).mkdir(parents=True, exist_ok=True)
    if workers > 1:
        with worker_processes(workers, _start_worker, studio) as pool:
            yield pool
        return
    with ThreadPoolExecutor(1, initializer=_start_worker, initargs=(studio,)) as thread:  # is enough, and starts at once
        try:
            yield thread
        except BaseException:
            thread.shutdown(cancel_futures=True)  # here, since leaving the pool waits for all its tasks
            raise


class _Worker:
    """What every conversation of one worker process needs; set once when the process starts."""

    studio: Studio


def _start_worker(studio: Studio) -> None:
    load_voice.cache_clear()  # a process that makes a second corpus may find other voices under the same names
    _Worker.studio = studio


def _make_conversation(take: Take) -> CorpusRecording:
    """Writes one conversation unless it exists; its random numbers depend on the seed and the take's key alone."""
    studio, name = _Worker.studio, take.name
    errors = None if take.heard else studio.errors
    home, duration_s = studio.folder / take.split, studio.simulation.duration_s
    audio, reference_path = home / "audio" / f"{name}.flac", home / "reference" / f"{name}.rttm"
    hypothesis_path = home / "hypothesis" / f"{name}.rttm"
    written_last = reference_path if errors is None else hypothesis_path
    if written_last.exists():
        reference = read_rttm(reference_path)[name]
    else:
        sound, mistakes = np.random.default_rng([studio.seed, *take.key]).spawn(2)
        made = simulate(name, studio.voices[take.split], studio.simulation, studio.statistics, rng=sound)
        reference = made.reference
        if not reference.turns:
            raise DataError("a simulated conversation came out without speech", where=name, hint="are the voices silent?")
        write_audio(audio, made.samples)
        write_rttm(reference_path, reference, mark=SIMULATED)
        if errors is not None:
            write_rttm(hypothesis_path, _misheard(reference, errors, duration_s, mistakes), mark=REPLAYED)
    return CorpusRecording(
        name=name,
        audio=str(audio.relative_to(studio.folder)),
        reference=str(reference_path.relative_to(studio.folder)),
        hypothesis=str(hypothesis_path.relative_to(studio.folder)),
        duration_s=duration_s,
        regions_s=[(0.0, duration_s)],
        speakers=list(reference.speakers),
        simulated=True,
        replayed=errors is not None,
        labels_sha256=None if errors is None else digest_of_files([reference_path, hypothesis_path]),
        audio_file=AudioFile.of(audio),
    )


def _misheard(reference: Diarization, errors: SystemErrors, duration_s: float, rng: np.random.Generator) -> Diarization:
    """A replay that has speech: a system that heard nothing leaves nothing to refine."""
    for _ in range(_MOST_SILENT):
        hypothesis = replay(errors, reference, duration_s=duration_s, rng=rng)
        if hypothesis.turns:
            return hypothesis
    raise DataError(
        "the system whose errors are replayed hears no speech",
        where=reference.recording,
        expected=f"turns in one of {_MOST_SILENT} replays",
        got=f"none, with the errors of {errors.source}",
        hint="learn its errors from hypotheses that have speech: python -m brefine.data errors",
    )
