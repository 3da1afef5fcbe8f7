"""Faults of machines, tried for real: full disks, clocks that jump, processes that are killed, launches that collide."""

# ruff: noqa: N802 – the names of NVML's functions

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from brefine.config import BudgetConfig, parse_config
from brefine.errors import ProcessError
from brefine.identity import is_alive
from brefine.phasedir import LockHolder, PhaseDir, RunState, Stage, SupervisorState
from brefine.run import launch
from brefine.run import supervise as supervise_module
from brefine.run.budget import Account, view_budget
from brefine.run.gpu import NvmlProbe
from brefine.run.launch import create_phase, resume_phase, start_supervisor, stop_phase
from brefine.run.lock import is_supervised
from brefine.run.snapshot import ShownState
from brefine.run.stages import StageProcess
from brefine.run.standing import shown_state
from brefine.run.store import PhaseStore
from brefine.run.workers import working_process
from tests.run.records import status as status_record
from tests.run.test_supervise import Start, alerts, run_here, start, status, step, wait_until
from tests.run.toy_programs import RECIPE, ToyPrograms, make_toy_phase

__all__ = ["start"]  # a fixture
pytestmark = pytest.mark.end_to_end

_REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MiB; only root can have one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("only root can mount a small disk here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def small_memory() -> Iterator[Path]:
    """A control group that has 400 MB; only root can have one, and not in every container."""
    for root, limit in (("/sys/fs/cgroup", "memory.max"), ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")):
        group = Path(root) / f"brefine-test-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        if not (group / limit).exists():  # no control groups here, or none that limits memory
            group.rmdir()
            continue
        (group / limit).write_text("400M")
        yield group
        processes = group / "cgroup.procs"
        wait_until(lambda processes=processes: not processes.read_text())
        group.rmdir()
        return
    pytest.skip("only root can limit memory here")


def fill(folder: Path) -> Path:
    """Leaves not one byte."""
    filler = folder / "filler"
    with filler.open("wb") as file, contextlib.suppress(OSError):
        while True:
            os.write(file.fileno(), bytes(4096))
    return filler


def test_a_full_disk_is_told_and_outlived(small_disk: Path, tmp_path: Path, start: Start) -> None:
    """Without a byte the supervisor lives, sends what it cannot write down, and trains on when there is room again."""
    sent = tmp_path / "sent"
    recipe = RECIPE.replace("max_restarts = 2", "max_restarts = 100")
    recipe += (
        f"""[alerts]\ncommand = "{sys.executable} -c 'import sys; open(sys.argv[1], chr(97)).write(sys.stdin.read())' {sent}"\n"""
    )
    phase = make_toy_phase(small_disk, recipe=recipe, mlp={"steps": 10_000}, transformer={"steps": 3})
    supervisor = start(phase)
    wait_until(lambda: step(phase, "mlp") > 3)
    filler = fill(small_disk)
    wait_until(lambda: "mlp: the training ended" in (sent.read_text() if sent.exists() else ""))
    assert '"kind": "disk-full", "model": "mlp"' in sent.read_text()
    before = step(phase, "mlp")
    assert supervisor.poll() is None
    filler.unlink()
    wait_until(lambda: step(phase, "mlp") > before + 3)
    supervisor.send_signal(signal.SIGTERM)
    assert supervisor.wait(120) == 0
    assert SupervisorState.read(phase.supervisor).state == "stopped"


def test_a_phase_is_not_resumed_where_its_supervisor_has_no_room_for_a_word(small_disk: Path) -> None:
    """Nobody would find it, to watch or to stop, while it trains and costs money; the reason is told though the log is full."""
    phase = make_toy_phase(small_disk)
    gone = status_record("mlp").process.model_copy(update={"start_ticks": 1})
    SupervisorState(process=gone, stage=Stage.TRAIN, state="running", started_unix_s=1.0, heartbeat_unix_s=1.0).write(
        phase.supervisor
    )
    fill(small_disk)
    with pytest.raises(ProcessError, match=r"the supervisor did not start \(got .*supervisor.*: No space left on device"):
        resume_phase(phase)
    assert not is_supervised(phase)
    (small_disk / "filler").unlink()
    LockHolder(process=gone).write(phase.supervisor_lock)  # the next name takes its room
    fill(small_disk)
    with pytest.raises(ProcessError, match=r"supervisor.json: No space left on device"):
        resume_phase(phase)
    assert not is_supervised(phase)


def test_a_trainer_that_takes_all_memory_is_told_by_the_kernels_word(small_memory: Path, tmp_path: Path, start: Start) -> None:
    """The kernel really kills it, without a word in its log; the next kill, by hand, is not called so."""
    wish = {"steps": 10_000, "eat_at": 5, "once": True}
    phase = make_toy_phase(tmp_path, prepare={"seconds": 0.5}, mlp=wish, transformer={"steps": 10_000})
    supervisor = start(phase)
    (small_memory / "cgroup.procs").write_text(str(supervisor.pid))
    wait_until(lambda: step(phase, "mlp") > 5)
    killed = status(phase, "transformer")
    assert killed is not None
    os.kill(killed.process.pid, signal.SIGKILL)
    wait_until(lambda: len(alerts(phase)) == 2)
    supervisor.send_signal(signal.SIGTERM)
    assert supervisor.wait(120) == 0
    by_kernel, by_hand = alerts(phase)
    assert (by_kernel.kind, by_kernel.model) == ("out-of-memory", "mlp")
    assert by_kernel.text.startswith("the training was killed by the kernel: out of memory")
    assert (by_hand.kind, by_hand.model) == ("crashed", "transformer")
    assert by_hand.text.startswith("the training was killed (signal 9)")


def test_a_clock_that_jumps_neither_stalls_nor_wakes_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day forward, a day back, in the middle of a training: the supervisor measures silence and money by another clock."""
    phase = make_toy_phase(tmp_path, mlp={"steps": 30}, transformer={"steps": 30})
    jumps = iter([0.0, 86_400.0, -86_400.0] * 10_000)
    jumping = SimpleNamespace(**{name: getattr(time, name) for name in ("monotonic", "sleep", "strftime", "gmtime")})
    jumping.time = lambda: time.time() + next(jumps)
    monkeypatch.setattr(supervise_module, "time", jumping)
    assert run_here(phase) == 0
    assert [alert for alert in alerts(phase) if alert.kind in ("stalled", "budget", "slow")] == []
    assert {run.state for run in PhaseStore(phase.path).snapshot().runs} == {ShownState.FINISHED}


def test_a_heartbeat_from_the_future_is_a_sign_of_life() -> None:
    """The reader's clock was set back: what lives is not called stalled."""
    word = status_record("mlp", unix_s=5000.0)
    state = shown_state(word, now_unix_s=1000.0, stall_after_s=60.0, supervisor=None, paused=False)
    assert state is ShownState.RUNNING


def test_a_killed_dashboard_hurts_nobody(tmp_path: Path, start: Start) -> None:
    """SIGKILL to the person's screen: the supervisor and the trainings do not even notice."""
    phase = make_toy_phase(tmp_path, mlp={"steps": 10_000}, transformer={"steps": 3})
    supervisor = start(phase)
    wait_until(lambda: step(phase, "mlp") > 2)
    command = [sys.executable, "-m", "brefine", "watch", str(phase.path), "--plain", "--follow"]
    environment = {**os.environ, "PYTHONPATH": str(_REPOSITORY)}
    dashboard = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
    assert dashboard.stdout is not None
    assert b"phase" in dashboard.stdout.readline()
    dashboard.kill()
    dashboard.wait()
    dashboard.stdout.close()
    now = step(phase, "mlp")
    wait_until(lambda: step(phase, "mlp") > now + 3)
    assert supervisor.poll() is None and is_supervised(phase)
    supervisor.send_signal(signal.SIGTERM)
    assert supervisor.wait(120) == 0


def brefine(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "brefine", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(_REPOSITORY)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)


def orphaned_trainings(tmp_path: Path, start: Start) -> PhaseDir:
    """Two trainings that run on after their supervisor was killed."""
    phase = make_toy_phase(tmp_path, mlp={"steps": 10_000}, transformer={"steps": 10_000})
    supervisor = start(phase)
    wait_until(lambda: step(phase, "mlp") > 2 and step(phase, "transformer") > 2)
    supervisor.kill()
    supervisor.wait()
    return phase


def test_resume_takes_over_what_runs_and_leaves_it_untouched(tmp_path: Path, start: Start) -> None:
    """Supervisor killed, `brefine resume`: the same processes, not one step lost or done twice; a second one is refused."""
    phase = orphaned_trainings(tmp_path, start)
    before = {model: status(phase, model).process for model in phase.models()}
    taken = {model: (phase.run(model).path / "steps").read_bytes() for model in phase.models()}
    resumed = brefine("resume", str(phase.path))
    assert (resumed.returncode, "goes on with training transformer, mlp" in resumed.stderr) == (0, True), resumed.stderr
    again = brefine("resume", str(phase.path))
    assert again.returncode == 1 and "this phase is supervised already" in again.stderr
    now = step(phase, "mlp")
    wait_until(lambda: step(phase, "mlp") > now + 2)
    assert {model: status(phase, model).process for model in before} == before
    assert brefine("stop", str(phase.path)).returncode == 0
    for model, process in before.items():
        steps = (phase.run(model).path / "steps").read_bytes()
        last = status(phase, model)
        assert steps.startswith(taken[model])
        assert steps.decode() == "".join(f"{process.pid} {number}\n" for number in range(1, last.step + 1))
        assert (last.state, last.process) == (RunState.STOPPED, process)
    assert SupervisorState.read(phase.supervisor).restarts == {} and alerts(phase) == []


def test_trainings_without_a_supervisor_can_be_stopped(tmp_path: Path, start: Start) -> None:
    """After `kill -9` the trainings go on alone, and even alone they can be stopped in order, each with its checkpoint."""
    phase = orphaned_trainings(tmp_path, start)
    now = step(phase, "mlp")
    wait_until(lambda: step(phase, "mlp") > now + 2)
    assert not is_supervised(phase)
    stop_phase(phase)
    for model in ("mlp", "transformer"):
        word = status(phase, model)
        assert word is not None and word.state is RunState.STOPPED and not is_alive(word.process)


@pytest.mark.parametrize("supervised", [False, True])
@pytest.mark.parametrize("stage", [Stage.EVALUATE, Stage.INTEGRATE])
def test_a_station_that_was_started_by_hand_is_stopped_with_the_phase(
    tmp_path: Path, start: Start, stage: Stage, supervised: bool
) -> None:
    """It has a session of its own and no supervisor; a phase that is stopped has nothing left that costs money."""
    phase = make_toy_phase(tmp_path, mlp={"steps": 10_000}, **{stage: {"until": str(tmp_path / "never")}})
    if supervised:
        start(phase)
        wait_until(lambda: step(phase, "mlp") > 2)
    programs = ToyPrograms()
    command = programs.integrate(phase) if stage is Stage.INTEGRATE else programs.evaluate(phase, ("mlp",))
    station = StageProcess(phase, stage, command)
    wait_until(lambda: station.progress() is not None)
    worker = working_process(phase, stage)
    assert worker is not None and is_supervised(phase) == supervised
    stop_phase(phase)
    wait_until(lambda: station.exit_code() is not None)  # whoever has started it collects it
    assert not is_alive(worker) and not is_supervised(phase)


def test_an_evaluation_here_is_stopped_though_the_phase_works_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheduler knows nothing of what somebody has started on the login node."""

    class Elsewhere:
        poll_s = 0.05

        def find(self, *_: object, **__: object) -> None:
            return None

    phase = make_toy_phase(tmp_path)
    station = StageProcess(phase, Stage.EVALUATE, ["sleep", "60"])
    monkeypatch.setattr(launch, "executor_of", lambda phase, config: Elsewhere())
    assert stop_phase(phase, timeout_s=20.0)
    wait_until(lambda: station.exit_code() is not None)


def test_two_launches_at_once_get_two_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even within one second; and into one directory only one supervisor is let."""
    config = parse_config(RECIPE, where="toy").model_copy(update={"runs": str(tmp_path)})
    first, second = create_phase(config), create_phase(config)
    assert first.path != second.path
    phase = make_toy_phase(tmp_path, prepare={"seconds": 60})
    running = SupervisorState.model_validate(
        {"process": own(), "stage": "prepare", "state": "running", "started_unix_s": 1.0, "heartbeat_unix_s": time.time()}
    )
    running.write(phase.supervisor)
    with pytest.raises(ProcessError, match="supervised already"):
        start_supervisor(phase)


def own() -> dict[str, object]:
    from brefine.identity import own_identity

    return own_identity().model_dump()


class _FakeNvml:
    """A driver with two GPUs, one of them cut into MIG slices that tell neither use nor power."""

    NVML_TEMPERATURE_GPU = 0

    class NVMLError(Exception):
        pass

    def nvmlDeviceGetCount(self) -> int:
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetName(self, handle: int) -> bytes | str:
        return b"NVIDIA H200" if handle == 0 else "NVIDIA A100 MIG 1g.5gb"

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> SimpleNamespace:
        return self._unless_mig(handle, SimpleNamespace(gpu=87))

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> SimpleNamespace:
        return SimpleNamespace(used=12 << 30, total=(139 if handle == 0 else 5) << 30)

    def nvmlDeviceGetPowerUsage(self, handle: int) -> int:
        return self._unless_mig(handle, 412_300)

    def nvmlDeviceGetTemperature(self, handle: int, _: int) -> int:
        return self._unless_mig(handle, 64)

    def _unless_mig(self, handle: int, value: object) -> object:
        if handle == 1:
            raise self.NVMLError("not supported")
        return value


def test_gpus_are_read_and_silence_is_none() -> None:
    """All figures of a whole GPU; of a MIG slice what the driver tells, and never 0 for the rest."""
    whole, slice_ = NvmlProbe(_FakeNvml()).read()
    assert (whole.name, whole.utilisation, whole.power_w, whole.temperature_c) == ("NVIDIA H200", 0.87, 412.3, 64.0)
    assert (slice_.utilisation, slice_.power_w, slice_.temperature_c) == (None, None, None)
    assert slice_.memory_total_bytes == 5 << 30


def test_a_driver_that_fails_later_does_not_take_the_screen_down() -> None:
    """A GPU that has fallen off the bus tells nothing any more; the panel shows n/a."""
    nvml = _FakeNvml()
    probe = NvmlProbe(nvml)

    def gone(*_: object) -> None:
        raise nvml.NVMLError("GPU is lost")

    for name in ("Name", "UtilizationRates", "MemoryInfo", "PowerUsage", "Temperature"):
        setattr(nvml, f"nvmlDeviceGet{name}", gone)
    view = probe.read()[0]
    assert replace(view, index=0, name="GPU") == view
    assert (view.utilisation, view.memory_used_bytes) == (None, None)


def test_an_idle_machine_burns_money_until_it_works_or_reboots(tmp_path: Path) -> None:
    """After the jobs the panel counts what nobody needs; a free machine, another boot or work that goes on does not count."""
    money = '[budget]\nprice_usd_per_hour = 3.6\nterminate = "lambda terminate"\n'
    phase = make_toy_phase(tmp_path, recipe=RECIPE + money)
    word = SupervisorState.model_validate(
        {
            "process": own(),
            "stage": "evaluate",
            "state": "finished",
            "started_unix_s": 1.0,
            "heartbeat_unix_s": time.time() - 1000,
        }
    )
    word.write(phase.supervisor)
    budget = PhaseStore(phase.path).snapshot().budget
    assert budget.idle_s is not None and budget.idle_s >= 1000.0
    word.model_copy(update={"process": word.process.model_copy(update={"boot_id": "earlier"})}).write(phase.supervisor)
    assert PhaseStore(phase.path).snapshot().budget.idle_s is None
    assert view_budget(BudgetConfig(), Account(), phase.path, None, idle_s=10.0).idle_s is None
