"""What `brefine score` says of any number of recordings: DER, JER and boundary errors, all additive."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from brefine.core.boundary_error import BoundaryErrors
from brefine.core.der import DerParts, JerParts, score_der, score_jer
from brefine.core.matching import WINDOW_S, match_boundaries
from brefine.core.turns import Diarization, Regions
from brefine.core.uncapped import UncappedPairing, pair_uncapped


@dataclass(frozen=True, slots=True, eq=False)
class Scorecard:
    """The scores of some recordings; `a + b` scores them together.

    UEM regions limit all of them alike; see `match_boundaries` for what that means for boundaries.
    """

    n_recordings: int
    collar_s: float
    der: DerParts
    jer: JerParts
    boundary: BoundaryErrors
    uncapped: UncappedPairing
    """For comparing old notes; whole recordings, whatever the regions."""

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
            BoundaryErrors.of(match_boundaries(reference, hypothesis, window_s=window_s, regions_s=regions_s)),
            pair_uncapped(reference, hypothesis),
        )

    @classmethod
    def joined(cls, cards: Iterable[Scorecard]) -> Scorecard:
        """The scores of many recordings at once.

        Raises:
            ValueError: there are no cards, or they were scored at different collars.
        """
        found = list(cards)
        collars_s = {card.collar_s for card in found}
        if len(collars_s) != 1:
            raise ValueError(f"scores can be joined if they share one collar, got {sorted(collars_s)}")
        return cls(
            sum(card.n_recordings for card in found),
            collars_s.pop(),
            sum((card.der for card in found), DerParts()),
            sum((card.jer for card in found), JerParts()),
            BoundaryErrors.joined(card.boundary for card in found),
            sum((card.uncapped for card in found), UncappedPairing()),
        )

    def __add__(self, other: Scorecard) -> Scorecard:
        return Scorecard.joined([self, other])

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
            "uncapped_pairing": self.uncapped.figures(),
        }
