"""Sends alerts to a command, and through Apprise to any service, but never more than a person can read.

Each message is handed to a process of its own, so a network that hangs cannot hold up the supervisor.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from brefine.config import AlertsConfig
from brefine.io.atomic import append_line, open_no_link
from brefine.io.interpreter import python_command
from brefine.phasedir import Alert

_LEVELS: Final = ("info", "warning", "error")
_HOUR_S: Final = 3600.0
_PATIENCE_S: Final = 30.0
"""A delivery that takes longer is given up."""
_AGAIN_S: Final = (30.0, 120.0, 600.0, 3600.0)
"""A message that did not arrive is tried again after these waits, of which the last one repeats for ever."""
_SHOWN: Final = 8
"""Alerts that a gathered message spells out."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message to the person: one alert, or several gathered ones."""

    title: str
    text: str
    alerts: tuple[Alert, ...]


@dataclass(slots=True)
class _Channel:
    """One way of sending: what waits for it, when it was used, and how often it has failed since it last worked."""

    name: str
    command: str
    sent_s: deque[float]
    waiting: list[Alert] = field(default_factory=list)
    n_failed: int = 0
    due_s: float = float("-inf")


@dataclass(slots=True)
class _Delivery:
    channel: _Channel
    alerts: tuple[Alert, ...]
    sent_s: float
    process: subprocess.Popen[bytes]
    words: IO[bytes]
    since_s: float


class Notifier:
    """Sends the alerts of one phase.

    Args:
        phase: its name, for the title.
        sent: the file with the ids of alerts that have arrived, so that a later supervisor sends only the others.
        log: is called with what could not be delivered.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        config: AlertsConfig,
        phase: str,
        *,
        sent: Path,
        log: Callable[[str], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._phase = phase
        self._sent = sent
        self._taken = _lines_of(sent)
        self._log = log
        self._clock = clock
        commands = {"the alert command": config.command}
        if config.apprise is not None:
            commands["apprise"] = shlex.join(python_command("-m", "brefine.run.apprise_message", config.apprise))
        self._channels = [
            _Channel(name, command, deque(maxlen=config.per_hour)) for name, command in commands.items() if command is not None
        ]
        self._owed: dict[str, int] = {}
        """Alert's id → number of channels through which it has still to arrive."""
        self._deliveries: list[_Delivery] = []

    @property
    def problem(self) -> str | None:
        """Which channels do not work, in words; None if all work."""
        failing = " and ".join(channel.name for channel in self._channels if channel.n_failed)
        return f"alerts do not arrive by {failing}; supervisor.log says why" if failing else None

    def add(self, alert: Alert) -> None:
        """Takes an alert; unless it was sent before, the next `tick` that the rate allows sends it."""
        line = _line(alert)
        if line in self._taken or _LEVELS.index(alert.level) < _LEVELS.index(self._config.least_level):
            return
        self._taken.add(line)
        owing = [channel for channel in self._channels if _line(alert, channel) not in self._taken]
        self._owed[line] = len(owing)
        for channel in owing:
            channel.waiting.append(alert)

    def tick(self) -> None:
        """Sends what waits, as one message per channel, and collects deliveries that have ended."""
        self._collect()
        now_s = self._clock()
        for channel in self._channels:
            full = len(channel.sent_s) == self._config.per_hour and now_s - channel.sent_s[0] < _HOUR_S
            if channel.waiting and not full and now_s >= channel.due_s:
                self._send(channel, now_s)

    def close(self, *, patience_s: float = _PATIENCE_S) -> None:
        """Sends what waits at once, whatever the rate, since nobody will send it later, and waits for it to arrive."""
        for channel in self._channels:
            if channel.waiting:
                self._send(channel, self._clock())
        until_s = time.monotonic() + patience_s
        while self._deliveries and time.monotonic() < until_s:
            self._collect()
            time.sleep(0.05)
        for delivery in self._deliveries:
            self._give_up(delivery)

    def _send(self, channel: _Channel, now_s: float) -> None:
        """Starts a process that delivers all that waits, as one message."""
        channel.sent_s.append(now_s)
        message = compose(self._phase, channel.waiting)
        channel.waiting = []
        document = {"title": message.title, "text": message.text, "alerts": [alert.to_json() for alert in message.alerts]}
        environment = {**os.environ, "BREFINE_ALERT_TITLE": message.title, "BREFINE_ALERT_TEXT": message.text}
        words: IO[bytes] | None = None
        try:
            words = _nameless_file()  # lives as long as the process
            with _nameless_file() as given:  # a file, not a pipe, which would block if the command did not read it
                given.write(json.dumps(document, allow_nan=False).encode())
                given.seek(0)
                process = subprocess.Popen(
                    shlex.split(channel.command),
                    stdin=given,
                    stdout=words,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    start_new_session=True,
                )
        except (OSError, ValueError) as error:
            if words is not None:
                words.close()
            self._failed(channel, message.alerts, now_s, f"cannot be started: {error}")
            return
        self._deliveries.append(_Delivery(channel, message.alerts, now_s, process, words, time.monotonic()))

    def _arrived(self, delivery: _Delivery) -> None:
        channel = delivery.channel
        channel.n_failed, channel.due_s = 0, float("-inf")
        for alert in delivery.alerts:
            self._owed[_line(alert)] -= 1
        self._remember([_line(alert, channel if self._owed[_line(alert)] else None) for alert in delivery.alerts])

    def _failed(self, channel: _Channel, alerts: Sequence[Alert], sent_s: float, why: str) -> None:
        """Puts alerts that did not arrive back in front of newer ones; the failed message does not count for the rate."""
        self._log(f"{channel.name} {why}")
        with contextlib.suppress(ValueError):
            channel.sent_s.remove(sent_s)
        channel.waiting = [*alerts, *channel.waiting]
        channel.due_s = self._clock() + _AGAIN_S[min(channel.n_failed, len(_AGAIN_S) - 1)]
        channel.n_failed += 1

    def _remember(self, lines: Sequence[str]) -> None:
        """Notes alerts as sent: after sending, so that if this is killed in between, they are sent twice rather than never."""
        try:
            append_line(self._sent, "\n".join(lines))
        except OSError as error:
            self._log(f"{self._sent}: cannot be written: {error.strerror}")

    def _collect(self) -> None:
        for delivery in list(self._deliveries):
            code = delivery.process.poll()
            if code is None:
                if time.monotonic() - delivery.since_s > _PATIENCE_S:
                    self._deliveries.remove(delivery)
                    self._give_up(delivery)
                continue
            self._deliveries.remove(delivery)
            if code == 0:
                self._arrived(delivery)
            else:
                why = f"ended with exit code {code}: {_last_words(delivery.words)}"
                self._failed(delivery.channel, delivery.alerts, delivery.sent_s, why)
            delivery.words.close()

    def _give_up(self, delivery: _Delivery) -> None:
        delivery.process.kill()
        delivery.process.wait()
        delivery.words.close()
        self._failed(delivery.channel, delivery.alerts, delivery.sent_s, "did not end in time and was given up")


