"""What one side of a change says of the other, and when the two part."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import laplace

from brefine.core.boundaries import Boundary, boundaries_of, touching_changes
from brefine.core.matching import match_boundaries
from brefine.core.turns import Diarization, Turn
from brefine.io.rttm import read_diarizations
from brefine.models.changes import Changes, told_by_the_other_side
from brefine.models.decisions import Posteriors, decide
from brefine.models.error_prior import ErrorPrior, posterior
from brefine.models.reading import Reading

HOP_S, T = 0.01, 120
BROAD = ErrorPrior(change_weights=(0.0, 0.0, 0.0, 0.0, 1.0), doubt=0.0)
PLACE_S_T = (torch.arange(T) + 0.5 - T / 2) * HOP_S


def sides(onset_s: float = 5.0) -> tuple[Boundary, ...]:
    """The offset of one turn and the onset of the next speaker's."""
    return boundaries_of(Diarization("talk", (Turn(2.0, 5.0, "A"), Turn(onset_s, 9.0, "B"))))[1:3]


def heard(*ratio_T: torch.Tensor) -> Reading:
    """What a model says of the offset and of the onset, for sure."""
    onset_B, change_B = torch.tensor([False, True]), torch.tensor([True, True])
    return Reading(
        torch.stack(ratio_T), torch.ones(2), onset_B, change_B, torch.zeros(2), torch.ones(2), torch.zeros(2, 1), HOP_S
    )


def peak(shift_s: float, height: float = 50.0) -> torch.Tensor:
    return 0.02 + height * torch.exp(-0.5 * ((PLACE_S_T - shift_s) / 0.02) ** 2)


def median_s(frames_BT: torch.Tensor) -> list[float]:
    return ((frames_BT.cumsum(dim=1) < 0.5).sum(dim=1) * HOP_S - T / 2 * HOP_S).tolist()


NOTHING = torch.ones(T)


def test_a_side_of_which_nothing_is_heard_is_looked_for_near_the_other() -> None:
    """The onset is heard 0.3 s later; the offset, hidden in noise, follows most of the way. Apart, it would stay."""
    reading, boundaries = heard(NOTHING, peak(0.3)), sides()
    alone_s, _ = median_s(posterior(reading, BROAD)[0])
    told_s, sure_s = median_s(posterior(reading, BROAD, Changes.of(boundaries, reading.centre_B, HOP_S))[0])
    assert alone_s == pytest.approx(0.0, abs=0.011)
    assert 0.1 < told_s < 0.3
    assert sure_s == pytest.approx(0.3, abs=0.011)


def test_a_side_of_which_nothing_is_heard_says_nothing() -> None:
    """Without readings the sides stay as they are expected, and where one has no partner nothing is told."""
    reading = heard(NOTHING, NOTHING)
    for boundaries in (sides(), sides(onset_s=5.3)):
        changes = Changes.of(boundaries, reading.centre_B, HOP_S)
        torch.testing.assert_close(posterior(reading, BROAD, changes), posterior(reading, BROAD))
    lone = Changes.of(sides(onset_s=5.3), reading.centre_B, HOP_S)
    assert told_by_the_other_side(torch.rand(2, T), torch.rand(2, T), lone, HOP_S).tolist() == [[1.0] * T] * 2


def test_labels_that_leave_room_are_as_far_apart_as_elsewhere() -> None:
    """Where labels end 0.1 s after speech and start 0.1 s before it, an end that is not heard is looked for 0.2 s further off."""
    reading, roomy = heard(NOTHING, peak(0.3)), replace(BROAD, margin_s=(-0.1, 0.1))
    changes = Changes.of(sides(), reading.centre_B, HOP_S)
    labelled_s = [
        median_s(frames_BT)[0] + float(margin_B[0])
        for frames_BT, margin_B in (posterior(reading, prior, changes) for prior in (BROAD, roomy))
    ]
    assert labelled_s[1] < labelled_s[0] + 0.03


