"""`brefine refine`: audio and turns in, turns with better ends out, and a report of what moved and why."""

from __future__ import annotations

import csv
import io
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brefine.config import FeatureConfig, RefineConfig
from brefine.core.turns import Diarization, Turn
from brefine.data.features import analyse_file, is_silent
from brefine.errors import BrefineError, DataError, one_line, tell
from brefine.evaluate.device import DeviceName, pick_device
from brefine.evaluate.moves import HeardRecording, Reason, Refinement, fit_prior, hear_recording, refine_heard
from brefine.evaluate.rewriting import rewrite_rttm
from brefine.evaluate.tasks import REPORT_COLUMNS, Task
from brefine.io.audio import raise_all
from brefine.io.shipped import shipped_weights
from brefine.io.textfile import write_lines_text
from brefine.models.error_prior import ErrorPrior
from brefine.models.weights import Refiner, load_refiner

_QUIET_S = 5.0
"""Hearing that takes longer than this reports its progress."""
_CUT_S = 0.1
"""Systems count in frames and windows, so they may end up to this long after the audio; more means that audio is missing."""


@dataclass(frozen=True, slots=True, eq=False)
class Refined:
    """One recording, refined, and the time it took.

    Attributes:
        told_as: the recording's name in reports: that of its audio if several files of one folder call theirs the same.
        given: the hypothesis as its file has it; the refinement has only the part of it within the audio.
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
        """The turns of `given` from which those of the refinement's hypothesis were cut, in their order."""
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


def load_weights(weights: Path | None, device: DeviceName) -> Refiner:
    """The refiner of a weights file, or the one that ships with brefine.

    Raises:
        CheckpointError: there are no such weights, or none ship with this build.
        ConfigError: there is no such device.
    """
    return load_refiner(weights if weights is not None else shipped_weights(), pick_device(device))


def refine_tasks(
    refiner: Refiner, tasks: Sequence[Task], config: RefineConfig, *, prior: ErrorPrior | None = None
) -> Iterator[list[Refined]]:
    """Refines all recordings, writes one RTTM file after another, and yields the recordings of each once it is written.

    All recordings are heard before any boundary is moved: together they say more about their system's errors than each alone.

    Args:
        tasks: from `tasks.plan_refinement`, with audio that `tasks.require_usable` lets pass.
        prior: what is known about the system's errors; None = it is estimated from these hypotheses.

    Raises:
        DataError: audio cannot be used, which its header did not show; raised after the RTTMs that do not need it are written.
        OSError: an RTTM cannot be written; the earlier ones have been.
    """
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
            tell(f"{one_line(task.rttm.stem)}: no turns, so there is nothing to move")
        if task.out.exists():
            tell(f"replaced {one_line(task.out)}")
        write_lines_text(task.out, rewrite_rttm(task.text, [(one.refinement, one.audio_s) for one in refined]))
        yield refined
    raise_all(faults)


class HearingProgress:
    """Reports on stderr which of `n_recordings` is being heard and how far, at most every `_QUIET_S`."""

    def __init__(self, n_recordings: int) -> None:
        self._n_recordings, self._n_begun = n_recordings, 0
        self._told_s = time.perf_counter()

    def begin(self, recording: str) -> Callable[[float], None]:
        """Begins the next recording; returns a function to be called with the seconds heard so far."""
        self._n_begun += 1
        place = f"hearing {self._n_begun} of {self._n_recordings}: {one_line(recording)}"

        def report(heard_s: float) -> None:
            if time.perf_counter() - self._told_s >= _QUIET_S:
                self._told_s = time.perf_counter()
                tell(f"{place} ({heard_s:.0f} s heard)")

        return report


def _hear(refiner: Refiner, audio: Path, hypothesis: Diarization, progress: HearingProgress) -> tuple[HeardRecording, float]:
    """What the model says of a recording, and how long that took in seconds."""
    started = time.perf_counter()
    frames, duration_s = frames_of(audio, refiner.features, report=progress.begin(audio.stem))
    if is_silent(frames, refiner.features):
        tell(f"{one_line(audio)}: it holds no sound (do its channels cancel each other out?), so nothing can be heard")
    heard = hear_recording(refiner, frames, hypothesis, duration_s=duration_s)
    return heard, time.perf_counter() - started


def format_report(refined: Sequence[Refined]) -> str:
    """The "moved by" report: CSV, one row per boundary; `hypothesis_s` is where its RTTM file has it.

    `spread_ms` is half the distance between the 16 % and the 84 % quantile of where the refiner takes the boundary to be; it is
    empty if the refiner was not asked, and for ends that go on.
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


def frames_of(
    audio: Path, features: FeatureConfig, *, report: Callable[[float], None] = lambda heard_s: None
) -> tuple[NDArray[np.float16], float]:
    """Frames of an audio file by `data.features.analyse_file`, and its length in seconds."""
    frames_NC, n_samples = analyse_file(audio, features, report=report)
    return frames_NC, n_samples / features.sample_rate_hz
