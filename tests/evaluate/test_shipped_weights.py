"""The weights in the package: there, whole, and good for something."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from brefine.config import RefineConfig
from brefine.core.boundary_error import BoundaryErrors
from brefine.core.der import score_der
from brefine.core.matching import match_boundaries
from brefine.core.turns import Diarization, Turn
from brefine.data.features import analyse
from brefine.data.system_errors import load_system_errors, replay
from brefine.evaluate.moves import HeardRecording, Refinement, fit_prior, hear_recording, refine_heard
from brefine.evaluate.refine import load_weights
from brefine.io.audio import read_audio
from brefine.io.rttm import read_rttm
from brefine.io.shipped import shipped_weights
from brefine.models.weights import Refiner

RATE_HZ = 16000


@pytest.fixture(scope="module")
def refiner() -> Refiner:
    return load_weights(None, "cpu")


def test_the_shipped_weights_are_small_and_carry_their_card(refiner: Refiner) -> None:
    """Under 8 MB, all members and what they were trained on are in one file; a model card lies beside it."""
    assert shipped_weights().stat().st_size < 8e6
    assert len(refiner.card.members) >= 2
    assert "CC BY 4.0" in (shipped_weights().parent / "MODEL_CARD.md").read_text()


def test_silence_moves_nothing(refiner: Refiner) -> None:
    """Where there is nothing to hear, the hypothesis stays as it is to within a frame."""
    frames = analyse(np.random.default_rng(0).normal(0.0, 1e-4, 20 * RATE_HZ).astype(np.float32), refiner.features)
    hypothesis = Diarization("quiet", (Turn(2.0, 6.0, "a"), Turn(6.5, 11.0, "b"), Turn(12.0, 17.0, "a")))
    heard = hear_recording(refiner, frames, hypothesis, duration_s=20.0)
    refinement = refine_heard(refiner, heard, fit_prior([heard]), config=RefineConfig())
    assert max(abs(move.shift_s) for move in refinement.moves) <= 0.05


def _meetings(shared_data: Path, refiner: Refiner) -> list[tuple[Diarization, np.ndarray, float]]:
    found = []
    for path in sorted((shared_data / "ami" / "audio").glob("*.flac"))[::2]:
        samples = read_audio(path, sample_rate_hz=RATE_HZ)
        reference = read_rttm(shared_data / "ami" / "reference" / f"{path.stem}.rttm")[path.stem]
        found.append((reference, analyse(samples, refiner.features), len(samples) / RATE_HZ))
    return found


def _refined(refiner: Refiner, heard: list[HeardRecording]) -> list[Refinement]:
    prior = fit_prior(heard)
    return [refine_heard(refiner, one, prior, config=RefineConfig()) for one in heard]


def test_real_meetings_get_better_and_perfect_turns_stay(shared_data: Path, refiner: Refiner) -> None:
    """Five AMI excerpts, never trained on: with replayed errors the DER falls; a perfect hypothesis moves less than 10 ms."""
    meetings = _meetings(shared_data, refiner)
    errors = load_system_errors("vbx-voxconverse")
    rng = np.random.default_rng(0)
    wrong = [replay(errors, reference, duration_s=duration_s, rng=rng) for reference, _, duration_s in meetings]
    heard = [
        hear_recording(refiner, frames, hypothesis, duration_s=duration_s)
        for hypothesis, (_, frames, duration_s) in zip(wrong, meetings, strict=True)
    ]
    before, after = [], []
    for refinement, (reference, _, _) in zip(_refined(refiner, heard), meetings, strict=True):
        before.append(score_der(reference, refinement.hypothesis))
        after.append(score_der(reference, refinement.refined))
    assert sum(one.error_s for one in after) < sum(one.error_s for one in before)
    perfect = [hear_recording(refiner, frames, reference, duration_s=duration_s) for reference, frames, duration_s in meetings]
    left_s = [
        BoundaryErrors.of(match_boundaries(reference, refinement.refined)).abs_error_s
        for refinement, (reference, _, _) in zip(_refined(refiner, perfect), meetings, strict=True)
    ]
    assert np.concatenate(left_s).mean() <= 0.010
