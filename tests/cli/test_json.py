"""`--json`: one document on stdout, and nothing else there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from brefine.cli import app, launch_phase3, resume
from brefine.errors import ConfigError
from tests.run.toy_programs import make_toy_phase


def test_stopping_and_resuming_are_told_as_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The words for the person go to stderr."""
    phase = make_toy_phase(tmp_path)
    stopped = CliRunner().invoke(app, ["stop", str(phase.path), "--json"])
    assert json.loads(stopped.stdout) == {"phase": "20261122T000000Z-toy", "stopped": True, "was_working": False}
    monkeypatch.setattr(resume, "resume_phase", lambda phase: ("mlp",))
    resumed = CliRunner().invoke(app, ["resume", str(phase.path), "--json"])
    assert json.loads(resumed.stdout) == {"phase": "20261122T000000Z-toy", "training": ["mlp"]}
    assert "goes on with training mlp" in resumed.stderr


def test_a_launch_that_is_asked_for_a_document_starts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the plan is one; a phase that costs money would be started for nothing that a script could read."""
    made: list[object] = []
    for name in ("create_phase", "start_supervisor"):
        monkeypatch.setattr(launch_phase3, name, lambda *_, name=name, **__: made.append(name))
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('schema = 1\n[corpus]\nkind = "simulated"\n[models.mlp]\n')
    ended = CliRunner().invoke(app, ["launch-phase3", "--config", str(recipe), "--no-headroom", "--json"])
    assert isinstance(ended.exception, ConfigError)
    assert "--dry-run" in str(ended.exception)
    assert made == []


def test_a_closed_stderr_puts_no_word_into_the_document(tmp_path: Path) -> None:
    """`2>&-` drops notices and errors; they don't go to stdout instead."""
    line = "SPEAKER {} 1 0 1 <NA> <NA> s <NA> <NA>\n"
    (tmp_path / "reference.rttm").write_text(line.format("a"))
    (tmp_path / "hypothesis.rttm").write_text(line.format("a") + line.format("unreferenced"))
    score = "score --hypothesis hypothesis.rttm --json --reference"
    ended = [
        subprocess.run(
            ["sh", "-c", f"{sys.executable} -m brefine {score} {reference} 2>&-"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        for reference in ("reference.rttm", "missing.rttm")
    ]
    assert json.loads(ended[0].stdout)["recordings"] == 1
    assert (ended[1].returncode, ended[1].stdout) == (1, "")
