"""The plain training loop, as in a tutorial, which `brefine bench train --baseline` compares with.

Each example is sliced, normalised and put together in numpy by a `Dataset`, a `DataLoader` stacks them, all is float32, the
optimiser goes parameter by parameter, and every step writes its scalars. Model, loss, optimiser and learning rates are the
recipe's, so the same examples in the same order give the same losses.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torch.utils.tensorboard import SummaryWriter

from brefine.config import PhaseConfig, TrainConfig
from brefine.core.frames import n_window_frames
from brefine.data.evidence import activity, edge_frame, speaker_evidence
from brefine.data.examples import Examples
from brefine.data.features import normalised
from brefine.io.schedstat import own_s
from brefine.models.heads import target_distribution
from brefine.train.losses import refiner_loss
from brefine.train.noise_corpus import Conversation
from brefine.train.optim import BETAS, learning_rate, parameter_groups


@dataclass(frozen=True, slots=True)
class PlainRun:
    """The plain loop's times, in seconds of `schedstat.own_s` except `cpu_s`, and its losses."""

    n_examples: int
    taken_s: float
    cpu_s: float
    data_s: float
    logging_s: float
    losses: list[float]


class PlainDataset(Dataset[tuple[Tensor, float]]):
    """One window per example, cut when it is asked for."""

    def __init__(self, conversations: list[Conversation], examples: Examples, config: PhaseConfig) -> None:
        features = config.features
        self._examples, self._hop_s = examples, features.hop_s
        self._half = n_window_frames(config.examples.context_s, features.hop_s) // 2
        frames = [conversation.log_mel_NM for conversation in conversations]
        n_mels = features.n_mels
        self._active = [activity(each.annotated.hypothesis, len(each.log_mel_NM), features.hop_s) for each in conversations]
        self._scaled = [
            np.column_stack([normalised(frames_NM[:, :n_mels], active_SN, features.hop_s), frames_NM[:, n_mels:]])
            for frames_NM, active_SN in zip(frames, self._active, strict=True)
        ]
        self._evidence = [
            speaker_evidence(frames_NM[:, :n_mels], active_SN, features.hop_s)
            for frames_NM, active_SN in zip(frames, self._active, strict=True)
        ]

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, index: int) -> tuple[Tensor, float]:
        recording, speaker = int(self._examples.recording[index]), int(self._examples.speaker[index])
        active_SN = np.pad(self._active[recording], ((0, 0), (self._half, self._half)))
        hypothesis_s, true_s = (
            self._examples.hypothesis_s[index],
            self._examples.hypothesis_s[index] + self._examples.offset_s[index],
        )
        start = int(edge_frame(hypothesis_s[None], self._hop_s)[0])
        span = slice(start, start + 2 * self._half)
        own_T = active_SN[speaker, span].astype(np.float32)
        others_T = (active_SN[:, span].sum(axis=0) - active_SN[speaker, span] > 0).astype(np.float32)
        evidence = self._evidence[recording]
        evidence_T, speech_T = (np.pad(track_N, self._half)[span] for track_N in (evidence.own_SN[speaker], evidence.speech_N))
        side_T = np.full_like(own_T, 1.0 if self._examples.onset[index] else -1.0)
        mel_TM = np.pad(self._scaled[recording], ((self._half, self._half), (0, 0)))[span].astype(np.float32)
        features_TF = np.concatenate([mel_TM, np.stack([own_T, others_T, evidence_T, speech_T, side_T], axis=1)], axis=1)
        return torch.from_numpy(features_TF), float(true_s / self._hop_s - start)


def run_plain_loop(
    model: nn.Module,
    dataset: PlainDataset,
    order: list[int],
    settings: TrainConfig,
    *,
    sigma_frames: float,
    device: torch.device,
    n_steps: int,
) -> PlainRun:
    """Trains for the first `n_steps` batches of the examples in `order`; the first step is a warm-up and not timed."""
    optimizer = torch.optim.AdamW(parameter_groups(model, settings), lr=settings.lr, betas=BETAS, foreach=False)
    loader = DataLoader(dataset, batch_size=settings.batch_size, sampler=order, drop_last=True)
    data_s = logging_s = began_s = cpu_s = 0.0
    losses: list[float] = []
    with tempfile.TemporaryDirectory(prefix="brefine-bench-") as scratch, SummaryWriter(scratch) as writer:
        batches = iter(loader)
        for step in range(n_steps):
            if step == 1:
                data_s = logging_s = 0.0
                began_s, cpu_s = own_s(), time.process_time()
            asked_s = own_s()
            features_BTF, offset_B = next(batches)
            features_BTF, offset_B = features_BTF.to(device), offset_B.float().to(device)
            data_s += own_s() - asked_s
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, n_steps, settings)
            optimizer.zero_grad()
            output = model(features_BTF)
            loss = refiner_loss(output, target_distribution(offset_B, features_BTF.shape[1], sigma_frames), offset_B)
            torch.autograd.backward(loss)
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm, foreach=False)
            optimizer.step()
            told_s = own_s()
            losses.append(loss.item())
            writer.add_scalar("loss", losses[-1], step)
            writer.add_scalar("norm", norm.item(), step)
            logging_s += own_s() - told_s
        torch.save(model.state_dict(), Path(scratch) / "model.pt")
        n_timed = (n_steps - 1) * settings.batch_size
        return PlainRun(n_timed, own_s() - began_s, time.process_time() - cpu_s, data_s, logging_s, losses)
