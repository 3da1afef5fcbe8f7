"""Diarization as a process: `python -m brefine.diarizers AUDIO -o OUT`, for one file, a folder, or a list of jobs."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, get_args

from brefine.config import DiarizerConfig, DiarizerName
from brefine.core.turns import Diarization, Turn
from brefine.diarizers.choice import build_diarizer
from brefine.diarizers.diarizer import Diarizer, ReportProgress, TurnConfidence, VotingDiarizer
from brefine.errors import BrefineError, DataError, one_line, run_main, tell
from brefine.io.audio import AUDIO_SUFFIXES, audio_by_stem, probe_all, probe_audio, raise_all
from brefine.io.filenames import recording_named
from brefine.io.outputs import refuse_replacing
from brefine.io.rttm import is_rttm, write_rttm

Job = tuple[Path, Path]
"""An audio file and the RTTM to write."""

_QUIET_S = 5.0
"""A recording that takes longer than this reports its progress."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m brefine.diarizers", description=__doc__)
    parser.add_argument("audio", type=Path, nargs="?", help="audio file, or a folder of them")
    parser.add_argument("-o", "--out", type=Path, help="RTTM file to write; a folder for a folder")
    parser.add_argument("--jobs", type=Path, help="instead of both: a JSON list of [audio, RTTM to write]")
    parser.add_argument("--diarizer", choices=get_args(DiarizerName), default="builtin")
    parser.add_argument("--python", help="interpreter of the environment in which DiariZen is installed")
    parser.add_argument("--model", help="hub id or local folder of the diarizer's weights")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    options = parser.parse_args()
    if options.jobs is not None:
        jobs = [(Path(audio), Path(out)) for audio, out in json.loads(options.jobs.read_text(encoding="utf-8"))]
    elif options.audio is None or options.out is None:
        parser.error("AUDIO and -o OUT are needed, or --jobs")
    else:
        jobs = plan_jobs(options.audio, options.out)
    diarizer = build_diarizer(DiarizerConfig(name=options.diarizer, python=options.python, model=options.model))
    for doubt in probe_all(audio for audio, _ in jobs):
        tell(doubt)
    told: list[dict[str, Any]] = []
    try:
        diarize_each(diarizer, jobs, told)
    finally:
        if options.json and told:
            print(json.dumps({"diarizer": diarizer.name, "recordings": told}, indent=1, allow_nan=False))


def plan_jobs(audio: Path, out: Path) -> list[Job]:
    """What to diarize and where to write it, before anything is computed.

    A folder's files become `out`/STEM.rttm; for one file, `out` is a file or an existing folder.

    Raises:
        DataError: there is no audio, or files would share an RTTM; all of them are listed.
        BrefineError: an RTTM would replace audio or a file that is not an RTTM, or cannot be written.
    """
    if not audio.exists():
        raise DataError("there is no such audio", where=audio)
    if audio.is_dir():
        jobs = [(path, out / f"{stem}.rttm") for stem, path in audio_by_stem(audio).items()]
        if not jobs:
            raise DataError("there is no audio in this folder", where=audio, expected=", ".join(AUDIO_SUFFIXES))
    else:
        jobs = [(audio, out / f"{audio.stem}.rttm" if out.is_dir() else out)]
    refuse_replacing([path for path, _ in jobs], [to for _, to in jobs], "RTTM", is_rttm)
    return jobs


def diarize_each(diarizer: Diarizer, jobs: Iterable[Job], told: list[dict[str, Any]]) -> None:
    """Diarizes files by `diarize_file`; if one cannot be done, the others still are.

    Args:
        told: the entries that `diarize_file` returns are appended to it.

    Raises:
        BrefineError: at the end, for files that could not be done; at once if the diarizer fails before any file is done.
    """
    faults: list[BrefineError] = []
    for audio, out in jobs:
        try:
            told.append(diarize_file(diarizer, audio, out))
        except BrefineError as fault:
            faults.append(fault)
            if not (told or isinstance(fault, DataError)):
                break
    raise_all(faults)


def diarize_file(diarizer: Diarizer, audio: Path, out: Path) -> dict[str, Any]:
    """Diarizes one file, writes its RTTM, reports it on stderr, and returns its entry of the JSON document.

    Raises:
        BrefineError: the audio cannot be used, or the diarizer failed.
    """
    name = recording_named(audio.stem)
    started_s = told_s = time.perf_counter()

    def report(step: str, done: int, total: int) -> None:
        nonlocal told_s
        if time.perf_counter() - told_s >= _QUIET_S:
            told_s = time.perf_counter()
            tell(f"{name}: {step} ({done}/{total})")

    audio_s = probe_audio(audio).duration_s
    turns, confidence = _diarized(diarizer, audio, report)
    found = Diarization(name, turns)
    if out.exists():
        tell(f"replaced {one_line(out)}")
    write_rttm(out, found, confidence=None if confidence is None else [one.turn for one in confidence])
    seconds = time.perf_counter() - started_s
    tell(f"{name}: {len(found.turns)} turns of {len(found.speakers)} speakers in {audio_s:.1f} s of audio ({seconds:.1f} s)")
    return {
        "recording": name,
        "rttm": str(out),
        "speakers": len(found.speakers),
        "turns": len(found.turns),
        "audio_s": round(audio_s, 3),
        "seconds": round(seconds, 3),
        "confidence": None if confidence is None else _told(found, confidence),
    }


def _diarized(
    diarizer: Diarizer, audio: Path, report: ReportProgress
) -> tuple[tuple[Turn, ...], tuple[TurnConfidence, ...] | None]:
    if isinstance(diarizer, VotingDiarizer):
        voted = diarizer.diarize_voted(audio, report=report)
        return voted.diarization.turns, voted.confidence
    return diarizer.diarize(audio, report=report).turns, None


def _told(found: Diarization, confidence: Sequence[TurnConfidence]) -> list[dict[str, Any]]:
    return [
        {
            "onset_s": round(turn.onset_s, 6),
            "offset_s": round(turn.offset_s, 6),
            "speaker": turn.speaker,
            "turn": round(one.turn, 3),
            "onset": round(one.onset, 3),
            "offset": round(one.offset, 3),
        }
        for turn, one in zip(found.turns, confidence, strict=True)
    ]


if __name__ == "__main__":
    run_main(main)
