"""Weights on disk: one safetensors file that holds its card, and a copy of the card beside it for readers without torch.

The card inside the file decides, so that a crash between the two writes cannot pair weights with another step's card.
Nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors import torch as safetensors_torch
from torch import Tensor, nn

from brefine.config import ExampleConfig, FeatureConfig, ModelName
from brefine.core.boundaries import Boundary, Shift, Side, touching_changes
from brefine.core.frames import n_window_frames
from brefine.core.turns import Diarization
from brefine.data.batches import centres_s, input_batches, own_voice
from brefine.errors import CheckpointError
from brefine.io.atomic import write_bytes_atomic
from brefine.models import build_model
from brefine.models.changes import Changes
from brefine.models.decisions import Posteriors, decide
from brefine.models.ensemble import Ensemble
from brefine.models.error_prior import ErrorPrior, posterior
from brefine.models.going_on import goes_on_s, voice_beyond
from brefine.models.reading import CONFIDENCE_AT_HOME, Reading, read, sharpened, trained_on
from brefine.phasedir import CARD_KEY, OTHER_WEIGHTS, CheckpointCard, Validation

_PROBLEM_CHARACTERS = 160
"""Length to which a line of torch's list of differing tensors is cut."""
_POWER, _POWER_OF_A_MEAN = 1.25, 1.5
"""The power that a reading is raised to before boundaries move; see `error_prior`."""


@dataclass(frozen=True, slots=True, eq=False)
class Refiner:
    """A trained model with all that is needed to use it."""

    model: nn.Module
    card: CheckpointCard
    features: FeatureConfig
    examples: ExampleConfig
    device: torch.device

    @torch.inference_mode()
    def logits(self, log_mel_NM: NDArray[np.floating], hypothesis: Diarization, boundaries: Sequence[Boundary]) -> Tensor:
        """logits_BK of boundaries of one recording, on the CPU.

        Args:
            log_mel_NM: frames of the recording from `data.features.analyse` with `self.features`, or from a store.
        """
        return self._listen(log_mel_NM, hypothesis, boundaries)[0]

    @torch.inference_mode()
    def _listen(
        self, log_mel_NM: NDArray[np.floating], hypothesis: Diarization, boundaries: Sequence[Boundary]
    ) -> tuple[Tensor, Tensor]:
        """logits_BK, and the evidence that each boundary's speaker goes on; see `going_on.voice_beyond`."""
        batches = input_batches(
            log_mel_NM,
            hypothesis,
            boundaries,
            context_s=self.examples.context_s,
            hop_s=self.features.hop_s,
            n_mels=self.features.n_mels,
            device=self.device,
        )
        onset_B = torch.tensor([boundary.side is Side.ONSET for boundary in boundaries], dtype=torch.bool)
        logits, beyond = list[Tensor](), list[Tensor]()
        n_done = 0
        for features_BTF in batches:
            logits.append(self.model(features_BTF).logits_BK.float().cpu())
            own_BT, evidence_BT = (channel_BT.cpu() for channel_BT in own_voice(features_BTF, self.features))
            beyond.append(voice_beyond(own_BT, evidence_BT, onset_B[n_done:][: len(own_BT)], self.features.hop_s))
            n_done += len(own_BT)
        n_bins = n_window_frames(self.examples.context_s, self.features.hop_s) + 1
        return (torch.cat(logits), torch.cat(beyond)) if logits else (torch.zeros(0, n_bins), torch.zeros(0, 0))

    def read(self, log_mel_NM: NDArray[np.floating], hypothesis: Diarization, boundaries: Sequence[Boundary]) -> Reading:
        """What the model hears at boundaries of one recording, before anything is known about the system's errors."""
        times_s = np.array([boundary.time_s for boundary in boundaries], np.float64)
        sides = {place for change in touching_changes(boundaries) for place in change}
        logits_BK, beyond_BR = self._listen(log_mel_NM, hypothesis, boundaries)
        return read(
            logits_BK,
            trained_on(self.card.prior),
            onset_B=torch.tensor([boundary.side is Side.ONSET for boundary in boundaries], dtype=torch.bool),
            change_B=torch.tensor([place in sides for place in range(len(boundaries))], dtype=torch.bool),
            centre_B=torch.from_numpy(centres_s(times_s, self.features.hop_s) - times_s).float(),
            beyond_BR=beyond_BR,
            hop_s=self.features.hop_s,
            at_home=self.at_home,
        )

    @property
    def at_home(self) -> float:
        """Its mean confidence in recordings like those of its training, 0 to 1."""
        validated = self.card.validation
        return (validated and validated.confidence) or CONFIDENCE_AT_HOME

    def decisive(self, reading: Reading) -> Reading:
        """The reading that decides moves: sharper, above all if it is the mean of several models."""
        power = _POWER_OF_A_MEAN if isinstance(self.model, Ensemble) else _POWER
        return sharpened(reading, trained_on(self.card.prior), power=power)

    def posteriors(self, reading: Reading, changes: Changes, prior: ErrorPrior) -> Posteriors:
        """Where boundaries may be, by their reading and the prior over the system's errors; this decides moves.

        Args:
            changes: of the same boundaries.
        """
        sharp = self.decisive(reading)
        frames_BT, margin_B = posterior(sharp, prior, changes)
        none_B = 1.0 - sharp.there_B
        outwards_s_B = goes_on_s(reading.beyond_BR, none_B, prior.doubt, reading.hop_s)
        signed_s_B = torch.where(reading.onset_B, -outwards_s_B, outwards_s_B)
        on_s_B = torch.where(outwards_s_B > 0.0, signed_s_B + reading.centre_B, 0.0)
        return Posteriors(frames_BT, none_B, margin_B + reading.centre_B, on_s_B, reading.hop_s)

    def propose(self, reading: Reading, boundaries: Sequence[Boundary], prior: ErrorPrior) -> tuple[Shift, ...]:
        """The move of each boundary with the least expected error, or none if little is to be gained; see `models.decisions`.

        Args:
            reading: of the same boundaries, by `read`.
        """
        if not boundaries:
            return ()
        changes = Changes.of(boundaries, reading.centre_B, reading.hop_s)
        posteriors = self.posteriors(reading, changes, prior)
        shift_s_B, confidence_B = decide(posteriors, changes)
        return tuple(
            Shift(
                boundary.turn_index, boundary.side, shift_s, confidence, goes_on=on_s != 0.0, spread_s=None if on_s else spread_s
            )
            for boundary, shift_s, confidence, on_s, spread_s in zip(
                boundaries,
                shift_s_B.tolist(),
                confidence_B.tolist(),
                posteriors.on_s_B.tolist(),
                posteriors.spreads_s.tolist(),
                strict=True,
            )
        )


