"""Ends that are none: where the speaker is heard to go on, they move outwards, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from brefine.config import ExampleConfig, FeatureConfig
from brefine.core.boundaries import Shift, Side, boundaries_of
from brefine.core.turns import Diarization, Turn
from brefine.models import build_model
from brefine.models.changes import Changes
from brefine.models.decisions import Posteriors, decide
from brefine.models.error_prior import ErrorPrior
from brefine.models.going_on import goes_on_s, voice_beyond
from brefine.models.reading import Reading
from brefine.models.weights import Refiner, load_refiner, save_weights

HOP_S, T, R = 0.01, 400, 100
FEATURES = FeatureConfig(speech=True)


def window(own_s: list[tuple[float, float]]) -> torch.Tensor:
    """One window in which the own speaker is active from … to, in seconds from its middle; shape (1, T)."""
    place_s_T = (torch.arange(T) + 0.5 - T / 2) * HOP_S
    return torch.stack([(place_s_T > start_s) & (place_s_T < end_s) for start_s, end_s in own_s]).any(dim=0)[None].float()


def beyond(own_s: list[tuple[float, float]], voice_s: list[tuple[float, float]], *, onset: bool = False) -> torch.Tensor:
    """Evidence of 0.8 where the voice is and of −0.8 elsewhere, seen from an end."""
    return voice_beyond(window(own_s), 1.6 * window(voice_s) - 0.8, torch.tensor([onset]), HOP_S)


def went_on_s(beyond_BR: torch.Tensor, *, none: float = 0.98, doubt: float = 0.02) -> float:
    return float(goes_on_s(beyond_BR, torch.tensor([none]), doubt, HOP_S)[0])


def test_an_end_goes_as_far_as_the_voice() -> None:
    """To within half of what the evidence is averaged over, and no further than a second."""
    assert went_on_s(beyond([(-2.0, 0.0)], [(-2.0, 0.7)])) == pytest.approx(0.7, abs=0.05)
    assert went_on_s(beyond([(-2.0, 0.0)], [(-2.0, 2.0)])) == pytest.approx(1.0)


def test_an_onset_looks_the_other_way() -> None:
    """What lies before it is beyond it, the nearest first."""
    assert went_on_s(beyond([(0.0, 2.0)], [(-0.7, 2.0)], onset=True)) == pytest.approx(0.7, abs=0.05)
    assert went_on_s(beyond([(0.0, 2.0)], [(0.0, 2.0)], onset=True)) == 0.0
    evidence_BT = torch.arange(T, dtype=torch.float32)[None] / T
    after_BR, before_BR = (voice_beyond(torch.zeros(1, T), evidence_BT, torch.tensor([onset]), HOP_S) for onset in (False, True))
    assert after_BR.shape == before_BR.shape == (1, R)
    assert (after_BR.diff() > 0.0).all()
    assert (before_BR.diff() < 0.0).all()
    assert after_BR[0, 0] > evidence_BT[0, T // 2 - 1] > before_BR[0, 0] - 0.5 / T


@pytest.mark.parametrize(
    ("none", "doubt", "voice_end_s"),
    [(0.98, 0.02, 0.0), (0.98, 0.02, 0.1), (0.5, 0.02, 0.7), (0.98, 0.5, 0.7), (0.0, 0.0, 2.0)],
    ids=["silent beyond", "a moment of voice", "there may be a boundary", "a reading to be doubted", "there is a boundary"],
)
def test_what_does_not_say_so_moves_nothing(none: float, doubt: float, voice_end_s: float) -> None:
    """Every condition by itself keeps the end where it is."""
    assert went_on_s(beyond([(-2.0, 0.0)], [(-2.0, voice_end_s)]), none=none, doubt=doubt) == 0.0


def test_no_evidence_moves_nothing() -> None:
    """However clear the voice is in the turn itself."""
    own_BT = window([(-2.0, 0.0)])
    nothing_BR = voice_beyond(own_BT, own_BT, torch.tensor([False]), HOP_S)
    assert torch.equal(nothing_BR, torch.zeros(1, R))
    assert went_on_s(nothing_BR, none=1.0, doubt=0.0) == 0.0


@pytest.mark.parametrize(("evidence", "moves"), [(0.14, False), (0.15, True)])
def test_the_gain_is_that_of_the_module(evidence: float, moves: bool) -> None:
    """Worked out by hand: 0.81 · tanh(2.5 · 0.15) − 0.19 = 0.1003 s in a second, and with evidence of 0.14 it is 0.0825 s."""
    voice_BR = voice_beyond(window([(-2.0, 0.0)]), torch.full((1, T), evidence), torch.tensor([False]), HOP_S)
    assert went_on_s(voice_BR, none=0.9, doubt=0.1) == pytest.approx(1.0 if moves else 0.0)


@pytest.mark.parametrize("seed", range(8))
def test_frame_by_frame_it_is_the_formula(seed: int) -> None:
    """Against plain loops: turns of the speaker anywhere, evidence of any kind, either side."""
    rng = np.random.default_rng(seed)
    onset, own_T = bool(seed % 2), np.repeat(rng.random(T // 20) < 0.3, 20)
    own_T[T // 2 - 20 : T // 2 + 20] = [not onset] * 20 + [onset] * 20
    evidence_T = np.convolve(rng.normal(0.3, 2.0, T), np.ones(25) / 25, mode="same").clip(-1.0, 1.0)
    mean_T = np.zeros(T)
    for frame in range(T):
        near = [place for place in range(frame - 30, frame + 31) if 0 <= place < T and not own_T[place]]
        mean_T[frame] = evidence_T[near].mean() if near else 0.0
    order = range(T // 2 - 1, T // 2 - 1 - R, -1) if onset else range(T // 2, T // 2 + R)
    gain_s, best_s, expected_s, taken = 0.0, 0.0, 0.0, False
    for n, frame in enumerate(order, start=1):
        taken = taken or bool(own_T[frame])
        gain_s += HOP_S * (0.9 * np.tanh(2.5 * (0.0 if taken else mean_T[frame])) - 0.1)
        if gain_s > best_s:
            best_s, expected_s = gain_s, n * HOP_S
    own_BT, evidence_BT = (torch.from_numpy(each_T.astype(np.float32))[None] for each_T in (own_T, evidence_T))
    found_s = went_on_s(voice_beyond(own_BT, evidence_BT, torch.tensor([onset]), HOP_S), none=0.9, doubt=0.0)
    assert found_s == pytest.approx(expected_s if best_s >= 0.1 else 0.0)


@pytest.mark.parametrize("pause_s", [0.21, 0.3, 0.6])
def test_a_pause_in_which_he_is_not_heard_stays_open(pause_s: float) -> None:
    """However close his own turns are on both sides of it."""
    assert went_on_s(beyond([(-2.0, 0.0), (pause_s, 2.0)], [(-2.0, 0.0), (pause_s, 2.0)])) == 0.0


def test_the_speakers_own_next_turn_wins_nothing() -> None:
    """A gap in a speaker's speech is closed and no more; speech that is in the hypothesis already is not won again."""
    assert went_on_s(beyond([(-2.0, 0.0), (0.4, 2.0)], [(-2.0, 2.0)])) == pytest.approx(0.4, abs=0.011)
    assert went_on_s(beyond([(-2.0, 0.0), (0.08, 2.0)], [(-2.0, 2.0)])) == 0.0
    assert went_on_s(beyond([(-2.0, 0.0), (0.3, 0.4)], [(-2.0, 2.0)])) == pytest.approx(0.3, abs=0.011)


