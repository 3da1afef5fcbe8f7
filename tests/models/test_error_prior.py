"""What a hypothesis tells of its own errors, and what a reading does to a boundary."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from brefine.models.error_prior import CAUTIOUS_WEIGHTS, ErrorPrior, fit, fit_labelled, posterior
from brefine.models.reading import Reading, laplace_bins, read

HOP_S, T = 0.01, 200
TRAINED = (0.05, 0.1, 0.2, 0.4, 0.25)


def said(logits_BK: torch.Tensor) -> Reading:
    """What a model says of onsets (even rows) and offsets (odd rows), none of them a side of a change."""
    n = len(logits_BK)
    onset_B, change_B = torch.arange(n) % 2 == 0, torch.zeros(n, dtype=torch.bool)
    zeros_B = torch.zeros(n)
    return read(logits_BK, TRAINED, onset_B=onset_B, change_B=change_B, centre_B=zeros_B, beyond_BR=zeros_B[:, None], hop_s=HOP_S)


def heard_at(shift_s_B: torch.Tensor, *, sharpness: float = 8.0) -> Reading:
    """Onsets (even rows) and offsets (odd rows) that a model hears `shift_s_B` later than hypothesised, for sure."""
    centres_T = (torch.arange(T) + 0.5 - T / 2) * HOP_S
    logits_BT = -(((centres_T - shift_s_B[:, None]) / 0.02) ** 2) + sharpness
    logits_BK = torch.cat([logits_BT.clamp(min=0.0), torch.zeros(len(shift_s_B), 1)], dim=1)
    return said(logits_BK)


def median_shift_s(reading: Reading, prior: ErrorPrior) -> torch.Tensor:
    frames_BT, margin_B = posterior(reading, prior)
    return (frames_BT.cumsum(dim=1) < 0.5).sum(dim=1) * HOP_S - T / 2 * HOP_S + margin_B


def test_a_good_system_is_recognised_without_labels() -> None:
    """Where the model hears what the hypothesis says, the weight goes to small errors; where it does not, to large ones."""
    generator = torch.Generator().manual_seed(0)
    good = fit(heard_at(0.01 * torch.randn(200, generator=generator)))
    bad = fit(heard_at(0.15 * torch.randn(200, generator=generator)))
    assert sum(good.weights[:2]) > 0.7
    assert sum(bad.weights[3:]) > 0.6
    assert sum(good.weights) == pytest.approx(1.0, abs=1e-4)


def test_a_far_reading_moves_a_bad_systems_boundary_and_not_a_good_ones() -> None:
    """The same evidence counts for more where such errors are usual."""
    generator = torch.Generator().manual_seed(1)
    far = heard_at(torch.tensor([0.35, 0.35]), sharpness=5.0)
    good = fit(heard_at(0.01 * torch.randn(200, generator=generator)))
    bad = fit(heard_at(0.2 * torch.randn(200, generator=generator)))
    assert median_shift_s(far, good).abs().max() < 0.05
    assert median_shift_s(far, bad).min() > 0.25


def vaguely_heard_at(shift_s_B: torch.Tensor) -> Reading:
    """As `heard_at`, with most of the probability all over the window."""
    centres_T = (torch.arange(T) + 0.5 - T / 2) * HOP_S
    vague_BT = torch.log(0.3 * torch.exp(-(((centres_T - shift_s_B[:, None]) / 0.05) ** 2)) + 0.02)
    logits_BK = torch.cat([vague_BT, torch.full((len(shift_s_B), 1), -5.0)], dim=1)
    return said(logits_BK)


def test_vague_readings_say_nothing_of_a_system_however_many_they_are() -> None:
    """Readings as far off as a bad system's: thousands of them do not make it one, as some sure ones do."""
    shift_s_B = 0.15 * torch.randn(4000, generator=torch.Generator().manual_seed(4))
    vague, sure = vaguely_heard_at(shift_s_B), heard_at(shift_s_B[:200])
    assert vague.worth_B.max() == 0.0
    assert sure.worth_B.min() == 1.0
    assert fit(vague).weights == pytest.approx(CAUTIOUS_WEIGHTS)
    assert fit(sure).weights[3] > 0.7


