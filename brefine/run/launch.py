"""Makes a phase directory, and starts, resumes or stops the processes that work in it."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

import brefine
from brefine.config import (
    MODEL_NAMES,
    GateConfig,
    ModelName,
    PhaseConfig,
    format_config,
    parse_config,
    prepared_corpus_path,
    with_absolute_paths,
)
from brefine.errors import ConfigError, FormatError, ProcessError, tell
from brefine.identity import ProcessIdentity, is_alive, is_same
from brefine.io.atomic import open_to_append, write_text_atomic
from brefine.io.interpreter import python_command
from brefine.io.shipped import shipped_weights
from brefine.phasedir import CheckpointCard, Manifest, PhaseDir, RunState, Stage, SupervisorState, read_statuses
from brefine.run.budget import Ledger, ledger_path
from brefine.run.control import request
from brefine.run.executor import ThisMachine, executor_of, refuse_without_slurm
from brefine.run.lock import READY, holder, is_supervised, refusal, silence_s, supervisor_of
from brefine.run.work import Finder, Work
from brefine.run.workers import training_process, working_process

_SUPERVISED: Final = (Stage.PREPARE, Stage.EVALUATE)
"""Stages whose processes a supervisor starts and stops."""
_CAP_OF_THRESHOLD: Final = 5.0
"""The gate's matching cap must be at least this many times its threshold. For VBx on VoxConverse dev, unrefined, the MAE is 42 ms
within 0.1 s, 83 ms within 0.25 s and 172 ms within 1 s."""
_UNREAD_S: Final = 10.0
"""A request that waits longer is not being read: a working supervisor reads one within a second."""
_PACKAGES: Final = ("brefine", "torch", "torchaudio", "numpy", "scipy", "safetensors", "tensorboard", "soundfile")


def create_phase(config: PhaseConfig, *, argv: Sequence[str] = ()) -> PhaseDir:
    """Makes a new phase directory `<runs>/<utc>-<name>` with its recipe and manifest; nothing is started.

    Raises:
        ConfigError: the phase could not be opened, because a path, made absolute, has characters that a recipe may not have; or
            see `refuse_useless`.
    """
    refuse_useless(config)
    config = with_absolute_paths(config)
    recipe = format_config(config)
    parse_config(recipe, where="phase.toml")  # before any folder is made
    created_unix_s = time.time()
    phase = PhaseDir(_new_folder(Path(config.runs), config.name, created_unix_s))
    budget = config.budget
    Manifest(
        phase=phase.path.name,
        created_unix_s=created_unix_s,
        argv=list(argv),
        **_commit(),
        versions=_versions(),
        seed=config.seed,
        models=list(config.models),
        corpus=str(prepared_corpus_path(config)),
        price_usd_per_hour=budget.price_usd_per_hour,
        priced_on=None if budget.priced_on is None else budget.priced_on.isoformat(),
        gate=config.gate.model_dump(mode="json"),
    ).write(phase.manifest)
    for model in config.models:
        phase.run(model).path.mkdir()
    phase.control.mkdir()
    write_text_atomic(phase.config, recipe)  # last: this file makes the folder a phase
    return phase


def refuse_useless(config: PhaseConfig) -> None:
    """Refuses a phase that could learn or prove nothing.

    Raises:
        ConfigError: the weights to begin with were trained with other features or windows than the recipe's; or the gate's
            matching cap is so narrow that any hypothesis meets its threshold.
    """
    _refuse_narrow_cap(config.gate)
    _refuse_other_inputs(config)


def _refuse_narrow_cap(gate: GateConfig) -> None:
    """Refuses a launch only: older phases can still be opened, and the gate notes if unrefined boundaries meet the threshold."""
    least_s = _CAP_OF_THRESHOLD * gate.mae_ms / 1000.0
    if gate.window_s < least_s and not math.isclose(gate.window_s, least_s):
        raise ConfigError(
            "the matching cap is too narrow: boundaries further off are not matched, so the MAE is small without any refiner",
            where="[gate] window_s",
            expected=f"at least {_CAP_OF_THRESHOLD:g} × mae_ms: {least_s:g} s",
            got=f"{gate.window_s:g} s",
            hint=f"a cap of 1 s is usual; with it mae_ms can be at most {1000.0 / _CAP_OF_THRESHOLD:g}",
        )


def _refuse_other_inputs(config: PhaseConfig) -> None:
    if config.train.start == "random":
        return
    card = CheckpointCard.in_weights(shipped_weights())
    settings = {} if card is None else card.other_inputs(config.features, config.examples)  # None: the trainer will say why
    if settings:
        alike = " ".join(f"--set {name}={json.dumps(value)}" for name, value in settings.items())
        raise ConfigError(
            "the shipped weights were trained with other features or windows than the recipe's",
            where='[train] start = "shipped"',
            hint=f"use the same ones ({alike}), or start from random weights",
        )


def start_supervisor(phase: PhaseDir) -> None:
    """Starts the phase's supervisor in a session of its own and returns when it has taken the phase.

    Raises:
        ProcessError: another supervisor has the phase, or this one could not take it; the message says why.
    """
    if is_supervised(phase):
        raise refusal(phase)
    log_start_bytes = phase.supervisor_log.stat().st_size if phase.supervisor_log.exists() else 0
    with open_to_append(phase.supervisor_log) as log:
        read_end, write_end = os.pipe()
        try:
            process = subprocess.Popen(
                python_command("-m", "brefine.run.supervise", phase.path, "--ready", write_end),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(os.environ),
                start_new_session=True,
                pass_fds=(write_end,),
            )
        except BaseException:
            os.close(read_end)
            raise
        finally:
            os.close(write_end)
    # A child must be collected, or it stays a zombie for as long as this process lives.
    threading.Thread(target=process.wait, name="supervisor-reaper", daemon=True).start()
    with os.fdopen(read_end, "rb") as ready:
        answer = ready.read().decode("utf-8", errors="replace")  # ends with the process, which may have written nothing
    if answer != READY:
        if is_supervised(phase):  # another one was faster
            raise refusal(phase)
        with phase.supervisor_log.open("rb") as log:
            log.seek(log_start_bytes)
            words = log.read(4096).decode("utf-8", errors="replace").strip()
        raise ProcessError("the supervisor did not start", where=phase.supervisor_log, got=answer or words or "no word")


def resume_phase(phase: PhaseDir) -> tuple[ModelName, ...]:
    """Starts a supervisor for a phase that has none: running trainings are taken over, the others go on from their checkpoints.

    Returns:
        the models whose training was not finished.

    Raises:
        ConfigError: its jobs cannot be submitted here.
        ProcessError: see `unfinished_models`; or the supervisor does not start.
    """
    unfinished = unfinished_models(phase)
    refuse_without_slurm(phase.load_config())
    start_supervisor(phase)
    return unfinished


def unfinished_models(phase: PhaseDir) -> tuple[ModelName, ...]:
    """The models that `resume_phase` would train further; none if only the stages after training are left.

    Raises:
        ProcessError: the phase is supervised already, there is nothing left to do, or its cap is spent.
    """
    if is_supervised(phase):
        raise refusal(phase)
    _refuse_beyond_the_cap(phase)
    supervisor = SupervisorState.read_if_sound(phase.supervisor)
    finished = {model for model, status in read_statuses(phase).items() if status.state is RunState.FINISHED}
    unfinished = tuple(model for model in phase.models() if model not in finished)
    if supervisor is not None and supervisor.state == "finished" and not unfinished:
        raise ProcessError("there is nothing left to resume", where=phase.path, hint=f"go on with: {_next_command(phase)}")
    return unfinished


def _next_command(phase: PhaseDir) -> str:
    """The next command for a phase whose trainings have ended and which nobody supervises."""
    from brefine.run.snapshot import PhaseState
    from brefine.run.store import PhaseStore

    commands = {
        PhaseState.TO_SELECT: f"brefine select --phase {phase.argument}",
        PhaseState.TO_INTEGRATE: f"brefine integrate --phase {phase.argument}",
        PhaseState.TO_DECIDE: f"brefine gate4 {phase.argument}",
        PhaseState.DECIDED: f"brefine report {phase.argument}",
        PhaseState.STOPPED: f"brefine evaluate --phase {phase.argument}",
    }
    return commands.get(PhaseStore(phase.path).snapshot().state, f"brefine watch {phase.argument}")


def _refuse_beyond_the_cap(phase: PhaseDir) -> None:
    """Refuses a phase that has spent its cap, unless trainings run: a supervisor takes those over and stops them in order."""
    config = phase.load_config()
    budget = config.budget
    if budget.cap_usd is None:
        return
    spent_usd = Ledger(ledger_path(budget)).read().spent_on_usd(phase.path)
    if spent_usd >= budget.cap_usd and not _at_work(phase, executor_of(phase, config), tuple(config.models), ()):
        raise ProcessError(
            "this phase has spent its cap",
            where=phase.config,
            expected=f"less than budget.cap_usd = {budget.cap_usd:g}",
            got=f"${spent_usd:,.2f}",
            hint="raise the cap in its phase.toml; to use what is trained so far: "
            f"brefine evaluate --phase {phase.argument}, then brefine select --phase {phase.argument}",
        )


def stop_phase(phase: PhaseDir, *, timeout_s: float = 90.0) -> bool:
    """Checkpoints and stops everything that works in the phase, and returns when it has ended; the recipe may be damaged.

    A supervisor that does not read the request and gives no sign of life is killed, and the processes that it has started are
    asked from here. If it woke up instead, it would ask them a second time, which costs a checkpoint.

    Returns:
        whether anything was at work.

    Raises:
        ProcessError: something still runs after `timeout_s`.
        FormatError: nobody supervises the phase, its trainings may be jobs of a scheduler, and the recipe cannot be read.
    """
    asked_s = time.monotonic()
    deadline_s = asked_s + timeout_s
    supervised = is_supervised(phase)
    wish = ask_to_stop(phase) if supervised else None
    finder, models = _finder(phase, supervised=supervised)
    orphans: tuple[Stage, ...] = (Stage.INTEGRATE,)  # no supervisor starts or stops it
    if supervised:
        alone = _stages_at_work(phase, finder, orphans)
    else:
        orphans = (*_SUPERVISED, *orphans)
        alone = _at_work(phase, finder, models, orphans)
    alone += _not_yet(_evaluations_by_hand(phase), alone)
    for work in alone:
        work.stop(by_force=False)
    hung: ProcessIdentity | None = None
    while _is_supervised(phase, but=hung) or _at_work(phase, finder, models, orphans) or _evaluations_by_hand(phase):
        now_s = time.monotonic()
        unread = wish is not None and now_s - asked_s > _UNREAD_S and wish.exists()
        if unread and hung is None and (hung := _silent_supervisor(phase)) is not None:
            finder, models = _finder(phase, supervised=False)
            _end_by_force(hung)
            for work in _not_yet(_at_work(phase, finder, models, _SUPERVISED), alone):
                work.stop(by_force=False)
            orphans, deadline_s = (*_SUPERVISED, *orphans), now_s + timeout_s
        if now_s > deadline_s:
            raise ProcessError(
                f"the phase has not stopped within {timeout_s:.0f} s", where=phase.path, hint=f"see {phase.supervisor_log}"
            )
        time.sleep(finder.poll_s)
    return supervised or bool(alone)


def ask_to_stop(phase: PhaseDir) -> Path | None:
    """Asks the supervisor to stop: by a file, or, if none can be written, by a signal to a supervisor on this machine.

    Returns:
        the file of the request; None if a signal was sent.
    """
    try:
        return request(phase, "stop")
    except OSError:
        supervisor = supervisor_of(phase)
        if supervisor is None or not is_alive(supervisor):
            raise
        os.kill(supervisor.pid, signal.SIGTERM)
        return None


def _is_supervised(phase: PhaseDir, *, but: ProcessIdentity | None) -> bool:
    """Whether a process other than `but` supervises the phase; a killed one may have to wait for its disk before it ends."""
    found = supervisor_of(phase)
    return found is not None and (but is None or not is_same(found, but))


def _silent_supervisor(phase: PhaseDir) -> ProcessIdentity | None:
    """The phase's supervisor if it is a process on this machine that gives no sign of life; else None."""
    found = supervisor_of(phase)
    return found if found is not None and is_alive(found) and silence_s(phase) is not None else None


