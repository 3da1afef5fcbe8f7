"""A gate on a corpus of one's own, by real processes: honest files are judged, and files that were tampered with are not."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from brefine.core.turns import Diarization
from brefine.io.rttm import read_rttm, write_rttm
from brefine.phasedir import GateRecord, IntegrationReport, PhaseDir
from tests.end_to_end.test_road import Folder
from tests.tiny_corpus import RATE_HZ, disturbed, draw_reference, render

pytestmark = pytest.mark.end_to_end

_RECIPE = """schema = 1
name = "own"
[corpus]
kind = "folder"
train = "mine/train"
gate = "mine/gate"
[hypothesis]
source = "folder"
[examples]
context_s = 0.64
[train]
epochs = 1
batch_size = 8
threads = 1
[models.mlp]
[budget]
ledger = "ledger.jsonl"
[gate]
mae_ms = 50.0
der_target = 0.9
min_recordings = 5
"""


@pytest.fixture(scope="module")
def gone(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """A folder in which `launch-phase3` went all the way on real recordings: real as far as brefine can tell."""
    path = tmp_path_factory.mktemp("own")
    rng = np.random.default_rng(0)
    names = {"high": "spk1", "low": "spk2"}
    for split, n in (("train", 3), ("gate", 5)):
        for name in (f"{split}{index}" for index in range(n)):
            drawn = draw_reference(name, rng)
            reference = Diarization(name, tuple(replace(turn, speaker=names[turn.speaker]) for turn in drawn.turns))
            folder = path / "mine" / split
            (folder / "audio").mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / "audio" / f"{name}.wav", render(drawn, rng), RATE_HZ)
            write_rttm(folder / "reference" / f"{name}.rttm", reference)
            write_rttm(folder / "hypothesis" / f"{name}.rttm", disturbed(reference, rng))
    (path / "own.toml").write_text(_RECIPE)
    folder = Folder(path)
    ended = folder.brefine("launch-phase3", "--config", "own.toml", "--plain", "--no-input")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return folder


def _judged(folder: Folder, *words: str) -> dict[str, dict[str, str]]:
    ended = folder.brefine("gate4", "--no-input", "--json", *words)
    document = json.loads(ended.stdout)
    assert (ended.returncode == 0) is (document["verdict"] == "pass")
    return {one["id"]: one for one in document["criteria"]} | {"all": document}


def test_honest_files_are_judged_by_their_figures(gone: Folder) -> None:
    """From training to integration every link of the chain holds: nothing is unknown, and only go-on waits for its answer."""
    found = _judged(gone)
    assert found["all"]["evidence"] == "real"
    assert found["all"]["notes"] == []
    assert (found["der-target"]["finding"], found["go-on"]["finding"]) == ("met", "unknown")
    assert {found[name]["finding"] for name in ("mae", "der")} <= {"met", "not-met"}


def test_files_that_were_tampered_with_are_not(gone: Folder) -> None:
    """A refined recording replaced by the truth, another checkpoint in place of the best: found, and forgotten once mended."""
    (path,) = (gone.path / "runs").iterdir()
    phase = PhaseDir(path)
    refined = phase.refined / "gate0.rttm"
    honest = refined.read_bytes()
    write_rttm(refined, read_rttm(gone.path / "mine/gate/reference/gate0.rttm")["gate0"])
    assert "were changed after the integration" in _judged(gone)["der"]["why"]
    refined.write_bytes(honest)
    best = phase.run("mlp").card("best")
    card = best.read_text()
    best.write_text(card.replace('"weights_sha256": "', '"weights_sha256": "0'))
    assert "the best checkpoint of mlp is not the one that was integrated" in _judged(gone)["mae"]["why"]
    best.write_text(card)
    assert _judged(gone)["mae"]["finding"] != "unknown"
    again = gone.brefine("integrate", "--json")
    assert again.returncode == 0, again.stderr
    assert len(IntegrationReport.read(phase.integration).looks) == 1
    assert GateRecord.read(phase.gate).verdict in ("open", "fail")
