"""The frames of a corpus, computed once and memory-mapped afterwards.

A store is two files: `log_mel-<key>.f16`, all recordings' frames one after the other as little-endian float16, and
`log_mel.json`, the index that names it. The key is a digest of every audio file's content and of `analysis_of` the parameters.
The index is written last, atomically: a writer that is killed leaves the old store or none, never a partial one.
"""

from __future__ import annotations

import errno
import hashlib
import os
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import as_completed
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from brefine.config import FeatureConfig
from brefine.data.features import analyse_into, analysis_of, n_columns_of, n_frames_of
from brefine.data.workers import worker_processes
from brefine.errors import DataError, FormatError
from brefine.io.atomic import file_digest, read_json, write_json_atomic
from brefine.io.audio import audio_blocks, probe_audio

_INDEX: Final = "log_mel.json"


@dataclass(frozen=True, slots=True, eq=False)
class FeatureStore:
    """The frames of a corpus; `store[name]` is one recording's, as `analyse` makes them, float16, not normalised."""

    config: FeatureConfig
    spans: Mapping[str, tuple[int, int]]
    """Recording → first frame and one past the last."""
    frames_NF: NDArray[np.float16]

    def __getitem__(self, recording: str) -> NDArray[np.float16]:
        start, end = self.spans[recording]
        return self.frames_NF[start:end]


def is_built(folder: Path, audio: Mapping[str, Path], config: FeatureConfig, *, known: Mapping[str, str]) -> bool:
    """Whether `folder` has a complete store with this content and analysis.

    Args:
        known: recording → SHA-256 of its audio file, if known; the audio of the others is read.

    Raises:
        DataError: an audio file cannot be read.
    """
    return _kept_key(folder) is not None and _has(folder, _key(audio, config, known), config)


def _has(folder: Path, key: str, config: FeatureConfig) -> bool:
    """Whether the store of this key exists and is complete: one that `open_store` refuses is made again, as its error says."""
    if _kept_key(folder) != key:
        return False
    try:
        open_store(folder, config)
    except DataError:
        return False
    return True


