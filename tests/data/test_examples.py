"""Which boundaries become examples, and what an epoch makes of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from brefine.config import ExampleConfig
from brefine.core.turns import Diarization, Turn
from brefine.data.examples import Annotated, Examples, draw_epoch, find_examples

CONFIG = ExampleConfig(context_s=1.0, negatives_per_positive=0.5)


def annotated(
    reference: list[tuple[float, float, str]], hypothesis: list[tuple[float, float, str]], end_s: float = 30.0
) -> Annotated:
    turns = [tuple(Turn(*turn) for turn in side) for side in (reference, hypothesis)]
    return Annotated(Diarization("r", turns[0]), Diarization("r", turns[1]), [(0.0, end_s)])


def many(n_turns: int = 60) -> Annotated:
    rng = np.random.default_rng(0)
    reference = [(2.0 * i + 1.0, 2.0 * i + 2.0, "AB"[i % 2]) for i in range(n_turns)]
    moved = [(a + rng.uniform(-0.3, 0.3), b + rng.uniform(-0.3, 0.3), who) for a, b, who in reference]
    false = [(2.0 * i + 2.4, 2.0 * i + 2.6, "C") for i in range(n_turns)]
    return annotated(reference, moved + false, end_s=2.0 * n_turns + 4.0)


def redrawn(examples: Examples, hypothesis_s: np.ndarray) -> Examples:
    """The same boundaries, hypothesised elsewhere."""
    return replace(examples, hypothesis_s=hypothesis_s, offset_s=examples.offset_s + examples.hypothesis_s - hypothesis_s)


def test_matched_boundaries_carry_the_way_to_their_true_place() -> None:
    """offset = true − hypothesised time, onset and offset apart, under the hypothesis's own speaker index."""
    examples = find_examples([annotated([(5.0, 8.0, "ann")], [(5.2, 7.9, "1")])], CONFIG)
    assert examples.onset.tolist() == [True, False]
    assert examples.offset_s == pytest.approx([-0.2, 0.1])
    assert examples.speaker.tolist() == [0, 0]


def test_boundaries_without_a_partner_are_negatives() -> None:
    """A false turn has no true place."""
    examples = find_examples([annotated([(5.0, 8.0, "a")], [(5.0, 8.0, "a"), (15.0, 16.0, "a")])], CONFIG)
    assert examples.positive.tolist() == [True, True, False, False]


def test_boundaries_at_the_edge_of_the_annotation_are_left_out() -> None:
    """A turn cut off by the end of the excerpt says nothing about where speech ends."""
    examples = find_examples([annotated([(0.0, 8.0, "a"), (20.0, 30.0, "b")], [(0.0, 8.1, "a"), (20.1, 30.0, "b")])], CONFIG)
    assert examples.hypothesis_s.tolist() == [8.1, 20.1]


def test_errors_beyond_the_window_are_no_examples() -> None:
    """A place outside the window cannot be pointed at."""
    narrow = ExampleConfig(context_s=0.5)
    examples = find_examples([annotated([(5.0, 8.0, "a")], [(5.7, 8.1, "a")])], narrow)
    assert examples.hypothesis_s.tolist() == [8.1]


def test_an_epoch_is_a_function_of_seed_and_epoch() -> None:
    """What a resumed training sees is what an uninterrupted one would have seen."""
    examples = find_examples([many()], CONFIG)
    first, again = (draw_epoch(examples, CONFIG, seed=1, epoch=3, redraw=True) for _ in range(2))
    other = draw_epoch(examples, CONFIG, seed=1, epoch=4, redraw=True)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])
    assert not np.array_equal(np.sort(first[1]), np.sort(other[1]))


def test_an_epoch_has_all_positives_and_the_wanted_share_of_negatives() -> None:
    """Negatives are drawn anew, positives all come once."""
    examples = find_examples([many()], CONFIG)
    chosen, _ = draw_epoch(examples, CONFIG, seed=0, epoch=0, redraw=False)
    positive = examples.positive[chosen]
    assert sorted(chosen[positive]) == np.flatnonzero(examples.positive).tolist()
    assert (~positive).sum() == round(positive.sum() * 0.5)


def test_redrawn_errors_come_from_the_measured_ones_of_the_same_side() -> None:
    """The boundary stays where it truly is; only the hypothesis about it changes, and no turn is inverted."""
    examples = find_examples([many()], CONFIG)
    everything = ExampleConfig(context_s=1.0, redraw_rate=1.0)
    chosen, time_s = draw_epoch(examples, everything, seed=0, epoch=0, redraw=True)
    drawn = redrawn(examples[chosen], time_s)
    for onset in (True, False):
        pool = examples.offset_s[examples.positive & (examples.onset == onset)]
        fresh = drawn.offset_s[drawn.positive & (drawn.onset == onset)]
        assert np.abs(fresh[:, None] - pool[None, :]).min(axis=1).max() < 1e-9
    assert (time_s[drawn.positive] >= drawn.earliest_s[drawn.positive]).all()
    assert (time_s[drawn.positive] <= drawn.latest_s[drawn.positive]).all()
    assert (time_s != examples.hypothesis_s[chosen]).mean() > 0.5