def save_weights(
    path: Path,
    model: ModelName,
    state: Mapping[str, Tensor],
    features: FeatureConfig,
    examples: ExampleConfig,
    *,
    validation: Validation | None = None,
    prior: Mapping[str, float] | None = None,
    members: Sequence[ModelName] = (),
    corpus_sha256: str | None = None,
    started_from_sha256: str | None = None,
) -> CheckpointCard:
    """Writes `path` (`….safetensors`) and the card beside it (`….json`), each atomically, weights first."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in sorted(state.items())}
    card = CheckpointCard(
        model=model,
        n_parameters=sum(tensor.numel() for tensor in tensors.values()),
        validation=validation,
        weights_sha256=_digest(tensors),
        members=list(members),
        config={"features": features.model_dump(mode="json"), "examples": examples.model_dump(mode="json")},
        prior=dict(prior or {}),
        corpus_sha256=corpus_sha256,
        started_from_sha256=started_from_sha256,
    )
    write_bytes_atomic(path, safetensors_torch.save(tensors, {CARD_KEY: json.dumps(card.to_json(), allow_nan=False)}))
    card.write(path.with_suffix(".json"))
    return card


def load_refiner(path: Path, device: torch.device | str = "cpu", *, hint: str = OTHER_WEIGHTS) -> Refiner:
    """Rebuilds the model that a weights file holds, ready for inference.

    Args:
        hint: what to do if the file cannot be used.

    Raises:
        CheckpointError: the file is missing, torn, not brefine's, or does not fit the architecture it names.
    """
    tensors, card = read_weights(path, hint=hint)
    try:
        features = FeatureConfig.model_validate(card.config["features"])
        examples = ExampleConfig.model_validate(card.config["examples"])
        model = _built(card, features, examples)
        model.load_state_dict(tensors)
    except (KeyError, ValidationError, RuntimeError) as error:
        raise CheckpointError(
            f"these weights do not fit this version's {' + '.join(card.members or [card.model])}",
            where=path,
            hint="they were written by another version of brefine; train again, or use that version",
            problems=[line.strip()[:_PROBLEM_CHARACTERS] for line in str(error).splitlines()[:6]],
        ) from None
    return Refiner(model.to(device).eval(), card, features, examples, torch.device(device))


def _built(card: CheckpointCard, features: FeatureConfig, examples: ExampleConfig) -> nn.Module:
    if not card.members:
        return build_model(card.model, features, examples)
    return Ensemble({name: build_model(name, features, examples) for name in card.members})


def read_weights(path: Path, *, hint: str = OTHER_WEIGHTS) -> tuple[dict[str, Tensor], CheckpointCard]:
    """The tensors of a weights file and its card, checked against each other.

    Raises:
        CheckpointError: the file is missing, torn, or was not written by `save_weights`.
    """
    card = CheckpointCard.of_weights(path, hint=hint)
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (safe_open is no mapping)
    except (SafetensorError, OSError) as error:
        raise CheckpointError("the weights are torn, or not a safetensors file", where=path, got=error, hint=hint) from None
    if _digest(tensors) != card.weights_sha256:
        raise CheckpointError("the weights do not match their card", where=path, hint=hint)
    return tensors, card


class Member(NamedTuple):
    """The weights of one model, float32, and the digest of the weights in the file that they come from."""

    tensors: dict[str, Tensor]
    sha256: str


def read_member(path: Path, model: ModelName) -> Member:
    """One model from the weights at `path`, for a training that begins with it.

    Raises:
        CheckpointError: as `read_weights`, or there is no such model among them.
    """
    tensors, card = read_weights(path)
    members = card.members or [card.model]
    if model not in members:
        raise CheckpointError("the weights hold another model", where=path, expected=model, got=", ".join(members))
    prefix = f"members.{model}." if card.members else ""
    own = {name.removeprefix(prefix): tensor.float() for name, tensor in tensors.items() if name.startswith(prefix)}
    return Member(own, card.weights_sha256)


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.contiguous().view(torch.uint8).numpy().tobytes() if tensor.ndim else str(tensor.item()).encode())
    return digest.hexdigest()
