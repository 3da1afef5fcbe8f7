"""The whole road on real processes: from a recipe to a verdict, unattended, on a corpus that takes seconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from brefine.io.rttm import read_rttm
from brefine.phasedir import CorpusManifest, PhaseDir
from tests.tiny_corpus import draw_reference, render

pytestmark = pytest.mark.end_to_end

_RECIPE = """schema = 1
name = "tiny"
[corpus]
kind = "simulated"
[corpus.simulation]
n_train = 6
n_validation = 2
n_gate = 3
duration_s = 15.0
n_speakers = [2, 2]
voices = "voices"
[examples]
context_s = 0.64
[train]
epochs = 1
batch_size = 8
lr = 1e-3
threads = 1
[models.transformer]
[models.mlp]
[models.contrastive]
[budget]
ledger = "ledger.jsonl"
"""


def tiny_road(*, epochs: int = 1) -> str:
    """The recipe; its last section is [budget]."""
    return _RECIPE.replace("epochs = 1\n", f"epochs = {epochs}\n")


def make_voices(folder: Path) -> None:
    """A voice bank of nine speakers that are noises."""
    folder.mkdir()
    for number in range(9):
        rng = np.random.default_rng(number)
        for index in range(2):
            voice = render(draw_reference("voice", rng), rng)
            soundfile.write(folder / f"V{number}-0-{index}.flac", voice, 16000, subtype="PCM_16")


class Folder:
    """A person's working folder, in which commands are given."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def brefine(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "XDG_STATE_HOME": str(self.path / "state"), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "brefine", *words]
        return subprocess.run(command, cwd=self.path, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def gone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Folder, subprocess.CompletedProcess[str]]:
    """A folder in which `launch-phase3` went all the way."""
    path = tmp_path_factory.mktemp("road")
    make_voices(path / "voices")
    (path / "tiny.toml").write_text(tiny_road())
    folder = Folder(path)
    return folder, folder.brefine("launch-phase3", "--config", "tiny.toml", "--plain", "--no-input")


def test_an_unattended_launch_reaches_a_verdict(gone: tuple[Folder, subprocess.CompletedProcess[str]]) -> None:
    """Every station leaves its file; the verdict is open, since the evidence is simulated; the exit code is 0 all the same."""
    folder, ended = gone
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "\x1b" not in ended.stdout + ended.stderr
    assert ended.stdout.splitlines()[-1] == "gate 4: OPEN (the evidence is simulated)"
    (path,) = (folder.path / "runs").iterdir()
    phase = PhaseDir(path)
    for model in ("transformer", "mlp", "contrastive"):
        assert phase.run(model).weights("best").exists()
        assert list(phase.run(model).path.glob("events.out.tfevents.*"))
        assert phase.evaluation(model, "validation").exists()
    gate = json.loads(phase.gate.read_text())
    assert (gate["gate"], gate["verdict"], gate["evidence"]) == (4, "open", "simulated")
    assert [criterion["id"] for criterion in gate["criteria"]] == ["mae", "der", "der-target", "go-on"]
    assert "open" in phase.gate_page.read_text().lower()
    refined = {name for path in phase.refined.glob("*.rttm") for name in read_rttm(path)}
    prepared = json.loads(phase.manifest.read_text())["corpus"]
    assert refined == {one.name for one in CorpusManifest.read(Path(prepared) / "corpus.json").splits["gate"]}


def test_the_phase_can_be_looked_at_and_judged_afterwards(gone: tuple[Folder, subprocess.CompletedProcess[str]]) -> None:
    """`watch`, `runs`, `select` and `gate4` give one JSON document each; a gate that is not passed exits with 3."""
    folder, _ = gone
    watched = json.loads(folder.brefine("watch", "--once", "--json").stdout)
    assert {"schema", "phase", "state", "supervisor", "models", "alerts", "gpus", "budget"} <= watched.keys()
    assert [(model["name"], model["state"]) for model in watched["models"]] == [
        ("transformer", "finished"),
        ("mlp", "finished"),
        ("contrastive", "finished"),
    ]
    assert all(model["validation_mae_ms"] > 0 for model in watched["models"])
    assert len(json.loads(folder.brefine("runs", "--json").stdout)) == 1
    chosen = folder.brefine("select", "--model", "mlp", "--why", "it is small", "--no-input", "--json")
    assert json.loads(chosen.stdout)["model"] == "mlp"
    opened = folder.brefine("gate4", "--no-input", "--json")
    assert (opened.returncode, json.loads(opened.stdout)["verdict"]) == (3, "open")
    refused = folder.brefine("gate4", "--answer", "go-on=no", "--note", "not like this", "--json")
    assert (refused.returncode, json.loads(refused.stdout)["verdict"]) == (3, "fail")
    (path,) = (folder.path / "runs").iterdir()
    assert "not like this" in PhaseDir(path).decisions.read_text()


def test_a_second_launch_reuses_what_is_prepared(gone: tuple[Folder, subprocess.CompletedProcess[str]]) -> None:
    """The corpus is not made again, and what it cost is not paid twice."""
    folder, _ = gone
    (corpus,) = (folder.path / "data" / "prepared").glob("*/corpus.json")
    audio = {path: path.stat().st_mtime_ns for path in corpus.parent.rglob("*.flac")}
    prepared = folder.brefine("prepare", "simulated", "--config", "tiny.toml", "--json")
    assert prepared.returncode == 0, prepared.stderr
    assert json.loads(prepared.stdout)["splits"]["gate"]["recordings"] == 3
    assert {path: path.stat().st_mtime_ns for path in corpus.parent.rglob("*.flac")} == audio


def test_a_trained_checkpoint_refines_a_real_recording(
    gone: tuple[Folder, subprocess.CompletedProcess[str]], shared_data: Path
) -> None:
    """An AMI excerpt and its own reference as hypothesis: valid RTTM with the same turns, within the audio, and a report."""
    folder, _ = gone
    (path,) = (folder.path / "runs").iterdir()
    weights = PhaseDir(path).run("mlp").weights("best")
    audio, rttm = shared_data / "ami/audio/trn00.flac", shared_data / "ami/reference/trn00.rttm"
    words = ("refine", str(audio), str(rttm), "-o", "out.rttm", "--weights", str(weights), "--report", "moved.csv", "--json")
    ended = folder.brefine(*words)
    assert ended.returncode == 0, ended.stderr
    before, after = read_rttm(rttm)["trn00"], read_rttm(folder.path / "out.rttm")["trn00"]
    assert sorted(turn.speaker for turn in after.turns) == sorted(turn.speaker for turn in before.turns)
    assert min(turn.onset_s for turn in after.turns) >= 0.0
    assert after.end_s <= soundfile.info(audio).duration
    (row,) = json.loads(ended.stdout)["recordings"]
    assert row["boundaries"] == len((folder.path / "moved.csv").read_text().splitlines()) - 1 == 2 * len(before.turns)
