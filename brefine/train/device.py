"""Where a training runs: its GPU or its share of the CPU cores, and in which precision."""

from __future__ import annotations

import ctypes
import os
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch

from brefine.config import TrainConfig

_MEMORY_SHARE = 0.95
_READ_EVERY = 16
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Numbers of the parameters in glibc's malloc.h."""
_LARGEST_KEPT_BYTES = 32 << 20
"""The largest value that glibc allows for the second."""


@dataclass(frozen=True, slots=True)
class Device:
    """A device and the type in which models compute there; parameters and their sums stay in float32."""

    device: torch.device
    dtype: torch.dtype
    name: str

    def autocast(self) -> AbstractContextManager[None]:
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not torch.float32)

    @property
    def read_every(self) -> int:
        """Steps between two readings of a training's numbers; on a GPU, reading means waiting."""
        return _READ_EVERY if self.device.type == "cuda" else 1

    @property
    def memory_bytes(self) -> int | None:
        """GPU memory that this process holds; None on a CPU."""
        return torch.cuda.memory_reserved(self.device) if self.device.type == "cuda" else None


def claim_device(config: TrainConfig, *, place: int = 0, n_trainers: int = 1) -> Device:
    """Chooses the device and sets this process's share of it.

    Args:
        place: of this trainer among those of its phase; with several GPUs, trainers take them in turn.
        n_trainers: how many see the same GPUs and cores. Each may use an equal part of a GPU's memory, and of the cores if
            neither the recipe nor `OMP_NUM_THREADS` says how many.
    """
    torch.set_flush_denormal(True)
    _keep_freed_memory()
    if torch.cuda.is_available():
        n_gpus = torch.cuda.device_count()
        index, n_sharing = place % n_gpus, -(-n_trainers // n_gpus)
        torch.cuda.set_device(index)
        torch.cuda.set_per_process_memory_fraction(_MEMORY_SHARE / n_sharing, index)
        dtype = torch.float32 if config.precision == "float32" else torch.bfloat16
        # TF32 has the range of float32 but the digits of float16, so it must not stand in for float32
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = dtype is not torch.float32
        return Device(torch.device("cuda", index), dtype, f"GPU{index} {torch.cuda.get_device_name(index)}")
    if config.threads or "OMP_NUM_THREADS" not in os.environ:  # which torch has followed already
        torch.set_num_threads(config.threads or max(1, len(os.sched_getaffinity(0)) // n_trainers))
    n_threads = torch.get_num_threads()
    fast = bool(torch.cpu.get_capabilities().get("avx512_bf16"))
    wanted = config.precision == "bfloat16" or (config.precision == "auto" and fast)
    dtype = torch.bfloat16 if wanted else torch.float32
    threads = "1 thread" if n_threads == 1 else f"{n_threads} threads"
    return Device(torch.device("cpu"), dtype, f"CPU, {threads}, {str(dtype).removeprefix('torch.')}")


def _keep_freed_memory() -> None:
    """Lets the allocator keep what a step frees for the next one, instead of giving it back to the system after each operation.

    Otherwise every step maps and clears thousands of pages again: a sixth of the MLP's time. If the C library is not glibc,
    nothing changes.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT_BYTES)
        mallopt(_TRIM_THRESHOLD, (1 << 31) - 1)
