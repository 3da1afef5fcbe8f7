"""Voice banks: utterances by speaker, from a folder or from the built-in synthesiser, and their division into splits."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from brefine.data.espeak import BANK_VERSION, N_VOICES, builtin_voice, file_names, refuse_without_espeak
from brefine.errors import DataError, one_line, tell
from brefine.io.atomic import digest_of_files
from brefine.io.audio import is_whole_flac
from brefine.io.interpreter import python_command
from brefine.io.lock import held

_SUFFIXES = (".flac", ".wav")


@dataclass(frozen=True, slots=True, order=True)
class Utterance:
    """A recording of one speaker alone."""

    speaker: str
    path: Path


def find_utterances(folder: Path) -> tuple[Utterance, ...]:
    """The utterances of a folder, sorted by speaker and name.

    Two layouts are understood, also mixed: `SPEAKER-CHAPTER-UTTERANCE.flac` (LibriSpeech, flat) and `SPEAKER/anything.wav`.

    Raises:
        DataError: there is no such folder, or no utterance in it.
    """
    if not folder.is_dir():
        raise DataError("there is no such folder of voices", where=folder, hint="corpus.simulation.voices names it")
    found = []
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.suffix.lower() in _SUFFIXES and not any(part.startswith(".") for part in inside.parts):
            speaker = inside.parts[0] if len(inside.parts) > 1 else path.stem.split("-")[0]
            found.append(Utterance(speaker, path))
    if not found:
        raise DataError("there are no utterances in this folder", where=folder, expected="*.flac or *.wav")
    return tuple(sorted(found))


def digest_of_voices(folder: Path) -> str:
    """SHA-256 of the names and contents of a folder's utterances, whatever its own path.

    Raises:
        DataError: there is no such folder, or no utterance in it.
    """
    total = hashlib.sha256()
    for one in find_utterances(folder):
        total.update(os.fsencode(one.path.relative_to(folder)) + b"\0" + digest_of_files([one.path]).encode())
    return total.hexdigest()


def builtin_bank(cache: Path, *, n_voices: int = N_VOICES, on_progress: Callable[[int, int], None] | None = None) -> Path:
    """The folder of the built-in voices under `cache`; missing or damaged voices are spoken first, by one process at a time.

    Args:
        on_progress: called with the numbers of voices done and wanted, about twice a second.

    Raises:
        DataError: eSpeak NG is not installed, or a speaking process failed.
    """
    folder = cache / f"builtin-{BANK_VERSION}-{n_voices}"
    if _n_spoken(folder, n_voices) == n_voices and not spoiled_voices(folder, n_voices):
        return folder
    refuse_without_espeak()
    with held(cache / ".lock") as lock:
        for voice in spoiled_voices(folder, n_voices):
            tell(f"a built-in voice is spoiled, and spoken anew: {one_line(voice)}")
            voice.unlink() if voice.is_symlink() or not voice.is_dir() else shutil.rmtree(voice)
        message = _speak(folder, n_voices, on_progress, keeping=lock)
    if _n_spoken(folder, n_voices) < n_voices:
        raise DataError("the built-in voices could not be spoken", where=folder, problems=message.splitlines()[-5:])
    return folder


def _speak(folder: Path, n_voices: int, on_progress: Callable[[int, int], None] | None, *, keeping: int | None) -> str:
    """Waits for a process that speaks what is missing, and returns its output. If this one is killed, it keeps the lock."""
    n_processes = max(1, min(len(os.sched_getaffinity(0)), 16))
    command = python_command("-m", "brefine.data.espeak", "--out", folder, "--count", n_voices, "--processes", n_processes)
    kept = [] if keeping is None else [keeping]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True, pass_fds=kept)
    try:
        while process.poll() is None:
            if on_progress is not None:
                on_progress(_n_spoken(folder, n_voices), n_voices)
            time.sleep(0.25)
        return process.communicate()[1].strip()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def _n_spoken(folder: Path, n_voices: int) -> int:
    return sum((folder / builtin_voice(number).name).is_dir() for number in range(n_voices))


def spoiled_voices(folder: Path, n_voices: int) -> list[Path]:
    """The places of voices that exist but are not complete: a copy was cut short, or files were deleted or edited."""

    def is_whole(number: int) -> bool:
        voice = builtin_voice(number)
        names = file_names(voice)
        home = folder / voice.name
        found = sorted(path.name for path in home.iterdir()) if home.is_dir() and not home.is_symlink() else []
        return found == names and all(is_whole_flac(home / name) for name in names)

    there = [number for number in range(n_voices) if os.path.lexists(folder / builtin_voice(number).name)]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return [
            folder / builtin_voice(number).name
            for number, whole in zip(there, pool.map(is_whole, there), strict=True)
            if not whole
        ]


def split_by_speaker(
    utterances: Sequence[Utterance], weights: Mapping[str, float], *, least: int, seed: int
) -> dict[str, tuple[Utterance, ...]]:
    """Divides the speakers among splits in proportion to `weights`; no speaker, hence no utterance, is in two.

    Args:
        least: speakers that every split needs.

    Raises:
        DataError: there are too few speakers.
    """
    by_speaker: dict[str, list[Utterance]] = defaultdict(list)
    for utterance in utterances:
        by_speaker[utterance.speaker].append(utterance)
    if len(by_speaker) < least * len(weights):
        raise DataError(
            "there are too few voices for splits that share none",
            expected=f"at least {least * len(weights)} speakers ({least} for each of {', '.join(weights)})",
            got=len(by_speaker),
        )
    speakers = np.random.default_rng(seed).permutation(sorted(by_speaker)).tolist()
    spare = len(speakers) - least * len(weights)
    total = sum(weights.values())
    bounds = np.floor(np.cumsum([0.0, *weights.values()]) / total * spare + 1e-9).astype(int) + least * np.arange(
        len(weights) + 1
    )
    return {
        split: tuple(utterance for speaker in sorted(speakers[start:end]) for utterance in by_speaker[speaker])
        for split, start, end in zip(weights, bounds[:-1], bounds[1:], strict=True)
    }
