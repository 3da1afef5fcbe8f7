"""The table of runs, read as text."""

from __future__ import annotations

from dataclasses import replace

import pytest

from brefine.phasedir import JobRecord
from brefine.run.snapshot import ShownState
from brefine.tui.widgets.run_table import RunTable
from tests.tui.memory_phases import event_files, phase, run, training_runs

SERIES = [f"exp{number:02d}_lr0.00{number % 9}_bs32_cosine" for number in range(1, 15)]


def job(state: str, *, reason: str | None = None, node: str | None = None) -> JobRecord:
    waits = state == "PENDING"
    return JobRecord(
        name="mlp", job_id="17", state=state, waits=waits, is_over=False, reason=reason, node=node,
        price_usd_per_hour=2.0, unix_s=1.0,
    )  # fmt: skip


@pytest.mark.parametrize("width", [80, 120])
def test_a_job_that_waits_says_why(width: int) -> None:
    """The scheduler's reason stands where figures would be, whatever the width; a job that runs says where, given room."""
    first, second, *rest = training_runs()
    waiting = replace(first, state=ShownState.PENDING, status=None, job=job("PENDING", reason="Resources"))
    working = replace(second, job=job("RUNNING", node="gpu3"))
    snapshot = phase(runs=(waiting, working, *rest))
    _, *lines = RunTable().text(snapshot, width, 5).plain.splitlines()
    assert "waits: Resources" in lines[0]
    assert ("on gpu3" in lines[1]) == (width == 120)
    assert all(len(line) <= width for line in lines)


@pytest.mark.parametrize("width", [80, 120, 160])
def test_a_troubled_run_keeps_its_epochs_and_eta_below_their_heads(width: int) -> None:
    """What it says is longer than any screen, and stands between them or behind."""
    error = "CUDA out of memory: " + "tried to allocate 20.00 GiB, " * 8
    failed = run("transformer", state=ShownState.FAILED, error=error)
    rolled_back = run("mlp", n_epochs_done=44, nan_at=18, message="rolled back to step 7,200 " * 8)
    head, *lines = RunTable().text(phase(runs=(failed, rolled_back)), width, 5).plain.splitlines()
    figures = (("failed", "31/50", "–"), ("running", "44/50", "12:00"))
    for line, (state, epochs, eta) in zip(lines, figures, strict=True):
        assert line[head.index("state") :].startswith(state)
        assert line[: head.index("epoch") + len("epoch")].endswith(epochs)
        assert line[: head.index("ETA") + len("ETA")].endswith(f" {eta}")
        assert len(line) <= width and "…" in line


@pytest.mark.parametrize(
    ("width", "titles"),
    [
        (79, ["epoch", "loss", "val MAE", "best", "@100ms", "ex/s", "ETA"]),
        (72, ["epoch", "loss", "val MAE", "best", "ex/s", "ETA"]),
        (60, ["epoch", "loss", "val MAE", "ETA"]),
        (40, ["val MAE"]),
    ],
)
def test_on_a_narrow_screen_what_matters_least_gives_way(width: int, titles: list[str]) -> None:
    """In half a browser's window nothing is cut off: when a training is done and how good it is are the last to go."""
    failed = run("contrastive", state=ShownState.FAILED, error="CUDA out of memory: " * 8)
    head, *lines = RunTable().text(phase(runs=(*training_runs()[:2], failed)), width, 5).plain.splitlines()
    assert head.split()[:2] == ["model", "state"]
    assert [title for title in ("epoch", "loss", "val MAE", "best", "@100ms", "ex/s", "ETA") if title in head] == titles
    assert all(len(line) <= width for line in (head, *lines))
    assert "73 ms" in lines[0] and "…" not in lines[0]


@pytest.mark.parametrize("width", [1, *range(20, 80)])
def test_no_screen_is_too_narrow_for_what_is_wrong(width: int) -> None:
    """While a window is dragged it may have no room for any figure, nor for the words that would stand in their place."""
    failed = run("mlp", state=ShownState.FAILED, error="CUDA out of memory: " * 8)
    head, line = RunTable().text(phase(runs=(failed,)), width, 5).plain.splitlines()
    assert "model" in head and "failed" in line


def test_names_have_the_room_that_is_left() -> None:
    """Figures that nobody told take none of it; where even so there is too little, the ends of a name are kept as well."""
    for width, name in ((80, "exp01_lr0.001_bs32_cosine"), (40, "exp01…osine")):
        head, first, *_ = RunTable().text(event_files(*SERIES), width, 5).plain.splitlines()
        assert f" a {name} " in first
        assert head.split() == ["run", "state", "loss", "step"][: 4 if width == 80 else 3]
        assert "1.250" in first


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["cnn", "lstm/a", "lstm/b"], ["a ", "b ", "c "]),
        (["cnn", "lstm"], ["", ""]),
        (["Cnn", "lstm"], ["", ""]),
    ],
)
def test_a_letter_stands_before_a_name_that_does_not_begin_with_it(names: list[str], labels: list[str]) -> None:
    """By it the curve is told; where it is the initial, nothing is said twice."""
    _, *lines = RunTable().text(event_files(*names), 80, 5).plain.splitlines()
    for line, name, label in zip(lines, names, labels, strict=True):
        assert line[1:].startswith(f"■ {label}{name}")


def test_every_scalar_has_a_column_as_long_as_there_is_room() -> None:
    """Those of a folder that brefine did not write are named by their tags."""
    head, *_ = RunTable().text(event_files("cnn", "lstm", tags=("loss", "accuracy", "val/f1")), 80, 5).plain.splitlines()
    assert head.split() == ["run", "state", "accuracy", "loss", "val/f1", "step"]
    head, *_ = RunTable().text(event_files("cnn", tags=[f"tag-{index}" for index in range(9)]), 80, 5).plain.splitlines()
    assert head.split() == ["run", "state", *(f"tag-{index}" for index in range(5))]
