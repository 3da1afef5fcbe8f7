"""A phase in plain lines: for logs, pipes and screen readers. No escape codes, and never silent for long."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from brefine.core.figures import milliseconds, percent
from brefine.phasedir import Alert, JobRecord, Progress, Stage, Tag
from brefine.run.snapshot import WORKING, PhaseSnapshot, PhaseState, RunView, ShownState

_LONGEST_SILENCE_S: Final = 10.0
_LOOK_S: Final = 1.0
_PROGRESS_EVERY_S: Final = 5.0
_WORDS_OF_CURVES: Final[Mapping[str, str]] = {Tag.VALIDATION_MAE_MS: "validation MAE {:.0f} ms", Tag.LOSS: "loss {:.3f}"}
"""What is reported of a training whose status cannot be read."""


class PlainLines:
    """Turns snapshots into lines: what is new since the last snapshot, and a sign of life if nothing is."""

    def __init__(self) -> None:
        self._state: PhaseState | None = None
        self._runs: dict[str, tuple[ShownState, int | None, str | None]] = {}
        self._places: dict[str, str] = {}
        self._told_alerts: set[str] = set()
        self._told_problems: set[str] = set()
        self._progress: dict[Stage, tuple[str, str, float]] = {}
        self._spoke_unix_s = float("-inf")

    def of(self, snapshot: PhaseSnapshot) -> list[str]:
        """The lines that this snapshot adds, each behind the local time of day; alerts have their own time, and a past date."""
        now_unix_s = snapshot.unix_s
        news = [*self._phase(snapshot), *self._stages(snapshot)]
        for run in snapshot.runs:
            news += self._run(run)
        lines = [(now_unix_s, line) for line in news]
        lines += self._alerts(snapshot)
        lines += [(now_unix_s, line) for line in self._problems(snapshot)]
        if not lines and now_unix_s - self._spoke_unix_s >= _LONGEST_SILENCE_S:
            lines = [(now_unix_s, sign_of_life(snapshot))]
        if lines:
            self._spoke_unix_s = now_unix_s
        return [f"{_clock(unix_s, now_unix_s)}  {line}" for unix_s, line in lines]

    def _phase(self, snapshot: PhaseSnapshot) -> Iterator[str]:
        if snapshot.state is not self._state:
            first = self._state is None
            self._state = snapshot.state
            yield f"phase {snapshot.name}: {snapshot.state}" + (f" ({_evidence(snapshot)})" if first else "")
            if snapshot.supervisor.error and snapshot.state in (PhaseState.FAILED, PhaseState.STOPPED):
                yield f"phase {snapshot.name}: {snapshot.supervisor.error}"

    def _stages(self, snapshot: PhaseSnapshot) -> Iterator[str]:
        for stage, progress in snapshot.progress.items():
            step, state, told_unix_s = self._progress.get(stage, ("", "", float("-inf")))
            moved = (progress.step, progress.state) != (step, state)
            due = progress.state == "running" and snapshot.unix_s - told_unix_s >= _PROGRESS_EVERY_S
            if moved or due:
                self._progress[stage] = (progress.step, progress.state, snapshot.unix_s)
                yield progress_line(progress)

    def _run(self, run: RunView) -> Iterator[str]:
        state, epoch, message = self._runs.get(run.name, (ShownState.PENDING, None, None))
        if run.job is not None and (place := job_words(run.job)) != self._places.get(run.name):
            self._places[run.name] = place
            yield f"{run.name}: {place}"
        status = run.status
        last = None if status is None else status.last
        told_message = None if status is None else status.message
        self._runs[run.name] = (run.state, last.epoch if last is not None else epoch, told_message)
        if status is not None and last is not None and last.epoch != epoch:
            yield validation_line(run)
        if told_message and told_message != message:
            yield f"{run.name}: {told_message}"
        if run.state is not state:
            reason = status.error if status is not None and run.state in (ShownState.FAILED, ShownState.NONFINITE) else None
            yield f"{run.name}: {run.state}" + (f": {reason.splitlines()[0]}" if reason else "")

    def _alerts(self, snapshot: PhaseSnapshot) -> Iterator[tuple[float, str]]:
        for alert in snapshot.alerts:
            if alert.id not in self._told_alerts:
                self._told_alerts.add(alert.id)
                yield alert.unix_s, _alert_line(alert)

    def _problems(self, snapshot: PhaseSnapshot) -> Iterator[str]:
        for problem in snapshot.problems:
            if problem not in self._told_problems:
                self._told_problems.add(problem)
                yield _problem_line(problem)


def follow(
    read: Callable[[], PhaseSnapshot],
    write: Callable[[str], object],
    *,
    lines: PlainLines,
    until: Callable[[PhaseSnapshot], bool] | None = None,
) -> PhaseSnapshot:
    """Writes lines until the phase waits for the person (or `until` says so); returns the last snapshot.

    Args:
        lines: knows what was written before, so that only news follows.
    """
    ended = until or (lambda snapshot: snapshot.state not in WORKING)
    while True:
        snapshot = read()
        for line in lines.of(snapshot):
            write(line)
        if ended(snapshot):
            return snapshot
        time.sleep(_LOOK_S)


def follow_all(reads: Sequence[Callable[[], PhaseSnapshot]], write: Callable[[str], object]) -> None:
    """Follows several phases at once, with the phase's name before each line; ends when the last of them has ended."""
    told = [PlainLines() for _ in reads]
    working = set(range(len(reads)))
    while working:
        for number in sorted(working):
            snapshot = reads[number]()
            for line in told[number].of(snapshot):
                write(line if len(reads) == 1 else f"{snapshot.name}  {line}")
            if snapshot.state not in WORKING:
                working.discard(number)
        if working:
            time.sleep(_LOOK_S)


