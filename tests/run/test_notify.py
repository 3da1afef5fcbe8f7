"""Alerts on their way to a person: once each, never a flood, and never in the supervisor's way."""

from __future__ import annotations

import errno
import json
import os
import sys
import tempfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from brefine.config import AlertsConfig
from brefine.phasedir import Alert
from brefine.run.notify import Notifier, compose

_KEEP = (
    "import json, os, sys; message = [os.environ['BREFINE_ALERT_TITLE'], json.load(sys.stdin)]; "
    "open(sys.argv[1], 'a').write(json.dumps(message) + chr(10))"
)


def alert(number: int = 0, *, level: str = "error", kind: str = "crashed", text: str = "the training ended") -> Alert:
    return Alert(id=f"{kind}:{number}", level=level, kind=kind, model="mlp", step=number, text=text, unix_s=1000.0 + number)


def keeping(tmp_path: Path, **options: object) -> AlertsConfig:
    """Alerts go to a command that keeps every message in a file."""
    return AlertsConfig(command=f'{sys.executable} -c "{_KEEP}" {tmp_path / "kept"}', **options)


def kept(tmp_path: Path) -> list[tuple[str, dict[str, object]]]:
    path = tmp_path / "kept"
    return [tuple(json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []


def test_a_command_gets_title_and_document(tmp_path: Path) -> None:
    """The title for people, JSON for programs; nothing passes through a shell."""
    notifier = Notifier(keeping(tmp_path), "demo", sent=tmp_path / "sent", log=pytest.fail)
    notifier.add(alert(text="$(touch /nowhere); `id` \u2013 it's over"))
    notifier.tick()
    notifier.close()
    ((title, document),) = kept(tmp_path)
    assert title == "brefine demo: crashed"
    assert document["text"] == "mlp: $(touch /nowhere); `id` \u2013 it's over"
    assert [item["kind"] for item in document["alerts"]] == ["crashed"]


def test_what_comes_together_leaves_together(tmp_path: Path) -> None:
    """Three alerts of one moment are one message whose title names the worst."""
    notifier = Notifier(keeping(tmp_path), "demo", sent=tmp_path / "sent", log=pytest.fail)
    for item in (alert(1, level="warning", kind="slow"), alert(2, kind="disk-full"), alert(3, level="warning", kind="slow")):
        notifier.add(item)
    notifier.tick()
    notifier.close()
    assert [title for title, _ in kept(tmp_path)] == ["brefine demo: disk-full and 2 more"]


def test_lesser_alerts_are_shown_not_sent(tmp_path: Path) -> None:
    """Half of the budget is news for the screen, not for a telephone at night."""
    notifier = Notifier(keeping(tmp_path), "demo", sent=tmp_path / "sent", log=pytest.fail)
    notifier.add(alert(level="info", kind="budget"))
    notifier.tick()
    notifier.close()
    assert kept(tmp_path) == []


def test_the_rate_is_limited_and_nothing_is_lost(tmp_path: Path) -> None:
    """Two messages an hour: what comes after that is gathered until the hour is over."""
    now_s = [0.0]
    notifier = Notifier(keeping(tmp_path, per_hour=2), "demo", sent=tmp_path / "sent", log=pytest.fail, clock=lambda: now_s[0])
    for number in range(6):
        notifier.add(alert(number))
        notifier.tick()
        now_s[0] += 60.0
    assert len(notifier._deliveries) + len(kept(tmp_path)) >= 2
    now_s[0] = 3601.0
    notifier.tick()
    notifier.close()
    counts = sorted(len(document["alerts"]) for _, document in kept(tmp_path))
    assert counts == [1, 1, 4]


def test_an_end_sends_what_waits(tmp_path: Path) -> None:
    """Nobody will send it later."""
    notifier = Notifier(keeping(tmp_path, per_hour=1), "demo", sent=tmp_path / "sent", log=pytest.fail)
    for number in range(3):
        notifier.add(alert(number))
        notifier.tick()
    notifier.close()
    assert sum(len(document["alerts"]) for _, document in kept(tmp_path)) == 3


def test_what_has_left_is_not_sent_again_by_another(tmp_path: Path) -> None:
    """The next notifier of the phase sends the rest, whatever stands in an id."""
    odd = alert(1).model_copy(update={"id": "corrupt-events:events\n2"})
    first = Notifier(keeping(tmp_path), "demo", sent=tmp_path / "sent", log=pytest.fail)
    first.add(odd)
    first.tick()
    first.close()
    second = Notifier(keeping(tmp_path), "demo", sent=tmp_path / "sent", log=pytest.fail)
    for item in (odd, alert(2)):
        second.add(item)
    second.tick()
    second.close()
    assert [[item["step"] for item in document["alerts"]] for _, document in kept(tmp_path)] == [[1], [2]]


def test_a_damaged_list_of_what_has_left_keeps_no_supervisor_from_starting(tmp_path: Path) -> None:
    """What is whole in it still counts."""
    (tmp_path / "sent").write_bytes(b'\xff\xfe\n"crashed:1"\n')
    notifier = Notifier(keeping(tmp_path), "demo", sent=tmp_path / "sent", log=pytest.fail)
    for number in (1, 2):
        notifier.add(alert(number))
    notifier.tick()
    notifier.close()
    assert [[item["step"] for item in document["alerts"]] for _, document in kept(tmp_path)] == [[2]]
    os.mkfifo(tmp_path / "pipe")
    Notifier(keeping(tmp_path), "demo", sent=tmp_path / "pipe", log=pytest.fail)


def test_a_list_that_cannot_be_written_keeps_nobody_from_being_told(tmp_path: Path) -> None:
    """A full or foreign disk: the alert leaves, once, and the log says what could not be remembered."""
    said: list[str] = []
    (tmp_path / "file").touch()
    notifier = Notifier(keeping(tmp_path), "demo", sent=tmp_path / "file" / "sent", log=said.append)
    for _ in range(2):
        notifier.add(alert())
        notifier.tick()
    notifier.close()
    assert len(kept(tmp_path)) == 1
    assert len(said) == 1 and "cannot be written" in said[0]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("no-such-program-anywhere", "cannot be started"),
        (f"{sys.executable} -c 'raise SystemExit(\"no network\")'", "exit code 1: no network"),
        ("'unbalanced", "cannot be started"),
    ],
)
def test_a_failing_command_is_logged_and_hurts_nobody(tmp_path: Path, command: str, words: str) -> None:
    """The supervisor goes on, and its log says why nobody was told."""
    said: list[str] = []
    notifier = Notifier(AlertsConfig(command=command), "demo", sent=tmp_path / "sent", log=said.append)
    notifier.add(alert())
    notifier.tick()
    notifier.close()
    assert said and all(words in text for text in said)


