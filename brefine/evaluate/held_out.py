"""What a calibration gains on recordings that it was not fitted on.

Constants always look good on the minutes that they were fitted on. So the labelled recordings are divided into parts, and each
part is refined twice: with what the labels of the others have taught, and from its hypotheses alone, as `brefine refine` does
without a calibration. Recordings that share a speaker by name stay in one part.

Source: cross-fitting, as in Stone 1974, "Cross-validatory choice and assessment of statistical predictions".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from brefine.config import RefineConfig
from brefine.core.bootstrap import bootstrap_improvement
from brefine.core.der import DerParts, score_der
from brefine.core.kinship import groups_that_share, lasting_names
from brefine.core.turns import Diarization, Regions
from brefine.evaluate.labels import enough, true_shifts_s
from brefine.evaluate.moves import HeardRecording, Refinement, fit_prior, refine_heard
from brefine.models.error_prior import ErrorPrior, fit_labelled
from brefine.models.reading import Reading
from brefine.models.weights import Refiner
from brefine.phasedir import HeldOut

_MOST_PARTS = 10


@dataclass(frozen=True, slots=True, eq=False)
class LabelledRecording:
    """A recording that was heard, and its labels.

    Attributes:
        regions_s: which parts of it are labelled; None = everything.
        true_s: of each boundary of `heard`; see `labels.true_shifts_s`.
    """

    heard: HeardRecording
    reference: Diarization
    regions_s: Regions | None
    true_s: NDArray[np.float64]

    @classmethod
    def of(cls, heard: HeardRecording, reference: Diarization, regions_s: Regions | None) -> LabelledRecording:
        return cls(heard, reference, regions_s, true_shifts_s(heard.boundaries, heard.hypothesis, reference, regions_s))

    @property
    def n_known(self) -> int:
        """Boundaries whose label is known."""
        return int(np.isfinite(self.true_s).sum())

    def refined(self, refiner: Refiner, prior: ErrorPrior) -> Refinement:
        return refine_heard(refiner, self.heard, prior, config=RefineConfig())

    def errors_s(self, refinement: Refinement | None) -> NDArray[np.float64]:
        """Absolute errors of the boundaries whose label is known, after `refinement`; None = before."""
        moved_s = [0.0 if refinement is None else refinement.move_of(one).shift_s for one in self.heard.boundaries]
        return np.abs(np.array(moved_s, np.float64) - self.true_s)[np.isfinite(self.true_s)]

    def der_parts(self, diarization: Diarization) -> DerParts:
        """Errors at collar 0, with overlap scored, in the labelled parts."""
        return score_der(self.reference, diarization, regions_s=self.regions_s)


def fit_to_labels(labelled: Sequence[LabelledRecording]) -> ErrorPrior | None:
    """The prior by the labels of these recordings; None if not `enough` boundaries are known."""
    if not enough(sum(one.n_known for one in labelled)):
        return None
    readings, true_s = [], []
    for one in labelled:
        if one.heard.reading is not None and one.n_known:
            known = np.flatnonzero(np.isfinite(one.true_s))
            readings.append(one.heard.reading[torch.from_numpy(known)])
            true_s.append(one.true_s[known])
    return fit_labelled(Reading.joined(readings), torch.from_numpy(np.concatenate(true_s)).float())


def hold_out(refiner: Refiner, labelled: Sequence[LabelledRecording]) -> HeldOut | None:
    """The figures of each recording refined with constants fitted on the labels of other parts, and without any label.

    None if there are no two parts without a common speaker, or if the labels outside a part are not `enough`.
    """
    groups = groups_that_share([lasting_names(one.reference.speakers) for one in labelled])
    n_parts = min(len(groups), _MOST_PARTS)
    if n_parts < 2:
        return None
    with_labels: dict[int, Refinement] = {}
    for part in range(n_parts):
        held = {place for group in groups[part::n_parts] for place in group}
        prior = fit_to_labels([one for place, one in enumerate(labelled) if place not in held])
        if prior is None:
            return None
        with_labels |= {place: labelled[place].refined(refiner, prior) for place in held}
    unlabelled = fit_prior([one.heard for one in labelled])
    errors_s, der_parts = [], []
    for place, one in enumerate(labelled):
        ways = (None, one.refined(refiner, unlabelled), with_labels[place])
        errors_s.append([one.errors_s(way) for way in ways])
        der_parts.append([one.der_parts(one.heard.hypothesis if way is None else way.refined) for way in ways])
    mae_ms = [1e3 * float(np.concatenate(way).mean()) for way in zip(*errors_s, strict=True)]
    der = [sum(way, DerParts()).der for way in zip(*der_parts, strict=True)]
    error_s = np.array([[parts.error_s for parts in own] for own in der_parts])
    return HeldOut(
        n_groups=len(groups),
        mae_before_ms=mae_ms[0],
        mae_without_ms=mae_ms[1],
        mae_with_ms=mae_ms[2],
        der_before=der[0],
        der_without=der[1],
        der_with=der[2],
        interval=bootstrap_improvement(np.array([error_s[group, 1:].sum(axis=0) for group in groups])),
    )
