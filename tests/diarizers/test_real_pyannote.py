"""The real pyannote.audio 4 behind its adapter, with a small pipeline of random weights in a local folder."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from brefine.diarizers.pyannote import PyannoteDiarizer
from brefine.io.audio import probe_audio
from brefine.io.rttm import read_rttm
from tests.diarizers.tiny_pyannote import make_pipeline

pytestmark = [
    pytest.mark.skipif(
        find_spec("pyannote") is None or find_spec("pyannote.audio") is None,
        reason="pyannote.audio is not installed: pip install -c constraints.txt -e '.[pyannote]'",
    ),
    pytest.mark.filterwarnings("default"),  # it and its dependencies warn of much
]

_NO_NETWORK = """
import socket
def refuse(self, address):
    if self.family in (socket.AF_INET, socket.AF_INET6):
        raise SystemExit(f"it wants to connect to {address}")
    return connect(self, address)
connect, socket.socket.connect = socket.socket.connect, refuse
"""


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pipeline(tmp_path_factory.mktemp("pipeline"))


def test_it_tells_its_steps_and_returns_valid_turns(pipeline: Path, shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress in plain integers; turns within the audio, nobody overlapping himself; no telemetry, no connection."""
    monkeypatch.setenv("PYANNOTE_METRICS_ENABLED", "1")
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: pytest.fail(f"it wants to connect to {address}"))
    audio = shared_data / "ami" / "audio" / "trn00.flac"
    told: list[tuple[str, int, int]] = []
    found = PyannoteDiarizer.find(str(pipeline)).diarize(audio, report=lambda *news: told.append(news))
    assert {step for step, _, _ in told} >= {f"loading {pipeline}", "segmentation", "embeddings", "speaker counting"}
    assert all(type(done) is int and type(total) is int and 0 <= done <= total for _, done, total in told)
    assert found.turns == found.unioned().turns != ()
    assert found.end_s <= probe_audio(audio).duration_s
    assert os.environ["PYANNOTE_METRICS_ENABLED"] == "0"
    from pyannote.audio.telemetry.metrics import is_metrics_enabled

    assert not is_metrics_enabled()


def test_the_command_runs_it_without_a_network(pipeline: Path, shared_data: Path, tmp_path: Path) -> None:
    """`brefine diarize --diarizer pyannote` with a local folder, in a process that may not connect to anything."""
    (tmp_path / "sitecustomize.py").write_text(_NO_NETWORK)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path[:1]])}
    audio, out = shared_data / "ami" / "audio" / "trn00.flac", tmp_path / "out.rttm"
    command = ["-m", "brefine", "diarize", audio, "-o", out, "--diarizer", "pyannote", "--diarizer-model", pipeline]
    ended = subprocess.run(
        [sys.executable, *map(str, command), "--no-refine", "--json"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert len(read_rttm(out)["trn00"].turns) == json.loads(ended.stdout)["recordings"][0]["turns"] > 0
