"""DER and JER: golden cases by hand, properties, and agreement with spy-der and pyannote.metrics."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brefine.core.der import DerParts, JerParts, score_der, score_jer
from brefine.core.turns import Diarization, Turn
from tests.core.conftest import Pair
from tests.core.strategies import diarization, diarizations

COLLARS_S = st.sampled_from([0.0, 0.1, 0.25])


def figures(parts: DerParts) -> tuple[float, float, float, float]:
    return parts.missed_s, parts.false_alarm_s, parts.confusion_s, parts.reference_speech_s


# --- by hand -----------------------------------------------------------------------------------------------------------


def test_missed_false_and_confused_time_are_told_apart() -> None:
    """A speaks 0–10 and B 10–16; the system starts A late, gives A two seconds of B and goes on too long."""
    reference = diarization((0.0, 10.0, "A"), (10.0, 16.0, "B"))
    hypothesis = diarization((1.0, 12.0, "x"), (12.0, 17.0, "y"))
    assert figures(score_der(reference, hypothesis)) == pytest.approx((1.0, 1.0, 2.0, 16.0))
    assert score_der(reference, hypothesis).der == pytest.approx(0.25)


def test_overlapped_speech_counts_for_every_speaker() -> None:
    """Two people talk 4–6; the system hears one of them there."""
    reference = diarization((0.0, 6.0, "A"), (4.0, 10.0, "B"))
    hypothesis = diarization((0.0, 6.0, "x"), (6.0, 10.0, "y"))
    assert figures(score_der(reference, hypothesis)) == pytest.approx((2.0, 0.0, 0.0, 12.0))
    assert figures(score_der(reference, hypothesis, skip_overlap=True)) == pytest.approx((0.0, 0.0, 0.0, 8.0))


def test_the_collar_frees_both_sides_of_a_reference_boundary() -> None:
    """0.25 s before and after each reference end are not scored, and not counted as reference speech either."""
    reference, hypothesis = diarization((1.0, 5.0, "A")), diarization((0.5, 5.2, "x"))
    assert figures(score_der(reference, hypothesis, collar_s=0.25)) == pytest.approx((0.0, 0.25, 0.0, 3.5))


def test_who_is_who_does_not_depend_on_the_collar() -> None:
    """x shares 1.8 s with A and 1.6 s with B; a collar that hides nearly all that it shares with A makes it no B."""
    reference = diarization(*((2.0 * i, 2.0 * i + 0.6, "A") for i in range(3)), (10.0, 11.6, "B"))
    hypothesis = diarization(*((turn.onset_s, turn.offset_s, "x") for turn in reference.turns))
    assert score_der(reference, hypothesis).confusion_s == pytest.approx(1.6)
    assert figures(score_der(reference, hypothesis, collar_s=0.25)) == pytest.approx((0.0, 0.0, 1.1, 1.4))


def test_only_regions_are_scored() -> None:
    """Errors outside the UEM cost nothing; turns are cut at its edges, without a collar there."""
    reference, hypothesis = diarization((0.0, 10.0, "A")), diarization((3.0, 20.0, "x"))
    regions_s = [(2.0, 5.0), (9.0, 12.0)]
    assert figures(score_der(reference, hypothesis, regions_s=regions_s)) == pytest.approx((1.0, 2.0, 0.0, 4.0))
    with_collar = score_der(reference, hypothesis, regions_s=regions_s, collar_s=0.5)
    assert figures(with_collar) == pytest.approx((1.0, 1.5, 0.0, 3.5))


def test_regions_that_overlap_are_scored_once() -> None:
    """As a UEM may have them; one that lies in another adds nothing."""
    reference, hypothesis = diarization((0.0, 10.0, "A")), diarization((3.0, 20.0, "x"))
    whole = score_der(reference, hypothesis, regions_s=[(2.0, 12.0)])
    assert score_der(reference, hypothesis, regions_s=[(2.0, 9.0), (5.0, 12.0), (6.0, 7.0)]) == whole


def test_no_regions_leave_nothing_to_score() -> None:
    """An empty UEM is not the same as none."""
    spoken = diarization((0.0, 10.0, "A"))
    assert score_der(spoken, spoken, regions_s=[]) == DerParts()


def test_a_turn_cut_in_two_costs_nothing() -> None:
    """Touching and overlapping turns of one speaker are one stretch of speech."""
    reference = diarization((0.0, 10.0, "A"))
    hypothesis = diarization((0.0, 4.0, "x"), (4.0, 8.0, "x"), (6.0, 10.0, "x"))
    assert score_der(reference, hypothesis).error_s == 0.0


def test_rates_without_reference_speech() -> None:
    """Silence heard as silence is right; speech heard in silence is wholly wrong."""
    assert score_der(diarization(), diarization()).der == 0.0
    assert score_der(diarization(), diarization((0.0, 1.0, "x"))).der == 1.0
    assert score_jer(diarization(), diarization((0.0, 1.0, "x"))).jer == 0.0


def test_recordings_add_up() -> None:
    """The rate of a corpus is that of its summed seconds, not the mean of its recordings' rates."""
    total = DerParts(10.0, 1.0, 0.0, 0.0) + DerParts(90.0, 0.0, 4.0, 5.0)
    assert total.der == pytest.approx(0.10)
    assert (JerParts(1, 0.5) + JerParts(3, 0.5)).jer == pytest.approx(0.25)