def test_vague_readings_do_not_hide_what_sure_ones_say() -> None:
    """A good system is recognised among twice as many false turns, of which the model hears hardly where they might end."""
    generator = torch.Generator().manual_seed(5)
    sure = heard_at(0.02 * torch.randn(200, generator=generator))
    false = vaguely_heard_at(0.6 * torch.randn(400, generator=generator).clamp(-1.5, 1.5))
    both = Reading.joined([sure, false])
    among, alone = fit(both), fit(sure)
    assert among.weights == pytest.approx(alone.weights, abs=0.02)
    assert among.doubt == pytest.approx(alone.doubt, abs=0.02)
    counted = fit(replace(both, worth_B=torch.ones(600)))  # what became of it if all had a say
    assert counted.weights[-1] > alone.weights[-1] + 0.2


def test_where_the_model_knows_nothing_nothing_moves() -> None:
    """A reading that is what training taught to expect leaves every boundary in its place."""
    logits_BT = torch.log(torch.tensor(TRAINED) @ laplace_bins(T, HOP_S, 0.0)).expand(50, -1)
    logits_BK = torch.cat([logits_BT, torch.full((50, 1), -5.0)], dim=1)
    reading = said(logits_BK)
    assert median_shift_s(reading, fit(reading)).abs().max() <= HOP_S + 1e-6


@pytest.mark.parametrize("labelled", [False, True])
def test_the_sides_of_changes_have_errors_of_their_own(labelled: bool) -> None:
    """A system that puts changes 0.3 s off and everything else right is told so, and only changes then move far."""
    generator = torch.Generator().manual_seed(3)
    change_B = torch.arange(400) % 4 < 2
    true_s_B = torch.where(change_B, 0.3, 0.01) * torch.randn(400, generator=generator)
    reading = replace(heard_at(true_s_B), change_B=change_B)
    prior = fit_labelled(reading, true_s_B) if labelled else fit(reading)
    assert sum(prior.change_weights[3:]) > 0.8
    assert sum(prior.weights[:2]) > 0.8
    alike = heard_at(torch.tensor([0.3]), sharpness=2.0)
    far_s, near_s = (float(median_shift_s(replace(alike, change_B=torch.tensor([change])), prior)) for change in (True, False))
    assert far_s > 0.1 > abs(near_s)


def test_a_few_sides_of_changes_stay_cautious() -> None:
    """Two of two hundred say little of changes, and what the others are says nothing of them."""
    true_s_B = 0.15 * torch.randn(200, generator=torch.Generator().manual_seed(5))
    none, two = (fit(replace(heard_at(true_s_B), change_B=torch.arange(200) < n_sides)) for n_sides in (0, 2))
    assert none.change_weights == pytest.approx(CAUTIOUS_WEIGHTS)
    assert two.change_weights == pytest.approx(CAUTIOUS_WEIGHTS, abs=0.15)
    assert two.weights == pytest.approx(none.weights, abs=0.02)


def test_with_few_boundaries_the_prior_stays_cautious() -> None:
    """Three boundaries can't make a system bad; none leave what was expected."""
    few = fit(heard_at(torch.tensor([0.4, -0.4, 0.4])))
    assert few.weights[-1] < CAUTIOUS_WEIGHTS[-1] + 0.25
    assert fit(heard_at(torch.zeros(0))) == ErrorPrior()


def test_an_inward_habit_is_mended_and_half_of_an_outward_one_kept() -> None:
    """Offsets that all end 80 ms early are a bias; offsets that all end 80 ms late may be a convention."""
    shift_s_B = torch.zeros(400)
    shift_s_B[1::2] = 0.08
    early = fit(heard_at(shift_s_B))
    late = fit(heard_at(-shift_s_B))
    assert early.margin_s == (0.0, 0.0)
    assert early.habit_s[1] == pytest.approx(0.08, abs=0.015)
    assert late.margin_s[1] == pytest.approx(0.04, abs=0.01)
    assert median_shift_s(heard_at(shift_s_B), early)[1::2].mean() == pytest.approx(0.08, abs=0.02)