@pytest.mark.parametrize("label_gap_s", [0.0, 0.2])
def test_the_message_is_the_sum_of_the_module(label_gap_s: float) -> None:
    """Against the formula, place by place, where the onset's window lies two frames later than the offset's."""
    generator = torch.Generator().manual_seed(0)
    expected_BT = torch.softmax(torch.randn(2, T, generator=generator), dim=1)
    likelihood_BT = 3.0 * torch.rand(2, T, generator=generator)
    joint_BT = expected_BT * likelihood_BT
    changes = Changes.of(sides(onset_s=5.02), torch.zeros(2), HOP_S)
    assert changes.lag_C.tolist() == [2]
    told_BT = told_by_the_other_side(joint_BT, expected_BT, changes, HOP_S, label_gap_s=label_gap_s)

    def distance(seconds: float) -> float:
        heard_s = seconds + label_gap_s
        near, far = math.exp(-abs(heard_s - 0.04) / 0.126) / 0.252, math.exp(-abs(heard_s) / 0.4) / 0.8
        return 0.5 * near + 0.5 * far

    for frame in (10, 60, 100):
        weight_T = torch.tensor([distance((there + 2 - frame) * HOP_S) for there in range(T)])
        near = (joint_BT[1] * weight_T).sum() / (expected_BT[1] * weight_T).sum()
        assert told_BT[0, frame] == pytest.approx(float(0.3 * joint_BT[1].sum() + 0.7 * near), rel=1e-4)
        weight_T = torch.tensor([distance((frame + 2 - there) * HOP_S) for there in range(T)])
        near = (joint_BT[0] * weight_T).sum() / (expected_BT[0] * weight_T).sum()
        assert told_BT[1, frame] == pytest.approx(float(0.3 * joint_BT[0].sum() + 0.7 * near), rel=1e-4)


def test_windows_are_as_far_apart_as_their_middles() -> None:
    """Ends 8 ms apart that share a frame edge share a window."""
    boundaries = boundaries_of(Diarization("talk", (Turn(2.0, 5.006, "A"), Turn(5.014, 9.0, "B"))))[1:3]
    assert Changes.of(boundaries, torch.tensor([0.004, -0.004]), HOP_S).lag_C.tolist() == [0]


def decided(*frames_T: torch.Tensor) -> list[float]:
    """The shifts of the two sides of a change that are heard so."""
    frames_BT = torch.stack(frames_T)
    frames_BT = frames_BT / frames_BT.sum(dim=1, keepdim=True)
    changes = Changes.of(sides(), torch.zeros(2), HOP_S)
    shift_s_B, confidence_B = decide(Posteriors(frames_BT, torch.zeros(2), torch.zeros(2), torch.zeros(2), HOP_S), changes)
    assert ((confidence_B >= 0.0) & (confidence_B <= 1.0)).all()
    return [round(shift_s, 3) for shift_s in shift_s_B.tolist()]


def test_sides_heard_at_one_place_move_there_together() -> None:
    """A few frames between them open no hole."""
    offset_s, onset_s = decided(peak(0.30), peak(0.32))
    assert offset_s == onset_s == pytest.approx(0.31, abs=0.01)


def test_a_vague_side_goes_with_the_clear_one() -> None:
    """The place that both share is where the clear one is heard."""
    vague = torch.exp(-PLACE_S_T.abs() / 0.4)
    offset_s, onset_s = decided(vague, peak(0.1, height=2000.0))
    assert offset_s == onset_s == pytest.approx(0.1, abs=0.02)


def test_sides_heard_far_apart_part() -> None:
    """A pause between the speakers, heard from both sides."""
    assert decided(peak(-0.2), peak(0.2)) == pytest.approx([-0.2, 0.2], abs=0.011)
    assert decided(peak(0.17), peak(0.23)) == pytest.approx([0.17, 0.23], abs=0.011)


def test_each_change_is_decided_by_itself() -> None:
    """Of three changes one moves, one parts and one stays, whatever the middles of their windows are."""
    turns = (Turn(2.0, 5.0, "A"), Turn(5.0, 9.0, "B"), Turn(9.0, 12.0, "A"), Turn(12.0, 15.0, "B"))
    boundaries = boundaries_of(Diarization("talk", turns))[1:-1]
    frames_BT = torch.stack([peak(0.3), peak(0.3), peak(-0.2), peak(0.2), peak(0.0), peak(0.0)])
    bias_s_B = torch.tensor([0.002, 0.002, -0.004, -0.004, 0.001, 0.001])
    posteriors = Posteriors(frames_BT / frames_BT.sum(dim=1, keepdim=True), torch.zeros(6), bias_s_B, torch.zeros(6), HOP_S)
    shift_s_B, _ = decide(posteriors, Changes.of(boundaries, bias_s_B, HOP_S))
    assert shift_s_B.tolist() == pytest.approx([0.302, 0.302, -0.204, 0.196, 0.0, 0.0], abs=0.004)


