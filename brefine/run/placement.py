"""Which part of the machine each trainer gets: its share of the cores, and one GPU if there are several, perhaps shared."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from brefine.phasedir import TRAINERS_VARIABLE
from brefine.run.gpu import GpuProbe

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def trainer_environments(
    models: Sequence[str], *, threads: int, base: Mapping[str, str], gpus: GpuProbe
) -> dict[str, dict[str, str]]:
    """The environment of each model's trainer.

    Args:
        models: all models of the phase, running or not, so that shares stay the same over restarts.
        threads: CPU threads of one trainer; 0 = its share of the machine.
        base: the environment that they inherit; a CUDA_VISIBLE_DEVICES in it limits the choice, an OMP_NUM_THREADS is kept.
    """
    share = threads or max(1, len(os.sched_getaffinity(0)) // len(models))
    devices = _visible_devices(base, gpus)
    n_places = max(1, len(devices))
    environments = {}
    for index, model in enumerate(models):
        own = index % n_places
        environment = {**base, "PYTHONUNBUFFERED": "1", TRAINERS_VARIABLE: str(len(models[own::n_places]))}
        for variable in _THREAD_VARIABLES:
            if threads or variable not in base:
                environment[variable] = str(share)
        if len(devices) > 1:
            environment["CUDA_VISIBLE_DEVICES"] = devices[own]
        environments[model] = environment
    return environments


def _visible_devices(base: Mapping[str, str], gpus: GpuProbe) -> list[str]:
    chosen = base.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [device.strip() for device in chosen.split(",") if device.strip()]
    return [str(gpu.index) for gpu in gpus.read()]
