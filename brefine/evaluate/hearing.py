"""What a model says of a recording, kept in a safetensors file: asking is what takes the time of a refinement."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import safetensors.torch as safetensors_torch
import torch
from safetensors import SafetensorError, safe_open

from brefine.core.turns import Diarization
from brefine.evaluate.moves import HeardRecording, movable
from brefine.io.atomic import write_bytes_atomic
from brefine.models.error_prior import Reading

_COLUMNS = tuple(column.name for column in fields(Reading) if column.name != "hop_s")


def write_heard(path: Path, key: str, heard: HeardRecording) -> None:
    """Keeps the reading under a key that says what it is of."""
    reading = heard.reading
    tensors = {} if reading is None else {name: getattr(reading, name).contiguous() for name in _COLUMNS}
    hop_s = "" if reading is None else repr(reading.hop_s)
    write_bytes_atomic(path, safetensors_torch.save(tensors, {"key": key, "hop_s": hop_s}))


def read_heard(path: Path, key: str, hypothesis: Diarization, duration_s: float) -> HeardRecording | None:
    """What was kept for the same question; None where there is none, or it cannot be used."""
    hypothesis = hypothesis.clipped(0.0, duration_s)
    boundaries = movable(hypothesis, duration_s)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("key") != key:
                return None
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (safe_open is no mapping)
        hop_s = float(metadata["hop_s"] or "nan")
    except (FileNotFoundError, OSError, SafetensorError, KeyError, ValueError):
        return None
    if not tensors:
        return HeardRecording(hypothesis, duration_s, boundaries, None) if not boundaries else None
    if set(tensors) != set(_COLUMNS) or any(len(tensor) != len(boundaries) for tensor in tensors.values()):
        return None
    tensors["onset_B"] = tensors["onset_B"].to(torch.bool)
    return HeardRecording(hypothesis, duration_s, boundaries, Reading(**tensors, hop_s=hop_s))
