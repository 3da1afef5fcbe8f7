"""One optimiser step: launched on the device, guarded there, and read back later.

Whether loss and gradient are sound is found out on the device, before the optimiser sees them; if they are not, weights, moments
and average stay as they are, without asking the host. The host reads loss, norm and that verdict after every step on a CPU, where
it costs nothing, and after every sixteenth on a GPU, so that nothing waits in between.

On a GPU the kernels of a step are recorded once, as a CUDA graph, and replayed: for models of this size, launching them one by
one takes longer than running them.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.nn.utils import clip_grad_norm_

from brefine.config import TrainConfig
from brefine.data.batches import Batch
from brefine.data.transfer import sent
from brefine.models.heads import target_distribution
from brefine.train.checkpoint import TrainingState
from brefine.train.device import Device
from brefine.train.losses import refiner_loss

_EXPLODING = 1000.0
"""Gradient norms above this many times the clipping norm mean that something broke, not that a batch was hard."""
_WARM_UPS = 3
"""Steps before the graph is recorded, in which kernels are chosen and memory is claimed."""


class Taken(NamedTuple):
    """What is known of a step that was taken.

    Attributes:
        step: optimiser steps before it.
        sound: whether the optimiser followed it: loss and gradient were finite, and the gradient did not explode.
    """

    step: int
    rate: float
    loss: float
    norm: float
    sound: bool


class Stepper:
    """Takes the steps of one training."""

    def __init__(self, state: TrainingState, device: Device, settings: TrainConfig, *, sigma_frames: float) -> None:
        self._state, self._device, self._settings, self._sigma_frames = state, device, settings, sigma_frames
        self._captures = device.device.type == "cuda" and settings.capture == "auto"
        self._rate_and_pull = torch.zeros(2, device=device.device)
        self._reading = torch.zeros(3, device=device.device)
        self._record = torch.zeros(device.read_every, 3, device=device.device)
        self._pending: list[tuple[int, float]] = []
        self.renew()

    def renew(self) -> None:
        """Adopts the state's tensors after they were replaced."""
        self._graph: torch.cuda.CUDAGraph | None = None
        for group in self._state.optimizer.param_groups:
            group["lr"] = self._rate_and_pull[0]  # read on the device, also by a recorded step

    @property
    def full(self) -> bool:
        """Whether it is time to read."""
        return len(self._pending) == self._device.read_every

    def take(self, batch: Batch, *, step: int, rate: float) -> None:
        """Launches a step; on a GPU it returns before the step is done."""
        pull = self._state.average.pull(step)
        self._rate_and_pull.copy_(sent(torch.tensor([rate, pull]), self._device.device), non_blocking=True)
        if self._captures and self._graph is None:
            self._capture(batch)
        if self._graph is None:
            self._launch(batch)
        else:
            self._inputs.features_BTF.copy_(batch.features_BTF)
            self._inputs.offset_frames_B.copy_(batch.offset_frames_B)
            self._graph.replay()
        self._record[len(self._pending)].copy_(self._reading)
        self._pending.append((step, rate))

    def read(self) -> list[Taken]:
        """The steps taken since the last reading. On a GPU this waits until they are done."""
        numbers = self._record[: len(self._pending)].tolist()
        taken = [
            Taken(step, rate, loss, norm, sound == 1.0)
            for (step, rate), (loss, norm, sound) in zip(self._pending, numbers, strict=True)
        ]
        self._pending.clear()
        return taken

    def _launch(self, batch: Batch) -> None:
        """The whole arithmetic of a step. Nothing here may ask the device for a number."""
        model, optimizer = self._state.model, self._state.optimizer
        optimizer.zero_grad(set_to_none=True)
        with self._device.autocast():
            output = model(batch.features_BTF)
        target_BK = target_distribution(batch.offset_frames_B, output.logits_BK.shape[1] - 1, self._sigma_frames)
        loss = refiner_loss(output, target_BK, batch.offset_frames_B)
        torch.autograd.backward(loss)
        norm = clip_grad_norm_(model.parameters(), self._settings.clip_norm, foreach=True)
        sound = torch.isfinite(loss) & (norm <= _EXPLODING * self._settings.clip_norm)  # false for not-a-number
        optimizer.found_inf = (~sound).float()  # type: ignore[attr-defined]  # the fused kernel then changes nothing
        optimizer.step()
        self._state.average.update(self._rate_and_pull[1] * sound)
        self._reading.copy_(torch.stack([loss.detach().float(), norm.float(), sound.float()]))

    def _capture(self, batch: Batch) -> None:
        """Records the step as a graph, or says why that cannot be done and stays with single launches.

        The warm-up steps get features that are not-a-number, so the guard keeps them away from weights and moments.
        """
        self._inputs = Batch(torch.full_like(batch.features_BTF, torch.nan), batch.offset_frames_B.clone())
        groups, graph, side = self._state.optimizer.param_groups, torch.cuda.CUDAGraph(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
        try:
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(_WARM_UPS):
                    self._launch(self._inputs)
            torch.cuda.current_stream().wait_stream(side)
            for group in groups:
                group["capturable"] = True
            with torch.cuda.graph(graph):
                self._launch(self._inputs)
            self._graph = graph
        except RuntimeError as error:
            self._captures = False
            print(f"steps are launched kernel by kernel: recording one failed ({str(error).splitlines()[0]})", flush=True)
        finally:
            for group in groups:
                group["capturable"] = False