def deliver(notifier: Notifier) -> None:
    """Lets it send, and waits for what came of that."""
    notifier.tick()
    for delivery in notifier._deliveries:
        delivery.process.wait()
    notifier._collect()


def test_what_does_not_arrive_is_sent_again_with_growing_waits(tmp_path: Path) -> None:
    """Together with what has come since; it counts as a problem until it works, and as sent when it has arrived."""
    now_s, said, sent = [0.0], list[str](), tmp_path / "sent"
    config = keeping(tmp_path, per_hour=1)
    program = tmp_path / "network"
    config = config.model_copy(update={"command": f"{program} {config.command}"})
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    notifier = Notifier(config, "demo", sent=sent, log=said.append, clock=lambda: now_s[0])

    def tick(at_s: float) -> int:
        """Returns how many tries have failed."""
        now_s[0] = at_s
        deliver(notifier)
        return len(said)

    notifier.add(alert(1))
    assert [tick(at_s) for at_s in (0.0, 29.0, 30.0, 149.0, 150.0)] == [1, 1, 2, 2, 3]
    assert notifier.problem == "alerts do not arrive by the alert command; supervisor.log says why"
    assert not sent.exists()
    notifier.add(alert(2))
    program.write_text('#!/bin/sh\nexec "$@"\n')
    tick(750.0)
    assert [[item["step"] for item in document["alerts"]] for _, document in kept(tmp_path)] == [[1, 2]]
    assert sent.read_text().splitlines() == ['"crashed:1"', '"crashed:2"']
    assert notifier.problem is None