def test_jaccard_error_weighs_speakers_alike() -> None:
    """A has 8 of 10 s right (1 − 8/10), B no partner (1): the mean is 0.6."""
    reference = diarization((0.0, 10.0, "A"), (20.0, 21.0, "B"))
    assert score_jer(reference, diarization((0.0, 8.0, "x"))).jer == pytest.approx(0.6)


def test_only_speakers_of_the_regions_have_a_jaccard_error() -> None:
    """B speaks outside: he is neither right nor wrong."""
    reference = diarization((0.0, 10.0, "A"), (20.0, 21.0, "B"))
    assert score_jer(reference, diarization((0.0, 8.0, "x")), regions_s=[(0.0, 15.0)]) == JerParts(1, pytest.approx(0.2))


def test_partners_of_a_jaccard_error_are_those_that_make_it_least() -> None:
    """x shares 6 s with A, y 4 s; but nearly all of B is x's, and so A is better off with y: 1 − 4/10 and 1 − 1.9/8."""
    reference = diarization((0.0, 10.0, "A"), (20.0, 22.0, "B"))
    hypothesis = diarization((0.0, 6.0, "x"), (6.0, 10.0, "y"), (20.0, 21.9, "x"))
    assert score_jer(reference, hypothesis) == JerParts(2, pytest.approx(0.6 + 0.7625))


@pytest.mark.parametrize(("collar_s", "regions_s"), [(-0.1, None), (float("nan"), None), (0.0, [(2.0, 1.0)])])
def test_impossible_conventions_are_refused(collar_s: float, regions_s: list[tuple[float, float]] | None) -> None:
    """A caller's bug is a ValueError."""
    with pytest.raises(ValueError, match=r"collar|region"):
        score_der(diarization(), diarization(), collar_s=collar_s, regions_s=regions_s)


# --- properties --------------------------------------------------------------------------------------------------------


@given(diarizations(), COLLARS_S)
def test_a_diarization_has_no_error_against_itself(spoken: Diarization, collar_s: float) -> None:
    """DER(ref, ref) = 0, and JER too."""
    assert score_der(spoken, spoken, collar_s=collar_s).error_s == pytest.approx(0.0, abs=1e-9)
    assert score_jer(spoken, spoken).error == pytest.approx(0.0, abs=1e-9)


@given(diarizations(), diarizations(), st.permutations(("A", "B", "C")))
def test_names_of_speakers_do_not_matter(reference: Diarization, hypothesis: Diarization, names: list[str]) -> None:
    """Only who is the same person matters, not what he is called."""
    renaming = dict(zip(("A", "B", "C"), names, strict=True))
    renamed = Diarization("a", tuple(Turn(t.onset_s, t.offset_s, renaming[t.speaker]) for t in hypothesis.turns))
    assert figures(score_der(reference, renamed)) == pytest.approx(figures(score_der(reference, hypothesis)))
    assert score_jer(reference, renamed).error == pytest.approx(score_jer(reference, hypothesis).error)


