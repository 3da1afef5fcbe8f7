"""What a model says of a recording, kept in a safetensors file: asking the model is the slow part of a refinement."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path

import safetensors.torch as safetensors_torch
import torch
from safetensors import SafetensorError, safe_open

from brefine.core.boundaries import TOUCHING_S
from brefine.core.turns import Diarization
from brefine.evaluate.movable import BRIDGED_S, movable
from brefine.evaluate.moves import HeardRecording, hear_recording
from brefine.evaluate.recordings import GivenRecording, GivenSplit
from brefine.io.atomic import write_bytes_atomic
from brefine.io.rttm import format_rttm
from brefine.models.reading import COLUMNS, Reading
from brefine.models.weights import Refiner

READING_VERSION = 4
"""Version of the code between frames and reading: `data.nearby`, `features.normalise`, `data.evidence`, `data.batches`, `models`,
`core.touching_changes` and `movable`. Raise it with any change there that changes readings, so that older ones are not used
again."""


def hear_kept(kept: Path, refiner: Refiner, split: GivenSplit, given: GivenRecording) -> HeardRecording:
    """What the model says of a recording of a split: kept from an earlier call, or computed now and kept."""
    heard = kept_heard(kept, refiner, split, given)
    if heard is None:
        heard = hear_recording(refiner, split.frames(given, refiner), given.hypothesis, duration_s=given.duration_s)
        with contextlib.suppress(FileNotFoundError):  # an evaluation that has ended removes the folder
            write_heard(kept, _key(refiner, split, given), heard)
    return heard


def kept_heard(kept: Path, refiner: Refiner, split: GivenSplit, given: GivenRecording) -> HeardRecording | None:
    """The reading that was kept for this recording's audio, this hypothesis and these weights; None if there is none."""
    if not kept.is_file():
        return None
    return read_heard(kept, _key(refiner, split, given), given.hypothesis, given.duration_s)


def _key(refiner: Refiner, split: GivenSplit, given: GivenRecording) -> str:
    """Digest of everything that a reading depends on."""
    content = [
        READING_VERSION,
        TOUCHING_S,
        BRIDGED_S,
        refiner.card.weights_sha256,
        refiner.card.prior,
        refiner.at_home,
        split.digest(given, refiner),
        given.duration_s,
        format_rttm(given.hypothesis.clipped(0.0, given.duration_s)),
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def write_heard(path: Path, key: str, heard: HeardRecording) -> None:
    """Writes the reading with a key of everything that it depends on."""
    reading = heard.reading
    tensors = {} if reading is None else {name: getattr(reading, name).contiguous() for name in COLUMNS}
    hop_s = "" if reading is None else repr(reading.hop_s)
    write_bytes_atomic(path, safetensors_torch.save(tensors, {"key": key, "hop_s": hop_s}))


def read_heard(path: Path, key: str, hypothesis: Diarization, duration_s: float) -> HeardRecording | None:
    """The reading that was kept with the same key; None if there is none, or if it cannot be used."""
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
    if set(tensors) != set(COLUMNS) or any(len(tensor) != len(boundaries) for tensor in tensors.values()):
        return None
    for name in ("onset_B", "change_B"):
        tensors[name] = tensors[name].to(torch.bool)
    return HeardRecording(hypothesis, duration_s, boundaries, Reading(**tensors, hop_s=hop_s))