@pytest.mark.parametrize(("hop_s", "n_frames"), [(0.02, 200), (0.01, 100), (0.05, 20)])
def test_other_windows_reach_as_far_as_they_can(hop_s: float, n_frames: int) -> None:
    """Coarser frames, and windows that end within the second."""
    own_BT = (torch.arange(n_frames) < n_frames // 2).float()[None]
    voice_BR = voice_beyond(own_BT, torch.full((1, n_frames), 0.8), torch.tensor([False]), hop_s)
    reach_s = min(1.0, n_frames // 2 * hop_s)
    assert float(goes_on_s(voice_BR, torch.ones(1), 0.0, hop_s)[0]) == pytest.approx(reach_s)


@pytest.fixture
def refiner(tmp_path: Path) -> Refiner:
    torch.manual_seed(0)
    examples = ExampleConfig(context_s=1.0)
    save_weights(tmp_path / "best.safetensors", "mlp", build_model("mlp", FEATURES, examples).state_dict(), FEATURES, examples)
    return load_refiner(tmp_path / "best.safetensors")


def test_a_refiner_proposes_it_in_the_direction_of_each_side(refiner: Refiner) -> None:
    """Offsets later, onsets earlier, marked as what they are and of little confidence; a change does not hold one back."""
    turns = (Turn(2.0, 5.0, "A"), Turn(5.0, 9.0, "B"))
    boundaries = boundaries_of(Diarization("talk", turns))
    onset_B = torch.tensor([True, False, True, False])
    beyond_BR = torch.full((4, R), -0.8)
    beyond_BR[1:3] = 0.8
    there_B = torch.tensor([0.02, 0.02, 0.02, 0.02])
    centre_s_B = torch.tensor([0.004, 0.004, -0.003, 0.0])
    reading = Reading(torch.ones(4, 200), there_B, onset_B, onset_B, centre_s_B, torch.zeros(4), beyond_BR, HOP_S)
    proposals = refiner.propose(reading, boundaries, ErrorPrior(doubt=0.02))
    assert [(shift.side, round(shift.shift_s, 3), shift.goes_on) for shift in proposals] == [
        (Side.ONSET, 0.0, False),
        (Side.OFFSET, 1.004, True),
        (Side.ONSET, -1.003, True),
        (Side.OFFSET, 0.0, False),
    ]
    assert all(shift.confidence < 0.05 for shift in proposals)
    assert [shift.spread_s is None for shift in proposals] == [False, True, True, False]  # no place is known for it
    changes = Changes.of(boundaries, reading.centre_B, HOP_S)
    assert refiner.posteriors(reading, changes, ErrorPrior(doubt=0.9)).on_s_B.tolist() == [0.0] * 4


def test_an_end_goes_on_from_where_the_hypothesis_has_it() -> None:
    """Whatever its posterior would have it do, and its neighbours do as without it."""
    frames_BT = torch.zeros(2, 200)
    frames_BT[:, 130] = 1.0
    no_changes = Changes(*torch.zeros(3, 0, dtype=torch.long))
    shift_s_B, _ = decide(
        Posteriors(frames_BT, torch.full((2,), 0.9), torch.zeros(2), torch.tensor([0.8, 0.0]), HOP_S), no_changes
    )
    assert shift_s_B.tolist() == pytest.approx([0.8, 0.305], abs=0.006)


def test_each_boundary_is_read_with_its_own_voice(refiner: Refiner) -> None:
    """More boundaries than one batch holds: what lies beyond each is what lies beyond it alone."""
    rng = np.random.default_rng(0)
    starts_s = np.arange(200) * 1.5 + 1.0
    turns = tuple(Turn(start_s, start_s + 1.1, "AB"[i % 2]) for i, start_s in enumerate(starts_s.tolist()))
    hypothesis = Diarization("talk", turns)
    frames_NM = rng.normal(-5.0, 2.0, (int(starts_s[-1] * 100) + 300, FEATURES.n_mels + 1)).astype(np.float32)
    frames_NM[:, -1] = rng.uniform(-1.0, 1.0, len(frames_NM))
    boundaries = boundaries_of(hypothesis)[1:]
    boundaries = boundaries[:200] + boundaries[201:]  # two of one side in a row: no batch is like the one before
    assert len(boundaries) > 256
    reading = refiner.read(frames_NM, hypothesis, boundaries)
    assert (reading.beyond_BR.abs().sum(dim=1) > 0.0).any()
    for place in (0, 1, 199, 200, 255, 256, 257, 397):
        alone = refiner.read(frames_NM, hypothesis, [boundaries[place]])
        torch.testing.assert_close(reading.beyond_BR[place], alone.beyond_BR[0])


def test_a_shift_is_no_such_move_unless_it_says_so() -> None:
    """Whoever proposes moves of his own need not know of it."""
    assert not Shift(0, Side.ONSET, 0.1, 0.9).goes_on


def test_evidence_is_averaged_over_as_many_seconds_whatever_a_frame_takes() -> None:
    """Half a second beyond the end, 0.2 to 0.8 s are heard: in frames of 20 ms as in those of 10 ms."""
    place_s_T = (torch.arange(200) + 0.5 - 100) * 0.02
    own_BT, evidence_BT = (place_s_T < 0.0).float()[None], (1.6 * (place_s_T < 0.7) - 0.8)[None]
    coarse_BR = voice_beyond(own_BT, evidence_BT, torch.tensor([False]), 0.02)
    assert float(coarse_BR[0, 25]) == pytest.approx(float(beyond([(-2.0, 0.0)], [(-2.0, 0.7)])[0, 50]), abs=0.03)
