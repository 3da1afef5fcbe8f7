"""`brefine refine`: audio and turns in, turns with better ends out, and a report of what moved and why."""

from __future__ import annotations

import csv
import io
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brefine.config import FeatureConfig, RefineConfig
from brefine.core.turns import Diarization, Turn
from brefine.data.features import analyse_file, is_silent
from brefine.errors import BrefineError, DataError, FormatError, one_line, tell
from brefine.evaluate.device import DeviceName, pick_device
from brefine.evaluate.moves import HeardRecording, Reason, Refinement, fit_prior, hear_recording, refine_heard
from brefine.evaluate.rewriting import rewrite_rttm
from brefine.io.audio import AUDIO_SUFFIXES, audio_by_stem, probe_all, raise_all
from brefine.io.outputs import begins_with, refuse_replacing
from brefine.io.rttm import is_rttm, parse_rttm, raise_faults, rttm_files
from brefine.io.shipped import shipped_weights
from brefine.io.textfile import read_lines_text, write_lines_text
from brefine.models.error_prior import ErrorPrior
from brefine.models.weights import Refiner, load_refiner

REPORT_COLUMNS = (
    "recording", "speaker", "side", "hypothesis_s", "refined_s", "shift_ms", "confidence", "moved", "reason", "spread_ms",
)  # fmt: skip

_MAX_NAMES = 20
_QUIET_S = 5.0
"""Hearing that takes longer than this tells what it is at."""
_CUT_S = 0.1
"""Systems count in frames and windows, and so end up to this long after the audio; more tells of audio that is not whole."""


@dataclass(frozen=True, slots=True)
class Task:
    """One RTTM file to refine.

    Attributes:
        text: the file's content.
        hypotheses: what of it is refined.
        audio: recording → its audio.
    """

    rttm: Path
    out: Path
    text: str
    hypotheses: tuple[Diarization, ...]
    audio: dict[str, Path]


@dataclass(frozen=True, slots=True, eq=False)
class Refined:
    """One recording, refined, and what it took.

    Attributes:
        told_as: the recording's name in reports: that of its audio where several files of one folder call theirs the same.
        given: the hypothesis as its file has it, of which the refinement's lies within the audio.
    """

    told_as: str
    given: Diarization
    refinement: Refinement
    audio_s: float
    seconds: float

    @property
    def n_left_out(self) -> int:
        """Turns of the hypothesis that start after the end of the audio."""
        return len(self.given.turns) - len(self.refinement.hypothesis.turns)

    @property
    def n_cut(self) -> int:
        """Turns that start before the end of the audio and end more than `_CUT_S` after it."""
        return sum(turn.offset_s > self.audio_s + _CUT_S for turn in self.given_turns())

    def given_turns(self) -> list[Turn]:
        """The turns of `given` that those of the refinement's hypothesis were, in their order."""
        there = [turn for turn in self.given.turns if turn.onset_s < self.audio_s]
        return sorted(there, key=lambda turn: (turn.onset_s, min(turn.offset_s, self.audio_s), turn.speaker))

    def summary(self) -> dict[str, Any]:
        """The recording's entry of `brefine refine --json`."""
        shifts_s = [abs(move.shift_s) for move in self.refinement.moves if move.moved]
        return {
            "recording": self.told_as,
            "boundaries": len(self.refinement.moves),
            "moved": len(shifts_s),
            "mean_abs_shift_ms": round(1000.0 * float(np.mean(shifts_s)), 3) if shifts_s else 0.0,
            "left_out": self.n_left_out,
            "cut": self.n_cut,
            "audio_s": round(self.audio_s, 3),
            "seconds": round(self.seconds, 3),
        }


def load_weights(weights: Path | None, device: DeviceName = "auto") -> Refiner:
    """The refiner of a weights file, or the one that ships with brefine.

    Raises:
        CheckpointError: there are no such weights, or none ship with this build.
        ConfigError: there is no such device.
    """
    return load_refiner(weights if weights is not None else shipped_weights(), pick_device(device))