def overview(snapshot: PhaseSnapshot) -> list[str]:
    """The state of the whole phase, as `watch --once --plain` prints it."""
    lines = [f"{snapshot.name}: {snapshot.state} ({_evidence(snapshot)})", money_line(snapshot)]
    lines += [progress_line(progress) for progress in snapshot.progress.values()]
    lines += [_run_line(run, foreign=snapshot.foreign) for run in snapshot.runs]
    lines += map(_alert_line, snapshot.alerts)
    lines += map(_problem_line, snapshot.problems)
    error = snapshot.supervisor.error
    if error and error not in (*snapshot.problems, *(alert.text for alert in snapshot.alerts)):
        lines.append(f"supervisor: {error}")
    lines += [
        f"GPU {gpu.index} {gpu.name}: {_share(gpu.utilisation)} busy, {_gib(gpu.memory_used_bytes)}" for gpu in snapshot.gpus
    ]
    if snapshot.gpu_note:
        host = snapshot.host
        memory = f"memory {_gib(host.memory_used_bytes)} of {_gib(host.memory_total_bytes)}"
        lines.append(f"{snapshot.gpu_note}; CPU {_share(host.cpu_utilisation)} of {host.n_cores} cores, {memory}")
    return lines


def progress_line(progress: Progress) -> str:
    """`prepare: simulating conversations 34/120 (28 %)`."""
    if progress.state != "running":
        took_s = max(0.0, progress.unix_s - progress.started_unix_s)
        return f"{progress.stage}: {progress.state} after {duration(took_s)}" + (f": {progress.error}" if progress.error else "")
    share = f" {progress.done:,}/{progress.total:,} ({percent(progress.done / progress.total, 0)})" if progress.total else ""
    return f"{progress.stage}: {progress.step}{share}"


def validation_line(run: RunView) -> str:
    """`mlp: epoch 4/20 validation MAE 132 ms (unrefined 193 ms, best 131 ms at epoch 3), loss 2.31, ETA 01:20`."""
    status = run.status
    if status is None or status.last is None:
        return f"{run.name}: {run.state}"
    last, best = status.last, status.best
    beside = [] if status.unrefined_mae_ms is None else [f"unrefined {milliseconds(status.unrefined_mae_ms)}"]
    if best is not None:
        beside.append(f"best {milliseconds(best.mae_ms)} at epoch {best.epoch}")
    parts = [f"epoch {last.epoch}/{status.n_epochs} validation MAE {milliseconds(last.mae_ms)} ({', '.join(beside)})"]
    if status.loss is not None:
        parts.append(f"loss {status.loss:.3f}")
    if status.examples_per_s:
        parts.append(f"{status.examples_per_s:,.0f} examples/s")
    if status.eta_s is not None and run.state is ShownState.RUNNING:
        parts.append(f"ETA {duration(status.eta_s)}")
    return f"{run.name}: " + ", ".join(parts)


