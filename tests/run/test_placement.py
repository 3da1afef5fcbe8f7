"""Which part of the machine each trainer gets."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from brefine.phasedir import TRAINERS_VARIABLE
from brefine.run.placement import trainer_environments

MODELS = ("transformer", "mlp", "contrastive")


class Gpus:
    """A machine with so many."""

    note = None

    def __init__(self, n_gpus: int) -> None:
        self._n_gpus = n_gpus

    def read(self) -> tuple[SimpleNamespace, ...]:
        return tuple(SimpleNamespace(index=index) for index in range(self._n_gpus))


@pytest.mark.parametrize(
    ("n_gpus", "seen", "n_trainers"),
    [
        (0, [None, None, None], ["3", "3", "3"]),
        (1, [None, None, None], ["3", "3", "3"]),
        (2, ["0", "1", "0"], ["2", "1", "2"]),
        (4, ["0", "1", "2"], ["1", "1", "1"]),
    ],
)
def test_each_trainer_is_told_how_many_see_its_gpu(n_gpus: int, seen: list[str | None], n_trainers: list[str]) -> None:
    """Where there are several GPUs they are given out in turn; where there is one, all trainers see it."""
    found = trainer_environments(MODELS, threads=0, base={}, gpus=Gpus(n_gpus))
    assert [found[model].get("CUDA_VISIBLE_DEVICES") for model in MODELS] == seen
    assert [found[model][TRAINERS_VARIABLE] for model in MODELS] == n_trainers


def test_the_cores_are_divided_unless_somebody_has_said_how_many() -> None:
    """A thread count of the recipe counts more than one of the environment, and that more than an equal share."""
    shared = trainer_environments(MODELS, threads=0, base={}, gpus=Gpus(0))
    assert len({shared[model]["OMP_NUM_THREADS"] for model in MODELS}) == 1
    given = {"OMP_NUM_THREADS": "5"}
    assert trainer_environments(MODELS, threads=0, base=given, gpus=Gpus(0))["mlp"]["OMP_NUM_THREADS"] == "5"
    assert trainer_environments(MODELS, threads=2, base=given, gpus=Gpus(0))["mlp"]["OMP_NUM_THREADS"] == "2"
