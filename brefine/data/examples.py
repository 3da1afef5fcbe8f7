"""The training examples: hypothesised boundaries with the distance to their true place, if they have one.

An example is an index into a feature store, never a copy of audio. Hypothesised boundaries that `core.match_boundaries` pairs
with the reference are positives, those without a partner are negatives ("there is no boundary here"). Boundaries at the edge
of what is annotated are left out: their true place may lie outside.

What an epoch sees is a pure function of seed and epoch, so that a resumed training sees what an uninterrupted one does.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from brefine.config import ExampleConfig
from brefine.core.boundaries import EDGE_S, Boundary, Side, touching_changes
from brefine.core.matching import match_boundaries
from brefine.core.turns import Diarization, Regions

_SHORTEST_S = 0.1
"""Redrawn boundaries leave at least this much of their turn."""


@dataclass(frozen=True, slots=True)
class Annotated:
    """One recording's reference and hypothesis, and the times that the reference covers."""

    reference: Diarization
    hypothesis: Diarization
    regions_s: Regions


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Boundaries of a split, one row each; arrays of shape (n,).

    Attributes:
        recording: index of the recording in the split.
        speaker: index in its hypothesis's `speakers`.
        onset: the side.
        change: whether another speaker stops or starts at this very moment.
        hypothesis_s: where the hypothesis has the boundary.
        offset_s: true − hypothesised time; not-a-number if no reference boundary is its partner.
        earliest_s: the nearest place to which the boundary could be redrawn without inverting a turn or leaving the region.
        latest_s: the same, on the other side.
    """

    recording: NDArray[np.int64]
    speaker: NDArray[np.int64]
    onset: NDArray[np.bool_]
    change: NDArray[np.bool_]
    hypothesis_s: NDArray[np.float64]
    offset_s: NDArray[np.float64]
    earliest_s: NDArray[np.float64]
    latest_s: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.recording)

    def __getitem__(self, chosen: NDArray[np.int64] | NDArray[np.bool_]) -> Examples:
        return Examples(*(getattr(self, column.name)[chosen] for column in fields(self)))

    @property
    def positive(self) -> NDArray[np.bool_]:
        return np.isfinite(self.offset_s)


def find_examples(split: Iterable[Annotated], config: ExampleConfig) -> Examples:
    """All examples of a split, positives and negatives, recording by recording."""
    rows: list[tuple[int, int, bool, bool, float, float, float, float]] = []
    for index, annotated in enumerate(split):
        hypothesis = annotated.hypothesis
        match = match_boundaries(annotated.reference, hypothesis, window_s=config.match_window_s)
        partner = _partners(match.hypothesis)
        speakers = {speaker: row for row, speaker in enumerate(hypothesis.speakers)}
        true_times_s = match.partner_times_s(match.hypothesis).tolist()
        for place, (boundary, true_s) in enumerate(zip(match.hypothesis, true_times_s, strict=True)):
            region = _region_around(boundary.time_s, true_s, annotated.regions_s)
            if region is None or abs(true_s - boundary.time_s) >= config.context_s:
                continue
            onset, change, (earliest_s, latest_s) = boundary.side is Side.ONSET, place in partner, region
            for end in [boundary, *([match.hypothesis[partner[place]]] if change else [])]:
                turn = hypothesis.turns[end.turn_index]
                if end.side is Side.ONSET:
                    latest_s = min(latest_s, turn.offset_s - _SHORTEST_S)
                else:
                    earliest_s = max(earliest_s, turn.onset_s + _SHORTEST_S)
            offset_s = true_s - boundary.time_s
            rows.append((index, speakers[boundary.speaker], onset, change, boundary.time_s, offset_s, earliest_s, latest_s))
    columns = list(zip(*rows, strict=True)) if rows else [()] * 8
    kinds = (np.int64, np.int64, np.bool_, np.bool_, np.float64, np.float64, np.float64, np.float64)
    return Examples(*(np.array(column, kind) for column, kind in zip(columns, kinds, strict=True)))


def _partners(boundaries: Sequence[Boundary]) -> dict[int, int]:
    """Each side of a change → the other, if both lie at one moment: such changes can be redrawn as one."""
    exact = [sides for sides in touching_changes(boundaries) if boundaries[sides[0]].time_s == boundaries[sides[1]].time_s]
    return {here: there for sides in exact for here, there in (sides, sides[::-1])}


def draw_epoch(
    examples: Examples, config: ExampleConfig, *, seed: int, epoch: int, redraw: bool | NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """One epoch's examples in their order, and where each is hypothesised this time.

    Args:
        redraw: give `config.redraw_rate` of the positives a fresh error, drawn from all errors measured on the same side, of
            changes that touch or of other boundaries. That is right if the hypotheses are simulated, whose errors are drawn
            independently too; a real system's errors are not independent of what is heard at the boundary. If recordings differ
            in that, shape (n_recordings,): only those marked give and get fresh errors.

    Returns:
        Places in `examples`, and hypothesised times in seconds, both of shape (n_epoch,).
    """
    rng = np.random.default_rng([seed, epoch])
    positives, negatives = np.flatnonzero(examples.positive), np.flatnonzero(~examples.positive)
    n_positives = len(positives) if config.n_train is None else min(config.n_train, len(positives))
    n_negatives = min(round(n_positives * config.negatives_per_positive), len(negatives))
    chosen = np.concatenate([rng.permutation(positives)[:n_positives], rng.permutation(negatives)[:n_negatives]])
    chosen = rng.permutation(chosen)
    free = redraw[examples.recording] if isinstance(redraw, np.ndarray) else np.full(len(examples), redraw)
    return chosen, _redrawn(examples, chosen, free & examples.positive, config.redraw_rate, rng)


def _redrawn(
    examples: Examples, chosen: NDArray[np.int64], free: NDArray[np.bool_], rate: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Hypothesised times of the chosen; a share of the `free` ones, shape (n_examples,), get the error of another `free` one."""
    time_s = examples.hypothesis_s[chosen]
    wanted = free[chosen] & (rng.random(len(chosen)) < rate)
    for onset, change in itertools.product((True, False), repeat=2):
        alike = (examples.onset == onset) & (examples.change == change)
        pool_s = examples.offset_s[free & alike]
        here = np.flatnonzero(wanted & alike[chosen])
        if len(here) == 0:
            continue
        true_s = time_s[here] + examples.offset_s[chosen[here]]
        drawn_s = true_s - rng.choice(pool_s, len(here))
        possible = (drawn_s >= examples.earliest_s[chosen[here]]) & (drawn_s <= examples.latest_s[chosen[here]])
        time_s[here[possible]] = drawn_s[possible]
    return time_s


def _region_around(time_s: float, true_s: float, regions_s: Regions) -> tuple[float, float] | None:
    """The annotated region that holds both times, clear of its edges; None if there is none."""
    times_s = [time_s] if np.isnan(true_s) else [time_s, true_s]
    for start_s, end_s in regions_s:
        if all(start_s + EDGE_S <= each_s <= end_s - EDGE_S for each_s in times_s):
            return start_s + EDGE_S, end_s - EDGE_S
    return None
