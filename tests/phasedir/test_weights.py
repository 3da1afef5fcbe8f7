"""The way to weights that a phase does not have."""

from __future__ import annotations

from pathlib import Path

import pytest

from brefine.errors import ProcessError
from brefine.identity import own_identity
from brefine.phasedir import RunState, Stage, read_statuses, way_to_first_checkpoint, way_to_weights
from brefine.run.stages import start_evaluation
from tests.run.records import status
from tests.run.test_store import supervised
from tests.run.toy_programs import make_toy_phase


@pytest.mark.parametrize("at_work", ["supervisor", "trainer"])
def test_a_phase_that_is_at_work_is_not_to_be_resumed(tmp_path: Path, at_work: str) -> None:
    """It refuses that while it prepares or trains; what is wanted comes by itself, and can be waited for."""
    phase = make_toy_phase(tmp_path)
    if at_work == "supervisor":
        supervised(phase, Stage.PREPARE)
    else:
        status("mlp").write(phase.run("mlp").status)
    wait = f"wait for its first checkpoint: brefine watch {phase.argument}"
    assert way_to_weights(phase, "transformer") == f"{wait}; models that are trained can be named: --model NAME"
    with pytest.raises(ProcessError) as refused:
        start_evaluation(phase)
    assert refused.value.hint == wait


def test_a_phase_whose_processes_are_gone_is_to_be_resumed(tmp_path: Path) -> None:
    """Its last words say that they run, but nobody lives to go on."""
    phase = make_toy_phase(tmp_path)
    gone = own_identity().model_copy(update={"start_ticks": 1})
    status("mlp", RunState.RUNNING).model_copy(update={"process": gone}).write(phase.run("mlp").status)
    supervised(phase, Stage.TRAIN, "finished")
    assert way_to_weights(phase, "mlp").startswith(f"train first: brefine resume {phase.argument}; ")


def test_whoever_trains_is_known_without_the_recipe(tmp_path: Path) -> None:
    """By the words of its trainers; a word that cannot be read is none."""
    phase = make_toy_phase(tmp_path)
    status("mlp").write(phase.run("mlp").status)
    phase.run("transformer").status.parent.mkdir()
    phase.run("transformer").status.write_text("{")
    phase.config.unlink()
    assert list(read_statuses(phase)) == ["mlp"]
    assert way_to_first_checkpoint(phase).startswith("wait for its first checkpoint")