def build_store(
    folder: Path,
    audio: Mapping[str, Path],
    config: FeatureConfig,
    *,
    known: Mapping[str, str] = MappingProxyType({}),
    n_processes: int = 1,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Makes the store in `folder`, unless it has a complete one with the same content and analysis.

    Only one process may do so at a time: files left by one that was killed are removed first, so that a full disk is freed.

    Args:
        audio: recording → its audio file.
        known: as in `is_built`.
        on_progress: called with recordings done and recordings in all.

    Raises:
        DataError: an audio file cannot be read.
        OSError: the disk has no room for the frames; raised before any is computed.
        ProcessError: a worker process was killed.
    """
    for left in folder.glob(".log_mel-*.tmp"):
        left.unlink(missing_ok=True)
    key = _key(audio, config, known)
    data = folder / f"log_mel-{key}.f16"
    if _has(folder, key, config):
        on_progress(len(audio), len(audio))
        return
    folder.mkdir(parents=True, exist_ok=True)
    spans, n_frames = {}, 0
    for name, path in audio.items():
        info = probe_audio(path)
        n_samples = info.n_samples * config.sample_rate_hz // info.sample_rate_hz
        spans[name] = (n_frames, n_frames + n_frames_of(n_samples, config))
        n_frames = spans[name][1]
    temporary = folder / f".{data.name}.{uuid.uuid4().hex}.tmp"
    try:
        _reserve(temporary, n_frames * n_columns_of(config) * 2)
        _fill(temporary, audio, spans, config, n_processes, on_progress)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(data)
    finally:
        temporary.unlink(missing_ok=True)
    _write_index(folder, data, key, spans, config)
    for stale in folder.glob("log_mel-*.f16"):
        if stale != data:
            stale.unlink(missing_ok=True)


def write_store(folder: Path, frames: Mapping[str, NDArray[np.float16]], config: FeatureConfig) -> None:
    """Makes a store of given frames, recording → log_mel_NF."""
    folder.mkdir(parents=True, exist_ok=True)
    spans, start = {}, 0
    data = folder / "log_mel-given.f16"
    with data.open("wb") as file:
        for name, log_mel_NF in frames.items():
            file.write(log_mel_NF.tobytes())
            spans[name] = (start, start + len(log_mel_NF))
            start += len(log_mel_NF)
    _write_index(folder, data, "given", spans, config)


def open_store(folder: Path, config: FeatureConfig) -> FeatureStore:
    """Maps the store of `folder`, even one of an earlier version of the analysis: a phase goes on with the frames it began with.

    Raises:
        DataError: there is no store, it was made with other parameters, or its data file is short.
    """
    hint = "run `brefine prepare` again: it makes the feature store"
    try:
        index = read_json(folder / _INDEX)
        found = FeatureConfig.model_validate(index["features"])
        spans = {name: (int(start), int(end)) for name, (start, end) in index["spans"].items()}
        data = folder / Path(index["data"]).name
        n_data_bytes = data.stat().st_size if data.exists() else 0
    except (OSError, FormatError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise DataError("there is no feature store", where=folder, got=error, hint=hint) from None
    if found != config:
        raise DataError("the feature store was made with other parameters", where=folder, expected=config, got=found, hint=hint)
    n_frames = max((end for _, end in spans.values()), default=0)
    expected_bytes, sound = n_frames * n_columns_of(config) * 2, all(0 <= start < end for start, end in spans.values())
    if n_data_bytes != expected_bytes or n_frames == 0 or not sound:
        raise DataError(
            "the feature store is torn", where=data, expected=f"{expected_bytes} bytes", got=f"{n_data_bytes} bytes", hint=hint
        )
    return FeatureStore(config, spans, np.memmap(data, np.float16, "r", shape=(n_frames, n_columns_of(config))))


def _write_index(folder: Path, data: Path, key: str, spans: Mapping[str, tuple[int, int]], config: FeatureConfig) -> None:
    index = {"schema": 1, "key": key, "data": data.name, "features": config.model_dump(mode="json"), "spans": spans}
    write_json_atomic(folder / _INDEX, index)


def _kept_key(folder: Path) -> Any:
    """The key of the folder's store; None if there is none, or if its index is torn and it has to be made again."""
    try:
        index = read_json(folder / _INDEX)
    except (FileNotFoundError, FormatError):
        return None
    return index.get("key") if isinstance(index, dict) else None


def _key(audio: Mapping[str, Path], config: FeatureConfig, known: Mapping[str, str]) -> str:
    digest = hashlib.sha256(analysis_of(config).encode())
    for name, path in audio.items():
        digest.update(name.encode())
        try:
            digest.update(bytes.fromhex(known.get(name) or file_digest(path)))
        except OSError as error:
            raise DataError(f"the audio of {name} cannot be read: {error.strerror}", where=path) from None
    return digest.hexdigest()[:16]


def _reserve(path: Path, n_bytes: int) -> None:
    """Makes a file of zeros whose room on the disk is reserved: without room, writing to the mapped file would kill the process.

    If the disk cannot reserve room, the file is sparse.

    Raises:
        OSError: there is no room.
    """
    with path.open("wb") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, n_bytes)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
                error.filename = str(path.parent)  # not the temporary file, which means nothing to a user
                raise
            file.truncate(n_bytes)


def _fill(
    data: Path,
    audio: Mapping[str, Path],
    spans: Mapping[str, tuple[int, int]],
    config: FeatureConfig,
    n_processes: int,
    on_progress: Callable[[int, int], None],
) -> None:
    n_frames = max(end for _, end in spans.values())
    tasks = [(data, path, spans[name], n_frames, config.model_dump()) for name, path in audio.items()]
    if n_processes <= 1:
        for done, task in enumerate(tasks, start=1):
            _write_recording(*task)
            on_progress(done, len(tasks))
        return
    with worker_processes(n_processes) as pool:
        pending = [pool.submit(_write_recording, *task) for task in tasks]
        for done, future in enumerate(as_completed(pending), start=1):
            future.result()
            on_progress(done, len(tasks))


def _write_recording(data: Path, audio: Path, span: tuple[int, int], n_frames: int, config: dict[str, object]) -> None:
    features = FeatureConfig.model_validate(config)
    store = np.memmap(data, np.float16, "r+", shape=(n_frames, n_columns_of(features)))
    # resampling may round the length by a sample: the span that was reserved decides
    analyse_into(store[slice(*span)], lambda: audio_blocks(audio, sample_rate_hz=features.sample_rate_hz), features)
    store.flush()
