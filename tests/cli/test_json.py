"""`--json`: one document on stdout, and nothing else there."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest
from typer.testing import CliRunner

from brefine.cli import app, gate4, launch_phase3, resume
from brefine.errors import BrefineError, ConfigError
from tests.run.toy_programs import make_toy_phase
from tests.run.whole_phase import make_phase


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


@pytest.mark.parametrize("words", [["--json"], ["--no-input"], ["--answer", "go-on=yes", "--json"]])
def test_a_verdict_that_cannot_be_recorded_is_told_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    """A disk that is full or can only be read: the document is whole, the reason goes to stderr, and the exit code is not 3."""
    phase = make_phase(tmp_path)
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(phase.gate))
    monkeypatch.setattr(gate4, "write_gate", Mock(side_effect=full))
    log = tmp_path / "LOG.md"
    ended = CliRunner().invoke(app, ["gate4", str(phase.path), *words, "--log", str(log)])
    assert isinstance(ended.exception, BrefineError) and ended.exception.exit_code == 1
    assert str(ended.exception).startswith(f"{phase.gate}: ") and "No space left" in str(ended.exception)
    if "--json" in words:
        document = json.loads(ended.stdout)
        assert (document["verdict"], [one["answer"] for one in document["criteria"]]) == ("open", [None] * 4)
    else:
        assert "gate 4: OPEN" in ended.stdout and "the record" not in ended.stdout
    assert not log.exists()


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