@pytest.mark.parametrize("there", [1.0, 0.9, 0.75])
def test_a_boundary_that_is_not_there_is_no_cause_for_doubt(there: float) -> None:
    """Readings drawn from the very model that is fitted, all of them right: little doubt stays, however many have no boundary."""
    generator = torch.Generator().manual_seed(2)
    n = 2000
    bins_T = torch.tensor((0.1, 0.1, 0.2, 0.5, 0.1)) @ laplace_bins(T, HOP_S, 0.0)
    trained_T = torch.tensor(TRAINED) @ laplace_bins(T, HOP_S, 0.0)
    means_B = torch.rand(n, generator=generator) < there
    heard_B = torch.where(means_B, *(torch.multinomial(p_T, n, True, generator=generator) for p_T in (bins_T, trained_T)))
    heard_BT = torch.exp(-0.5 * ((torch.arange(T) - heard_B[:, None]) / 2.0) ** 2) * trained_T
    reading = Reading(
        heard_BT / heard_BT.sum(dim=1, keepdim=True) / trained_T,
        torch.full((n,), there),
        torch.arange(n) % 2 == 0,
        torch.zeros(n, dtype=torch.bool),
        torch.zeros(n),
        torch.ones(n),
        torch.zeros(n, 1),
        HOP_S,
    )
    assert fit(reading).doubt < 0.16


def test_a_boundary_is_held_back_only_where_the_model_is_sure_that_there_is_none() -> None:
    """The same reading of a place 0.3 s away: a probability of none of a third hardly matters, one of nearly one does."""
    moved_s = []
    for there in (1.0, 2.0 / 3.0, 0.03):
        reading = replace(heard_at(torch.tensor([0.3]), sharpness=5.0), there_B=torch.tensor([there]))
        moved_s.append(float(median_shift_s(reading, ErrorPrior(weights=(0.1, 0.1, 0.3, 0.4, 0.1)))))
    assert moved_s[:2] == pytest.approx([0.3, 0.3], abs=0.03)
    assert abs(moved_s[2]) < 0.05


def test_each_label_counts_however_many_there_are() -> None:
    """Ten times as many labels say more surely how bad a system is; what is expected before them matters less."""
    told_s_B = 0.15 * torch.randn(400, generator=torch.Generator().manual_seed(4))
    once, often = (fit_labelled(heard_at(shift_s_B), shift_s_B) for shift_s_B in (told_s_B, told_s_B.repeat(10)))
    assert often.weights[0] < 0.5 * once.weights[0]


def test_labels_tell_a_convention_from_a_bias() -> None:
    """Where labels are known to stand 100 ms after what is heard, offsets keep all of that room."""
    heard_s_B, label_s_B = torch.zeros(200), torch.zeros(200)
    heard_s_B[1::2], label_s_B[1::2] = -0.1, 0.0
    prior = fit_labelled(heard_at(heard_s_B), label_s_B)
    assert prior.margin_s[1] == pytest.approx(0.1, abs=0.02)
    assert abs(prior.margin_s[0]) <= 0.02
    assert median_shift_s(heard_at(heard_s_B), prior)[1::2].abs().mean() <= 0.02


