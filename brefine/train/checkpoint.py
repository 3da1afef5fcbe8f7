"""The full state of a training on disk: whole or absent, checked when read, never unpickled.

`last.state` holds what a training needs to go on as if it had never stopped; `previous.state` is the one before, used if the last
is torn. Each is a torch file that loads with `weights_only=True`: a digest, and the bytes of the real state. (Torch
itself does not notice flipped bytes.)
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from brefine.config import ModelName, PhaseConfig, prepared_corpus_path
from brefine.errors import CheckpointError, RunError, is_out_of_memory
from brefine.io.atomic import write_bytes_atomic
from brefine.phasedir import RunDir, Validation, folder_argument
from brefine.train.optim import WeightAverage

_SCHEMA = 1


@dataclass(slots=True)
class TrainingState:
    """What changes from step to step. Everything else is a function of the recipe, the corpus and `step`."""

    model: nn.Module
    average: WeightAverage
    optimizer: torch.optim.Optimizer
    step: int = 0
    """Optimiser steps done, including skipped ones."""
    rate_scale: float = 1.0
    """Factor on the learning rate; halved by each rollback."""
    n_nonfinite: int = 0
    loss_sum: float = 0.0
    n_losses: int = 0
    """Losses since the last scalar was written."""
    last: Validation | None = None
    best: Validation | None = None

    def pack(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "rate_scale": self.rate_scale,
            "n_nonfinite": self.n_nonfinite,
            "loss_sum": self.loss_sum,
            "n_losses": self.n_losses,
            "last": None if self.last is None else self.last.model_dump(),
            "best": None if self.best is None else self.best.model_dump(),
        }

    def unpack(self, packed: dict[str, Any]) -> None:
        self.unpack_weights(packed)
        self.step, self.rate_scale, self.n_nonfinite = packed["step"], packed["rate_scale"], packed["n_nonfinite"]
        self.loss_sum, self.n_losses = packed["loss_sum"], packed["n_losses"]
        self.last = None if packed["last"] is None else Validation(**packed["last"])
        self.best = None if packed["best"] is None else Validation(**packed["best"])

    def begin_with(self, weights: Mapping[str, Tensor]) -> None:
        """Takes weights that were trained before; moments and step begin at zero."""
        self.model.load_state_dict(weights)
        self.average.load_state_dict(self.model.state_dict())

    def unpack_weights(self, packed: dict[str, Any]) -> None:
        """Takes weights, their average and the optimiser's moments back, and leaves the step where it is."""
        self.model.load_state_dict(packed["model"])
        self.average.load_state_dict(packed["average"])
        self.optimizer.load_state_dict(packed["optimizer"])


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """The state files of one run.

    Args:
        fingerprint: of everything that the state depends on; a file with a different one is foreign.
    """

    run: RunDir
    fingerprint: str

    @property
    def _files(self) -> tuple[Path, Path]:
        return self.run.training_state, self.run.training_state.with_name("previous.state")

    def save(self, state: TrainingState) -> None:
        """Makes the last state the previous one, and this the last; if killed in between, at least one of them is whole."""
        inner = io.BytesIO()
        torch.save(state.pack(), inner)
        payload = inner.getbuffer()
        outer = io.BytesIO()
        torch.save(
            {
                "schema": _SCHEMA,
                "fingerprint": self.fingerprint,
                "sha256": hashlib.sha256(payload).hexdigest(),
                "payload": torch.frombuffer(payload, dtype=torch.uint8),
            },
            outer,
        )
        last, previous = self._files
        if last.exists():
            _give_second_name(last, previous)
        write_bytes_atomic(last, outer.getvalue())

    def load(self) -> tuple[dict[str, Any] | None, list[str]]:
        """The newest whole state, packed, and a word on each file that was refused; None if there is no state yet.

        Raises:
            CheckpointError: there are files, but none is whole and of this training. If each is torn or foreign, another try
                would find the same, and the exit code is that of a training that failed.
            MemoryError, RuntimeError: there is no memory to read one, which says nothing about the files.
        """
        refused: list[CheckpointError] = []
        there = [path for path in self._files if path.exists()]
        for path in there:
            try:
                return self._read(path), [str(error) for error in refused]
            except CheckpointError as error:
                refused.append(error)
        if refused:
            raise self._none_of(there, refused)
        return None, []

    def _none_of(self, there: Sequence[Path], refused: Sequence[CheckpointError]) -> CheckpointError:
        none = CheckpointError(
            "no checkpoint of this run can be used", where=self.run.checkpoints, problems=[str(error) for error in refused]
        )
        if any(isinstance(error, _UnreadError) for error in refused):
            phase = folder_argument(self.run.path.parent)
            return none.with_hint(f"what cannot be read may be whole: when it can, `brefine resume {phase}` goes on")
        names = " and ".join(path.name for path in there)
        none = none.with_hint(f"to train from the start, remove {names} there; all else may stay")
        none.exit_code = RunError.exit_code
        return none

    def _read(self, path: Path) -> dict[str, Any]:
        try:
            content = path.read_bytes()
            outer = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
            payload = outer["payload"].numpy().tobytes()
            whole = hashlib.sha256(payload).hexdigest() == outer["sha256"]
            schema, fingerprint = outer["schema"], outer["fingerprint"]
        except OSError as error:
            raise _UnreadError(f"the checkpoint cannot be read: {error.strerror or error}", where=path) from None
        except Exception as error:  # torch raises many for a torn file: zip, pickle, key, type, end of file …
            if is_out_of_memory(error):
                raise
            got = f"{len(content):,} bytes that are none"
            raise CheckpointError("the checkpoint is torn", where=path, expected="a whole state", got=got) from None
        if not whole:
            raise CheckpointError("the checkpoint is torn", where=path, expected="the digest of its content")
        if schema != _SCHEMA:
            written = "the checkpoint was written by another version of brefine"
            raise CheckpointError(written, where=path, expected=f"schema {_SCHEMA}", got=f"schema {schema}")
        if fingerprint != self.fingerprint:
            raise CheckpointError(
                "the checkpoint belongs to another training", where=path, expected=self.fingerprint, got=fingerprint
            )
        try:
            packed: dict[str, Any] = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
        except Exception as error:
            if is_out_of_memory(error):
                raise
            # without torch's own words, which advise to unpickle
            raise _UnreadError(
                "the checkpoint is whole, but torch cannot read it", where=path, got=type(error).__name__
            ) from error
        return packed


