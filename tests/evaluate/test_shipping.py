"""One weights file out of a phase."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from brefine.config import prepared_corpus_path
from brefine.core.boundaries import Boundary
from brefine.core.matching import match_boundaries
from brefine.core.turns import Diarization, Turn
from brefine.data.batches import centres_s
from brefine.data.examples import find_examples
from brefine.data.splits import Split
from brefine.errors import DataError
from brefine.evaluate import shipping
from brefine.evaluate.evaluation import load_checkpoint
from brefine.evaluate.recordings import GivenRecording, GivenSplit
from brefine.evaluate.shipping import fit_temperature, ship
from brefine.models.heads import decode, target_distribution
from brefine.models.reading import SCALES_S, describe_training, trained_on
from brefine.models.weights import Refiner, load_refiner, read_weights, save_weights
from brefine.phasedir import PhaseDir, Validation


def test_a_phases_models_become_one_calibrated_refiner(phase: PhaseDir, tmp_path: Path) -> None:
    """All members in half precision, each with a temperature, and a description of the errors they were trained on."""
    out = tmp_path / "refiner.safetensors"
    card = ship(phase, ["mlp", "contrastive"], out, device="cpu")
    tensors, _ = read_weights(out)
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    assert (tensors["temperature_M"] > 0.0).all()
    assert len(tensors["temperature_M"]) == len(card.members) == 2
    assert len([key for key in card.prior if key.startswith("trained_")]) == len(SCALES_S)
    assert abs(sum(trained_on(card.prior)) - 1.0) < 0.01
    assert load_refiner(out).card == card


def test_each_member_has_its_own_temperature_and_the_card_what_all_were_trained_on(
    phase: PhaseDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The corpus, and the errors in it."""
    fitted = {"mlp": 0.75, "contrastive": 1.5}
    monkeypatch.setattr(shipping, "fit_temperature", lambda refiner, *given: fitted[refiner.card.model])
    out, config = tmp_path / "refiner.safetensors", phase.load_config()
    card = ship(phase, ["mlp", "contrastive"], out, device="cpu")
    assert read_weights(out)[0]["temperature_M"].tolist() == [0.75, 1.5]
    train = Split(prepared_corpus_path(config), "train", config.features)
    examples = find_examples(train.annotated, config.examples)
    assert card.prior == pytest.approx(describe_training(torch.from_numpy(examples.offset_s[examples.positive])))
    assert card.corpus_sha256 == train.corpus_sha256


def test_the_card_of_the_refiner_that_ships_tells_what_all_its_members_together_do(phase: PhaseDir, tmp_path: Path) -> None:
    """How near they come and how sure they are, not what the first of them did; its step and epoch are kept."""
    refiner = load_checkpoint(phase, "mlp", "best", "cpu")
    figures = dict.fromkeys(("loss", "mae_ms", "median_ms", "within_50ms", "within_100ms", "within_200ms"), 0.999)
    own = Validation(step=7, epoch=3, **figures, confidence=0.999)
    path, state = phase.run("mlp").weights("best"), refiner.model.state_dict()
    save_weights(path, "mlp", state, refiner.features, refiner.examples, validation=own)
    out = tmp_path / "refiner.safetensors"
    told = ship(phase, ["mlp", "contrastive"], out, device="cpu").validation
    assert told is not None and told.confidence is not None
    assert (told.step, told.epoch) == (7, 3)
    assert 0.05 < told.confidence < 0.9
    config, shipped = phase.load_config(), load_refiner(out)
    error_s, losses = [], []
    split = GivenSplit(config, "validation")
    for one in split.recordings:
        match = match_boundaries(one.reference, one.hypothesis, regions_s=one.regions_s)
        asked = [match.hypothesis[there] for _, there in match.pairs]
        centre_s = centres_s(np.array([boundary.time_s for boundary in asked]), config.features.hop_s)
        logits_BK = shipped.logits(split.frames(one, shipped), one.hypothesis, asked)
        true_s = match.partner_times_s(asked) - centre_s
        error_s.append(decode(logits_BK, config.features.hop_s).shift_s.numpy() - true_s)
        sigma_frames = config.train.label_sigma_s / config.features.hop_s
        offset_frames_B = torch.from_numpy(true_s / config.features.hop_s).float()
        target_BK = target_distribution(offset_frames_B, logits_BK.shape[1] - 1, sigma_frames)
        losses.append(torch.nn.functional.cross_entropy(logits_BK, target_BK, reduction="none"))
    absolute_ms = 1e3 * np.abs(np.concatenate(error_s))
    assert told.mae_ms == pytest.approx(absolute_ms.mean(), rel=1e-2)  # half precision
    assert told.median_ms == pytest.approx(np.median(absolute_ms), rel=3e-2)
    assert told.within_100ms == pytest.approx((absolute_ms <= 100.0).mean(), abs=0.05)
    assert told.loss == pytest.approx(float(torch.cat(losses).mean()), rel=1e-2)


