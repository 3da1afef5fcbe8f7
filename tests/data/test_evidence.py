"""Who speaks in each frame, and how much a frame sounds like him."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft
from scipy.stats import multivariate_normal

from brefine.core.turns import Diarization, Turn
from brefine.data import evidence as evidence_module
from brefine.data.evidence import activity, edge_frame, speaker_evidence

HOP_S = 0.01
_TURNS = ((0.0, 2.2, "a"), (2.2, 4.1, "b"), (6.4, 8.0, "a"))
"""A hypothesis on `_two_voices`."""


@pytest.mark.parametrize(("time_s", "frame"), [(0.0, 0), (0.004, 0), (0.005, 0), (0.006, 1), (1.0, 100), (0.995, 99), (0.035, 3)])
def test_a_turn_is_active_in_the_frames_whose_middle_it_covers(time_s: float, frame: int) -> None:
    """The edge is the nearest one, also where floating point falls just short of it."""
    assert int(edge_frame(time_s, HOP_S)) == frame


def test_activity_is_the_union_of_a_speakers_turns() -> None:
    """Touching and overlapping turns of one speaker leave no hole."""
    turns = (Turn(0.1, 0.3, "a"), Turn(0.25, 0.4, "a"), Turn(0.2, 0.5, "b"))
    active = activity(Diarization("r", turns), 60, HOP_S)
    assert np.flatnonzero(active[0]).tolist() == list(range(10, 40))
    assert np.flatnonzero(active[1]).tolist() == list(range(20, 50))


def _two_voices() -> tuple[np.ndarray, np.ndarray]:
    """2 s each of voice a, voice b, silence and voice a again, told apart by their spectra alone."""
    rng = np.random.default_rng(0)
    shapes = {who: rng.normal(0.0, 1.0, 80) for who in "ab"} | {" ": np.full(80, -6.0)}
    frames = np.concatenate([shapes[who] + rng.normal(0.0, 0.5, (200, 80)) for who in "ab a"])
    truth = np.repeat([1, 0, 0, 1], 200)
    return frames.astype(np.float32), truth


def test_frames_sound_like_the_speaker_whose_solo_speech_they_resemble() -> None:
    """Evidence is positive in the speaker's own speech, negative in another's and in silence, also where the hypothesis errs."""
    frames, truth = _two_voices()
    hypothesis = Diarization("r", tuple(Turn(*turn) for turn in _TURNS))
    evidence = speaker_evidence(frames, activity(hypothesis, 800, HOP_S), HOP_S).own_SN
    assert (evidence[0][truth == 1] > 0).mean() > 0.97
    assert (evidence[0][truth == 0] < 0).mean() > 0.97
    assert np.abs(evidence).max() <= 1.0


def _voices_one_after_the_other(*n_frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Frames of voices of those lengths, and who is hypothesised where: each his own."""
    rng, order = np.random.default_rng(0), np.repeat(np.arange(len(n_frames)), n_frames)
    frames = rng.normal(0.0, 1.0, (len(n_frames), 80))[order] + rng.normal(0.0, 0.5, (len(order), 80))
    return frames.astype(np.float32), order == np.arange(len(n_frames))[:, None]


@pytest.mark.parametrize(("n_frames", "known"), [(49, False), (50, True), (99, True)])
def test_half_a_second_of_solo_speech_describes_a_voice(n_frames: int, known: bool) -> None:
    """With less there is no evidence rather than that of a word."""
    frames, active_SN = _voices_one_after_the_other(400, n_frames)
    assert speaker_evidence(frames, active_SN, HOP_S).own_SN[1].any() == known


def test_a_voice_of_the_next_minute_is_weighed_as_well() -> None:
    """Who has no turn yet may still be heard: the first minute counts against him, as it counts for who speaks there."""
    own_SN = speaker_evidence(*_voices_one_after_the_other(7000, 11_000), HOP_S).own_SN
    assert (own_SN[1, :5000] < 0).mean() > 0.97
    assert (own_SN[0, :5000] > 0).mean() > 0.97


