"""What `evaluate` writes about a model, and which model was chosen and why."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import field_validator

from brefine.config import ModelName
from brefine.phasedir.document import Document, Part, SealedDocument, UnixTime


class BoundaryFigures(Part):
    """The boundary figures of ARCHITECTURE's section 4, always shown together. Rates 0–1; None if nothing matched."""

    window_s: float
    n_reference: int
    n_hypothesis: int
    n_matched: int
    recall: float | None
    precision: float | None
    mae_ms: float | None
    median_ms: float | None
    p90_ms: float | None
    bias_ms: float | None
    within_50ms: float | None
    within_100ms: float | None
    within_200ms: float | None
    capped_mean_ms: float | None
    by_side: dict[str, BoundaryFigures] = {}
    by_kind: dict[str, BoundaryFigures] = {}


class BoundaryRow(Part):
    """One matched boundary before and after, in seconds; a row of `<split>.boundaries.csv`."""

    recording: str
    speaker: str
    side: Literal["onset", "offset"]
    kind: Literal["pause", "change", "overlap", "edge"]
    reference_s: float
    hypothesis_s: float
    refined_s: float
    confidence: float
    spread_s: float | None = None
    """How far off the refined boundary may well be; None if unknown, as in tables of earlier versions."""

    @property
    def error_before_s(self) -> float:
        """Of the hypothesis; positive = late."""
        return self.hypothesis_s - self.reference_s

    @property
    def error_after_s(self) -> float:
        """Of the refined boundary; positive = late."""
        return self.refined_s - self.reference_s

    @field_validator("spread_s", mode="before")
    @classmethod
    def _nothing_said(cls, value: object) -> object:
        return None if value == "" else value


class Comparison(Part):
    """Before against after, on the pairs that were matched before refinement."""

    before: BoundaryFigures
    after: BoundaryFigures
    intervals: dict[str, tuple[float, float]]
    """95 % paired bootstrap over recordings: mae_ms, median_ms, within_50ms, …, of `after`; `mae_change_ms` = after − before.
    Figures that too few recordings have are left out."""
    improved: int
    worsened: int
    unchanged: int
    """Boundaries whose absolute error fell by more than 1 ms, rose by more than 1 ms, or neither."""
    good_harm_ms: float | None
    """Mean change of the absolute error of boundaries that were within 50 ms before."""

    @property
    def at_cuts(self) -> BoundaryFigures | None:
        """Reference boundaries that the cut of a recording has made, before refinement; None if there are none."""
        found = self.before.by_kind.get("edge")
        return found if found is not None and found.n_reference else None

    @property
    def counts_cuts(self) -> bool:
        """Whether all figures count boundaries at cuts, as in reports of earlier versions, and not only the figures by kind."""
        n_of_all_kinds = sum(kind.n_reference for kind in self.before.by_kind.values())
        return self.at_cuts is not None and self.before.n_reference == n_of_all_kinds


class CalibrationBin(Part):
    confidence: float
    n: int
    within_100ms: float


class Speed(Part):
    """The time that refining takes, less the time in which other programs had the cores."""

    device: str
    boundaries_per_s: float
    seconds_per_audio_hour: float


class WindowFigures(Part):
    """The figures with another matching cap."""

    window_s: float
    recall: float | None
    mae_before_ms: float | None
    mae_after_ms: float | None
    capped_mean_before_ms: float | None
    capped_mean_after_ms: float | None


class RecordingBoundaries(Part):
    """One recording's boundaries, at the report's cap."""

    recording: str
    n_reference: int
    n_matched: int
    mae_before_ms: float | None
    mae_after_ms: float | None
    capped_mean_before_ms: float | None
    capped_mean_after_ms: float | None


class Look(Part):
    """One scoring of the gate split: by an evaluation, or by an integration."""

    model: ModelName
    weights_sha256: str
    refine: dict[str, Any]
    """The recipe's [refine] with which boundaries were moved."""
    unix_s: UnixTime

    @property
    def refiner(self) -> tuple[str, str]:
        """What was scored, as a key: scorings of the gate split with the same weights and settings count as one look."""
        return self.weights_sha256, json.dumps(self.refine, sort_keys=True)


