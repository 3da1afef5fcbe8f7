"""What a trainer claims of its machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
import torch

from brefine.config import PhaseConfig, TrainConfig
from brefine.phasedir import TRAINERS_VARIABLE, RunDir
from brefine.train import setup
from brefine.train.device import claim_device

MakeRun = Callable[..., tuple[RunDir, PhaseConfig]]


@pytest.fixture
def shares(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, int]]:
    """A machine with two GPUs; what is claimed of the memory of which."""
    claimed: list[tuple[float, int]] = []
    for backend in (torch.backends.cuda.matmul, torch.backends.cudnn):
        monkeypatch.setattr(backend, "allow_tf32", backend.allow_tf32)  # afterwards what it was
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda index: None)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "GPU")
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", lambda share, index: claimed.append((share, index)))
    return claimed


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A machine with six cores; the number of threads is afterwards what it was."""
    before = torch.get_num_threads()
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(6)))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    yield monkeypatch
    torch.set_num_threads(before)


def test_a_trainer_with_a_gpu_of_its_own_may_use_all_of_it(shares: list[tuple[float, int]]) -> None:
    """Those that share one get equal parts; where several are seen, trainers take them in turn."""
    claim_device(TrainConfig())
    claim_device(TrainConfig(), place=1, n_trainers=2)
    claim_device(TrainConfig(), place=2, n_trainers=3)
    assert shares == [(0.95, 0), (0.95, 1), (0.475, 0)]


@pytest.mark.parametrize(("precision", "dtype"), [("float32", torch.float32), ("auto", torch.bfloat16)])
def test_single_precision_is_that_on_a_gpu(shares: list[tuple[float, int]], precision: str, dtype: torch.dtype) -> None:
    """Products and convolutions are not rounded to TF32; beside bfloat16 they may be."""
    assert claim_device(TrainConfig(precision=precision)).dtype is dtype
    allowed = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    assert allowed == ((False, False) if dtype is torch.float32 else (True, True))


def test_a_trainer_without_a_gpu_gets_its_share_of_the_cores(threads: pytest.MonkeyPatch) -> None:
    """All of them where it is alone, as in a job; a number in the recipe or the environment is kept."""
    assert "6 threads" in claim_device(TrainConfig()).name
    assert "2 threads" in claim_device(TrainConfig(), n_trainers=3).name
    assert "4 threads" in claim_device(TrainConfig(threads=4), n_trainers=3).name
    threads.setenv("OMP_NUM_THREADS", "4")
    assert "4 threads" in claim_device(TrainConfig(), n_trainers=3).name
    assert "CPU, 1 thread, " in claim_device(TrainConfig(threads=1), n_trainers=3).name


@pytest.mark.parametrize(
    ("precision", "fast", "dtype"),
    [
        ("auto", False, torch.float32),
        ("auto", True, torch.bfloat16),
        ("float32", True, torch.float32),
        ("bfloat16", False, torch.bfloat16),
    ],
)
def test_a_cpu_computes_in_bfloat16_where_it_can_or_is_told_to(
    threads: pytest.MonkeyPatch, precision: str, fast: bool, dtype: torch.dtype
) -> None:
    """Products are of that type, weights stay what they are, and the name says which it is."""
    threads.setattr(torch.cuda, "is_available", lambda: False)
    threads.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": fast})
    device, layer = claim_device(TrainConfig(precision=precision)), torch.nn.Linear(2, 2)
    with device.autocast():
        assert layer(torch.ones(1, 2)).dtype is device.dtype is dtype
    assert layer.weight.dtype is torch.float32
    assert device.name.endswith(f", {str(dtype).removeprefix('torch.')}")
    assert (device.read_every, device.memory_bytes) == (1, None)


@pytest.mark.parametrize(("told", "n_trainers"), [(None, 1), ("2", 2)])
def test_a_training_asks_the_environment_with_how_many_it_shares(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, told: str | None, n_trainers: int
) -> None:
    """Not the recipe, which knows neither GPUs nor jobs: unless it is told, it is alone."""
    run, config = make_run(models={"transformer": {}, "contrastive": {}})
    monkeypatch.delenv(TRAINERS_VARIABLE, raising=False)
    if told is not None:
        monkeypatch.setenv(TRAINERS_VARIABLE, told)
    asked: list[dict[str, int]] = []
    monkeypatch.setattr(setup, "claim_device", lambda settings, **share: asked.append(share) or claim_device(settings))
    setup.build_training(run, "transformer", config, resume=False)
    assert asked == [{"place": 1, "n_trainers": n_trainers}]