def mixed_reading(n: int = 120) -> Reading:
    """Boundaries of both sides and both kinds, heard surely and vaguely, of which some may not be there or count for little."""
    generator = torch.Generator().manual_seed(8)
    heard = Reading.joined([heard_at(0.2 * torch.randn(n // 2, generator=generator)), vaguely_heard_at(torch.zeros(n // 2))])
    there_B, worth_B, change = (torch.rand(n, generator=generator) for _ in range(3))
    return replace(heard, there_B=there_B, worth_B=worth_B, change_B=change > 0.5)


def test_what_is_found_of_a_system_is_where_the_em_of_the_module_stands_still() -> None:
    """Boundary by boundary: with the weights and the doubt that were found, one more step finds them again."""
    reading = mixed_reading()
    prior = fit(reading)
    weights_KJ = torch.tensor([prior.weights, prior.change_weights])
    counts_KJ = 10.0 * torch.tensor([CAUTIOUS_WEIGHTS] * 2)
    meant, doubted = 0.0, 8.0 * 0.15
    for row in range(len(reading)):
        kind, worth, means = int(reading.change_B[row]), reading.worth_B[row], 1.0 - (1.0 - reading.there_B[row]) ** 2
        scale_J = laplace_bins(T, HOP_S, prior.habit_s[0 if reading.onset_B[row] else 1]) @ reading.ratio_BT[row]
        likely_J = means * ((1.0 - prior.doubt) * scale_J + prior.doubt) + 1.0 - means
        likely = (weights_KJ[kind] * likely_J).sum()
        counts_KJ[kind] += worth * weights_KJ[kind] * likely_J / likely
        meant += float(worth * means * (1.0 - prior.doubt) * (weights_KJ[kind] * scale_J).sum() / likely)
        doubted += float(worth * means * prior.doubt / likely)
    assert 0.05 < prior.doubt < 0.95
    assert prior.doubt == pytest.approx(doubted / (meant + doubted + 8.0 * 0.85), abs=1e-4)
    torch.testing.assert_close(weights_KJ, counts_KJ / counts_KJ.sum(dim=1, keepdim=True), atol=1e-4, rtol=0.0)


def test_labels_find_the_room_and_the_doubt_that_go_together() -> None:
    """Of all rooms of whole centimetres each side's is the most probable, at a doubt that one more step finds again."""
    reading = mixed_reading()
    label_s_B = 0.1 * torch.randn(len(reading), generator=torch.Generator().manual_seed(9))
    prior = fit_labelled(reading, label_s_B)
    scores = {margin: [-0.5 * (margin / 8.0) ** 2] * 2 for margin in range(-24, 25)}
    meant, doubted = 0.0, 8.0 * 0.15
    for row in range(len(reading)):
        side, means = int(not reading.onset_B[row]), float(1.0 - (1.0 - reading.there_B[row]) ** 2)
        for margin, score_2 in scores.items():
            ratio = float(reading.ratio_BT[row, int((label_s_B[row] - 0.01 * margin) // HOP_S) + T // 2])
            likely = means * ((1.0 - prior.doubt) * ratio + prior.doubt) + 1.0 - means
            score_2[side] += math.log(likely)
            if margin == round(100 * prior.margin_s[side]):
                meant += means * (1.0 - prior.doubt) * ratio / likely
                doubted += means * prior.doubt / likely
    assert prior.doubt == pytest.approx(doubted / (meant + doubted + 8.0 * 0.85), abs=1e-3)
    for side, margin_s in enumerate(prior.margin_s):
        best = max(score_2[side] for score_2 in scores.values())
        assert scores[round(100 * margin_s)][side] == pytest.approx(best, abs=1e-2)


def test_labels_tell_the_room_before_onsets_apart_from_that_behind_offsets() -> None:
    """They may stand on either side of what is heard, whatever is usual: here 80 ms before it, and within the turn."""
    heard_s_B = torch.zeros(400)
    for onset_s, offset_s in ((-0.08, -0.12), (0.12, 0.08)):
        label_s_B = torch.where(torch.arange(400) % 2 == 0, onset_s, offset_s)
        assert fit_labelled(heard_at(heard_s_B), label_s_B).margin_s == pytest.approx((onset_s, offset_s), abs=0.011)


def test_readings_that_have_nothing_to_do_with_the_labels_are_doubted_altogether() -> None:
    """Not only as far as a first estimate goes: each raises the doubt in all others."""
    generator = torch.Generator().manual_seed(7)
    heard_s_B, label_s_B = (1.8 * torch.rand(400, generator=generator) - 0.9 for _ in range(2))
    assert fit_labelled(heard_at(heard_s_B), label_s_B).doubt > 0.9
    assert fit_labelled(heard_at(heard_s_B), heard_s_B).doubt < 0.01


@pytest.mark.parametrize("n_sides", [1, 400])
def test_a_bias_that_labels_tell_is_habit_and_margin_together(n_sides: int) -> None:
    """Offsets are labelled 150 ms after what is heard, and that lies 100 ms after the hypothesis: few of them count for less."""
    heard_s_B, label_s_B = torch.zeros(2 * n_sides), torch.zeros(2 * n_sides)
    heard_s_B[1::2], label_s_B[1::2] = 0.1, 0.25
    prior = fit_labelled(heard_at(heard_s_B), label_s_B)
    assert prior.margin_s[1] > 0.1
    assert prior.habit_s[1] + prior.margin_s[1] == pytest.approx(0.25 * n_sides / (n_sides + 16))


def test_labels_that_say_little_leave_no_room_around_what_is_heard() -> None:
    """One offset, vaguely heard 0.2 s before its label where there is hardly one; and no onset at all."""
    vague = replace(vaguely_heard_at(torch.tensor([-0.2])), onset_B=torch.tensor([False]), there_B=torch.tensor([0.05]))
    prior = fit_labelled(vague, torch.zeros(1))
    assert prior.margin_s[0] == 0.0
    assert abs(prior.margin_s[1]) <= 0.05


def test_no_convention_leaves_more_room_than_a_quarter_of_a_second() -> None:
    """Labels that stand 0.4 s off what is heard are wrong labels, or a bias, and widen no turn by as much."""
    heard_s_B = torch.zeros(800)
    heard_s_B[1::2] = -0.4
    assert fit_labelled(heard_at(heard_s_B), torch.zeros(800)).margin_s[1] <= 0.24 + 1e-6


def test_labels_are_not_written_over() -> None:
    """Who fits again, with other recordings left out, gives the same ones."""
    label_s_B = torch.full((40,), 0.1)
    fit_labelled(heard_at(torch.zeros(40)), label_s_B)
    torch.testing.assert_close(label_s_B, torch.full((40,), 0.1))


def test_errors_that_labels_tell_are_counted_from_the_bias() -> None:
    """A system that is late throughout is no worse around its bias than the same one that is not."""
    error_s_B = 0.03 * torch.randn(1000, generator=torch.Generator().manual_seed(6))
    right, late = (fit_labelled(heard_at(error_s_B), error_s_B + bias_s) for bias_s in (0.0, 0.2))
    assert late.weights == pytest.approx(right.weights, abs=0.1)


@pytest.mark.parametrize("n_unsure", [0, 200])
def test_the_habit_of_eight_sure_boundaries_is_a_third_of_theirs(n_unsure: int) -> None:
    """Expected are sixteen without any; those that are not heard well enough do not count, however many they are."""
    shift_s_B = torch.zeros(16)
    shift_s_B[1::2] = 0.06
    sure, unsure = heard_at(shift_s_B), vaguely_heard_at(torch.full((n_unsure,), -0.3))
    habit_s = fit(Reading.joined([sure, unsure])).habit_s[1]
    many_s = fit(heard_at(shift_s_B.repeat(100))).habit_s[1]
    assert many_s == pytest.approx(0.06, abs=0.01)
    assert habit_s == pytest.approx(many_s * 816 / 800 * 8 / 24, abs=1e-4)


@pytest.mark.parametrize("shift_s", [0.0, 0.9])
def test_one_reading_says_little_of_how_far_the_model_is_to_be_doubted(shift_s: float) -> None:
    """Whether it agrees with the hypothesis or not."""
    assert fit(heard_at(torch.tensor([shift_s]))).doubt == pytest.approx(0.15, abs=0.04)
    assert fit(heard_at(torch.tensor([shift_s] * 200))).doubt < 0.02


def test_the_habit_of_onsets_is_kept_or_mended_on_their_own_side() -> None:
    """Onsets heard after the hypothesis may be a convention, of which half is kept before them; heard before it, a bias."""
    shift_s_B = torch.zeros(400)
    shift_s_B[0::2] = 0.08
    outward, inward = fit(heard_at(shift_s_B)), fit(heard_at(-shift_s_B))
    assert outward.habit_s[0] == pytest.approx(0.08, abs=0.015)
    assert outward.margin_s == (pytest.approx(-0.04, abs=0.01), 0.0)
    assert inward.margin_s == (0.0, 0.0)
    assert median_shift_s(heard_at(shift_s_B), outward)[0::2].mean() == pytest.approx(0.04, abs=0.02)


def test_each_side_is_expected_where_its_own_habit_has_it() -> None:
    """Where the model knows nothing, onsets stay around theirs and offsets around theirs."""
    logits_BT = torch.log(torch.tensor(TRAINED) @ laplace_bins(T, HOP_S, 0.0)).expand(4, -1)
    reading = said(torch.cat([logits_BT, torch.full((4, 1), -5.0)], dim=1))
    shift_s_B = median_shift_s(reading, ErrorPrior(habit_s=(-0.1, 0.1)))
    assert shift_s_B.tolist() == pytest.approx([-0.1, 0.1, -0.1, 0.1], abs=0.02)


def test_a_habit_of_more_than_a_fifth_of_a_second_is_not_believed() -> None:
    """Whatever the model hears throughout."""
    habit_s = fit(heard_at(torch.full((4000,), 0.4))).habit_s
    assert habit_s == pytest.approx((0.2, 0.2), abs=0.005)


def test_a_window_that_does_not_lie_around_the_hypothesis_is_reckoned_with() -> None:
    """Its middle is 35 ms after the boundary: what is heard 5 ms behind that is 40 ms late, and labels there leave no room."""
    reading = replace(heard_at(torch.full((4000,), 0.005)), centre_B=torch.full((4000,), 0.035))
    assert fit(reading).habit_s == pytest.approx((0.04, 0.04), abs=0.003)
    assert fit_labelled(reading, torch.full((4000,), 0.04)).margin_s == pytest.approx((0.0, 0.0), abs=0.011)