def test_no_common_place_is_better_than_the_one_that_is_chosen() -> None:
    """Least expected error over both sides, among all places."""
    generator = torch.Generator().manual_seed(1)
    for _ in range(20):
        centre_B1, scale_B1 = 0.3 + 0.1 * torch.rand(2, 1, generator=generator), 0.1 + 0.3 * torch.rand(2, 1, generator=generator)
        frames_BT = torch.softmax(-(PLACE_S_T - centre_B1).abs() / scale_B1, dim=1)
        shift_s, onset_s = decided(*frames_BT)
        assert shift_s == onset_s
        cost_T = sum((row_T * (PLACE_S_T[:, None] - PLACE_S_T).abs()).sum(dim=1) for row_T in frames_BT)
        chosen = sum((row_T * (PLACE_S_T - shift_s).abs()).sum() for row_T in frames_BT)
        assert chosen <= torch.as_tensor(cost_T).min() + 1e-3


def test_a_change_where_it_should_be_stays() -> None:
    """Little is to be gained: neither side moves."""
    assert decided(peak(0.003), peak(0.003)) == [0.0, 0.0]


def test_a_place_that_is_hardly_better_is_not_worth_a_move() -> None:
    """Error is saved at both, but of what is expected of the vague one it is less than a twentieth: that one stays."""
    frames_BT = torch.exp(-(PLACE_S_T - 0.06).abs() / torch.tensor([[0.3], [0.05]]))
    frames_BT = frames_BT / frames_BT.sum(dim=1, keepdim=True)
    saved_s_B = (frames_BT * (PLACE_S_T.abs() - (PLACE_S_T - 0.06).abs())).sum(dim=1)
    assert (saved_s_B > 0.004).all()
    apart = Changes.of(sides(onset_s=5.3), torch.zeros(2), HOP_S)
    shift_s_B, _ = decide(Posteriors(frames_BT, torch.zeros(2), torch.zeros(2), torch.zeros(2), HOP_S), apart)
    assert shift_s_B.tolist() == [0.0, pytest.approx(0.06, abs=0.005)]


def test_changes_are_what_was_measured_of_them(shared_data: Path) -> None:
    """VBx on VoxConverse dev: how often both sides have a partner, how far apart these lie, and how far off all ends are."""
    folder = shared_data / "voxconverse" / "dev"
    references = read_diarizations(folder / "reference")
    hypotheses = read_diarizations(folder / "hypothesis" / "vbx")
    n_changes, apart_s, off_s = 0, [], {True: [], False: []}
    for name, reference in references.items():
        match = match_boundaries(reference, hypotheses[name])
        true_s = {there: match.reference[here].time_s for here, there in match.pairs}
        changes = touching_changes(match.hypothesis)
        sides = {place for change in changes for place in change}
        for (_, there), error_s in zip(match.pairs, match.error_s, strict=True):
            off_s[there in sides].append(abs(error_s))
        n_changes += len(changes)
        apart_s += [true_s[onset] - true_s[offset] for offset, onset in changes if offset in true_s and onset in true_s]
    assert (n_changes, len(off_s[True]), len(off_s[False])) == (3019, 4920, 5370)
    assert [1e3 * float(np.mean(off_s[side])) for side in (True, False)] == pytest.approx([261.0, 89.0], abs=0.6)
    assert len(apart_s) / n_changes == pytest.approx(0.70, abs=0.005)

    between_s = np.arange(-50, 50) * 0.04 + 0.02  # the labels lie on a grid of 40 ms
    found = np.searchsorted(np.sort(apart_s), between_s) / len(apart_s)
    described = 0.5 * laplace.cdf(between_s, 0.04, 0.126) + 0.5 * laplace.cdf(between_s, 0.0, 0.4)
    assert np.abs(found - described).max() < 0.06


def certain(place_s: float, *, onset_s: float) -> tuple[Posteriors, Changes]:
    """An offset and an onset that are known to lie so much later than hypothesised."""
    frames_BT = torch.zeros(2, T)
    frames_BT[:, T // 2] = 1.0
    bias_s_B = torch.full((2,), place_s - 0.5 * HOP_S)
    return Posteriors(frames_BT, torch.zeros(2), bias_s_B, torch.zeros(2), HOP_S), Changes.of(sides(onset_s), bias_s_B, HOP_S)


@pytest.mark.parametrize("onset_s", [5.0, 5.3])
def test_a_boundary_moves_where_two_milliseconds_are_won(onset_s: float) -> None:
    """Not for less, however certain it is; and the sides of a change together for twice as much, not for three in all."""
    for place_s, moves in ((0.001, False), (0.0015, False), (0.0025, True)):
        shift_s_B, _ = decide(*certain(place_s, onset_s=onset_s))
        assert shift_s_B.tolist() == pytest.approx([place_s if moves else 0.0] * 2, abs=1e-6)
