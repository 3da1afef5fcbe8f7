"""A phase directory is one that can be opened, or it is not made."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from brefine.config import parse_config, with_absolute_paths
from brefine.core.gate import Answer
from brefine.errors import ConfigError, ProcessError
from brefine.identity import identity_of, own_identity
from brefine.phasedir import RunState, Stage, SupervisorState
from brefine.run import launch
from brefine.run.gate_report import write_gate
from brefine.run.gpu import NoGpu
from brefine.run.launch import create_phase, start_supervisor, stop_phase, unfinished_models
from brefine.run.plan import plan_phase
from tests.run.records import status
from tests.run.toy_programs import make_toy_phase
from tests.run.whole_phase import make_phase

_RECIPE = """schema = 1
runs = "runs"
[corpus]
kind = "simulated"
[models.mlp]
[executor.directives]
"a.b" = 1
"""


def test_a_phase_opens_wherever_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder whose name is beyond U+FFFF, and with a key that TOML wants in quotes."""
    folder = tmp_path / "𠮷野 🎙"
    folder.mkdir()
    monkeypatch.chdir(folder)
    config = parse_config(_RECIPE, where="mine.toml")
    assert create_phase(config).load_config() == with_absolute_paths(config)


@pytest.mark.parametrize("unprintable", ["\x7f", "\udcff"])
def test_a_phase_that_nobody_could_open_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unprintable: str) -> None:
    """Relative paths take the current folder's name into the recipe, whatever it is."""
    folder = tmp_path / f"a{unprintable}b"
    folder.mkdir()
    monkeypatch.chdir(folder)
    with pytest.raises(ConfigError, match="cannot be printed"):
        create_phase(parse_config(_RECIPE, where="mine.toml"))
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(("mae_ms", "window_s"), [(100.0, 0.1), (100.0, 0.25), (100.0, 0.499), (250.0, 1.0)])
def test_a_cap_within_which_any_hypothesis_is_near_enough_is_refused(tmp_path: Path, mae_ms: float, window_s: float) -> None:
    """On paper and in earnest; five times the threshold is wide enough."""
    recipe = _RECIPE.replace('"runs"', f'"{tmp_path}/runs"') + f"[gate]\nmae_ms = {mae_ms}\nwindow_s = {window_s}\n"
    narrow = parse_config(recipe, where="mine.toml")
    for launched in (create_phase, lambda config: plan_phase(config, gpus=NoGpu("none"), n_cores=2)):
        with pytest.raises(ConfigError, match="too narrow") as refused:
            launched(narrow)
        assert refused.value.where == "[gate] window_s"
        assert refused.value.hint == "a cap of 1 s is usual; with it mae_ms can be at most 200"
        assert not (tmp_path / "runs").exists()
    wide = narrow.model_copy(update={"gate": narrow.gate.model_copy(update={"window_s": 5.0 * mae_ms / 1000.0})})
    assert create_phase(wide).load_config().gate == wide.gate


def test_a_phase_without_anything_to_resume_says_what_comes_next(tmp_path: Path) -> None:
    """What leads on from where it stands: a phase that is decided is not sent back to the choice of its model."""
    phase = make_phase(tmp_path)
    gone = own_identity().model_copy(update={"boot_id": "an earlier one"})
    status("mlp", RunState.FINISHED, process=gone).write(phase.run("mlp").status)
    SupervisorState(process=gone, stage=Stage.EVALUATE, state="finished", started_unix_s=1.0, heartbeat_unix_s=2.0).write(
        phase.supervisor
    )

    def hint() -> str | None:
        with pytest.raises(ProcessError, match="nothing left to resume") as told:
            unfinished_models(phase)
        return told.value.hint

    assert hint() == f"go on with: brefine gate4 {phase.path}"
    write_gate(phase, {"go-on": Answer(False)})
    assert hint() == f"go on with: brefine report {phase.path}"
    for document, command in ((phase.integration, "integrate"), (phase.selection, "select")):
        document.unlink()
        assert hint() == f"go on with: brefine {command} --phase {phase.path}"


@pytest.fixture
def sleepers() -> Iterator[tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]]:
    """Two processes that do nothing: a supervisor that hangs, and a trainer."""
    both = subprocess.Popen(["sleep", "60"]), subprocess.Popen(["sleep", "60"])
    yield both
    for process in both:
        process.kill()
        process.wait()


@pytest.mark.parametrize("age_s", [1.0, 100.0])
def test_a_phase_whose_supervisor_hangs_is_stopped_without_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    sleepers: tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]],
    age_s: float,
) -> None:
    """Ended by force, so that it asks nobody a second time when it wakes up; one that gave a sign of life is waited for."""
    monkeypatch.setattr(launch, "_UNREAD_S", 0.0)
    phase = make_toy_phase(tmp_path)
    supervisor, trainer = sleepers
    SupervisorState(
        process=identity_of(supervisor.pid),
        stage=Stage.TRAIN,
        state="running",
        started_unix_s=1.0,
        heartbeat_unix_s=time.time() - age_s,
        processes={"mlp": identity_of(trainer.pid)},
    ).write(phase.supervisor)
    if age_s < 60.0:
        with pytest.raises(ProcessError, match="has not stopped within"):
            stop_phase(phase, timeout_s=0.2)
        assert (supervisor.poll(), trainer.poll()) == (None, None)
        return
    with pytest.raises(ProcessError, match=r"supervised already.*without a sign of life for 100 s"):
        unfinished_models(phase)
    assert stop_phase(phase, timeout_s=30.0)
    assert (supervisor.wait(), trainer.wait()) == (-signal.SIGKILL, -signal.SIGTERM)
    assert f"process {supervisor.pid}, gives no sign of life" in capsys.readouterr().err
    assert unfinished_models(phase) == ("transformer", "mlp")


@pytest.mark.parametrize("fault", ["its log", "its process"])
def test_a_supervisor_that_cannot_be_started_leaves_no_pipe_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """A dashboard may try again as often as it likes."""
    phase = make_toy_phase(tmp_path)
    if fault == "its log":
        phase.supervisor_log.mkdir()
    else:
        monkeypatch.setattr("brefine.io.interpreter.sys.executable", str(tmp_path / "no interpreter"))
    n_open = psutil.Process().num_fds()
    with pytest.raises(OSError):
        start_supervisor(phase)
    assert psutil.Process().num_fds() == n_open