def _give_second_name(path: Path, second: Path) -> None:
    """Makes `second` the same file as `path`; if killed in between, `second` is the old one or the new one, and whole."""
    spare = second.with_suffix(".tmp")
    spare.unlink(missing_ok=True)
    try:
        os.link(path, spare)
    except OSError:  # file systems without hard links (FAT, exFAT, mounts of buckets) raise different ones
        write_bytes_atomic(second, path.read_bytes())
    else:
        spare.replace(second)


class _UnreadError(CheckpointError):
    """The file could not be read, or may be whole: no reason to remove it."""


def fingerprint_of(config: PhaseConfig, model: ModelName, corpus_sha256: str, started_from_sha256: str | None = None) -> str:
    """A digest of everything that decides how a training goes: model, data, seed and settings.

    Args:
        corpus_sha256: fingerprint of the prepared corpus, since a folder may be prepared again with other splits.
        started_from_sha256: of the weights that it began with; None = random ones.
    """
    sections: dict[str, object] = {
        "model": model,
        "corpus": [prepared_corpus_path(config).name, corpus_sha256],
        "seed": config.seed,
        "features": config.features.model_dump(mode="json"),
        "examples": config.examples.model_dump(mode="json"),
        "train": config.train_of(model).model_dump(mode="json", exclude={"log_every_s", "threads", "capture", "start"}),
    }
    if started_from_sha256 is not None:
        sections["started_from"] = started_from_sha256
    return hashlib.sha256(json.dumps(sections, sort_keys=True).encode()).hexdigest()[:16]
