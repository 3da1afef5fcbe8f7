"""Where a refiner runs."""

from __future__ import annotations

import torch

from brefine.errors import BrefineError


def pick_device(name: str) -> torch.device:
    """`auto` (a GPU where there is one), `cpu` or `cuda`.

    Raises:
        BrefineError: `cuda` was asked for, and there is none.
    """
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise BrefineError("there is no GPU that torch can use", where="--device cuda", hint="use --device cpu, or leave it out")
    return torch.device("cuda" if name == "cuda" or (name == "auto" and available) else "cpu")


def device_name(device: torch.device) -> str:
    """`cpu (2 threads)`, or the GPU's name."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"cpu ({torch.get_num_threads()} threads)"
