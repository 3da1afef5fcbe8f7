"""Audio files as mono samples at one rate.

Conventions: samples are float32 with full scale 1, even if a file holds integers as floats; channels are averaged, and other
rates are resampled (soxr, high quality).
Files are decoded block by block and resampled on the way, so memory grows with what a file really holds, whatever its header
claims. Times are seconds from the first sample.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from brefine.errors import BrefineError, DataError, ProcessError, hint_of, one_line
from brefine.io.folders import files_of
from brefine.io.foreign_audio import FOREIGN_SUFFIXES, foreign_blocks, is_foreign, probe_foreign

AUDIO_SUFFIXES = (".flac", ".wav", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".sph", *FOREIGN_SUFFIXES)
"""Suffixes of audio files in folders, in lower or upper case."""

MAX_DURATION_S = 24 * 3600.0
"""Longer files are refused: at 16 kHz a day takes 5.5 GB of memory."""

_BLOCK_FRAMES = 1 << 18
_CLAIM = re.compile(r"^(?:data| SSND)\s*:\s*(?P<claimed>\d+) \(should be (?P<there>\d+)\)", re.MULTILINE)
_LONG_CLAIM = re.compile(r"Frames\s*: (?P<claimed>\d+).*Calculated frame count (?P<there>\d+) does not match", re.DOTALL)
_UNKNOWN_BYTES = 0x7FFF0000
_MIN_RATE_HZ = 1000
_LOUDEST = 1e12
"""Samples far larger than this have a power beyond the range of floats."""
_FULL_SCALES, _HEADROOM = (1.0, 2.0**15, 2.0**23, 2.0**31), 8.0
"""Floats have a full scale of 1, or that of the integers that they were before; mixing or resampling may have exceeded it."""
_MAX_SHORTFALL = 0.01
"""A file may hold this much less than its header says (MP3 headers estimate); more means that it is cut off."""
_INEXACT_S = 0.01
"""Some writers count the header as audio: a shortfall of this much means nothing."""
_GOES_ON = re.compile(rb"OggS|^ID3|^\xff[\xe0-\xff]", re.DOTALL)
"""The start of another page of Ogg, of an MP3 frame, or of another MP3 file; not of a tag that closes a file."""
_STREAMED_SUFFIXES = (".mp3", ".ogg", ".opus")


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """What the header of an audio file says."""

    duration_s: float
    sample_rate_hz: int
    n_channels: int
    n_samples: int
    """In each channel."""
    missing_s: float = 0.0
    """How much more a WAV's or an AIFF's header claims than the file holds."""


def audio_files(folder: Path) -> list[Path]:
    """The audio of a folder, by its suffixes."""
    return files_of(folder, AUDIO_SUFFIXES)


def audio_by_stem(folder: Path) -> dict[str, Path]:
    """Stem → audio file of a folder, for use where the stem says which turns belong to the audio.

    Raises:
        DataError: files share a stem, so it is not clear which is meant; all are listed.
    """
    found: dict[str, Path] = {}
    problems = []
    for path in audio_files(folder):
        if path.stem in found:
            problems.append(f"{found[path.stem].name} and {path.name} are both called {path.stem}")
        found[path.stem] = path
    if problems:
        raise DataError("recordings share a name", where=folder, problems=problems, hint="leave one of each name in the folder")
    return found


def probe_audio(path: Path) -> AudioInfo:
    """Reads the header.

    Raises:
        DataError: there is no such file, it is not audio, or its header claims no or too much audio.
    """
    if is_foreign(path):
        _require_file(path)
        duration_s, sample_rate_hz, n_channels = probe_foreign(path)
        n_samples = round(duration_s * sample_rate_hz)
        _require_length(n_samples, sample_rate_hz, path)
        return AudioInfo(duration_s, sample_rate_hz, n_channels, n_samples)
    with _opened(path) as file:
        return _info(file, path)


def probe_all(paths: Iterable[Path]) -> list[str]:
    """Reads the headers, so that all unusable files of a folder are named before hours are spent on the others.

    Returns:
        Notes for a person on the usable ones, a line each: those whose end may be missing.

    Raises:
        DataError: as `probe_audio`, by `raise_all`.
    """
    faults: list[BrefineError] = []
    doubts: list[str] = []
    for path in dict.fromkeys(paths):
        try:
            info = probe_audio(path)
        except DataError as fault:
            faults.append(fault)
            continue
        if info.missing_s > _INEXACT_S:
            doubts.append(
                f"{one_line(path)}: it ends {info.missing_s:.2f} s before the end that its header states: is it complete?"
            )
    raise_all(faults)
    return doubts


def raise_all(faults: Sequence[BrefineError]) -> None:
    """Raises the faults found in recordings as one error, if there are any.

    Raises:
        BrefineError: the only fault, or one that lists them: a DataError if all concern the audio, else a ProcessError.
    """
    if len(faults) == 1:
        raise faults[0]
    if faults:
        problems = [str(fault).splitlines()[0] for fault in faults]
        if all(isinstance(fault, DataError) for fault in faults):
            raise DataError("audio files cannot be used", problems=problems, hint=hint_of(faults))
        raise ProcessError("recordings could not be done", problems=problems, hint=hint_of(faults))


def read_audio(path: Path, *, sample_rate_hz: int = 16000) -> NDArray[np.float32]:
    """Reads a whole file as mono samples at the given rate, shape (n_samples,).

    Raises:
        DataError: there is no such file, it is not audio, it is cut off, too long, or holds samples that are not finite or
            too large to be sound.
    """
    samples = list(audio_blocks(path, sample_rate_hz=sample_rate_hz))
    return np.concatenate(samples) if samples else np.zeros(0, np.float32)


def audio_blocks(path: Path, *, sample_rate_hz: int = 16000) -> Iterator[NDArray[np.float32]]:
    """The same samples block by block, for files that need not be in memory as a whole.

    Raises:
        DataError: as `read_audio`, at the block concerned.
    """
    if is_foreign(path):
        _require_file(path)
        n_read = 0
        for block in foreign_blocks(path, sample_rate_hz=sample_rate_hz):
            require_sound(block, n_read, sample_rate_hz, path)
            n_read += len(block)
            yield block
        return
    with _opened(path) as file:
        info = _info(file, path)
        blocks = _mono_blocks(file, info, path)
        yield from blocks if info.sample_rate_hz == sample_rate_hz else _resampled(blocks, info.sample_rate_hz, sample_rate_hz)


def read_excerpt(path: Path, *, start_s: float, duration_s: float, sample_rate_hz: int = 16000) -> NDArray[np.float32]:
    """Reads a part of a file as mono samples, without reading what lies before it; foreign audio is decoded from its start.

    Returns:
        shape (round(duration_s · sample_rate_hz),); silence where the excerpt reaches beyond the file.

    Raises:
        DataError: as `read_audio`.
    """
    excerpt = np.zeros(round(duration_s * sample_rate_hz), np.float32)
    if is_foreign(path):
        _require_file(path)
        offset = round(-start_s * sample_rate_hz)  # of the current block in the excerpt
        with contextlib.closing(foreign_blocks(path, sample_rate_hz=sample_rate_hz)) as blocks:
            for block in blocks:
                first, last = max(0, offset), min(len(excerpt), offset + len(block))
                if last > first:
                    excerpt[first:last] = _finite(block[first - offset : last - offset])
                offset += len(block)
                if offset >= len(excerpt):
                    break
        return excerpt
    with _opened(path) as file:
        info = _info(file, path)
        first, last = (round(at_s * info.sample_rate_hz) for at_s in (max(0.0, start_s), start_s + duration_s))
        first = min(first, info.n_samples)
        full_scale = _full_scale(file)
        file.seek(first)
        n_wanted = min(last - first, info.n_samples - file.tell())
        # a decoder may be past the end that its header claims: then less than nothing is left to read
        block = file.read(n_wanted, dtype="float32", always_2d=True) if n_wanted > 0 else np.zeros((0, 1), np.float32)
    samples = _finite(_mono(block, full_scale))
    if info.sample_rate_hz != sample_rate_hz and len(samples):
        samples = soxr.resample(samples, info.sample_rate_hz, sample_rate_hz)
    offset = max(0, round(-start_s * sample_rate_hz))
    n = min(len(samples), len(excerpt) - offset)
    excerpt[offset : offset + n] = samples[:n]
    return excerpt


def format_flac(samples: NDArray[np.float32], sample_rate_hz: int, *, comment: str | None = None) -> bytes:
    """Mono samples as the bytes of a 16-bit FLAC.

    They are made in memory: libsndfile writes the end of a file when it closes it, and does not report a full disk then.

    Args:
        samples: shape (n_samples,), full scale 1.
    """
    content = io.BytesIO()
    with soundfile.SoundFile(content, "w", sample_rate_hz, 1, subtype="PCM_16", format="FLAC") as file:
        if comment is not None:
            file.comment = comment
        file.write(samples)
    return content.getvalue()


def is_whole_flac(path: Path) -> bool:
    """Whether a 16-bit FLAC still holds the sound that it was written with.

    Source: RFC 9639, section 8.2: STREAMINFO, the first block, ends in the MD5 digest of the samples.
    """
    try:
        content = path.read_bytes()
        samples, _ = soundfile.read(io.BytesIO(content), dtype="int16")
    except (OSError, soundfile.LibsndfileError):
        return False
    return content.startswith(b"fLaC") and content[26:42] == hashlib.md5(samples.astype("<i2"), usedforsecurity=False).digest()


def require_sound(block: NDArray[np.floating], n_before: int, sample_rate_hz: int, where: object) -> None:
    """Refuses samples that cannot be sound.

    Args:
        block: shape (n_samples,), full scale at ±1.
        n_before: how many samples of the recording lie before the block.
        where: the file or the recording.

    Raises:
        DataError: a sample is not finite, or too large.
    """
    sound = np.abs(block) <= min(_LOUDEST, float(np.finfo(block.dtype).max))  # false for not-a-number
    if not sound.all():
        first = int(np.argmin(sound))
        what = "too large to be sound" if np.isfinite(block[first]) else "not finite"
        first_s = (n_before + first) / sample_rate_hz
        raise DataError(f"the audio holds samples that are {what}", where=where, got=f"the first at {first_s:.3f} s")


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[soundfile.SoundFile]:
    _require_file(path)
    try:
        if path.suffix.lower() not in _STREAMED_SUFFIXES:
            with soundfile.SoundFile(os.fsencode(path)) as file:  # as text, a name must be UTF-8
                yield file
        else:  # by its descriptor, which shows afterwards how far it was read
            with path.open("rb") as content, soundfile.SoundFile(content.fileno(), closefd=False) as file:
                yield file
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: a .raw file, which does not say its rate
        reason = _reason(error)
        # A file opened by its descriptor has no name, so libsndfile looks for its resource fork in the current folder.
        hint = "something called ._ or .AppleDouble lies where you are, and is taken for a part of it: go to another folder"
        raise DataError(
            f"this audio cannot be read: {reason}",
            where=path,
            expected="WAV, FLAC, OGG or MP3",
            hint=hint if "resource fork" in reason else None,
        ) from None
    except OSError as error:
        raise DataError(f"the file cannot be read: {error.strerror}", where=path) from None


def _info(file: soundfile.SoundFile, path: Path) -> AudioInfo:
    _require_length(file.frames, file.samplerate, path)
    claimed, there, unit = _claim(file.extra_info)
    if there < (1.0 - _MAX_SHORTFALL) * claimed:
        raise DataError(
            "the audio is cut off",
            where=path,
            expected=f"{claimed:,} {unit}, as its header says",
            got=f"{there:,} {unit}",
            hint="copy it again; if this is all there is, write a true header: sox --ignore-length IN.wav OUT.wav",
        )
    duration_s = file.frames / file.samplerate
    missing_s = duration_s * (claimed / there - 1.0) if there > 0 else 0.0
    return AudioInfo(duration_s, file.samplerate, file.channels, file.frames, missing_s)


def _claim(header_log: str) -> tuple[int, int, str]:
    """What a WAV's or an AIFF's header claims, what the file holds, and the unit; zeros unless libsndfile found them to differ.

    A program that writes into a pipe doesn't know the length and claims about two or four gigabytes, which is no claim.
    """
    plain, long = _CLAIM.search(header_log), _LONG_CLAIM.search(header_log)
    if long is not None:
        return int(long["claimed"]), int(long["there"]), "samples"
    if plain is not None and int(plain["claimed"]) < _UNKNOWN_BYTES:
        return int(plain["claimed"]), int(plain["there"]), "bytes"
    return 0, 0, "bytes"


def _mono_blocks(file: soundfile.SoundFile, info: AudioInfo, path: Path) -> Iterator[NDArray[np.float32]]:
    n_read, full_scale = 0, _full_scale(file)
    while True:
        block = file.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)
        if not len(block):
            break
        mono = _mono(block, full_scale)
        require_sound(mono, n_read, info.sample_rate_hz, path)
        n_read += len(block)
        if n_read > MAX_DURATION_S * info.sample_rate_hz:
            raise DataError("the audio is too long", where=path, expected=f"at most {MAX_DURATION_S / 3600:.0f} hours")
        yield mono
    if n_read < (1.0 - _MAX_SHORTFALL) * info.n_samples:
        raise DataError(
            "the audio is cut off",
            where=path,
            expected=f"{info.duration_s:.3f} s, as its header says",
            got=f"{n_read / info.sample_rate_hz:.3f} s",
        )
    if isinstance(file.name, int):
        _require_read_to_its_end(file.name, n_read / info.sample_rate_hz, path)


def _full_scale(file: soundfile.SoundFile) -> float:
    """What to divide the samples by: 1, except for integers written as floats, known by their peak; rewinds the file."""
    if file.subtype not in ("FLOAT", "DOUBLE"):
        return 1.0
    peak = max((float(np.abs(block).max()) for block in file.blocks(_BLOCK_FRAMES, dtype="float32")), default=0.0)
    file.seek(0)
    return next((scale for scale in _FULL_SCALES if peak <= _HEADROOM * scale), 1.0)


def _require_read_to_its_end(descriptor: int, read_s: float, path: Path) -> None:
    """libsndfile stops where the header says, or by its own estimate; joined files go on there, and are refused."""
    n_bytes, at_byte = os.fstat(descriptor).st_size, os.lseek(descriptor, 0, os.SEEK_CUR)
    if n_bytes - at_byte > _MAX_SHORTFALL * n_bytes and _GOES_ON.search(os.pread(descriptor, 1 << 16, at_byte)):
        raise DataError(
            "the audio continues past the end that its header states",
            where=path,
            expected="one stream",
            got=f"{read_s:.3f} s in the first {at_byte} of {n_bytes} bytes",
            hint="convert it, so that nothing is left out: ffmpeg -i talk.mp3 talk.flac",
        )


def _mono(block: NDArray[np.float32], full_scale: float) -> NDArray[np.float32]:
    """The mean of the channels, full scale at ±1; not a number where channels are infinite with opposite signs."""
    with np.errstate(invalid="ignore", over="ignore"):  # the caller checks whether the result is finite
        return np.asarray((block[:, 0] if block.shape[1] == 1 else block.mean(axis=1)) / full_scale)


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise DataError("there is no such audio file" if not path.exists() else "this is not a file", where=path)


def _require_length(n_samples: int, sample_rate_hz: int, path: Path) -> None:
    if not 0 < n_samples <= MAX_DURATION_S * sample_rate_hz:
        raise DataError(
            "the audio is empty" if n_samples == 0 else "the header claims an impossible length",
            where=path,
            expected=f"between one sample and {MAX_DURATION_S / 3600:.0f} hours",
            got=f"{n_samples} samples at {sample_rate_hz} Hz",
            hint="convert it again, for instance with ffmpeg or sox",
        )
    if sample_rate_hz < _MIN_RATE_HZ:  # at so low a rate, a file of a few bytes would become hours at 16 kHz
        raise DataError(
            "this sampling rate is too low for speech",
            where=path,
            expected=f"at least {_MIN_RATE_HZ} Hz",
            got=f"{sample_rate_hz} Hz",
        )


def _finite(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """The samples with silence where they are not finite: an excerpt is for people to see and hear."""
    return np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)


def _resampled(blocks: Iterator[NDArray[np.float32]], from_hz: int, to_hz: int) -> Iterator[NDArray[np.float32]]:
    stream = soxr.ResampleStream(from_hz, to_hz, num_channels=1, dtype="float32")
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def _reason(error: Exception) -> str:
    text = str(getattr(error, "error_string", error)).rstrip(".")
    return text[:1].lower() + text[1:]