def test_a_channel_that_never_works_is_tried_every_hour(tmp_path: Path) -> None:
    """However often it has failed; and once it works, what comes next does not wait."""
    now_s, said, sent, program = [0.0], list[str](), tmp_path / "sent", tmp_path / "program"
    notifier = Notifier(AlertsConfig(command=str(program)), "demo", sent=sent, log=said.append, clock=lambda: now_s[0])

    def tick(at_s: float) -> int:
        """Returns how many tries have failed."""
        now_s[0] = at_s
        deliver(notifier)
        return len(said)

    notifier.add(alert(1))
    tries = [tick(at_s) for at_s in (0.0, 30.0, 150.0, 750.0, 4349.0, 4350.0, 7949.0, 7950.0)]
    assert tries == [1, 2, 3, 4, 4, 5, 5, 6]
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    tick(11550.0)
    notifier.add(alert(2))
    assert tick(11550.0) == 6
    assert sent.read_text().splitlines() == ['"crashed:1"', '"crashed:2"']


def test_what_arrived_by_one_channel_is_not_sent_by_it_again(tmp_path: Path) -> None:
    """The other one is tried again alone; the alert counts as sent when it has arrived by both."""
    now_s, said, sent = [0.0], list[str](), tmp_path / "sent"
    notifier = Notifier(keeping(tmp_path), "demo", sent=sent, log=said.append, clock=lambda: now_s[0])
    notifier._channels.append(replace(notifier._channels[0], name="apprise", command="false", waiting=[]))
    notifier.add(alert())
    for now_s[0] in (0.0, 30.0):
        deliver(notifier)
    assert (len(kept(tmp_path)), len(said), sent.read_text()) == (1, 2, '["the alert command", "crashed:0"]\n')
    notifier._channels[1].command = "true"
    notifier.close()
    assert (len(kept(tmp_path)), sent.read_text().splitlines()[1:]) == (1, ['"crashed:0"'])


def test_a_hanging_command_is_given_up(tmp_path: Path) -> None:
    """A network that does not answer keeps no supervisor from ending."""
    said: list[str] = []
    config = AlertsConfig(command=f"{sys.executable} -c 'import signal; signal.pause()'")
    notifier = Notifier(config, "demo", sent=tmp_path / "sent", log=said.append)
    notifier.add(alert())
    notifier.tick()
    (process,) = [delivery.process for delivery in notifier._deliveries]
    notifier.close(patience_s=0.1)
    assert process.poll() is not None
    assert "given up" in said[0]


def test_long_lists_are_cut() -> None:
    """A message stays readable on a telephone."""
    assert len(compose("demo", [alert(number) for number in range(8)]).text.splitlines()) == 8
    message = compose("demo", [alert(number) for number in range(30)])
    assert message.text.splitlines()[-1] == "and 22 more"
    assert len(message.alerts) == 30


def test_apprise_reaches_a_service_that_only_its_file_names(tmp_path: Path) -> None:
    """A service on this machine gets title and text; its address stands in the configuration file alone."""
    pytest.importorskip("apprise")
    got: list[dict[str, str]] = []

    class Service(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Service)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        config = tmp_path / "apprise.conf"
        config.write_text(f"json://127.0.0.1:{server.server_port}/secret-token\n")
        notifier = Notifier(AlertsConfig(apprise=str(config)), "demo", sent=tmp_path / "sent", log=pytest.fail)
        notifier.add(alert())
        notifier.tick()
        argv = notifier._deliveries[0].process.args
        notifier.close()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert [(document["title"], document["message"]) for document in got] == [
        ("brefine demo: crashed", "mlp: the training ended")
    ]
    assert "secret-token" not in " ".join(map(os.fsdecode, argv))


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_disk_without_room_for_temporary_files_ends_no_supervisor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_memory: bool
) -> None:
    """That the disk is full is told from memory; where the system has no files in memory, the log says why nobody was told."""
    said: list[str] = []

    def refuse() -> None:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    if in_memory and not hasattr(os, "memfd_create"):
        pytest.skip("this system has no files in memory")
    if not in_memory:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    notifier = Notifier(keeping(tmp_path), "demo", sent=tmp_path / "sent", log=said.append)
    notifier.add(alert(kind="disk-full"))
    notifier.tick()
    notifier.close()
    assert [title for title, _ in kept(tmp_path)] == (["brefine demo: disk-full"] if in_memory else [])
    assert {text.partition(":")[0] for text in said} == (set() if in_memory else {"the alert command cannot be started"})