def plan_refinement(audio: Path, rttm: Path, out: Path | None = None) -> list[Task]:
    """Finds the audio of every recording before anything is computed or written.

    `audio` and `rttm` are files, or folders whose files have equal stems; an RTTM file of several recordings goes with a folder
    of audio files named after them. What needs no partner is named on stderr: audio without turns, and the other recordings of a
    file where the audio of one is given. `out` is a folder where `rttm` is one, else a file; None where no turns will be written.

    Raises:
        DataError: audio or RTTM is missing, or files of audio share a stem; everything that is wrong is listed.
        FormatError: RTTM files cannot be read or have broken lines; all of them are listed.
        BrefineError: `out` would replace what is read, or something that is no RTTM, or cannot be written.
    """
    for path, what in ((audio, "audio"), (rttm, "RTTM")):
        if not path.exists():
            raise DataError(f"there is no such {what}", where=path)
    if rttm.is_dir() and not audio.is_dir():
        raise DataError("a folder of RTTMs needs a folder of audio files", where=audio, expected="a folder", got="a file")
    files = rttm_files(rttm)
    if not files:
        raise DataError("there is no RTTM file in this folder", where=rttm, expected="*.rttm")
    outs = files
    if out is not None:
        outs = [out / file.name if rttm.is_dir() or out.is_dir() else out for file in files]
        refuse_replacing([audio, rttm, *files], outs, "RTTM", is_rttm)
    heard = audio_by_stem(audio) if audio.is_dir() else {}
    tasks, broken, problems, unheard = [], list[str](), list[str](), list[str]()
    for file, target in zip(files, outs, strict=True):
        try:
            text = read_lines_text(file)
            found = parse_rttm(text, where=file, tell=tell)
        except FormatError as error:
            if not rttm.is_dir():
                raise
            broken += str(error).splitlines()
            continue
        if audio.is_dir():
            # in a folder of RTTMs the file's stem names the recording where the RTTM holds one
            names = {name: file.stem if rttm.is_dir() and len(found) == 1 else name for name in found}
            paths = {name: heard.get(stem) for name, stem in names.items()}
        else:
            paths = {name: audio for name in found if len(found) == 1 or name == audio.stem}
            if found and not paths:
                held = ", ".join(sorted(found)[:5])
                problems.append(f"{file}: it holds {len(found)} recordings ({held}), none of them named {audio.stem}")
            unheard += found.keys() - paths.keys()
        problems += [f"{file}: no audio for {name} in {audio}" for name, path in paths.items() if path is None]
        there = {name: path for name, path in paths.items() if path is not None}
        tasks.append(Task(file, target, text, tuple(found[name] for name in there), there))
    raise_faults(rttm, broken)
    if problems:
        raise DataError(
            "recordings have no audio",
            where=audio,
            problems=problems,
            hint=f"audio files are named after the recording: talk1.wav for talk1 ({', '.join(AUDIO_SUFFIXES)})",
        )
    turnless = heard.keys() - {path.stem for task in tasks for path in task.audio.values()} - {file.stem for file in files}
    tell_names("passed over, since no audio is given", unheard)
    tell_names("no turns for", turnless)
    return tasks


def tell_names(what: str, recordings: Collection[str]) -> None:
    """Names recordings on stderr, of many the first; says nothing where there are none."""
    if recordings:
        more = f" … and {len(recordings) - _MAX_NAMES} more" if len(recordings) > _MAX_NAMES else ""
        tell(f"{what}: {', '.join(map(one_line, sorted(recordings)[:_MAX_NAMES]))}{more}")


