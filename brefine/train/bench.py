"""How fast this machine trains: `python -m brefine.train.bench [--config RECIPE] [--models NAMES] [--baseline] [--json]`.

Each model of the recipe is trained for one epoch of noise by the real loop with its real reporter, validation and checkpoints,
in a scratch folder, with the share of the cores that it has in a phase. Clocks are on the objects that the loop is given, not in
the loop: any time that is not data, validation, logging or checkpointing is the model's own arithmetic (forward, loss, backward,
clipping, optimiser, average). Time in which other programs had the cores does not count. The plain loop takes the same examples
in the same order, with the same learning rates and from the same weights: its losses are the engine's, except for rounding.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from brefine.config import MODEL_NAMES, ModelName, PhaseConfig, load_config, with_models
from brefine.core.frames import n_window_frames
from brefine.data.batches import Batch, Tables, TrainingBatches
from brefine.data.examples import Examples, draw_epoch, find_examples
from brefine.errors import run_main
from brefine.models.heads import target_distribution
from brefine.phasedir import RunDir
from brefine.train.checkpoint import Checkpoints, TrainingState
from brefine.train.clock import Clock, Timed, timed
from brefine.train.device import Device, claim_device
from brefine.train.loop import Training, train
from brefine.train.losses import refiner_loss
from brefine.train.noise_corpus import Conversation, noise_conversations
from brefine.train.plain_loop import PlainDataset, run_plain_loop
from brefine.train.reporter import Plan, Reporter
from brefine.train.setup import fresh_state
from brefine.train.signals import StopSignal
from brefine.train.step import Taken
from brefine.train.validation import ValidationSet

_STEPS = 468
"""15,000 examples in batches of 32, then one validation and one checkpoint."""
_SQUARE = 1024
_N_VALIDATION = 800


@dataclass(frozen=True, slots=True)
class TrainBench:
    """Figures of one model on this machine.

    Attributes:
        examples_per_s: of this training, without validation, as on an idle machine (`schedstat.own_s`).
        examples_per_cpu_s: by the processor time that this process got; on a CPU, the figure of one core.
        share: shares of the time: model, data, validation, logging, checkpointing; they sum to one.
        flops_a_step: forward and backward, of matrix products and convolutions alone.
        matmul_flops_per_s: of a product of two square matrices of 1024 in the same precision, on the same cores.
        matmul_fraction: the training's operations a second as a share of those.
        mean_loss: of the second half of the steps.
        plain_examples_per_s: of the plain loop, like the other `plain_…`; None if it was not asked for.
        loss_difference: the largest difference between the two loops in any step, relative to the loss.
    """

    model: ModelName
    device: str
    batch_size: int
    steps: int
    examples_per_s: float
    examples_per_cpu_s: float
    share: dict[str, float]
    flops_a_step: float
    matmul_flops_per_s: float
    matmul_fraction: float
    mean_loss: float
    plain_examples_per_s: float | None = None
    plain_examples_per_cpu_s: float | None = None
    plain_share: dict[str, float] | None = None
    plain_mean_loss: float | None = None
    loss_difference: float | None = None

    @property
    def outside_model(self) -> float:
        """Share of the training time, validation aside, that is not the model's arithmetic."""
        outside = self.share["data"] + self.share["logging"] + self.share["checkpointing"]
        return outside / (outside + self.share["model"])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m brefine.train.bench", description=__doc__)
    parser.add_argument("--config", type=Path, help="the recipe; without one, the phase's defaults")
    parser.add_argument("--models", help="only these, such as `mlp,contrastive`")
    parser.add_argument("--steps", type=int, default=_STEPS)
    parser.add_argument("--baseline", action="store_true", help="run the plain loop beside it")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    options = parser.parse_args()
    config = _default_recipe() if options.config is None else load_config(options.config)
    benches = []
    for model in with_models(config, options.models).models:
        with contextlib.redirect_stdout(sys.stderr):  # the reporter's lines are no result
            benches.append(bench_model(model, config, n_steps=options.steps, baseline=options.baseline))
        print("\n".join(_lines(benches[-1])), file=sys.stderr if options.json else sys.stdout, flush=True)
    if options.json:
        print(json.dumps([asdict(bench) | {"outside_model": bench.outside_model} for bench in benches]))
    return 0


