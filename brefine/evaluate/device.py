"""Where a refiner runs."""

from __future__ import annotations

from typing import Literal, get_args

import torch

from brefine.errors import BrefineError, ConfigError

DeviceName = Literal["auto", "cpu", "cuda"]
"""`auto` is a GPU if there is one, else the CPU; `cuda` is the first visible GPU."""


def pick_device(name: DeviceName) -> torch.device:
    """The device with this name.

    Raises:
        BrefineError: `cuda` was asked for, and there is no GPU.
        ConfigError: there is no such name.
    """
    if name not in get_args(DeviceName):
        raise ConfigError(
            "there is no such device",
            expected="auto, cpu or cuda",
            got=name,
            hint="of several GPUs, CUDA_VISIBLE_DEVICES says which one is used",
        )
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise BrefineError("there is no GPU that torch can use", where="--device cuda", hint="use --device cpu, or leave it out")
    return torch.device("cuda" if name == "cuda" or (name == "auto" and available) else "cpu")


def device_name(device: torch.device) -> str:
    """`cpu (2 threads)`, or the GPU's name."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"cpu ({torch.get_num_threads()} threads)"