class LookedAt(Part):
    """A recording of the gate split as it was when a refiner was scored on it."""

    name: str
    duration_s: float
    audio_sha256: str | None = None
    """Digest of the audio file's content; None if the prepared corpus has none."""
    reference_sha256: str
    """Digest of the reference's turns and of the regions in which they are scored."""
    hypothesis_sha256: str


class LookLine(Document):
    """One line of looks.jsonl, which outlives the reports."""

    look: Look
    recordings: list[LookedAt] | None = None
    """None if another line, with the same digest, lists them."""
    recordings_sha256: str | None = None
    """Digest of the recordings; None in lines of earlier versions, each of which lists its own."""


@dataclass(frozen=True, slots=True)
class LookRecord:
    """A look, and the gate split as it was."""

    look: Look
    recordings: list[LookedAt]
    """Empty if no line that lists them can be read any more."""

    def repeats(self, earlier: LookRecord) -> bool:
        """Whether `earlier` is a look by the same refiner at the same recordings."""
        return self.look.refiner == earlier.look.refiner and self.recordings == earlier.recordings


class EvaluationReport(SealedDocument):
    """One model on one split."""

    model: ModelName
    split: Literal["validation", "gate"]
    evidence: Literal["real", "simulated"]
    hypothesis_source: str
    checkpoint: str = "best"
    """best, last, or, for a file, its stem and the start of its weights' digest."""
    checkpoint_step: int
    weights_sha256: str
    refine: dict[str, Any]
    """The recipe's [refine] with which boundaries were moved."""
    n_recordings: int
    recordings: list[str]
    comparison: Comparison
    before_abs_error_quantiles_ms: list[float]
    after_abs_error_quantiles_ms: list[float]
    """101 quantiles, 0 to 100 %, of the absolute error: the CDFs of the dashboard."""
    at_windows: list[WindowFigures] = []
    by_recording: list[RecordingBoundaries] = []
    calibration: list[CalibrationBin]
    expected_calibration_error: float | None
    speed: Speed
    speed_on_cpu: Speed | None = None
    """If `speed` was measured on a GPU: the speed on the CPU, of one recording."""
    unix_s: UnixTime
    earlier_looks: list[Look] = []
    """For the gate split: earlier scorings under this name, with other weights or settings."""
    looked_at: list[LookedAt] = []
    """The gate split as it was; empty for another split, and in reports of earlier versions."""
    phase: str | None = None
    """The phase in which it was measured, as its manifest calls it; None without a manifest, and in earlier versions."""

    @property
    def looks(self) -> list[Look]:
        """Every scoring of the gate split under this name, this one last."""
        own = Look(model=self.model, weights_sha256=self.weights_sha256, refine=self.refine, unix_s=self.unix_s)
        return [*self.earlier_looks, own] if self.split == "gate" else []


class SelectionRecord(SealedDocument):
    """Which model goes on, who said so, and why."""

    model: ModelName
    recommended: ModelName
    reason: str
    """The rule's reason for its recommendation."""
    override_reason: str | None = None
    """The person's reason, if `model` is not the recommended one."""
    chosen_by: Literal["person", "rule"]
    unix_s: UnixTime
    phase: str | None = None
    """The phase in which it was chosen; see `EvaluationReport.phase`."""
    evaluations: dict[str, str] | None = None
    """Model → seal of its report at the time of the choice; None in records of earlier versions."""

    def overtaken_by(self, reports: Iterable[EvaluationReport]) -> list[ModelName]:
        """Models that were evaluated after the choice: by seals, since a clock may be set back, or, without seals, by times."""
        if self.evaluations is not None:
            return [report.model for report in reports if self.evaluations.get(report.model) != report.seal]
        return [report.model for report in reports if report.unix_s > self.unix_s]

    def knew(self, reports: Iterable[EvaluationReport]) -> bool:
        """Whether no model was evaluated after the choice."""
        return not self.overtaken_by(reports)
