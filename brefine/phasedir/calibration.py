"""The file of `brefine calibrate`: it lies where a person puts it, and can be checked without torch before a diarizer's hours."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from brefine.errors import FormatError
from brefine.phasedir.document import Document, Part


class HeldOut(Part):
    """Labelled recordings, each refined with what the labels of others have taught (`with`) and without any label (`without`).

    Attributes:
        n_groups: of recordings that share no speaker by name; the interval counts these.
        mae_before_ms: of the labelled boundaries as the system has them, matched within 1 s; the same boundaries afterwards.
        der_before: at collar 0, overlap scored, in what is labelled; a fraction.
        interval: 95 % bootstrap over groups of 1 − der_with/der_without, positive = better with labels; None where it has no
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
        """What `interval` is of; 0 where `der_without` is 0."""
        return 1.0 - self.der_with / self.der_without if self.der_without else 0.0


class Calibration(Document):
    """What was learnt from labels.

    Attributes:
        weights_sha256: of the refiner that listened; another one hears differently.
        weights: one for each of `scales_s`, like `change_weights`.
        change_weights: None in files of versions that did not tell changes from other boundaries.
        mae_before_ms: of the labelled boundaries as the system has them, matched within 1 s.
        mae_after_ms: refined with these constants; the same boundaries fitted them, so it flatters.
        held_out: what does not flatter; None where too little is labelled to tell, and in files of earlier versions.
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

    def require_weights(self, weights_sha256: str, *, where: Path) -> None:
        """Refuses the refiner that the constants were not fitted with.

        Raises:
            FormatError: they are of other weights.
        """
        if self.weights_sha256 != weights_sha256:
            raise FormatError("the calibration is of other weights", where=where, hint="make it anew: brefine calibrate")
