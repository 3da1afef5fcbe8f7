"""Matching of boundaries: hand-made cases, a brute-force oracle, and the real pairs."""

from __future__ import annotations

from itertools import combinations, permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from brefine.core.boundaries import Side, boundaries_of
from brefine.core.matching import map_speakers, match_boundaries, match_times
from brefine.core.turns import Diarization, Turn
from brefine.io.rttm import read_diarizations
from tests.core.strategies import diarization, diarizations

_TIMES_S = st.lists(st.integers(0, 600).map(lambda tick: tick / 100), max_size=9).map(sorted)


def cost_s(reference_s: list[float], hypothesis_s: list[float], pairs: list[tuple[int, int]], window_s: float) -> float:
    """Saving of a match; least capped cost and greatest saving are the same."""
    return sum(max(0.0, window_s - abs(reference_s[i] - hypothesis_s[j])) for i, j in pairs)


def test_a_shifted_turn_is_matched_end_by_end() -> None:
    """Errors are hypothesis − reference, so late ends are positive."""
    match = match_boundaries(diarization((1.0, 3.0, "A")), diarization((1.2, 2.9, "x")))
    assert match.pairs == ((0, 0), (1, 1))
    assert match.error_s == pytest.approx([0.2, -0.1])


def test_a_boundary_is_asked_for_its_partner_wherever_it_stands() -> None:
    """In the order of the question; boundaries that were not matched have none."""
    hypothesis = diarization((1.2, 2.9, "x"), (6.0, 7.0, "x"))
    match = match_boundaries(diarization((1.0, 3.0, "A")), hypothesis)
    asked = boundaries_of(hypothesis)
    np.testing.assert_array_equal(match.partner_times_s(asked), [1.0, 3.0, np.nan, np.nan])
    np.testing.assert_array_equal(match.partner_times_s(asked[1::-1]), [3.0, 1.0])


def test_onsets_never_pair_with_offsets_nor_across_speakers() -> None:
    """Close in time is not enough."""
    reference = diarization((0.0, 5.0, "A"), (5.1, 9.0, "B"))
    hypothesis = diarization((0.0, 3.0, "x"), (5.0, 9.0, "x"), (3.0, 5.1, "y"))
    match = match_boundaries(reference, hypothesis)
    for here, there in match.pairs:
        assert match.reference[here].side is match.hypothesis[there].side
    speakers = {(match.reference[i].speaker, match.hypothesis[j].speaker) for i, j in match.pairs}
    assert speakers <= set({"A": "y", "B": "x"}.items()) | {("B", "x"), ("A", "y")}


def test_one_boundary_has_one_partner() -> None:
    """The nearer of two candidates wins when the other has nobody else."""
    assert match_times([1.0], [0.7, 1.1], 1.0) == [(0, 1)]


def test_the_total_decides_not_the_nearest() -> None:
    """Giving up a near pair is right when it makes two pairs that save more."""
    assert match_times([1.0, 1.5], [1.4, 2.0], 1.0) == [(0, 0), (1, 1)]


def test_a_pair_at_the_cap_is_no_pair() -> None:
    """It would cost as much as two lonely boundaries."""
    assert match_times([1.0], [2.0], 1.0) == []
    behind_others = match_times([0.0, 0.0, 0.0, 0.94, 0.94, 4.21], [0.0, 0.0, 0.13, 1.06, 1.06, 4.46], 0.25)
    assert behind_others == [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4)]  # nor where the others' savings are rounded


@given(_TIMES_S, _TIMES_S, st.sampled_from([0.25, 1.0, 2.0]))
def test_the_match_costs_as_little_as_the_hungarian_one(
    reference_s: list[float], hypothesis_s: list[float], window_s: float
) -> None:
    """The chain search finds the optimum of the full assignment problem."""
    pairs = match_times(reference_s, hypothesis_s, window_s)
    assert all(abs(reference_s[i] - hypothesis_s[j]) < window_s for i, j in pairs)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    cost = np.minimum(np.abs(np.subtract.outer(np.array(reference_s), np.array(hypothesis_s))), window_s)
    rows, columns = linear_sum_assignment(cost)
    best_s = float(np.sum(window_s - cost[rows, columns]))
    assert cost_s(reference_s, hypothesis_s, pairs, window_s) == pytest.approx(best_s, abs=1e-9)


@given(diarizations(max_turns=5), diarizations(max_turns=5))
def test_the_speaker_map_shares_most_speech(reference: Diarization, hypothesis: Diarization) -> None:
    """No other one-to-one map of the speakers has more common speech, counted tick by tick."""
    ticks = {
        (which, speaker): {
            tick for turn in spoken.of(speaker) for tick in range(round(turn.onset_s * 100), round(turn.offset_s * 100))
        }
        for which, spoken in (("r", reference), ("h", hypothesis))
        for speaker in spoken.speakers
    }

    def common(pairs: list[tuple[str, str]]) -> int:
        return sum(len(ticks["r", here] & ticks["h", there]) for there, here in pairs)

    n = min(len(reference.speakers), len(hypothesis.speakers))
    best = max(
        common(list(zip(chosen, own, strict=True)))
        for chosen in combinations(hypothesis.speakers, n)
        for own in permutations(reference.speakers, n)
    )
    found = map_speakers(reference, hypothesis)
    assert common(list(found.items())) == best
    assert len(set(found.values())) == len(found)