def test_errors_are_redrawn_in_the_recordings_that_are_named_and_from_them_alone() -> None:
    """A diarizer's own errors beside replayed ones stay where they are, and go nowhere else."""
    turns = [(4.0 * i + 1.0, 4.0 * i + 3.0, "A") for i in range(40)]
    late_s = [0.1 + 0.005 * i for i in range(40)]
    moved = [(onset_s + d, offset_s + d, who) for (onset_s, offset_s, who), d in zip(turns, late_s, strict=True)]
    early = [(onset_s - 0.2, offset_s - 0.2, who) for onset_s, offset_s, who in turns]
    examples = find_examples([annotated(turns, early, end_s=165.0), annotated(turns, moved, end_s=165.0)], CONFIG)
    free = np.array([False, True])
    chosen, time_s = draw_epoch(examples, ExampleConfig(context_s=1.0, redraw_rate=1.0), seed=0, epoch=0, redraw=free)
    drawn = redrawn(examples[chosen], time_s)
    assert (time_s == examples.hypothesis_s[chosen])[drawn.recording == 0].all()
    assert (time_s != examples.hypothesis_s[chosen])[drawn.recording == 1].mean() > 0.9
    assert drawn.offset_s[drawn.recording == 1].max() < -0.09


def test_redrawn_boundaries_of_short_turns_leave_something_of_them() -> None:
    """Where an error of a long turn would invert a short one, or leave next to nothing of it, its boundary stays where it was."""
    long = [(4.0 * i + 1.0, 4.0 * i + 2.0, "A") for i in range(40)]
    short = [(4.0 * i + 3.0, 4.0 * i + 3.3, "A") for i in range(40)]
    rng = np.random.default_rng(0)
    moved = [(a + rng.uniform(-0.4, 0.4), b + rng.uniform(-0.4, 0.4), who) for a, b, who in long]
    examples = find_examples([annotated(long + short, moved + short, end_s=165.0)], CONFIG)
    chosen, time_s = draw_epoch(examples, ExampleConfig(context_s=1.0, redraw_rate=1.0), seed=0, epoch=0, redraw=True)
    drawn = examples[chosen]
    of_short = drawn.offset_s == 0.0
    assert of_short.sum() == 80
    for onset in (True, False):
        own = of_short & (drawn.onset == onset)
        assert 0.0 < (time_s[own] == drawn.hypothesis_s[own]).mean() < 1.0
    assert ((time_s >= drawn.earliest_s) & (time_s <= drawn.latest_s)).all()


def test_changes_are_redrawn_with_the_errors_of_changes() -> None:
    """Where one speaker takes over from another at once a system is further off than elsewhere, in training as well."""
    starts_s = 6.0 * np.arange(40) + 1.0
    reference = [turn for a in starts_s for turn in ((a, a + 2.0, "A"), (a + 2.0, a + 4.0, "B"))]
    off_s = np.random.default_rng(0).uniform(0.2, 0.4, len(starts_s))
    wrong = [
        turn
        for a, d in zip(starts_s, off_s, strict=True)
        for turn in ((a + 0.01, a + 2.0 + d, "A"), (a + 2.0 + d, a + 4.01, "B"))
    ]
    examples = find_examples([annotated(reference, wrong, end_s=250.0)], CONFIG)
    assert examples.change.sum() == 80
    chosen, time_s = draw_epoch(examples, ExampleConfig(context_s=1.0, redraw_rate=1.0), seed=0, epoch=0, redraw=True)
    drawn = redrawn(examples[chosen], time_s)
    assert np.abs(drawn.offset_s[drawn.change]).min() > 0.19
    assert np.abs(drawn.offset_s[~drawn.change]).max() < 0.02
    assert (time_s != examples.hypothesis_s[chosen])[drawn.change].mean() > 0.9


def test_a_change_is_redrawn_within_both_turns() -> None:
    """Neither side may leave less than 0.1 s of the other's turn; where the ends do not meet, each has its own turn alone."""
    reference = [(5.0, 8.0, "A"), (8.0, 8.5, "B")]
    for gap_s, change in ((0.0, True), (0.01, False)):
        examples = find_examples([annotated(reference, [(5.0, 8.0, "A"), (8.0 + gap_s, 8.5, "B")])], CONFIG)
        sides = examples[np.abs(examples.hypothesis_s - 8.0) < 0.02]
        assert sides.change.tolist() == [change] * 2
        assert sides.earliest_s == pytest.approx([5.1, 5.1 if change else 0.05])
        assert sides.latest_s == pytest.approx([8.4 if change else 29.95, 8.4])


def test_real_hypotheses_keep_their_own_errors() -> None:
    """A real system's errors depend on what is heard there: they are not drawn anew."""
    examples = find_examples([many()], CONFIG)
    chosen, time_s = draw_epoch(examples, CONFIG, seed=0, epoch=0, redraw=False)
    assert np.array_equal(time_s, examples.hypothesis_s[chosen])
