"""What `integrate` writes: the chosen model behind the diarizer, on the gate split."""

from __future__ import annotations

from typing import Any, Literal

from brefine.config import ModelName
from brefine.phasedir.document import Part, SealedDocument, UnixTime
from brefine.phasedir.evaluation import Comparison, Look, LookedAt


class DerFigures(Part):
    """Diarization error of a corpus: times in seconds, `der` as a fraction."""

    collar_s: float
    der: float
    missed_s: float
    false_alarm_s: float
    confusion_s: float
    reference_speech_s: float


class DerComparison(Part):
    collar_s: float
    before: DerFigures
    after: DerFigures
    relative: float
    """1 − after/before, positive = better; 0 where before is 0."""
    interval: tuple[float, float] | None
    """95 % paired bootstrap over recordings of `relative`; None if it has no bounds because too few recordings had any error."""
    after_interval: tuple[float, float] | None = None
    """95 % bootstrap over recordings of the DER after; None if too few recordings have speech, and in older reports."""


class RecordingChange(Part):
    """One recording: DER at collar 0 with overlap scored, JER, and the MAE of its matched boundaries."""

    recording: str
    der_before: float
    der_after: float
    jer_before: float | None = None
    jer_after: float | None = None
    mae_before_ms: float | None = None
    mae_after_ms: float | None = None
    error_before_s: float | None = None
    """Seconds that it adds to the corpus's errors before, at the same collar; None in older reports."""
    reference_speech_s: float | None = None


class Scored(Part):
    """How much of the gate split is scored; a UEM may leave out the rest. Times in seconds of audio."""

    audio_s: float
    scored_s: float
    n_boundaries: int
    """Ends of hypothesised turns in the scored parts."""
    n_moved: int
    n_limited: int | None = None
    """Recordings of which something is left out, apart from rounding at their ends; None in older reports."""
    n_left_out: int | None = None
    """Ends of reference speech in the parts that are left out; None in older reports."""

    @property
    def left_out_s(self) -> float:
        return self.audio_s - self.scored_s

    @property
    def is_limited(self) -> bool:
        """Whether anything is left out of a recording; in older reports, whether more than 0.1 s is left out in all."""
        return self.left_out_s > 0.1 if self.n_limited is None else self.n_limited > 0


class IntegrationReport(SealedDocument):
    """The chosen model behind the diarizer on the gate split."""

    model: ModelName
    weights_sha256: str
    refine: dict[str, Any]
    """The recipe's [refine] with which boundaries were moved."""
    trained_corpus_sha256: str | None
    """Fingerprint of the corpus on which these weights were trained; None if the weights do not say."""
    corpus_sha256: str
    """Fingerprint of the corpus whose gate split this is."""
    turns_sha256: str
    """Digest of the gate split's references, hypotheses and refined turns; see `PhaseDir.gate_turns`."""
    looks: list[Look]
    """Every integration so far, one per combination of weights and settings, this one last."""
    looked_at: list[LookedAt] = []
    """The gate split as it was; empty in reports of earlier versions."""
    alike: list[str] | None = None
    """See `CorpusManifest.alike`; None in older reports."""
    split: Literal["gate"]
    evidence: Literal["real", "simulated"]
    hypothesis_source: str
    n_recordings: int
    recordings: list[RecordingChange]
    trained_on: list[str]
    """Every recording that training or validation has seen."""
    comparison: Comparison
    der: list[DerComparison]
    """At collar 0 and 0.25, overlap scored: what the gate judges."""
    der_without_overlap: list[DerComparison] = []
    """The same without the time in which several reference speakers speak at once."""
    jer_before: float
    jer_after: float
    jer_interval: tuple[float, float] | None = None
    """95 % paired bootstrap over recordings of the relative improvement of the JER; None if it has no bounds, and in older
    reports."""
    n_boundaries: int
    """Ends of hypothesised turns, scored or not."""
    n_moved: int
    scored: Scored | None = None
    """None in older reports."""
    unix_s: UnixTime
    phase: str | None = None
    """The phase in which it was measured; see `EvaluationReport.phase`."""

    @property
    def jer_relative(self) -> float:
        """1 − after/before, positive = better; 0 where before is 0."""
        return 1.0 - self.jer_after / self.jer_before if self.jer_before else 0.0
