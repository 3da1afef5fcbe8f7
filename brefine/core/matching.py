"""Which end of a hypothesised turn stands for which end of a reference turn.

Conventions: the hypothesis's speakers are first mapped one-to-one to the reference's so that their common speech is longest.
Only ends of speech count: where a speaker's own turns touch or overlap there is none. Then, speaker by speaker, onsets are
matched with onsets and offsets with offsets, one-to-one, so that the total of min(|error|, W) over matched and unmatched
boundaries is least. A pair at W or beyond costs as much as no pair, and does not count as one.

scipy.optimize is imported here, as pure numerics: it touches no file, clock or process.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brefine.core.boundaries import Boundary, Side, ends_of_speech, inside
from brefine.core.speech import Speech, overlap_matrix_s
from brefine.core.turns import Diarization, Regions

WINDOW_S = 1.0
"""The cap W unless said otherwise."""
WINDOWS_S = (0.25, 0.5, 1.0, 2.0)
"""Caps at which errors are reported side by side: at one alone they say little."""


@dataclass(frozen=True, slots=True)
class BoundaryMatch:
    """Pairs of one recording's ends of speech: `pairs` hold places in `reference` and in `hypothesis`, in reference order.

    `Boundary.turn_index` leads back to the turns; see `boundaries.ends_of_speech` for what is left out.
    """

    reference: tuple[Boundary, ...]
    hypothesis: tuple[Boundary, ...]
    pairs: tuple[tuple[int, int], ...]
    window_s: float

    @property
    def error_s(self) -> NDArray[np.float64]:
        """Hypothesis − reference of every pair, positive = late; shape (n_pairs,)."""
        return np.array(
            [self.hypothesis[there].time_s - self.reference[here].time_s for here, there in self.pairs], dtype=np.float64
        )

    def partner_times_s(self, boundaries: Sequence[Boundary]) -> NDArray[np.float64]:
        """Where the reference has each of these boundaries of the hypothesis, not-a-number if nowhere; shape (n_boundaries,)."""
        time_s = {
            (self.hypothesis[there].turn_index, self.hypothesis[there].side): self.reference[here].time_s
            for here, there in self.pairs
        }
        return np.array([time_s.get((each.turn_index, each.side), np.nan) for each in boundaries], dtype=np.float64)


def match_boundaries(
    reference: Diarization,
    hypothesis: Diarization,
    *,
    window_s: float = WINDOW_S,
    regions_s: Regions | None = None,
) -> BoundaryMatch:
    """Matches the boundaries of one recording; see the module for the conventions.

    Args:
        window_s: the cap W in seconds, above 0.
        regions_s: what is scored; None = everything. The whole recording is matched, since a cut through a turn is not a
            boundary; then the reference boundaries inside are kept, with their partners, and the hypothesised ones inside that
            have none. The edges of the recording are the start of the first region and the end of the last.

    Raises:
        ValueError: `window_s` is not above 0.
    """
    if not window_s > 0.0:
        raise ValueError(f"the matching window must be above 0 s, got {window_s}")
    extent_s = (min(start_s for start_s, _ in regions_s), max(end_s for _, end_s in regions_s)) if regions_s else None
    ours, theirs = ends_of_speech(reference, extent_s=extent_s), ends_of_speech(hypothesis, extent_s=extent_s)
    speaker_map = map_speakers(reference, hypothesis)
    places: dict[tuple[str, Side], list[int]] = {}
    for place, boundary in enumerate(ours):
        places.setdefault((boundary.speaker, boundary.side), []).append(place)
    candidates: dict[tuple[str, Side], list[int]] = {}
    for place, boundary in enumerate(theirs):
        if boundary.speaker in speaker_map:
            candidates.setdefault((speaker_map[boundary.speaker], boundary.side), []).append(place)
    pairs: list[tuple[int, int]] = []
    for key, there in candidates.items():
        here = places[key]  # both in order of time: ends of speech of one speaker cannot be nested
        matched = match_times([ours[place].time_s for place in here], [theirs[place].time_s for place in there], window_s)
        pairs += [(here[i], there[j]) for i, j in matched]
    match = BoundaryMatch(ours, theirs, tuple(sorted(pairs)), window_s)
    return match if regions_s is None else _within(match, regions_s)


def match_times(reference_s: Sequence[float], hypothesis_s: Sequence[float], window_s: float) -> list[tuple[int, int]]:
    """Matches two sorted lists of times one-to-one at the least total of min(|error|, W); returns pairs of places in both.

    A pair saves W − |error|, so the best match saves most. On a line no two pairs need to cross: uncrossed, neither the total of
    their errors nor the larger one grows. So the match is that chain of candidate pairs, rising in both lists, which saves most.
    Chains are grown from left to right and kept as a staircase: the further right a chain ends, the more it must save to be kept.
    That takes O(p log p) for p candidate pairs within W, near-linear for a recording of any length.
    """
    starts = np.searchsorted(hypothesis_s, np.asarray(reference_s) - window_s, side="left").tolist()
    stops = np.searchsorted(hypothesis_s, np.asarray(reference_s) + window_s, side="right").tolist()
    last_places: list[int] = []  # where in the hypothesis each kept chain ends: rising
    savings_s: list[float] = []  # what it saves: rising
    chains: list[_Chain] = []
    for i, (start, stop) in enumerate(zip(starts, stops, strict=True)):
        for j in range(stop - 1, start - 1, -1):  # from the right: a chain must not take place i of the reference twice
            step = bisect_left(last_places, j)
            before_s = savings_s[step - 1] if step else 0.0
            saving_s = before_s + (window_s - abs(hypothesis_s[j] - reference_s[i]))  # nothing at the cap, not even by rounding
            same = step < len(last_places) and last_places[step] == j
            if saving_s <= before_s or (same and saving_s <= savings_s[step]):
                continue
            beaten = step
            while beaten < len(savings_s) and savings_s[beaten] <= saving_s:
                beaten += 1
            chain = _Chain(i, j, chains[step - 1] if step else None)
            last_places[step:beaten], savings_s[step:beaten], chains[step:beaten] = [j], [saving_s], [chain]
    return chains[-1].pairs() if chains else []


def map_speakers(reference: Diarization, hypothesis: Diarization) -> dict[str, str]:
    """Maps speakers of the hypothesis to speakers of the reference one-to-one, so that their common speech is longest.

    Speakers without any common speech stay out of the map.
    """
    ours, theirs = Speech.of(reference), Speech.of(hypothesis)
    return {theirs.speakers[column]: ours.speakers[row] for row, column in assign_speakers(overlap_matrix_s(ours, theirs))}


def assign_speakers(overlap_s: NDArray[np.float64]) -> list[tuple[int, int]]:
    """The heaviest one-to-one assignment of rows to columns, found by the Hungarian method; pairs without weight are left out."""
    if not overlap_s.any():
        return []
    from scipy.optimize import linear_sum_assignment  # takes half a second to import: not before it is needed

    rows, columns = linear_sum_assignment(overlap_s, maximize=True)
    return [(int(row), int(column)) for row, column in zip(rows, columns, strict=True) if overlap_s[row, column] > 0.0]


def _within(match: BoundaryMatch, regions_s: Regions) -> BoundaryMatch:
    """What is scored of a match: reference boundaries inside, their partners wherever they are, and unmatched ones inside."""
    ours, theirs = inside(match.reference, regions_s), inside(match.hypothesis, regions_s)
    for here, there in match.pairs:
        theirs[there] = ours[here]
    new_here, new_there = np.cumsum(ours) - 1, np.cumsum(theirs) - 1
    return BoundaryMatch(
        tuple(boundary for boundary, kept in zip(match.reference, ours, strict=True) if kept),
        tuple(boundary for boundary, kept in zip(match.hypothesis, theirs, strict=True) if kept),
        tuple((int(new_here[here]), int(new_there[there])) for here, there in match.pairs if ours[here]),
        match.window_s,
    )


@dataclass(frozen=True, slots=True)
class _Chain:
    """Matched pairs from the left up to (i, j), as a linked list that longer chains share."""

    i: int
    j: int
    before: _Chain | None

    def pairs(self) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        chain: _Chain | None = self
        while chain is not None:
            found.append((chain.i, chain.j))
            chain = chain.before
        return found[::-1]