@given(diarizations())
def test_a_diarization_matches_itself_without_error(spoken: Diarization) -> None:
    """Every end of speech finds itself."""
    match = match_boundaries(spoken, spoken)
    assert len(match.pairs) == len(match.reference)
    assert not match.error_s.any()


@given(diarizations(max_turns=6), diarizations(max_turns=6))
def test_names_of_speakers_do_not_matter(reference: Diarization, hypothesis: Diarization) -> None:
    """Renaming the hypothesis's speakers leaves the errors as they are."""
    renamed = Diarization("a", tuple(Turn(t.onset_s, t.offset_s, f"{t.speaker}-renamed") for t in hypothesis.turns))
    before, after = match_boundaries(reference, hypothesis), match_boundaries(reference, renamed)
    assert sorted(before.error_s) == sorted(after.error_s)


def test_only_boundaries_in_the_regions_count() -> None:
    """A pair counts where its reference boundary lies; a cut through a turn is no boundary, but makes edges of what is there."""
    reference = diarization((0.5, 4.0, "A"), (9.9, 12.0, "A"), (15.0, 16.0, "A"))
    hypothesis = diarization((0.5, 4.2, "x"), (10.1, 12.0, "x"), (5.0, 6.0, "x"), (20.0, 21.0, "x"))
    match = match_boundaries(reference, hypothesis, regions_s=[(0.0, 4.1), (5.5, 10.0)])
    assert [boundary.time_s for boundary in match.reference] == [0.5, 4.0, 9.9]
    assert [boundary.time_s for boundary in match.hypothesis] == [0.5, 4.2, 6.0, 10.1]
    assert match.pairs == ((0, 0), (1, 1), (2, 3))
    assert match.error_s == pytest.approx([0.0, 0.2, 0.2])
    cut = match_boundaries(reference, hypothesis, regions_s=[(0.5, 12.0)])
    assert [boundary.kind for boundary in cut.reference] == ["edge", "pause", "pause", "edge"]
    assert [boundary.kind for boundary in cut.hypothesis] == ["edge", "pause", "pause", "pause", "pause", "edge"]
    assert match_boundaries(reference, hypothesis, regions_s=[]).reference == ()


def test_a_partner_of_what_is_not_scored_is_not_scored() -> None:
    """It lies inside, its reference boundary outside: it is neither a pair nor a boundary too many."""
    reference, hypothesis = diarization((1.0, 4.0, "A")), diarization((1.2, 4.0, "x"))
    match = match_boundaries(reference, hypothesis, regions_s=[(1.1, 5.0)])
    assert [boundary.time_s for boundary in match.reference] == [boundary.time_s for boundary in match.hypothesis] == [4.0]
    assert match.pairs == ((0, 0),)


def test_speakers_who_never_speak_together_are_not_the_same() -> None:
    """However few are left to choose from."""
    reference = diarization((0.0, 5.0, "A"), (10.0, 12.0, "B"))
    hypothesis = diarization((0.0, 5.0, "x"), (20.0, 22.0, "y"))
    assert map_speakers(reference, hypothesis) == {"x": "A"}


def test_a_window_of_zero_is_refused() -> None:
    """There would be nothing to match."""
    with pytest.raises(ValueError, match="above 0"):
        match_boundaries(diarization(), diarization(), window_s=0.0)


def test_twenty_thousand_turns_are_matched_completely() -> None:
    """A 12-hour recording of short, dense turns is one chain of candidates and still solved."""
    n = 20_000
    reference = diarization(*[(2.0 * i, 2.0 * i + 1.5, "AB"[i % 2]) for i in range(n)])
    hypothesis = diarization(*[(2.0 * i + 0.1, 2.0 * i + 1.4, "xy"[i % 2]) for i in range(n)])
    match = match_boundaries(reference, hypothesis, window_s=5.0)
    assert len(match.pairs) == 2 * n
    np.testing.assert_allclose(np.abs(match.error_s), 0.1, rtol=1e-6)
    assert {match.reference[i].side for i, _ in match.pairs} == set(Side)


def test_vbx_on_voxconverse_gives_the_published_figures(shared_data: Path) -> None:
    """W = 1 s, 216 recordings: recall 62.2 %, precision 87.7 %, MAE 172 ms, median 99 ms, 32 % within 50 ms, 50 % within 100."""
    references = read_diarizations(shared_data / "voxconverse/dev/reference")
    hypotheses = read_diarizations(shared_data / "voxconverse/dev/hypothesis/vbx")
    matches = [match_boundaries(references[name], hypotheses[name]) for name in references]
    error_s = np.abs(np.concatenate([match.error_s for match in matches]))
    assert len(error_s) / sum(len(match.reference) for match in matches) == pytest.approx(0.622, abs=5e-4)
    assert len(error_s) / sum(len(match.hypothesis) for match in matches) == pytest.approx(0.877, abs=5e-4)
    assert error_s.mean() == pytest.approx(0.172, abs=5e-4)
    assert np.median(error_s) == pytest.approx(0.099, abs=5e-4)
    assert np.mean(error_s <= 0.05) == pytest.approx(0.32, abs=5e-3)
    assert np.mean(error_s <= 0.1) == pytest.approx(0.50, abs=5e-3)
