"""The plain training loop, as a tutorial would write it: what `brefine bench train --baseline` compares with.

Each example is sliced, normalised and put together in numpy by a `Dataset`, a `DataLoader` stacks them, all is float32, and
every step writes its scalars. Model, loss and optimiser are the same.
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

from brefine.config import FeatureConfig, TrainConfig
from brefine.data.evidence import activity, edge_frame, speaker_evidence
from brefine.data.examples import Examples
from brefine.data.features import normalised
from brefine.models.heads import target_distribution
from brefine.train.losses import refiner_loss
from brefine.train.noise_corpus import Conversation


@dataclass(frozen=True, slots=True)
class PlainRun:
    """What the plain loop took: seconds of wall time and of the processor, and of the former those spent on data and logging."""

    n_examples: int
    wall_s: float
    cpu_s: float
    data_s: float
    logging_s: float


class PlainDataset(Dataset[tuple[Tensor, float]]):
    """One window an example, cut when it is asked for."""

    def __init__(self, conversations: list[Conversation], examples: Examples, features: FeatureConfig, n_frames: int) -> None:
        self._examples, self._hop_s, self._half = examples, features.hop_s, n_frames // 2
        self._frames = [conversation.log_mel_NM for conversation in conversations]
        self._scale = [normalised(frames_NM) for frames_NM in self._frames]
        self._active = [activity(each.annotated.hypothesis, len(each.log_mel_NM), features.hop_s) for each in conversations]
        self._evidence = [
            speaker_evidence(frames_NM, active_SN, features.hop_s)
            for frames_NM, active_SN in zip(self._frames, self._active, strict=True)
        ]

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, index: int) -> tuple[Tensor, float]:
        recording, speaker = int(self._examples.recording[index]), int(self._examples.speaker[index])
        active_SN = np.pad(self._active[recording], ((0, 0), (self._half, self._half)))
        start = int(edge_frame(self._examples.hypothesis_s[index : index + 1], self._hop_s)[0])
        span = slice(start, start + 2 * self._half)
        own_T = active_SN[speaker, span].astype(np.float32)
        others_T = (active_SN[:, span].sum(axis=0) - active_SN[speaker, span] > 0).astype(np.float32)
        evidence = self._evidence[recording]
        evidence_T, speech_T = (np.pad(track_N, self._half)[span] for track_N in (evidence.own_SN[speaker], evidence.speech_N))
        side_T = np.full_like(own_T, 1.0 if self._examples.onset[index] else -1.0)
        mel_TM = np.pad(self._scale[recording], ((self._half, self._half), (0, 0)))[span].astype(np.float32)
        features_TF = np.concatenate([mel_TM, np.stack([own_T, others_T, evidence_T, speech_T, side_T], axis=1)], axis=1)
        return torch.from_numpy(features_TF), float(self._examples.offset_s[index] / self._hop_s)


def run_plain_loop(
    model: nn.Module, dataset: PlainDataset, settings: TrainConfig, *, sigma_frames: float, device: torch.device, n_steps: int
) -> PlainRun:
    """Trains for `n_steps`, after one that is not counted."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)
    loader = DataLoader(dataset, batch_size=settings.batch_size, shuffle=True, drop_last=True)
    data_s = logging_s = wall_s = cpu_s = 0.0
    with tempfile.TemporaryDirectory(prefix="brefine-bench-") as scratch, SummaryWriter(scratch) as writer:
        batches, step = iter(loader), -1
        while step < n_steps:
            began_s = time.perf_counter()
            try:
                features_BTF, offset_B = next(batches)
            except StopIteration:
                batches = iter(loader)
                continue
            features_BTF, offset_B = features_BTF.to(device), offset_B.float().to(device)
            data_s += time.perf_counter() - began_s
            optimizer.zero_grad()
            output = model(features_BTF)
            loss = refiner_loss(output, target_distribution(offset_B, features_BTF.shape[1], sigma_frames), offset_B)
            torch.autograd.backward(loss)
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm, foreach=False)
            optimizer.step()
            told_s = time.perf_counter()
            writer.add_scalar("loss", loss.item(), step)
            writer.add_scalar("norm", norm.item(), step)
            logging_s += time.perf_counter() - told_s
            step += 1
            if step == 0:
                data_s = logging_s = 0.0
                wall_s, cpu_s = time.perf_counter(), time.process_time()
        torch.save(model.state_dict(), Path(scratch) / "model.pt")
        return PlainRun(
            n_steps * settings.batch_size, time.perf_counter() - wall_s, time.process_time() - cpu_s, data_s, logging_s
        )
