"""When the next snapshot is fetched."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
from textual.drivers._writer_thread import WriterThread
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message
from textual.message_pump import MessagePump

from brefine.run.snapshot import PhaseSnapshot
from brefine.tui import poller
from brefine.tui.app import DashboardApp
from brefine.tui.poller import Poller
from tests.tui.memory_phases import MemorySource, RecordedActions, phase


class Shown(MessagePump):
    """Deals with every message at once."""

    poller: Poller

    def post_message(self, message: Message) -> bool:
        self.poller.shown()
        return True


class Twice:
    """Two snapshots, then the end."""

    poller: Poller
    n = 0

    def snapshot(self) -> PhaseSnapshot:
        self.n += 1
        if self.n == 2:
            self.poller.close()
        return phase()


def test_no_snapshot_is_fetched_while_the_terminal_is_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it takes the last picture; then the next one comes."""
    monkeypatch.setattr(poller, "_LOOK_AGAIN_S", 0.0)
    source, target = Twice(), Shown()
    answers, fetched = iter([False, False, False, True]), []

    def handed_over() -> bool:
        fetched.append(source.n)
        return next(answers)

    source.poller = target.poller = Poller(source, target, 0.0, handed_over)
    source.poller.run()
    assert fetched == [1, 1, 1, 1]
    assert source.n == 2


def test_a_terminal_that_is_stuck_keeps_no_poller(monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing ends it, though nothing is ever read."""
    monkeypatch.setattr(poller, "_LOOK_AGAIN_S", 0.0)
    source, target = Twice(), Shown()
    n_asked = 0

    def handed_over() -> bool:
        nonlocal n_asked
        n_asked += 1
        if n_asked == 3:
            source.poller.close()
        return False

    source.poller = target.poller = Poller(source, target, 0.0, handed_over)
    source.poller.run()
    assert (n_asked, source.n) == (3, 1)


def test_the_dashboard_knows_what_its_terminal_has_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the queue of Textual's own writer; a driver that has none is never behind."""
    app = DashboardApp(MemorySource(phase()), RecordedActions())
    writer = WriterThread(io.StringIO())
    app._driver = SimpleNamespace(_writer_thread=writer)
    assert app._poller._handed_over()
    writer.write("a picture")
    assert not app._poller._handed_over()
    writer._queue.get()
    assert app._poller._handed_over()
    for driver in (None, SimpleNamespace(), SimpleNamespace(_writer_thread=None)):
        app._driver = driver
        assert app._poller._handed_over()
    assert "_writer_thread" in LinuxDriver.__init__.__code__.co_names
