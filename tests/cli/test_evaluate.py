"""`brefine evaluate`: one at a time."""

from __future__ import annotations

from pathlib import Path
from typing import IO

import pytest
from typer.testing import CliRunner

from brefine.cli import app
from brefine.cli import evaluate as evaluate_module
from brefine.errors import ConfigError, ProcessError
from brefine.identity import own_identity
from brefine.io.lock import held
from brefine.phasedir import Progress, Stage
from brefine.run.stages import StageProcess
from tests.run.toy_programs import make_toy_phase


def test_a_second_evaluation_is_refused(tmp_path: Path) -> None:
    """Two would write the same files and tell one progress, as two integrations would."""
    phase = make_toy_phase(tmp_path)
    first = StageProcess(phase, Stage.EVALUATE, ["sleep", "60"])
    ended = CliRunner().invoke(app, ["evaluate", "--phase", str(phase.path)])
    assert isinstance(ended.exception, ProcessError)
    assert "evaluate is at work already (got process" in str(ended.exception)
    first.end()


@pytest.mark.parametrize("model", ["nope", "contrastive"])
def test_a_model_that_the_recipe_does_not_train_is_a_fault_of_usage(tmp_path: Path, model: str) -> None:
    """It is told in the user's words, as `select` and `integrate` tell it, and no worker is started to say so."""
    phase = make_toy_phase(tmp_path)
    with pytest.raises(ConfigError, match=rf"recipe \(expected transformer or mlp, got {model}\)"):
        evaluate_module.evaluate(model=["mlp", model], phase=str(phase.path))


def test_the_worker_holds_the_station_and_leaves_the_phases_progress_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may outlive the command; when training ended, and how long the phase's own evaluation took, stays what it was."""
    phase = make_toy_phase(tmp_path)
    told = {"stage": "evaluate", "state": "finished", "step": "", "done": 1, "total": 1, "started_unix_s": 1.0, "unix_s": 2.0}
    progress = Progress.model_validate(told | {"process": own_identity()})
    progress.write(phase.progress(Stage.EVALUATE))

    def work(*words: object, stdout: IO[str], lock: int) -> int:
        assert "--progress" not in words
        with held(phase.stage_lock(Stage.EVALUATE), wait=False) as another:
            assert lock is not None and another is None
        stdout.write('{"evaluations": []}')
        return 0

    monkeypatch.setattr(evaluate_module, "run_worker", work)
    ended = CliRunner().invoke(app, ["evaluate", "--phase", str(phase.path), "--json"], catch_exceptions=False)
    assert (ended.exit_code, ended.stdout) == (0, '{\n "evaluations": []\n}\n')
    assert Progress.read(phase.progress(Stage.EVALUATE)) == progress


def test_an_answer_that_is_no_json_is_told_without_a_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Something printed into it, such as a sitecustomize.py that greets."""
    phase = make_toy_phase(tmp_path)

    def work(*words: object, stdout: IO[str], lock: int) -> int:
        stdout.write('hello\n{"evaluations": []}')
        return 0

    monkeypatch.setattr(evaluate_module, "run_worker", work)
    ended = CliRunner().invoke(app, ["evaluate", "--phase", str(phase.path)])
    assert isinstance(ended.exception, ProcessError)
    assert "a worker printed something other than its result (expected one JSON document, got 'hello')" in str(ended.exception)
