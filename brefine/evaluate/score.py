"""Before against after, on the pairs that were matched before refinement, with intervals over recordings.

Conventions: one-to-one matching within W (see `core.matching`), errors in milliseconds, kinds of the reference, 95 % intervals
from a paired bootstrap over recordings (`core.bootstrap`). If a UEM limits what is scored, boundaries outside do not
count. Neither do reference boundaries that the cut of a recording has made, and their partners: only figures by kind have them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from brefine.core.bootstrap import Interval, bootstrap_quantile, bootstrap_ratio
from brefine.core.boundary_error import ACCURACIES_MS, GOOD_S, ROUNDING_S, BoundaryErrors, ErrorChange
from brefine.core.matching import BoundaryMatch, match_boundaries
from brefine.core.turns import Diarization, Regions
from brefine.evaluate.moves import Refinement
from brefine.models.heads import TOLERANCE_S
from brefine.phasedir import BoundaryFigures, BoundaryRow, CalibrationBin, Comparison, RecordingBoundaries, WindowFigures

N_BINS = 10


@dataclass(frozen=True, slots=True, eq=False)
class ScoredRecording:
    """One recording's boundaries before and after refinement.

    Attributes:
        match: of all boundaries.
        before, after: without those that the cut of the recording has made.
        all_before, all_after: with them.
    """

    recording: str
    match: BoundaryMatch
    refinement: Refinement
    before: BoundaryErrors
    after: BoundaryErrors
    all_before: BoundaryErrors
    all_after: BoundaryErrors

    @classmethod
    def of(cls, reference: Diarization, refinement: Refinement, *, regions_s: Regions, window_s: float) -> ScoredRecording:
        """Matches the hypothesis with the reference, and scores the same pairs where refinement put them."""
        match = match_boundaries(reference, refinement.hypothesis, window_s=window_s, regions_s=regions_s)
        before, after = BoundaryErrors.of(match), BoundaryErrors.of(match, moved_ends_s=refinement.ends_s)
        return cls(reference.recording, match, refinement, before.without_cuts(), after.without_cuts(), before, after)

    def rows(self) -> list[BoundaryRow]:
        """The matched boundaries, for `<split>.boundaries.csv`."""
        found = []
        for here, there in self.match.pairs:
            reference, hypothesis = self.match.reference[here], self.match.hypothesis[there]
            move = self.refinement.move_of(hypothesis)
            row = BoundaryRow(
                recording=self.recording,
                speaker=hypothesis.speaker,
                side=hypothesis.side.value,
                kind=reference.kind.value,
                reference_s=reference.time_s,
                hypothesis_s=hypothesis.time_s,
                refined_s=move.refined_s,
                confidence=move.confidence,
                spread_s=move.spread_s,
            )
            found.append(row)
        return found

    def outcomes(self) -> list[tuple[float, bool]]:
        """Confidence and truth of each proposal: is there a boundary within 100 ms of where the model puts it?"""
        found = []
        true_times_s = self.match.partner_times_s(self.match.hypothesis).tolist()  # not-a-number is close to nothing
        for boundary, true_s in zip(self.match.hypothesis, true_times_s, strict=True):
            move = self.refinement.move_of(boundary)
            if move.proposed_s is not None:
                found.append((move.confidence, abs(move.proposed_s - true_s) <= TOLERANCE_S + ROUNDING_S))
        return found


def compare(scored: Sequence[ScoredRecording]) -> Comparison:
    """The figures of all recordings before and after, what changed, and how sure that is."""
    before = BoundaryErrors.joined(one.before for one in scored)
    after = BoundaryErrors.joined(one.after for one in scored)
    change = ErrorChange.between(before, after)
    return Comparison(
        before=_figures(before, BoundaryErrors.joined(one.all_before for one in scored)),
        after=_figures(after, BoundaryErrors.joined(one.all_after for one in scored)),
        intervals=_intervals(scored),
        improved=change.improved,
        worsened=change.worsened,
        unchanged=change.unchanged,
        good_harm_ms=change.good_harm_ms,
    )


def _figures(errors: BoundaryErrors, with_cuts: BoundaryErrors) -> BoundaryFigures:
    return BoundaryFigures.model_validate(errors.figures() | {"by_kind": with_cuts.figures()["by_kind"]})


def at_window(scored: Sequence[ScoredRecording]) -> WindowFigures:
    """Before and after, at the cap that these recordings were matched with."""
    before, after = (
        BoundaryErrors.joined(errors).figures() for errors in zip(*((one.before, one.after) for one in scored), strict=True)
    )
    return WindowFigures(window_s=before["window_s"], recall=before["recall"], **_before_and_after(before, after))


def of_recording(one: ScoredRecording) -> RecordingBoundaries:
    before, after = one.before.figures(), one.after.figures()
    return RecordingBoundaries(
        recording=one.recording,
        n_reference=before["n_reference"],
        n_matched=before["n_matched"],
        **_before_and_after(before, after),
    )


def _before_and_after(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, float | None]:
    return {
        f"{figure}_{when}_ms": figures[f"{figure}_ms"]
        for figure in ("mae", "capped_mean")
        for when, figures in (("before", before), ("after", after))
    }


def abs_error_quantiles_ms(errors: BoundaryErrors) -> list[float]:
    """101 quantiles, 0 to 100 %, of the absolute error of matched boundaries; empty if nothing matched."""
    if not len(errors.abs_error_s):
        return []
    return [float(value) for value in 1000.0 * np.quantile(errors.abs_error_s, np.linspace(0.0, 1.0, 101))]


def calibrate(outcomes: Sequence[tuple[float, bool]]) -> tuple[list[CalibrationBin], float | None]:
    """The reliability diagram in ten bins of equal width, and the expected calibration error.

    Source: Naeini et al., "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015 (ECE).

    Args:
        outcomes: confidence in 0–1, and whether the proposal was right.
    """
    if not outcomes:
        return [], None
    confidence = np.array([value for value, _ in outcomes])
    right = np.array([truth for _, truth in outcomes], np.float64)
    place = np.minimum((confidence * N_BINS).astype(int), N_BINS - 1)
    bins = [
        CalibrationBin(
            confidence=float(confidence[place == index].mean()),
            n=int((place == index).sum()),
            within_100ms=float(right[place == index].mean()),
        )
        for index in range(N_BINS)
        if (place == index).any()
    ]
    return bins, sum(one.n * abs(one.within_100ms - one.confidence) for one in bins) / len(outcomes)


def _intervals(scored: Sequence[ScoredRecording]) -> dict[str, tuple[float, float]]:
    if not any(len(one.before.abs_error_s) for one in scored):
        return {}
    before = [one.before.abs_error_s for one in scored]
    after = [one.after.abs_error_s for one in scored]
    n_matched = [float(len(own)) for own in after]
    found = {
        "mae_ms": _ratio([1000.0 * own.sum() for own in after], n_matched),
        "mae_before_ms": _ratio([1000.0 * own.sum() for own in before], n_matched),
        "mae_change_ms": _ratio([1000.0 * (a.sum() - b.sum()) for a, b in zip(after, before, strict=True)], n_matched),
        "capped_mean_ms": _ratio(
            [1000.0 * one.after.capped_s.sum() for one in scored], [len(one.after.capped_s) for one in scored]
        ),
        "median_ms": _milliseconds(bootstrap_quantile(after, 0.5)),
        "p90_ms": _milliseconds(bootstrap_quantile(after, 0.9)),
    }
    for limit_ms in ACCURACIES_MS:
        within = [float((own <= limit_ms / 1000 + ROUNDING_S).sum()) for own in after]
        found[f"within_{limit_ms}ms"] = _ratio(within, n_matched)
    good = [own <= GOOD_S + ROUNDING_S for own in before]
    if any(own.any() for own in good):
        harm = [1000.0 * (a - b)[own].sum() for a, b, own in zip(after, before, good, strict=True)]
        found["good_harm_ms"] = _ratio(harm, [float(own.sum()) for own in good])
    return {name: interval for name, interval in found.items() if interval is not None}


def _ratio(numerators: Sequence[float], denominators: Sequence[float]) -> Interval | None:
    return bootstrap_ratio(np.column_stack([numerators, denominators]))


def _milliseconds(interval: Interval | None) -> Interval | None:
    return None if interval is None else Interval(1000.0 * interval.low, 1000.0 * interval.high)
