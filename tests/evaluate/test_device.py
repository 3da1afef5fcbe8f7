"""Where a refiner runs."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from brefine.errors import BrefineError, ConfigError
from brefine.evaluate.device import pick_device


@pytest.mark.parametrize(("n_gpus", "found"), [(0, "cpu"), (2, "cuda")])
def test_what_is_there_is_taken_unless_it_is_named(monkeypatch: pytest.MonkeyPatch, n_gpus: int, found: str) -> None:
    """A GPU where there is one; a processor is always there, and a GPU that is asked for is not replaced by it."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: n_gpus > 0)
    assert pick_device("auto") == torch.device(found)
    assert pick_device("cpu") == torch.device("cpu")
    if n_gpus:
        assert pick_device("cuda") == torch.device("cuda")
    else:
        with pytest.raises(BrefineError, match="there is no GPU that torch can use"):
            pick_device("cuda")


@pytest.mark.parametrize("n_gpus", [0, 2])
def test_a_name_that_no_device_has_is_not_the_processor(monkeypatch: pytest.MonkeyPatch, n_gpus: int) -> None:
    """Whoever misspells a GPU would wait for the processor; which of several GPUs is meant, the environment says."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: n_gpus > 0)
    name: Any
    for name in ("cuda:0", "cuda:1", "gpu", "CUDA", "", torch.device("cuda")):
        with pytest.raises(ConfigError, match=r"no such device \(expected auto, cpu or cuda, got .*\)\n.*CUDA_VISIBLE_DEVICES"):
            pick_device(name)