def test_each_recording_is_heard_once_by_each_refiner(phase: PhaseDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the two members and by the ensemble; where nothing is annotated near a boundary it isn't asked about."""
    heard: list[int] = []
    logits = Refiner.logits

    def counted(refiner: Refiner, frames: np.ndarray, hypothesis: Diarization, boundaries: list[Boundary]) -> torch.Tensor:
        heard.append(len(boundaries))
        return logits(refiner, frames, hypothesis, boundaries)

    monkeypatch.setattr(Refiner, "logits", counted)
    ship(phase, ["mlp", "contrastive"], tmp_path / "refiner.safetensors", device="cpu")
    split = GivenSplit(phase.load_config(), "validation")
    matched = [len(match_boundaries(one.reference, one.hypothesis, regions_s=one.regions_s).pairs) for one in split.recordings]
    assert heard == 3 * matched


def test_a_temperature_is_fitted_to_what_is_annotated(phase: PhaseDir) -> None:
    """Where the regions that are scored hold no boundary, those outside are no labels."""
    config, refiner = phase.load_config(), load_checkpoint(phase, "mlp", "best", "cpu")
    split = GivenSplit(config, "validation")
    assert fit_temperature(refiner, split, config) > 0.0
    split.recordings = tuple(replace(recording, regions_s=((0.0, 0.1),)) for recording in split.recordings)
    with pytest.raises(DataError, match="no matched boundary"):
        fit_temperature(refiner, split, config)


@pytest.mark.parametrize("sharper", [0.6, 1.0, 1.8, 2.5])
def test_a_temperature_takes_back_how_much_too_sure_a_model_is(
    phase: PhaseDir, monkeypatch: pytest.MonkeyPatch, sharper: float
) -> None:
    """Logits of the very labels, made sharper or flatter, are divided by just that."""
    config = phase.load_config()
    offset_frames_B = torch.tensor([-20.25, 0.5, 3.75])
    n_frames, sigma_frames = round(2 * config.examples.context_s / config.features.hop_s), config.train.label_sigma_s / 0.01
    logits_BK = torch.log(target_distribution(offset_frames_B, n_frames, sigma_frames).clamp(min=1e-12))
    monkeypatch.setattr(shipping, "_labelled", lambda *given: (sharper * logits_BK, offset_frames_B))
    refiner, split = load_checkpoint(phase, "mlp", "best", "cpu"), GivenSplit(config, "validation")
    assert fit_temperature(refiner, split, config) == sharper


def test_targets_late_in_a_recording_are_as_exact_as_early_ones(phase: PhaseDir) -> None:
    """After a day float32 tells times apart by eight milliseconds."""
    config = phase.load_config()

    refiner = SimpleNamespace(
        examples=config.examples, features=config.features, logits=lambda *given: torch.zeros(len(given[-1]), 1)
    )
    offsets = []
    for start_s in (0.0, 86000.0):
        turns = [Diarization("talk", (Turn(start_s + 0.5 + late_s, start_s + 2.0 + late_s, "a"),)) for late_s in (0.0, 0.103)]
        given = GivenRecording("talk", Path("talk.wav"), *turns, start_s + 3.0, ((0.0, start_s + 3.0),))
        split = SimpleNamespace(recordings=(given,), frames=lambda recording, refiner: None)
        offsets.append(shipping._labelled(refiner, split, config)[1])
    torch.testing.assert_close(*offsets, atol=1e-5, rtol=0.0)