def bench_model(model: ModelName, config: PhaseConfig, *, n_steps: int, baseline: bool) -> TrainBench:
    """Trains one model for `n_steps` after a few to warm up, and measures the most that the machine could do."""
    settings = config.train_of(model)
    examples_config = config.examples.model_copy(update={"n_train": n_steps * settings.batch_size, "negatives_per_positive": 0.0})
    config = config.model_copy(update={"examples": examples_config})
    device = claim_device(settings, n_trainers=len(config.models))  # as many cores as it has in a phase
    conversations = noise_conversations(n_steps * settings.batch_size, config.features)
    tables, examples = _tables_and_examples(conversations, config, device)
    batches = TrainingBatches(tables, examples, examples_config, batch_size=settings.batch_size, seed=0, redraw=False)
    clock, state = Clock(), fresh_state(model, config, device)
    with tempfile.TemporaryDirectory(prefix="brefine-bench-") as scratch:
        training = _training(Path(scratch), model, config, device, batches, conversations, clock)
        whole = replace(training.plan, n_steps=training.plan.n_steps * settings.epochs)  # curves get as many points as in a phase
        with ListeningReporter(training.run, model, whole, device, every_s=settings.log_every_s) as reporter:
            reporter.losses = []
            timed_reporter = cast(Reporter, Timed(reporter, clock, "logging"))
            _warm_up(training, state, device)
            clock.start()
            train(training, state, timed_reporter, StopSignal())
            taken_s, cpu_s = clock.stop()
            losses = list(reporter.losses)
    trained_s = taken_s - clock.parts_s["validation"]
    n_examples = training.plan.n_steps * batches.batch_size
    flops, rate = (
        _flops_a_step(state, batches.at(0), device, settings.label_sigma_s / config.features.hop_s),
        _matmul_rate(device),
    )
    own_s = (cpu_s - clock.parts_cpu_s["validation"]) / torch.get_num_threads() if device.device.type == "cpu" else trained_s
    bench = TrainBench(
        model,
        device.name,
        batches.batch_size,
        training.plan.n_steps,
        examples_per_s=n_examples / trained_s,
        examples_per_cpu_s=n_examples / (cpu_s - clock.parts_cpu_s["validation"]),
        share=clock.shares(taken_s),
        flops_a_step=flops,
        matmul_flops_per_s=rate,
        matmul_fraction=flops * training.plan.n_steps / own_s / rate,
        mean_loss=_late_mean(losses),
    )
    if not baseline:
        return bench
    order, _ = draw_epoch(examples, examples_config, seed=0, epoch=0, redraw=False)
    return _with_baseline(bench, config, device, PlainDataset(conversations, examples, config), order.tolist(), losses)


class ListeningReporter(Reporter):
    """A reporter that keeps the loss of every step."""

    losses: list[float]

    def stepped(self, state: TrainingState, taken: Taken) -> None:
        self.losses.append(taken.loss)
        super().stepped(state, taken)


def _training(
    folder: Path,
    model: ModelName,
    config: PhaseConfig,
    device: Device,
    batches: TrainingBatches,
    conversations: list[Conversation],
    clock: Clock,
) -> Training:
    """A training of one epoch whose parts are timed."""
    run = RunDir(folder / model)
    settings = config.train_of(model)
    held_out = noise_conversations(_N_VALIDATION, config.features, seed=1)
    validation = ValidationSet(
        *_tables_and_examples(held_out, config, device),
        sigma_frames=settings.label_sigma_s / config.features.hop_s,
        device=device,
    )
    training = Training(
        run,
        model,
        config,
        settings,
        Plan(batches.steps_per_epoch, batches.steps_per_epoch, batches.batch_size),
        device,
        batches,
        validation,
        Checkpoints(run, "bench"),
        recordings=tuple(each.annotated.reference.recording for each in conversations),
    )
    return replace(
        training,
        batches=cast(Any, Timed(training.batches, clock, "data")),
        validation=cast(Any, Timed(training.validation, clock, "validation")),
        checkpoints=cast(Any, Timed(training.checkpoints, clock, "checkpointing")),
        write_weights=timed(training.write_weights, clock, "checkpointing"),
    )


def _warm_up(training: Training, state: TrainingState, device: Device) -> None:
    """Lets kernels be chosen and memory be claimed; nothing is learnt.

    The batches are the next epoch's, so the first epoch is drawn again afterwards.
    """
    for step in range(training.plan.n_steps, training.plan.n_steps + 3):
        batch = training.batches.at(step)
        with device.autocast():
            output = state.model(batch.features_BTF)
        torch.autograd.backward(output.logits_BK.float().square().mean())
        state.optimizer.zero_grad(set_to_none=True)


