"""Audio that libsndfile cannot read, decoded by torchcodec and ffmpeg in a separate process.

`brefine.data.decode` is that process: this layer never reaches torch. Both are optional; without them the user is told how to
convert the file.

Boundaries need true times. Tried with ffmpeg's encoders and torchcodec 0.11: m4a, mp4, mov, mkv and webm keep them to a
millisecond; a bare .aac comes 23 ms late and a .wma 46 ms early, since nothing in them says how far their encoder ran ahead.
If asked for a part alone, torchcodec puts it up to 4 ms (.mkv) or 92 ms (.wma) away from where it lies in the whole, so files are
decoded from their start.
"""

from __future__ import annotations

import json
import math
import subprocess
from collections import deque
from collections.abc import Generator
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import IO

import numpy as np
from numpy.typing import NDArray

from brefine.errors import DataError
from brefine.io.interpreter import python_command

FOREIGN_SUFFIXES = (".m4a", ".mp4", ".aac", ".wma", ".webm", ".mkv", ".mov", ".amr")

_BLOCK_BYTES = 4 << 18
_WORDS_BYTES = 1 << 16


def is_foreign(path: Path) -> bool:
    return path.suffix.lower() in FOREIGN_SUFFIXES


def probe_foreign(path: Path) -> tuple[float, int, int]:
    """Seconds, sampling rate and channels, as the container says.

    Raises:
        DataError: torchcodec or ffmpeg is missing; the file is not audio, or does not say its length, rate or channels; or
            something else prints where the decoder answers.
    """
    with _decoder(path, "--probe") as process:
        answer, words = process.communicate()
    _check(process, path, words)
    try:
        told = json.loads(answer)
    except ValueError:
        raise DataError(
            "the decoder has printed something else than what it was asked for",
            where=path,
            expected="one JSON document",
            got=repr(answer.decode("utf-8", errors="replace").strip().partition("\n")[0][:200]),
            hint="whatever prints when Python starts, such as a sitecustomize.py, belongs on stderr",
        ) from None
    if not _is_number(told["duration_s"]):  # as in recordings made in a browser
        raise DataError("this audio does not say how long it is", where=path, hint=_way_out(path))
    unsaid = [name for name in ("sample_rate_hz", "n_channels") if not _is_number(told[name])]
    if unsaid:  # a video without sound, say
        raise DataError("this audio does not say what it holds", where=path, expected=" and ".join(unsaid), hint=_way_out(path))
    return float(told["duration_s"]), int(told["sample_rate_hz"]), int(told["n_channels"])


def foreign_blocks(path: Path, *, sample_rate_hz: int) -> Generator[NDArray[np.float32]]:
    """Mono samples at the given rate, block by block.

    Raises:
        DataError: as `probe_foreign`.
    """
    with _decoder(path, "--rate", str(sample_rate_hz)) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        words: deque[bytes] = deque(maxlen=2)
        listening = Thread(target=_listen, args=(process.stderr, words), daemon=True)
        listening.start()
        try:
            while block := process.stdout.read(_BLOCK_BYTES):
                yield np.frombuffer(block[: len(block) // 4 * 4], "<f4").astype(np.float32)
            process.wait()
        finally:
            process.kill()
            listening.join()
    _check(process, path, b"".join(words))


def _decoder(path: Path, *options: str) -> subprocess.Popen[bytes]:
    if find_spec("torchcodec") is None:
        raise DataError("this kind of audio needs torchcodec and ffmpeg", where=path, hint=_way_out(path))
    command = python_command("-m", "brefine.data.decode", path, *options)
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def _listen(stderr: IO[bytes], words: deque[bytes]) -> None:
    """Keeps a decoder's last words; if nobody read the pipe, ffmpeg's warnings would fill it and block the decoder for ever."""
    while heard := stderr.read(_WORDS_BYTES):
        words.append(heard)


def _is_number(told: object) -> bool:
    return isinstance(told, int | float) and math.isfinite(told)


def _check(process: subprocess.Popen[bytes], path: Path, words: bytes) -> None:
    if process.returncode != 0:
        lines = words.decode("utf-8", errors="replace").strip().splitlines()
        raise DataError("this audio cannot be decoded", where=path, got=lines[-1] if lines else "no answer", hint=_way_out(path))


def _way_out(path: Path) -> str:
    return f'pip install torchcodec, and ffmpeg; or convert it: ffmpeg -i "{path.name}" -ac 1 -ar 16000 "{path.stem}.flac"'