def compose(phase: str, alerts: Sequence[Alert]) -> Message:
    """One message for a person: an alert as it is, several as a list with the worst in the title."""
    worst = max(alerts, key=lambda alert: _LEVELS.index(alert.level))
    lines = [f"{alert.model or 'phase'}: {alert.text}" for alert in alerts]
    if len(alerts) == 1:
        return Message(f"brefine {phase}: {worst.kind}", lines[0], tuple(alerts))
    more = [f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    return Message(
        f"brefine {phase}: {worst.kind} and {len(alerts) - 1} more", "\n".join([*lines[:_SHOWN], *more]), tuple(alerts)
    )


def _lines_of(path: Path) -> set[str]:
    """The lines of the file; none if it cannot be read: then a message is sent twice, and the supervisor goes on."""
    try:
        with open_no_link(path) as file:
            return set(file.read().decode("utf-8", errors="replace").splitlines())
    except OSError:
        return set()


def _line(alert: Alert, channel: _Channel | None = None) -> str:
    """An alert's id as one line of text, for one channel or for all; the names of files in it may contain anything."""
    return json.dumps(alert.id if channel is None else [channel.name, alert.id])


def _nameless_file() -> IO[bytes]:
    """An open file without a name, in memory if the system has such files: a full disk must be reported without room on it."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("brefine-alert"), "w+b")
    return tempfile.TemporaryFile()


def _last_words(words: IO[bytes]) -> str:
    words.seek(0)
    said = words.read()[-2000:].decode("utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(said) if line.strip()), "no word")
