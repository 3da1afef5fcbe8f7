"""What `brefine score` says of any number of recordings: DER, JER and boundary errors, all additive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from brefine.core.boundary_error import BoundaryErrors
from brefine.core.der import DerParts, JerParts, Regions, score_der, score_jer
from brefine.core.matching import WINDOW_S, match_boundaries
from brefine.core.turns import Diarization


@dataclass(frozen=True, slots=True, eq=False)
class Scorecard:
    """The scores of some recordings; `a + b` scores them together.

    Boundaries are matched over the whole recording, also where UEM regions limit what DER and JER score: a cut through a turn
    is no boundary.
    """

    n_recordings: int
    collar_s: float
    der: DerParts
    jer: JerParts
    boundary: BoundaryErrors

    @classmethod
    def of(
        cls,
        reference: Diarization,
        hypothesis: Diarization,
        *,
        regions_s: Regions | None = None,
        collar_s: float = 0.0,
        window_s: float = WINDOW_S,
    ) -> Scorecard:
        """Scores one recording; see `score_der` and `match_boundaries` for the conventions."""
        return cls(
            1,
            collar_s,
            score_der(reference, hypothesis, regions_s=regions_s, collar_s=collar_s),
            score_jer(reference, hypothesis, regions_s=regions_s),
            BoundaryErrors.of(match_boundaries(reference, hypothesis, window_s=window_s)),
        )

    def __add__(self, other: Scorecard) -> Scorecard:
        if self.collar_s != other.collar_s:
            raise ValueError(f"scores at collars {self.collar_s} and {other.collar_s} cannot be added")
        return Scorecard(
            self.n_recordings + other.n_recordings,
            self.collar_s,
            self.der + other.der,
            self.jer + other.jer,
            self.boundary + other.boundary,
        )

    def figures(self) -> dict[str, Any]:
        """The document of `brefine score --json`: rates in 0–1, times in seconds, boundary errors in milliseconds."""
        return {
            "recordings": self.n_recordings,
            "collar_s": self.collar_s,
            "der": self.der.der,
            "missed_s": self.der.missed_s,
            "false_alarm_s": self.der.false_alarm_s,
            "confusion_s": self.der.confusion_s,
            "reference_speech_s": self.der.reference_speech_s,
            "jer": self.jer.jer,
            "boundary": self.boundary.figures(),
        }
