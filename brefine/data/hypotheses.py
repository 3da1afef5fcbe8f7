"""Hypotheses of a real diarizer, run in a process of its own, once for every audio content."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from brefine.config import DiarizerConfig
from brefine.core.turns import Diarization
from brefine.errors import DataError, ProcessError
from brefine.io.rttm import read_rttm


def diarize_all(
    audio: Mapping[str, Path],
    diarizer: DiarizerConfig,
    *,
    cache: Path,
    on_progress: Callable[[str, int, int], None] = lambda step, done, total: None,
) -> dict[str, Diarization]:
    """Recording → what the diarizer says.

    Answers are kept in `cache` under the diarizer's name and model and the digest of the audio's content, so that neither a
    second corpus, nor another recipe, nor a renamed file runs it again; a stopped run goes on where it was.

    Raises:
        ProcessError: the diarizer cannot be run; its own words are passed on.
    """
    folder = cache / "-".join([diarizer.name, *([_digest_of_text(diarizer.model)] if diarizer.model else [])])
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for done, (name, path) in enumerate(audio.items()):
        on_progress(f"diarizing with {diarizer.name}", done, len(audio))
        answer = folder / f"{_digest_of_file(path)}.rttm"
        if not answer.is_file():
            _diarize(path, answer, diarizer)
        turns = [turn for one in read_rttm(answer).values() for turn in one.turns]
        found[name] = Diarization(name, tuple(turns))
    on_progress(f"diarizing with {diarizer.name}", len(audio), len(audio))
    return found


def _diarize(audio: Path, answer: Path, diarizer: DiarizerConfig) -> None:
    half_made = answer.with_name(f".{answer.name}.tmp")
    command = [sys.executable, "-m", "brefine.diarizers", str(audio), "--diarizer", diarizer.name, "-o", str(half_made)]
    command += ["--python", diarizer.python] if diarizer.python else []
    command += ["--model", diarizer.model] if diarizer.model else []
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode != 0 or not half_made.is_file():
        half_made.unlink(missing_ok=True)
        raise ProcessError(
            f"the diarizer {diarizer.name} gave no answer",
            where=audio,
            got=f"exit code {ended.returncode}",
            problems=ended.stderr.strip().splitlines()[-8:],
            hint="`brefine doctor` checks the diarizers; `--hypothesis-from replayed` needs none",
        )
    half_made.replace(answer)


def _digest_of_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:24]
    except OSError as error:
        raise DataError(f"the audio cannot be read: {error.strerror}", where=path) from None


def _digest_of_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