def refine_tasks(
    refiner: Refiner, tasks: Sequence[Task], config: RefineConfig, *, prior: ErrorPrior | None = None
) -> Iterator[list[Refined]]:
    """Refines all recordings, writes one RTTM file after another, and yields the recordings of each once it is written.

    All recordings are heard before the first is moved: together they tell more of their system's errors than each alone.

    Args:
        prior: what is known of the system's errors; None = what these hypotheses tell.

    Raises:
        DataError: audio cannot be used; all whose headers tell are listed before anything is heard, others when the RTTMs
            that need none of them are written.
        OSError: an RTTM cannot be written; those before it are.
    """
    for doubt in probe_all(path for task in tasks for path in task.audio.values()):
        tell(doubt)
    heard: list[tuple[Task, list[tuple[HeardRecording, float]]]] = []
    faults: list[BrefineError] = []
    progress = HearingProgress(sum(len(task.hypotheses) for task in tasks))
    for task in tasks:
        try:
            heard.append((task, [_hear(refiner, task.audio[one.recording], one, progress) for one in task.hypotheses]))
        except DataError as fault:
            faults.append(fault)
    if prior is None:
        prior = fit_prior([one for _, own in heard for one, _ in own])
    n_called = Counter(one.recording for task in tasks for one in task.hypotheses)
    for task, own in heard:
        refined = []
        for (one, hearing_s), given in zip(own, task.hypotheses, strict=True):
            started = time.perf_counter()
            refinement = refine_heard(refiner, one, prior, config=config)
            told_as = given.recording if n_called[given.recording] == 1 else task.audio[given.recording].stem
            refined.append(Refined(told_as, given, refinement, one.duration_s, hearing_s + time.perf_counter() - started))
        if not any(one.turns for one in task.hypotheses):
            tell(f"{one_line(task.rttm.stem)}: no turns, so that nothing can be moved")
        if task.out.exists():
            tell(f"replaced {one_line(task.out)}")
        write_lines_text(task.out, rewrite_rttm(task.text, [(one.refinement, one.audio_s) for one in refined]))
        yield refined
    raise_all(faults)


class HearingProgress:
    """Tells on stderr which of `n_recordings` is heard and how far, no more often than every `_QUIET_S`."""

    def __init__(self, n_recordings: int) -> None:
        self._n_recordings, self._n_begun = n_recordings, 0
        self._told_s = time.perf_counter()

    def begin(self, recording: str) -> Callable[[float], None]:
        """The next recording is heard; returns what to call with the seconds that were."""
        self._n_begun += 1
        place = f"hearing {self._n_begun} of {self._n_recordings}: {one_line(recording)}"

        def report(heard_s: float) -> None:
            if time.perf_counter() - self._told_s >= _QUIET_S:
                self._told_s = time.perf_counter()
                tell(f"{place} ({heard_s:.0f} s heard)")

        return report


def _hear(refiner: Refiner, audio: Path, hypothesis: Diarization, progress: HearingProgress) -> tuple[HeardRecording, float]:
    """What the model says of a recording, and how long it took."""
    started = time.perf_counter()
    frames, duration_s = frames_of(audio, refiner.features, report=progress.begin(audio.stem))
    if is_silent(frames, refiner.features):
        tell(f"{one_line(audio)}: there is no sound in it (channels that cancel each other?), so that nothing can be heard")
    heard = hear_recording(refiner, frames, hypothesis, duration_s=duration_s)
    return heard, time.perf_counter() - started


def format_report(refined: Sequence[Refined]) -> str:
    """The "moved by" report: CSV, one row a boundary; `hypothesis_s` is where its RTTM file has it.

    `spread_ms` is half the distance between the 16 % and the 84 % quantile of where the refiner takes the boundary to be; empty
    where it was not asked, and at ends that go on.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(REPORT_COLUMNS)
    for one in refined:
        given_s = [end_s for turn in one.given_turns() for end_s in (turn.onset_s, turn.offset_s)]
        for hypothesis_s, move in zip(given_s, one.refinement.moves, strict=True):
            reason = move.reason if hypothesis_s <= one.audio_s else Reason.BEYOND
            writer.writerow(
                (
                    one.told_as,
                    move.boundary.speaker,
                    move.boundary.side.value,
                    f"{hypothesis_s:.6f}",
                    f"{move.refined_s:.6f}",
                    f"{1000.0 * (move.refined_s - hypothesis_s):.3f}",
                    f"{move.confidence:.4f}",
                    "yes" if move.moved else "no",
                    reason.value,
                    "" if move.spread_s is None else f"{1000.0 * move.spread_s:.3f}",
                )
            )
    return buffer.getvalue()


def is_report(path: Path) -> bool:
    """Whether a file is one of `format_report`, whatever columns it had then."""
    return begins_with(path, ",".join(REPORT_COLUMNS[:3]))


def frames_of(
    audio: Path, features: FeatureConfig, *, report: Callable[[float], None] = lambda heard_s: None
) -> tuple[NDArray[np.float16], float]:
    """Frames of an audio file by `data.features.analyse_file`, and its length in seconds."""
    frames_NC, n_samples = analyse_file(audio, features, report=report)
    return frames_NC, n_samples / features.sample_rate_hz