@given(diarizations(), diarizations(), st.floats(0.0, 1e4), COLLARS_S)
def test_the_time_of_day_does_not_matter(
    reference: Diarization, hypothesis: Diarization, later_s: float, collar_s: float
) -> None:
    """Both moved by the same time score the same."""

    def moved(spoken: Diarization) -> Diarization:
        return Diarization("a", tuple(Turn(t.onset_s + later_s, t.offset_s + later_s, t.speaker) for t in spoken.turns))

    # Compared as missed + correct time, since equally good speaker maps may differ once a collar hides part of the speech.
    before = score_der(reference, hypothesis, collar_s=collar_s)
    after = score_der(moved(reference), moved(hypothesis), collar_s=collar_s)
    assert after.missed_s == pytest.approx(before.missed_s, abs=1e-6)
    assert after.false_alarm_s == pytest.approx(before.false_alarm_s, abs=1e-6)
    if collar_s == 0.0:
        assert after.confusion_s == pytest.approx(before.confusion_s, abs=1e-6)


@given(diarizations(), diarizations(), st.integers(1, 1999))
def test_two_regions_score_what_they_cover(reference: Diarization, hypothesis: Diarization, cut: int) -> None:
    """Touching regions are one region."""
    whole = score_der(reference, hypothesis, regions_s=[(0.0, 20.0)])
    assert figures(score_der(reference, hypothesis, regions_s=[(cut / 100, 20.0), (0.0, cut / 100)])) == pytest.approx(
        figures(whole)
    )
    assert figures(score_der(reference, hypothesis)) == pytest.approx(figures(whole))


# --- oracles -----------------------------------------------------------------------------------------------------------


def spyder_figures(pair: Pair, collar_s: float) -> tuple[float, float, float, float]:
    spyder = pytest.importorskip("spyder", reason="spy-der is not installed: it builds from source (pip install spy-der)")
    ours, theirs = ([(t.speaker, t.onset_s, t.offset_s) for t in spoken.unioned().turns] for spoken in pair)
    metrics = spyder.DER(ours, theirs, collar=collar_s)
    return tuple(rate * metrics.duration for rate in (metrics.miss, metrics.falarm, metrics.conf, 1.0))  # type: ignore[return-value]


def as_annotation(spoken: Diarization) -> Any:
    core = pytest.importorskip("pyannote.core", reason="pyannote.metrics is not installed")
    annotation = core.Annotation()
    for track, turn in enumerate(spoken.unioned().turns):
        annotation[core.Segment(turn.onset_s, turn.offset_s), track] = turn.speaker
    return annotation