def _end_by_force(supervisor: ProcessIdentity) -> None:
    tell(f"the supervisor, process {supervisor.pid}, gives no sign of life: it is killed, and the phase is stopped without it")
    with contextlib.suppress(ProcessLookupError):
        os.kill(supervisor.pid, signal.SIGKILL)


def _not_yet(works: Sequence[Work], asked: Sequence[Work]) -> list[Work]:
    """The works whose process is not among those that were asked; a job elsewhere has no process here."""
    processes = [work.process for work in asked if work.process is not None]
    return [work for work in works if work.process not in processes]


def _finder(phase: PhaseDir, *, supervised: bool) -> tuple[Finder, Sequence[ModelName]]:
    """What finds the works of a phase, and the models that they may be for; without the recipe, only on this machine."""
    try:
        config = phase.load_config()
    except FormatError:
        if phase.jobs.is_dir() and not supervised:
            raise
        return ThisMachine(), MODEL_NAMES
    return executor_of(phase, config), tuple(config.models)


def _at_work(phase: PhaseDir, finder: Finder, models: Sequence[ModelName], stages: Sequence[Stage]) -> list[Work]:
    """The running trainers of these models and processes of these stages, whoever has started them."""
    found = [finder.find(model, log=phase.run(model).log, process=training_process(phase, model)) for model in models]
    return [*(work for work in found if work is not None), *_stages_at_work(phase, finder, stages)]


