"""The supervisor of a phase: a detached process that prepares, trains and evaluates, and outlives every terminal.

    python -m brefine.run.supervise PHASE_DIR

It is the thin shell around `transitions.advance`: it turns what happens into events, and actions into processes and files.
If it is killed, its trainers go on; the next supervisor of the phase takes them over.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import signal
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal

import psutil

from brefine.config import ModelName
from brefine.errors import BrefineError, FormatError, run_main, words_of
from brefine.identity import is_alive, own_identity
from brefine.io.atomic import remove_leftovers
from brefine.io.folders import GONE, is_gone
from brefine.phasedir import Alert, ControlRequest, PhaseDir, Progress, RunStatus, Stage, SupervisorState
from brefine.run.alerts import AlertLog
from brefine.run.budget import Ledger, ledger_path, left_before_usd
from brefine.run.control import pending_requests
from brefine.run.documents import WatchedDocument
from brefine.run.executor import executor_of
from brefine.run.idleness import others_at_work
from brefine.run.inspection import EventInspector
from brefine.run.lock import READY, holder, phase_lock
from brefine.run.notify import Notifier
from brefine.run.programs import BREFINE, Programs
from brefine.run.stages import find_or_start
from brefine.run.supervision import (
    NOT_STARTED,
    Action,
    AdoptTrainer,
    Asked,
    Began,
    Ended,
    Event,
    Found,
    Policy,
    Sign,
    StageEnded,
    Standing,
    StartStage,
    StartTrainer,
    State,
    StopStage,
    StopTrainer,
    Tell,
    Ticked,
    TrainerEnded,
)
from brefine.run.transitions import advance
from brefine.run.work import Order, Work
from brefine.run.workers import training_process, working_process

_POLL_S: Final = 0.25
_HEARTBEAT_S: Final = 3.0
_STOP_GRACE_S: Final = 60.0
_ENDED: Final[dict[Standing, Literal["stopped", "failed"]]] = {Standing.STOPPED: "stopped", Standing.FAILED: "failed"}
_EXIT_CODES: Final = {"finished": 0, "stopped": 0, "failed": 4, "budget": 5}


class Supervisor:
    """One phase's supervisor.

    Args:
        phase: the phase, whose lock `lock` is held.
        void: requests to an earlier supervisor, as `phase_lock` yields them; they are dropped.
        programs: the commands of its stages.
        poll_s: seconds between two looks at processes and files.
        stop_grace_s: how long a process that was asked to end has before it is ended by force.
    """

    def __init__(
        self,
        phase: PhaseDir,
        *,
        void: Sequence[Path] = (),
        programs: Programs = BREFINE,
        poll_s: float = _POLL_S,
        stop_grace_s: float = _STOP_GRACE_S,
    ) -> None:
        self._void = void  # known by name and not by time, since a clock may have been set back
        config = phase.load_config()
        models = tuple(config.models)
        self._phase = phase
        self._programs = programs
        self._poll_s = poll_s
        self._budget = config.budget
        self._policy = Policy(
            models,
            max_restarts=config.supervisor.max_restarts,
            restart_backoff_s=config.supervisor.restart_backoff_s,
            stall_after_s=config.supervisor.stall_after_s,
            stop_grace_s=stop_grace_s,
            cap_usd=config.budget.cap_usd,
            left_usd=left_before_usd(config.budget, phase.path),
        )
        self._executor = executor_of(phase, config)
        self._statuses = {model: WatchedDocument(phase.run(model).status, RunStatus) for model in models}
        self._progress = {stage: WatchedDocument(phase.progress(stage), Progress) for stage in (Stage.PREPARE, Stage.EVALUATE)}
        self._alerts = AlertLog(phase.alerts)
        self._notifier = Notifier(config.alerts, phase.path.name, sent=phase.alerts_sent, log=_log)
        for alert in self._alerts.read():  # an earlier supervisor may have written alerts and not sent them
            self._notifier.add(alert)
        self._inspector = EventInspector(phase, models)
        self._unwritten: set[str] = set()
        self._id = uuid.uuid4().hex[:12]  # not the pid: in a container every supervisor may have the same one
        self._meter = self._executor.billing()
        self._state = State()
        self._trainers: dict[ModelName, Work] = {}
        self._found: dict[ModelName, Work] = {}
        self._stage: Work | None = None
        self._takes_over = True
        self._unstarted: list[tuple[StartTrainer | StartStage, OSError]] = []
        self._asked_to_stop = False
        self._heard: set[str] = set()
        """Names of requests that were acted on, or are void, and cannot be removed."""
        earlier = SupervisorState.read_if_sound(phase.supervisor)
        self._started_unix_s = time.time() if earlier is None else earlier.started_unix_s
        processes = {} if earlier is None else earlier.processes
        self._left = {name: process for name, process in processes.items() if is_alive(process)}
        """Model or stage → a process of an earlier supervisor, until it is taken over."""
        self._written_s = float("-inf")

    def take_over(self) -> Began:
        """Finds what an earlier supervisor has left, drops requests to that one, and reports that this process has the phase.

        Returns:
            the event that `run` begins with.

        Raises:
            OSError: the scheduler does not say what is at work, so that a second trainer might be started on the same files; or
                there is no room for the first supervisor.json, without which nobody would find this supervisor.
        """
        found = self._found_at_work()
        progress = Progress.read_if_sound(self._phase.progress(Stage.PREPARE))
        began = Began(time.monotonic(), progress is not None and progress.state == "finished", found)
        for path in self._void:
            self._remove_request(path)
        self._word().write(self._phase.supervisor)
        return began

    def run(self, began: Began) -> int:
        """Supervises until the phase has ended; returns the exit code that says how."""
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        self._take(began)
        self._forget_evaluation()
        self._takes_over = False
        self._left = {}
        self._write()
        while self._state.outcome is None:
            time.sleep(self._poll_s)
            for event in self._happened():
                self._take(event)
            for told in self._executor.news():
                self._tell(told)
            self._report(self._inspector.look())
            self._notifier.tick()
            self._beat()
        self._meter.tick(force=True)
        self._report(self._inspector.look(now=True))
        self._tell_idle_burn()
        self._write()
        undelivered = self._notifier.problem
        self._notifier.close()
        if self._notifier.problem != undelivered:
            self._write()
        _log(f"the phase is {self._state.outcome}" + (f": {self._state.error}" if self._state.error else ""))
        return _EXIT_CODES[self._state.outcome]

    # --- what happens ---------------------------------------------------------------------------------------------------

    def _found_at_work(self) -> dict[ModelName, Found]:
        """Each training as it is now; the works of running ones are kept for `AdoptTrainer`."""
        found = {}
        for model, document in self._statuses.items():
            status = document.read()
            work = self._executor.find(model, log=self._phase.run(model).log, process=training_process(self._phase, model))
            if work is not None:
                self._found[model] = work
            state = None if status is None else status.state
            found[model] = Found(work is not None, state, self._is_resumable(model), self._has_learned(model))
        return found

    def _forget_evaluation(self) -> None:
        """Removes the last evaluation's progress if another is still to come: its failure says nothing about these trainings."""
        worker = working_process(self._phase, Stage.EVALUATE)
        if self._state.stage is not Stage.EVALUATE and (worker is None or not is_alive(worker)):
            with contextlib.suppress(OSError):  # the old progress is then shown until the next one starts
                self._phase.progress(Stage.EVALUATE).unlink(missing_ok=True)

    def _happened(self) -> Iterator[Event]:
        if self._state.ending is None and is_gone(self._phase.path):
            self._asked_to_stop = True
            text = f"{self._phase.path}: {GONE} Its trainings are stopped; where it lies now, `brefine resume` goes on with them"
            self._tell(Tell("lost", "error", text, "folder"))
        if self._asked_to_stop:
            self._asked_to_stop = False
            yield Asked(time.monotonic(), "stop")
        for wish in self._requests():
            if isinstance(wish, FormatError):
                _log(f"a request cannot be read and is dropped: {wish}")
            else:
                _log(f"asked to {wish.action} {wish.model or 'all'}")
                yield Asked(time.monotonic(), wish.action, wish.model)
        yield from self._endings()
        signs = {model: sign for model in self._trainers if (sign := self._sign(model)) is not None}
        free_bytes = None
        with contextlib.suppress(OSError):
            free_bytes = psutil.disk_usage(str(self._phase.path)).free
        self._meter.tick()
        yield Ticked(time.monotonic(), signs, self._meter.spent_usd(), free_bytes, self._stage_beat())

    def _requests(self) -> Iterator[ControlRequest | FormatError]:
        """The requests that wait, each once; asking for the next one means that the last one was acted on."""
        for path, wish in pending_requests(self._phase):
            if path.name not in self._heard:
                yield wish
                self._remove_request(path)

    def _remove_request(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:  # a folder has that name, or control/ cannot be written
            self._heard.add(path.name)
            _log(f"{path}: cannot be removed: {error.strerror}")

    def _endings(self) -> Iterator[Event]:
        unstarted, self._unstarted = self._unstarted, []
        for action, error in unstarted:
            cause: Literal["disk-full"] | None = "disk-full" if error.errno == errno.ENOSPC else None
            failed = Ended(NOT_STARTED, cause, f"it cannot be started: {error.strerror}")
            if isinstance(action, StartTrainer):
                yield self._trainer_ended(action.model, failed, None)
            else:
                yield StageEnded(time.monotonic(), action.stage, failed)
        if (stage := self._stage) is not None and (how := stage.ended()) is not None:
            self._stage = None
            yield self._stage_ended(stage, how)
        for model, trainer in list(self._trainers.items()):
            if (how := trainer.ended()) is not None:
                del self._trainers[model]
                status = self._statuses[model].read()
                spoke = status is not None and trainer.wrote(status.process)  # else it ended before its first status
                yield self._trainer_ended(model, how, status if spoke else None)

    def _stage_ended(self, stage: Work, how: Ended) -> StageEnded:
        progress = Progress.read_if_sound(self._phase.progress(self._state.stage))
        if how.code is None and progress is not None and progress.state != "running" and stage.wrote(progress.process):
            how = replace(how, code=0 if progress.state == "finished" else 1)  # taken over: its progress replaces its code
        if how.code != 0 and progress is not None and progress.error:
            how = replace(how, text=progress.error)
        return StageEnded(time.monotonic(), self._state.stage, how)

    def _trainer_ended(self, model: ModelName, how: Ended, status: RunStatus | None) -> TrainerEnded:
        """The event for a training that has ended; `status` is what its process wrote last, if anything."""
        if status is not None and status.error and how.code != 0:
            how = replace(how, text=status.error.splitlines()[0])
        return TrainerEnded(
            time.monotonic(),
            model,
            how,
            state=None if status is None else status.state,
            step=None if status is None else status.step,
            resumable=self._is_resumable(model),
            learned=self._has_learned(model),
        )

    def _sign(self, model: ModelName) -> Sign | None:
        status, work = self._statuses[model].read(), self._trainers[model]
        if work.waits():  # in a queue, where nobody can give a sign
            return Sign(time.time())
        if status is None or not work.wrote(status.process):
            return None
        return Sign(
            status.heartbeat_unix_s,
            status.n_nonfinite,
            status.step,
            status.message,
            loss=status.loss,
            mae_ms=None if status.last is None else status.last.mae_ms,
            best_mae_ms=None if status.best is None else status.best.mae_ms,
            examples_per_s=status.examples_per_s,
        )

    def _stage_beat(self) -> float | None:
        """See `Ticked.stage_beat`."""
        if self._stage is None:
            return None
        if self._stage.waits():  # in a queue, where nobody can give a sign
            return time.time()
        told = self._progress[self._state.stage].read()
        return told.unix_s if told is not None and self._stage.wrote(told.process) else 0.0

    # --- what is done about it ------------------------------------------------------------------------------------------

    def _take(self, event: Event) -> None:
        before = _standings(self._state)
        self._state, actions = advance(self._state, event, self._policy)
        for action in actions:
            try:
                self._perform(action)
            except OSError as error:
                if isinstance(action, StopTrainer | StopStage):  # the rules repeat the action until it has ended
                    self._tell_unstopped(action, error)
                elif isinstance(action, StartTrainer | StartStage):  # for example, its log cannot be written
                    self._unstarted.append((action, error))
            self._beat()  # each action may wait for a scheduler
        after = _standings(self._state)
        if after != before:
            _log(after)
            self._write()

    def _perform(self, action: Action) -> None:
        match action:
            case StartStage(stage, models):
                self._start_stage(stage, models)
            case StopStage(by_force) if self._stage is not None:
                self._stage.stop(by_force=by_force)
            case StartTrainer(model, resume):
                run = self._phase.run(model)
                command, again = (tuple(self._programs.train(run, resume=resumed)) for resumed in (resume, True))
                self._trainers[model] = self._executor.start(Order(model, command, run.log, again))
                self._write()  # at once: if this one is killed now, the next must know the process
            case AdoptTrainer(model):
                self._trainers[model] = self._found.pop(model)
            case StopTrainer(model, by_force) if model in self._trainers:
                self._trainers[model].stop(by_force=by_force)
            case Tell():
                self._tell(action)

    def _start_stage(self, stage: Stage, models: Sequence[ModelName]) -> None:
        prepares, programs = stage is Stage.PREPARE, self._programs
        command = programs.prepare(self._phase) if prepares else programs.evaluate(self._phase, models)
        by_hand = holder(self._phase.stage_lock(stage)) is not None  # it may evaluate something else
        worker = working_process(self._phase, stage) if self._takes_over and not by_hand else None
        self._stage = find_or_start(self._executor, self._phase, stage, command, process=worker)
        self._write()  # at once, as for a trainer

    def _tell(self, told: Tell) -> None:
        subject = told.model or "phase"
        alert = Alert(
            # Tiers of the cap are reported once per phase, everything else once per supervisor.
            id=f"{told.kind}:{subject}:{told.key}" + ("" if told.kind == "budget" else f":{self._id}"),
            level=told.level,
            kind=told.kind,
            model=told.model,
            step=told.step,
            text=told.text,
            unix_s=time.time(),
        )
        self._report([alert])

    def _report(self, alerts: Sequence[Alert]) -> None:
        """Writes down and sends alerts that are new; they are sent even if a full disk keeps them from being written."""
        for alert in alerts:
            try:
                new = self._alerts.tell(alert)
            except OSError as error:
                new = alert.id not in self._unwritten
                self._unwritten.add(alert.id)
                if new:
                    _log(f"{self._phase.alerts}: cannot be written: {error.strerror}")
            if new:
                _log(f"{alert.level}: {alert.kind}: {alert.model or 'phase'}: {alert.text}")
                self._notifier.add(alert)

    def _tell_unstopped(self, action: StopTrainer | StopStage, error: OSError) -> None:
        """Reports a process that cannot be stopped, since it still costs money: once as an alert, in the log at every try."""
        model = action.model if isinstance(action, StopTrainer) else None
        key = f"stop:{self._state.stage}" if model is None else f"stop:{self._state.trainers[model].starts}"
        text = f"it cannot be stopped and is tried again: {error.strerror}"
        _log(f"{model or self._state.stage}: {text}")
        self._tell(Tell("scheduler", "error", text, key, model))

    def _tell_idle_burn(self) -> None:
        price = self._budget.price_usd_per_hour
        if price > 0.0 and self._executor.price_goes_on:
            if (other := next(others_at_work(self._phase, Ledger(ledger_path(self._budget)).read()), None)) is not None:
                _log(f"the machine is not idle: {other.path} works on it")
                return
            how = self._budget.terminate or "end it where you rented it"
            text = f"the jobs are done and the machine still costs ${price:.2f} an hour: {how}"
            self._tell(Tell("idle-burn", "warning", text, "done"))

    def _beat(self) -> None:
        """The heartbeat, when it is due."""
        if time.monotonic() - self._written_s > _HEARTBEAT_S:
            self._write()

    def _write(self) -> None:
        """Writes supervisor.json, with the heartbeat. On a full disk the old file stays, and the phase goes on."""
        self._written_s = time.monotonic()
        try:
            self._word().write(self._phase.supervisor)
        except OSError as error:
            _log(f"{self._phase.supervisor}: cannot be written: {error.strerror}")

    def _word(self) -> SupervisorState:
        trainers = self._state.trainers
        works: list[tuple[str, Work]] = list(self._trainers.items())
        works += [] if self._stage is None else [(self._state.stage, self._stage)]
        started = {name: work.process for name, work in works if work.process is not None}
        return SupervisorState(
            process=own_identity(),
            stage=self._state.stage,
            state=self._state.outcome or "running",
            started_unix_s=self._started_unix_s,
            heartbeat_unix_s=time.time(),
            restarts={model: trainer.restarts for model, trainer in trainers.items() if trainer.restarts},
            paused=[model for model, trainer in trainers.items() if trainer.standing is Standing.PAUSED],
            ended={model: ended for model, trainer in trainers.items() if (ended := _ENDED.get(trainer.standing)) is not None},
            processes={**self._left, **started},
            error=self._state.error or self._meter.problem,
            undelivered=self._notifier.problem,
        )

    def _is_resumable(self, model: ModelName) -> bool:
        return self._phase.run(model).training_state.exists()

    def _has_learned(self, model: ModelName) -> bool:
        return self._phase.run(model).weights("best").exists()

    def _on_signal(self, number: int, frame: object) -> None:
        self._asked_to_stop = True


def _standings(state: State) -> str:
    trainers = [f"{model} {trainer.standing}" for model, trainer in state.trainers.items()]
    return f"{state.stage}" + (f", {state.ending}" if state.ending else "") + ": " + ", ".join(trainers)


def _log(text: str) -> None:
    with contextlib.suppress(OSError):  # a full disk must not end the supervisor
        print(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), text, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the supervisor of one phase in the foreground."""
    parser = argparse.ArgumentParser(prog="python -m brefine.run.supervise", description=__doc__)
    parser.add_argument("phase", type=Path, help="the phase directory")
    parser.add_argument(
        "--ready",
        type=int,
        metavar="FD",
        help="file descriptor to which a word is written once the phase is taken, or the reason why it is not",
    )
    options = parser.parse_args(arguments)
    phase = PhaseDir(options.phase.resolve())

    def answer(words: str) -> None:
        """Answers the starter once; the log alone would not do, since its disk may be full. The starter may be gone by now."""
        ready, options.ready = options.ready, None
        if ready is not None:
            with contextlib.suppress(BrokenPipeError), os.fdopen(ready, "w", encoding="utf-8") as starter:
                starter.write(words)

    try:
        remove_leftovers(phase.path)  # which may free the space that is needed
        with phase_lock(phase) as void:
            supervisor = Supervisor(phase, void=void)
            began = supervisor.take_over()
            answer(READY)
            return supervisor.run(began)
    except (BrefineError, OSError) as error:
        answer(words_of(error))
        raise


if __name__ == "__main__":
    run_main(lambda: main(sys.argv[1:]))
