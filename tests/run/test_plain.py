"""A phase in lines: as much as the screens tell."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from brefine.phasedir import Alert
from brefine.run.plain import PlainLines, overview
from brefine.run.snapshot import PhaseState, ShownState, SupervisorView
from tests.tui.memory_phases import START_UNIX_S, event_files, phase, run

_GONE = SupervisorView(alive=False, pid=None, heartbeat_unix_s=None, error="the supervisor is gone")


def test_what_cannot_be_read_is_told_once_and_in_words() -> None:
    """Damaged files, the supervisor's last word, and a training whose status is one of those files: no tags, no stray blanks."""
    idle = Alert(id="i", level="warning", kind="idle-burn", text="the jobs are done", unix_s=1.0)
    unread = replace(run("mlp", state=ShownState.FAILED), status=None)
    pending = replace(unread, name="contrastive", state=ShownState.PENDING, curves={})
    problems = ("selection.json: this is not JSON\nmore", "mlp/status.json: this is not JSON")
    lines = overview(phase(PhaseState.STOPPED, runs=(unread, pending), alerts=(idle,), problems=problems, supervisor=_GONE))
    assert "WARNING selection.json: this is not JSON" in lines
    assert "WARNING mlp/status.json: this is not JSON" in lines
    assert "WARNING idle-burn: the jobs are done" in lines
    assert "supervisor: the supervisor is gone" in lines
    (told,) = (line for line in lines if line.startswith("mlp: "))
    assert told.startswith("mlp: failed, validation MAE ") and "/" not in told
    assert "contrastive: pending" in lines


def test_the_supervisors_word_is_not_told_twice() -> None:
    """Where it is an alert or a problem already."""
    lost = Alert(id="l", level="error", kind="lost", text=_GONE.error or "", unix_s=1.0)
    for changes in ({"alerts": (lost,)}, {"problems": (_GONE.error,)}):
        lines = overview(phase(PhaseState.STOPPED, supervisor=_GONE, **changes))
        assert sum("the supervisor is gone" in line for line in lines) == 1


def test_lines_have_the_clock_of_the_person_and_alerts_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the dashboard: local time, and what happened before somebody looked is not told as of now."""
    earlier, yesterday = (
        Alert(id=name, level="info", kind="slow", text=name, unix_s=START_UNIX_S + offset_s)
        for name, offset_s in (("earlier", 60.0), ("yesterday", 60.0 - 86_400.0))
    )
    shot = phase(PhaseState.STOPPED, unix_s=START_UNIX_S + 3600.0, alerts=(earlier, yesterday), problems=("damaged",))
    monkeypatch.setenv("TZ", "EST5")
    time.tzset()
    try:
        lines = PlainLines().of(shot)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert lines[0].startswith("10:02:00  phase 20261122-140200-phase3: stopped")
    assert lines[-3:] == [
        "09:03:00  INFO slow: earlier",
        "2026-11-21 09:03:00  INFO slow: yesterday",
        "10:02:00  WARNING damaged",
    ]


def test_the_scalars_of_a_foreign_folder_keep_their_names() -> None:
    """Nobody here knows what they mean."""
    lines = overview(event_files("a", tags=("my/loss",)))
    assert any(line.startswith("a: ") and line.endswith(", my/loss 1.25") for line in lines)
