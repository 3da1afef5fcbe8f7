"""What a trainer writes: its curves' names, its word about itself, and the card beside its weights."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Self

from pydantic import ValidationError
from safetensors import SafetensorError, safe_open

from brefine.config import MODEL_NAMES, ExampleConfig, FeatureConfig, ModelName
from brefine.errors import CheckpointError
from brefine.identity import ProcessIdentity
from brefine.phasedir.document import Document, Part, UnixTime
from brefine.phasedir.folders import PhaseDir

TRAINERS_VARIABLE = "BREFINE_TRAINERS"
"""Environment variable: how many trainers of the phase share this trainer's GPUs, itself included; unset = only this one."""


class Tag(StrEnum):
    """The scalars of a training, as named in its TensorBoard event files. `step` counts optimiser steps."""

    LOSS = "train/loss"
    LEARNING_RATE = "train/learning_rate"
    GRADIENT_NORM = "train/gradient_norm"
    EXAMPLES_PER_S = "train/examples_per_s"
    EPOCH = "train/epoch"
    VALIDATION_LOSS = "validation/loss"
    VALIDATION_MAE_MS = "validation/mae_ms"
    VALIDATION_MEDIAN_MS = "validation/median_ms"
    WITHIN_50MS = "validation/within_50ms"
    WITHIN_100MS = "validation/within_100ms"
    WITHIN_200MS = "validation/within_200ms"
    UNREFINED_MAE_MS = "validation/unrefined_mae_ms"
    DEVICE_MEMORY_BYTES = "system/device_memory_bytes"
    NONFINITE = "train/nonfinite"
    """Text, not a curve: what was non-finite, and every example of its batch."""


class RunState(StrEnum):
    """What a trainer says about itself. STALLED and LOST are derived by readers, never written."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPED = "stopped"
    FINISHED = "finished"
    FAILED = "failed"
    NONFINITE = "nonfinite"


class Validation(Part):
    """One pass over the validation examples (matched boundaries within the model's context)."""

    step: int
    epoch: int
    loss: float | None
    mae_ms: float | None
    median_ms: float | None
    within_50ms: float | None
    within_100ms: float | None
    within_200ms: float | None
    confidence: float | None = None
    """Mean of the probability, by the model itself, of lying within 100 ms; see `models.heads.mean_confidence`."""


class RunStatus(Document):
    """A trainer's status, as it reports it."""

    model: ModelName
    state: RunState
    process: ProcessIdentity
    step: int
    n_steps: int
    epoch: int
    n_epochs: int
    started_unix_s: UnixTime
    heartbeat_unix_s: UnixTime
    device: str
    loss: float | None = None
    examples_per_s: float | None = None
    steps_per_s: float | None = None
    eta_s: float | None = None
    unrefined_mae_ms: float | None = None
    """MAE of the same validation examples without refinement."""
    last: Validation | None = None
    best: Validation | None = None
    n_nonfinite: int = 0
    nonfinite_batch: list[str] = []
    """The examples of the last batch that was not finite: `ES2011a at 3.20 s`, hypothesised times."""
    message: str | None = None
    """Something the person should know now: `rolled back to step 9,400 (non-finite gradient)`."""
    error: str | None = None


CARD_KEY: Final = "brefine_card"
"""The metadata key of a weights file under which it carries its card."""
OTHER_WEIGHTS: Final = "use checkpoints/best.safetensors of a run, or train again"
"""What to do if a file does not contain weights."""


class CheckpointCard(Document):
    """The metrics beside the weights, so that a checkpoint can be chosen without torch."""

    model: ModelName
    n_parameters: int
    validation: Validation | None
    weights_sha256: str
    config: dict[str, Any]
    """The recipe's sections from which the model and its inputs are rebuilt: features, examples."""
    members: list[ModelName] = []
    """The architectures of an ensemble, of which `model` is the first; none = a single model."""
    prior: dict[str, float] = {}
    """Distribution of the errors that it was trained on: weights of a mixture, by scale, e.g. trained_120ms."""
    corpus_sha256: str | None = None
    """Fingerprint of the prepared corpus that it was trained on."""
    started_from_sha256: str | None = None
    """`weights_sha256` of the weights that its training began with; None = random weights."""

    @classmethod
    def of_weights(cls, path: Path, *, hint: str = OTHER_WEIGHTS) -> Self:
        """The card that a weights file carries; its tensors are not read.

        Args:
            hint: what to do if the file cannot be used.

        Raises:
            CheckpointError: the file is missing, torn, or was not written by brefine.
        """
        if path.exists() and not path.is_file() and not path.is_dir():  # a pipe without a writer would be waited for for ever
            raise CheckpointError("the weights are not a regular file", where=path, hint=hint)
        try:
            with safe_open(path, framework="np") as file:
                return cls.model_validate_json((file.metadata() or {})[CARD_KEY])
        except FileNotFoundError:
            raise CheckpointError("there are no such weights", where=path, hint=hint) from None
        except (SafetensorError, OSError) as error:
            raise CheckpointError("the weights are torn, or not a safetensors file", where=path, got=error, hint=hint) from None
        except (KeyError, ValidationError):
            raise CheckpointError(
                "these weights were not written by brefine", where=path, expected=f"a card under {CARD_KEY!r}", hint=hint
            ) from None

    @classmethod
    def in_weights(cls, path: Path) -> Self | None:
        """Like `of_weights`, but None if no card can be read."""
        try:
            return cls.of_weights(path)
        except CheckpointError:
            return None

    @property
    def is_its_start(self) -> bool:
        """Whether these are the weights that the training began with, because no later validation was better."""
        return self.started_from_sha256 is not None and self.validation is not None and self.validation.step == 0

    def other_inputs(self, features: FeatureConfig, examples: ExampleConfig) -> dict[str, Any]:
        """Recipe key → the setting of the model's input that these weights were trained with, for settings that differ from the
        given ones.

        Raises:
            ValidationError: the card holds settings that this version does not know.
        """
        theirs = _inputs(
            FeatureConfig.model_validate(self.config["features"]), ExampleConfig.model_validate(self.config["examples"])
        )
        ours = _inputs(features, examples)
        return {name: value for name, value in theirs.items() if ours[name] != value}


def _inputs(features: FeatureConfig, examples: ExampleConfig) -> dict[str, Any]:
    return {f"features.{name}": value for name, value in features.model_dump().items()} | {
        "examples.context_s": examples.context_s
    }


def read_statuses(phase: PhaseDir) -> dict[ModelName, RunStatus]:
    """Model → its trainer's last status, if it can be read; works also if the phase has lost its recipe.

    For a trainer in the foreground, or one whose supervisor was killed, the status is the only source.
    """
    told = {model: RunStatus.read_if_sound(phase.run(model).status) for model in MODEL_NAMES}
    return {model: status for model, status in told.items() if status is not None}