def _stages_at_work(phase: PhaseDir, finder: Finder, stages: Sequence[Stage]) -> list[Work]:
    found = [finder.find(stage, log=phase.stage_log(stage), process=working_process(phase, stage)) for stage in stages]
    return [work for work in found if work is not None]


def _evaluations_by_hand(phase: PhaseDir) -> list[Work]:
    """The evaluation that a person runs on this machine, by its lock, even if the phase's own works are jobs elsewhere."""
    process = holder(phase.stage_lock(Stage.EVALUATE))
    found = ThisMachine().find(Stage.EVALUATE, log=phase.stage_log(Stage.EVALUATE), process=process)
    return [] if found is None else [found]


def _new_folder(runs: Path, name: str, unix_s: float) -> Path:
    """A folder that did not exist before: two launches in one second get two folders."""
    stem = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(unix_s))}-{name}"
    runs.mkdir(parents=True, exist_ok=True)
    for attempt in range(1, 100):
        folder = runs / (stem if attempt == 1 else f"{stem}-{attempt}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise ProcessError("no free name for a phase directory was found", where=runs / stem)


def _versions() -> dict[str, str]:
    versions = {"python": sys.version.split()[0]}
    for package in _PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    return versions


def _commit() -> dict[str, str | bool | None]:
    """The commit of the running code, and whether files differ from it; None if it was installed from a package."""
    folder = Path(brefine.__file__).parent
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        if (folder.parent / ".git").exists():
            commit = _git(folder, "rev-parse", "HEAD").strip()
            is_dirty = bool(_git(folder, "status", "--porcelain", "--untracked-files=no").strip())
            return {"git_commit": commit, "git_dirty": is_dirty}
    return {"git_commit": None, "git_dirty": None}


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=5.0, check=True).stdout
