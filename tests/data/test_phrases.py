"""Phrases are cut from utterances so that nothing but the speech tells where it starts."""

from __future__ import annotations

import numpy as np

from brefine.data.phrases import SAMPLE_RATE_HZ, Voice, choose_phrase, cut_phrase, find_speech, mix_in


def test_a_phrase_is_as_long_as_wanted() -> None:
    """Three regions of 3000 samples with gaps of 1000 come nearest to 10,800; the last two of an utterance have fewer behind."""
    regions = np.array([(start, start + 3000) for start in range(0, 80_000, 4000)])
    for seed in range(20):
        first, last = choose_phrase(regions, 10_800, np.random.default_rng(seed))
        assert last == min(19, first + 2)


def test_a_phrase_fades_over_its_margins_alone() -> None:
    """It rises from nothing and falls to nothing outside the speech, does not reach into other speech, and is a copy."""
    voice = Voice(np.ones(16_000, np.float32), np.array([(4000, 8000), (9000, 12_000)]), -60.0)
    for seed in range(8):
        start, piece = cut_phrase(voice, 0, 0, np.random.default_rng(seed))
        before, speech, after = np.split(piece, [4000 - start, 8000 - start])
        assert (speech == 1.0).all()
        assert 0 < len(before) <= 0.12 * SAMPLE_RATE_HZ and 0 < len(after) <= 1000
        assert before[0] < 0.01 and (np.diff(before) > 0.0).all()
        assert after[-1] < 0.01 and (np.diff(after) < 0.0).all()
    assert (voice.samples == 1.0).all()


def test_a_piece_that_begins_before_the_track_loses_its_front() -> None:
    """And one that ends behind it its end: what is heard stays where the labels have it."""
    track, piece = np.zeros(10, np.float32), np.arange(1, 7, dtype=np.float32)
    mix_in(track, -3, piece)
    mix_in(track, 8, piece)
    assert track.tolist() == [4, 5, 6, 0, 0, 0, 0, 0, 1, 2]


def test_a_click_is_no_speech() -> None:
    """A burst of 12 ms beside one of 0.4 s gets no turn."""
    rng = np.random.default_rng(0)
    samples = 1e-4 * rng.standard_normal(SAMPLE_RATE_HZ)
    for start, end in ((4000, 10_000), (13_000, 13_200)):
        samples[start:end] += 0.2 * rng.standard_normal(end - start)
    regions, _ = find_speech(samples.astype(np.float32))
    np.testing.assert_allclose(regions, [(4000, 10_000)], atol=16)
