"""The file that `brefine calibrate` writes; it can be checked without torch, before a diarizer has worked for hours."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from brefine.errors import DataError, FormatError
from brefine.io.shipped import shipped_weights
from brefine.phasedir.document import Document, Part
from brefine.phasedir.training import CheckpointCard


class HeldOut(Part):
    """Labelled recordings, each refined with what the other recordings' labels teach (`with`) and without labels (`without`).

    Attributes:
        n_groups: groups of recordings; no two groups share a speaker by name. The interval resamples groups.
        mae_before_ms: MAE of the labelled boundaries as the system has them, matched within 1 s; the other two MAEs are of the
            same boundaries.
        der_before: at collar 0, overlap scored, in the labelled part; a fraction.
        interval: 95 % bootstrap over groups of 1 − der_with/der_without, positive = better with labels; None if it has no
            bounds.
    """

    n_groups: int
    mae_before_ms: float
    mae_without_ms: float
    mae_with_ms: float
    der_before: float
    der_without: float
    der_with: float
    interval: tuple[float, float] | None

    @property
    def der_relative(self) -> float:
        """1 − der_with/der_without, the figure of `interval`; 0 if `der_without` is 0."""
        return 1.0 - self.der_with / self.der_without if self.der_without else 0.0


class Calibration(Document):
    """What was learnt from labels.

    Attributes:
        weights_sha256: digest of the refiner's weights; the constants do not fit another refiner.
        weights: one for each of `scales_s`, like `change_weights`.
        change_weights: None in files of versions that did not distinguish changes from other boundaries.
        mae_before_ms: MAE of the labelled boundaries as the system has them, matched within 1 s.
        mae_after_ms: MAE after refinement with these constants; it flatters, since they were fitted on the same boundaries.
        held_out: figures that do not flatter; None if too little is labelled for them, and in files of earlier versions.
    """

    weights_sha256: str
    scales_s: list[float]
    weights: list[float]
    change_weights: list[float] | None = None
    habit_s: tuple[float, float]
    margin_s: tuple[float, float]
    doubt: float = Field(ge=0.0, le=1.0)
    n_recordings: int
    n_boundaries: int
    mae_before_ms: float
    mae_after_ms: float
    held_out: HeldOut | None = None

    @model_validator(mode="after")
    def _one_weight_a_scale(self) -> Self:
        if any(len(own) != len(self.scales_s) for own in (self.weights, self.change_weights or self.weights)):
            raise ValueError("weights and change_weights need one number for each of scales_s")
        return self

    @classmethod
    def read_for(cls, path: Path, weights_sha256: str) -> Self:
        """The calibration in a file, for the refiner with these weights.

        Raises:
            FormatError: the file is not a calibration, or is one for other weights.
            DataError: there is no such file.
        """
        try:
            found = cls.read(path)
        except FileNotFoundError:
            raise DataError("there is no such calibration", where=path, hint="make one: brefine calibrate") from None
        if found.weights_sha256 != weights_sha256:
            raise FormatError("the calibration was made with other weights", where=path, hint="make it again: brefine calibrate")
        return found


def refuse_unusable(weights: Path | None, calibration: Path | None) -> None:
    """Refuses at once what a refiner would refuse only after torch has loaded, or after a diarizer has worked for hours.

    Args:
        weights: None = those that ship with brefine.
        calibration: None = refine without one.

    Raises:
        CheckpointError: the weights are missing, torn, or were not written by brefine.
        FormatError: the file is not a calibration, or is one for other weights.
        DataError: there is no such calibration.
    """
    card = CheckpointCard.of_weights(weights or shipped_weights())
    if calibration is not None:
        Calibration.read_for(calibration, card.weights_sha256)
