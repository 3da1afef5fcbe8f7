"""`brefine bench`: what is refused, and how it is stopped."""

from __future__ import annotations

import os
import signal

import pytest
from typer.testing import CliRunner

from brefine.cli import app


@pytest.mark.parametrize("option", ["--epochs", "--examples"])
def test_a_benchmark_of_nothing_is_refused(option: str) -> None:
    """Zero is not taken for an option that was left out."""
    done = CliRunner().invoke(app, ["bench", "phase", option, "0"])
    assert done.exit_code == 2
    assert option in done.output


def test_sigterm_ends_a_benchmark_as_ctrl_c_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that it removes its folder and ends the processes that it has started."""
    undone: list[str] = []

    def terminated(**_: object) -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            undone.append("all")

    monkeypatch.setattr("brefine.run.bench_tail.bench_tail", terminated)
    assert CliRunner().invoke(app, ["bench", "tail"]).exit_code == 128 + signal.SIGTERM
    assert undone == ["all"]