def test_each_speaker_is_weighed_against_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where they are many, and without mixing the others anew for each: their number may be that of the turns."""
    rng = np.random.default_rng(1)
    shapes, mixed = rng.normal(0.0, 1.0, (6, 80)), []
    mixture = evidence_module._mixture
    monkeypatch.setattr(evidence_module, "_mixture", lambda rows: mixed.append(len(rows)) or mixture(rows))
    n_mixed = []
    for n_speakers in (2, 6):
        frames = np.repeat(shapes[:n_speakers], 100, axis=0) + rng.normal(0.0, 0.5, (100 * n_speakers, 80))
        active = np.repeat(np.eye(n_speakers, dtype=np.bool_), 100, axis=1)
        mixed.clear()
        own_SN = speaker_evidence(frames, active, HOP_S).own_SN
        n_mixed.append(len(mixed))
        assert ((own_SN > 0) == active).mean() > 0.97
    assert n_mixed[0] == n_mixed[1]
    likelihoods = rng.normal(-50.0, 5.0, (6, 40)).astype(np.float32)
    others = [mixture(np.delete(likelihoods, row, axis=0)) for row in range(6)]
    np.testing.assert_allclose(evidence_module._mixtures_of_others(likelihoods), others, rtol=1e-6)


def test_evidence_is_a_ratio_of_gaussians_on_cepstra() -> None:
    """Of the own voice to the equal mixture of the others and silence, and of all voices to silence; made anew, plainly."""
    frames, _ = _two_voices()
    active_SN = np.zeros((3, 800), np.bool_)
    active_SN[0, :200] = active_SN[0, 600:] = active_SN[1, 200:400] = active_SN[2, 380:400] = True
    solo = [np.r_[:190, 610:800], np.r_[210:370], np.r_[410:590]]  # a tenth of a second away from where the hypothesis ends
    cepstra_NC = scipy.fft.dct(frames, norm="ortho")[:, 1:25].astype(np.float64)
    a_N, b_N, silence_N = (
        multivariate_normal(cepstra_NC[own].mean(axis=0), np.diag(cepstra_NC[own].var(axis=0) + 0.01)).logpdf(cepstra_NC)
        for own in solo
    )
    ratios_N = (
        a_N - np.logaddexp(b_N, silence_N) + np.log(2.0),
        b_N - np.logaddexp(a_N, silence_N) + np.log(2.0),
        np.zeros(800),
        np.logaddexp(a_N, b_N) - np.log(2.0) - silence_N,
    )
    found = speaker_evidence(frames, active_SN, HOP_S)
    for found_N, ratio_N in zip((*found.own_SN, found.speech_N), ratios_N, strict=True):
        wanted_N = np.clip(np.convolve(ratio_N, np.full(5, 0.2), mode="same") / 10.0, -1.0, 1.0)
        np.testing.assert_allclose(found_N, wanted_N, atol=1e-3)


def test_a_speaker_with_too_little_solo_speech_has_no_evidence() -> None:
    """Zeros say `not known`; a Gaussian on a word would say something wrong."""
    frames, _ = _two_voices()
    hypothesis = Diarization("r", (Turn(0.0, 2.0, "a"), Turn(2.0, 2.2, "b")))
    assert not speaker_evidence(frames, activity(hypothesis, 800, HOP_S), HOP_S).own_SN[1].any()


def test_speech_is_told_from_silence_whoever_speaks() -> None:
    """The evidence of speech is positive in both voices and negative where nobody speaks."""
    frames, _ = _two_voices()
    hypothesis = Diarization("r", tuple(Turn(*turn) for turn in _TURNS))
    speech_N = speaker_evidence(frames, activity(hypothesis, 800, HOP_S), HOP_S).speech_N
    assert (speech_N[:400] > 0).mean() > 0.97
    assert (speech_N[400:600] < 0).mean() > 0.97


def test_what_is_far_away_says_nothing_and_is_told_nothing_of() -> None:
    """Half an hour of a recorder that ran on: the voices tell of themselves what they told without it."""
    frames = np.tile(_two_voices()[0], (4, 1))
    talk = Diarization("r", tuple(Turn(8.0 * k + s, 8.0 * k + e, who) for k in range(4) for s, e, who in _TURNS))
    alone = speaker_evidence(frames, activity(talk, 3200, HOP_S), HOP_S)
    behind = np.full((180_000, 80), -18.42, np.float32)
    active_SN = activity(talk, 183_200, HOP_S)
    found = speaker_evidence(np.concatenate([frames, behind]), active_SN, HOP_S)
    assert not found.own_SN[:, 3500:].any() and not found.speech_N[3500:].any()
    assert ((found.own_SN[:, :3200] > 0) == (alone.own_SN > 0)).mean() > 0.97
    near = speaker_evidence(np.concatenate([frames, behind[:300]]), active_SN[:, :3500], HOP_S)
    np.testing.assert_allclose(found.own_SN[:, :3200], near.own_SN[:, :3200], atol=1e-5)


def test_voices_of_another_conversation_are_no_alternative() -> None:
    """Of an hour in which many speak one after the other, a voice is weighed against those around it."""
    frames, truth = _two_voices()
    talk = np.tile(frames, (20, 1))  # 160 s
    rng = np.random.default_rng(4)
    others = [np.tile(rng.normal(0.0, 1.0, 80), (400, 1)) + rng.normal(0.0, 0.5, (400, 80)) for _ in range(60)]
    active_SN = np.zeros((62, len(talk) + 24_000), np.bool_)
    active_SN[0, : len(talk)], active_SN[1, : len(talk)] = np.tile(truth == 1, 20), np.tile(np.repeat([0, 1, 0, 0], 200) == 1, 20)
    for place in range(60):
        active_SN[2 + place, len(talk) + 400 * place : len(talk) + 400 * (place + 1)] = True
    whole = speaker_evidence(np.concatenate([talk, *others]).astype(np.float32), active_SN, HOP_S)
    alone = speaker_evidence(talk.astype(np.float32), active_SN[:2, : len(talk)], HOP_S)
    np.testing.assert_array_equal(whole.own_SN[:2, :4000], alone.own_SN[:, :4000])
    assert not whole.own_SN[2:, :4000].any()