def _with_baseline(
    bench: TrainBench, config: PhaseConfig, device: Device, dataset: PlainDataset, order: list[int], losses: list[float]
) -> TrainBench:
    settings = config.train_of(bench.model)
    model = fresh_state(bench.model, config, device).model
    sigma_frames = settings.label_sigma_s / config.features.hop_s
    run = run_plain_loop(model, dataset, order, settings, sigma_frames=sigma_frames, device=device.device, n_steps=bench.steps)
    share = {"data": run.data_s / run.taken_s, "logging": run.logging_s / run.taken_s}
    return replace(
        bench,
        plain_examples_per_s=run.n_examples / run.taken_s,
        plain_examples_per_cpu_s=run.n_examples / run.cpu_s,
        plain_share={"model": 1.0 - sum(share.values()), **share},
        plain_mean_loss=_late_mean(run.losses),
        loss_difference=max(abs(own - plain) / plain for own, plain in zip(losses, run.losses, strict=True)),
    )


def _late_mean(losses: list[float]) -> float:
    late = losses[len(losses) // 2 :]
    return sum(late) / len(late)


def _tables_and_examples(conversations: list[Conversation], config: PhaseConfig, device: Device) -> tuple[Tables, Examples]:
    heard = [(each.log_mel_NM, each.annotated.hypothesis) for each in conversations]
    n_frames = n_window_frames(config.examples.context_s, config.features.hop_s)
    tables = Tables.build(
        heard, config.features.hop_s, n_frames, n_mels=config.features.n_mels, device=device.device, dtype=device.dtype
    )
    examples = find_examples([each.annotated for each in conversations], config.examples)
    return tables, examples[examples.positive]


def _flops_a_step(state: TrainingState, batch: Batch, device: Device, sigma_frames: float) -> float:
    """Operations of a step, counted, not estimated; attention in its plain form, as not every counter knows the fused one."""
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), device.autocast():
        output = state.model(batch.features_BTF)
        target_BK = target_distribution(batch.offset_frames_B, output.logits_BK.shape[1] - 1, sigma_frames)
        torch.autograd.backward(refiner_loss(output, target_BK, batch.offset_frames_B))
    state.optimizer.zero_grad(set_to_none=True)
    return float(counter.get_total_flops())


def _matmul_rate(device: Device) -> float:
    """Floating-point operations a second of a large matrix product: the best of several, since others may be disturbed."""
    left = torch.randn(_SQUARE, _SQUARE, device=device.device).to(device.dtype)
    on_cpu = device.device.type == "cpu"
    best_s = float("inf")
    for _ in range(10):
        began_s = time.process_time() if on_cpu else time.perf_counter()
        for _ in range(4):
            left @ left
        if not on_cpu:
            torch.cuda.synchronize()
        took_s = (time.process_time() if on_cpu else time.perf_counter()) - began_s
        best_s = min(best_s, took_s / 4 / (torch.get_num_threads() if on_cpu else 1))
    return 2.0 * _SQUARE**3 / best_s


def _default_recipe() -> PhaseConfig:
    return PhaseConfig.model_validate(
        {"schema": 1, "corpus": {"kind": "simulated"}, "models": {name: {} for name in MODEL_NAMES}}
    )


def _lines(bench: TrainBench) -> list[str]:
    shares = ", ".join(f"{part} {100 * share:.1f} %" for part, share in bench.share.items())
    lines = [
        f"{bench.model}  on {bench.device}, {bench.steps} steps of {bench.batch_size}",
        f"  {bench.examples_per_s:,.0f} examples/s ({bench.examples_per_cpu_s:,.0f} a second of one core)",
        f"  time: {shares}; outside the model, validation aside: {100 * bench.outside_model:.1f} %",
        f"  {bench.flops_a_step / 1e9:.2f} GFLOP a step: {100 * bench.matmul_fraction:.0f} % of the machine's "
        f"{bench.matmul_flops_per_s / 1e9:,.0f} GFLOP/s in a matrix product",
    ]
    if bench.plain_examples_per_cpu_s is not None and bench.plain_share is not None:
        shares = ", ".join(f"{part} {100 * share:.1f} %" for part, share in bench.plain_share.items())
        factor = bench.examples_per_cpu_s / bench.plain_examples_per_cpu_s
        lines.append(
            f"  plain loop: {bench.plain_examples_per_s:,.0f} examples/s ({bench.plain_examples_per_cpu_s:,.0f} a second of one "
            f"core); time: {shares}. The engine is {factor:.2f} × as fast"
        )
        lines.append(
            f"  loss of the second half: engine {bench.mean_loss:.4f}, plain loop {bench.plain_mean_loss:.4f}; of single steps "
            f"they differ by {100 * (bench.loss_difference or 0.0):.2g} % at most"
        )
    return lines


if __name__ == "__main__":
    run_main(main)