def job_words(job: JobRecord) -> str:
    """`job 17 waits: Resources`, `job 17 runs on gpu3`, `job 17 is over: TIMEOUT`."""
    if job.waits:
        return f"job {job.job_id} waits: {job.reason or job.state}"
    if job.is_over:
        return f"job {job.job_id} is over: {job.state}"
    return f"job {job.job_id} runs on {job.node or 'a node'}" + ("" if job.state == "RUNNING" else f" ({job.state})")


def sign_of_life(snapshot: PhaseSnapshot) -> str:
    """One line that says where everything is."""
    if snapshot.state is PhaseState.TRAINING:
        runs = ", ".join(_short(run) for run in snapshot.runs)
        eta = "" if snapshot.eta_s is None else f"; ETA {duration(snapshot.eta_s)}"
        return f"training: {runs}{eta}; {money_line(snapshot)}"
    running = [progress_line(item) for item in snapshot.progress.values() if item.state == "running"]
    return running[-1] if running else f"{snapshot.state}"


def money_line(snapshot: PhaseSnapshot) -> str:
    """`$0.83 spent of a cap of $10.00, $2.55 projected, $998.45 left`."""
    budget = snapshot.budget
    cap = "" if budget.cap_usd is None else f" of a cap of ${budget.cap_usd:,.2f}"
    projected = "" if budget.projected_usd is None else f", ${budget.projected_usd:,.2f} projected"
    idle = ""
    if budget.idle_s is not None:
        burnt_usd = budget.idle_s * budget.price_usd_per_hour / 3600.0
        idle = f"; idle for {duration(budget.idle_s)}, ${burnt_usd:,.2f} burnt: {budget.terminate or 'end the machine'}"
    return f"${budget.spent_usd:,.2f} spent{cap}{projected}, ${budget.remaining_usd:,.2f} left{idle}"


def duration(seconds: float) -> str:
    """`00:38`, `1:02:05`."""
    whole = round(max(0.0, seconds))
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes:02d}:{rest:02d}"


def _clock(unix_s: float, now_unix_s: float) -> str:
    then, now = time.localtime(unix_s), time.localtime(now_unix_s)
    return time.strftime("%H:%M:%S" if then[:3] == now[:3] else "%Y-%m-%d %H:%M:%S", then)


def _alert_line(alert: Alert) -> str:
    about = f" {alert.model}" if alert.model else ""
    at = f" at step {alert.step:,}" if alert.step is not None else ""
    return f"{alert.level.upper()} {alert.kind}{about}{at}: {alert.text}"


def _problem_line(problem: str) -> str:
    return f"WARNING {problem.splitlines()[0]}"


def _run_line(run: RunView, *, foreign: bool) -> str:
    if run.status is None and run.job is not None:
        return f"{run.name}: {run.state} ({job_words(run.job)})"
    if run.status is None:
        tags: Mapping[str, str] = {tag: f"{tag} {{:.4g}}" for tag in run.curves} if foreign else _WORDS_OF_CURVES
        newest = {tag: run.curves[tag].last for tag in tags if tag in run.curves}
        figures = [tags[tag].format(value) for tag, value in newest.items() if value is not None]
        return f"{run.name}: {', '.join([run.state, *figures])}"
    place = "" if run.job is None else f" ({job_words(run.job)})"
    return f"{validation_line(run)} [{run.state}]{place}"


def _short(run: RunView) -> str:
    if run.status is None or run.state not in (ShownState.RUNNING, ShownState.STALLED):
        return f"{run.name} {run.state}"
    return f"{run.name} {run.status.step:,}/{run.status.n_steps:,}"


def _evidence(snapshot: PhaseSnapshot) -> str:
    return f"{snapshot.title}; the evidence is simulated" if snapshot.simulated else snapshot.title


def _share(value: float | None) -> str:
    return "n/a" if value is None else percent(value, 0)


def _gib(n_bytes: int | None) -> str:
    return "n/a" if n_bytes is None else f"{n_bytes / (1 << 30):.1f} GiB"