def pyannote_components(name: str, pair: Pair, **options: Any) -> dict[str, float]:
    metrics = pytest.importorskip("pyannote.metrics.diarization", reason="pyannote.metrics is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the scored region is approximated by the speech
        return dict(getattr(metrics, name)(**options).compute_components(as_annotation(pair[0]), as_annotation(pair[1])))


def pyannote_figures(pair: Pair, collar_s: float, skip_overlap: bool = False) -> tuple[float, float, float, float]:
    # pyannote's collar is the whole zone around a boundary: twice ours.
    found = pyannote_components("DiarizationErrorRate", pair, collar=2 * collar_s, skip_overlap=skip_overlap)
    return found["missed detection"], found["false alarm"], found["confusion"], found["total"]


@pytest.mark.parametrize("collar_s", [0.0, 0.25])
def test_spyder_agrees_on_every_real_recording(vbx_pairs: list[Pair], collar_s: float) -> None:
    """All four times of all 216 recordings, to a microsecond."""
    for pair in vbx_pairs:
        assert figures(score_der(*pair, collar_s=collar_s)) == pytest.approx(spyder_figures(pair, collar_s), abs=1e-6)


def test_pyannote_agrees_on_every_real_recording(vbx_pairs: list[Pair]) -> None:
    """All four times of all 216 recordings at collar 0, with and without overlapped speech."""
    for pair in vbx_pairs:
        assert figures(score_der(*pair)) == pytest.approx(pyannote_figures(pair, 0.0), abs=1e-6)


def test_our_collar_is_half_of_pyannotes(vbx_pairs: list[Pair]) -> None:
    """`collar_s=0.25` here equals `collar=0.5` there.

    pyannote maps the speakers after the collar is taken away, we before, as md-eval does: one recording of 216 is mapped
    differently, and never to our advantage.
    """
    n_different = 0
    for pair in vbx_pairs:
        ours, theirs = figures(score_der(*pair, collar_s=0.25)), pyannote_figures(pair, 0.25)
        assert (*ours[:2], ours[3]) == pytest.approx((*theirs[:2], theirs[3]), abs=1e-6)
        assert ours[2] >= theirs[2] - 1e-6
        n_different += ours[2] > theirs[2] + 1e-6
    assert n_different == 1


@given(diarizations(), diarizations().filter(lambda spoken: bool(spoken.turns)), COLLARS_S)
def test_both_oracles_agree_on_made_up_pairs(reference: Diarization, hypothesis: Diarization, collar_s: float) -> None:
    """Confusion is compared at collar 0, where equally good speaker maps cannot differ."""
    pair = reference.unioned(), hypothesis.unioned()
    n_compared = 4 if collar_s == 0.0 else 2
    ours = score_der(*pair, collar_s=collar_s)
    mine = (ours.missed_s, ours.false_alarm_s, ours.reference_speech_s, ours.confusion_s)[:n_compared]
    # spy-der gives rates only: none without scored reference speech.
    for oracle in (pyannote_figures, spyder_figures) if ours.reference_speech_s > 0.0 else (pyannote_figures,):
        missed_s, false_s, confused_s, total_s = oracle(pair, collar_s)
        assert mine == pytest.approx((missed_s, false_s, total_s, confused_s)[:n_compared], abs=1e-6), oracle.__name__


def test_overlap_is_left_out_as_in_pyannote(vbx_pairs: list[Pair]) -> None:
    """Every fourth of these recordings without overlapped speech; confusion may only differ by the speaker map."""
    for pair in vbx_pairs[::4]:
        ours, theirs = figures(score_der(*pair, skip_overlap=True)), pyannote_figures(pair, 0.0, skip_overlap=True)
        assert (*ours[:2], ours[3]) == pytest.approx((*theirs[:2], theirs[3]), abs=1e-6)
        assert ours[2] >= theirs[2] - 1e-6


def test_jer_agrees_with_pyannote_where_the_maps_do(vbx_pairs: list[Pair]) -> None:
    """pyannote maps by common speech, we by the errors themselves: equal on all but a few recordings, and never more."""
    n_equal = 0
    for pair in vbx_pairs:
        found = pyannote_components("JaccardErrorRate", pair)
        ours, theirs = score_jer(*pair), found["speaker error"]
        assert ours.n_speakers == found["speaker count"]
        assert ours.error <= theirs + 1e-6
        n_equal += abs(ours.error - theirs) < 1e-6
    assert n_equal >= len(vbx_pairs) - 2


def test_vbx_on_voxconverse_gives_the_published_rates(vbx_pairs: list[Pair]) -> None:
    """DER 6.86 % at collar 0 and 3.44 % at 0.25."""
    for collar_s, der_pct in ((0.0, 6.86), (0.25, 3.44)):
        total = sum((score_der(*pair, collar_s=collar_s) for pair in vbx_pairs), DerParts())
        assert round(100 * total.der, 2) == der_pct


def test_many_speakers_and_turns_are_scored_without_a_table_of_all_segments() -> None:
    """20,000 turns of 200 speakers: right, and nothing grows with turns × speakers × segments."""
    n = 20_000
    reference = diarization(*[(2.0 * i, 2.0 * i + 1.5, f"r{i % 200}") for i in range(n)])
    hypothesis = diarization(*[(2.0 * i + 0.5, 2.0 * i + 1.75, f"h{i % 200}") for i in range(n)])
    assert figures(score_der(reference, hypothesis)) == pytest.approx((0.5 * n, 0.25 * n, 0.0, 1.5 * n))
