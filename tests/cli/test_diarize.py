"""`brefine diarize`: the built-in diarizer and a refiner, once as the processes that they are."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from typer.testing import CliRunner

from brefine.cli import app
from brefine.cli.diarize import _kept_if_unrefined
from brefine.config import ExampleConfig, FeatureConfig
from brefine.diarizers.__main__ import plan_jobs
from brefine.errors import BrefineError, CheckpointError, FormatError
from brefine.io.rttm import read_rttm
from brefine.io.shipped import shipped_weights
from brefine.models import build_model
from brefine.models.weights import save_weights
from tests.evaluate.conftest import save_calibration

_RECIPES = Path(__file__).parents[2] / "configs"


def _save_untrained(weights: Path) -> None:
    features, examples = FeatureConfig(n_mels=20), ExampleConfig(context_s=0.64)
    torch.manual_seed(0)
    save_weights(weights, "mlp", build_model("mlp", features, examples).state_dict(), features, examples)


@pytest.mark.end_to_end
def test_the_refiner_follows_the_diarizer(tmp_path: Path, shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder is diarized and refined; stdout tells both in one JSON document; what cannot be done costs the others nothing."""
    (tmp_path / "scratch").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    _save_untrained(tmp_path / "w.safetensors")
    audio = tmp_path / "talks"
    audio.mkdir()
    samples, rate_hz = soundfile.read(shared_data / "ami" / "audio" / "trn08.flac")
    soundfile.write(audio / "talk.wav", samples[: 10 * rate_hz], rate_hz)
    soundfile.write(audio / "quiet.wav", np.zeros(rate_hz), rate_hz)
    soundfile.write(audio / "holes.wav", np.full(rate_hz, np.nan), rate_hz, subtype="FLOAT")
    words = ("diarize", audio, "-o", tmp_path / "out", "--weights", tmp_path / "w.safetensors", "--json")
    command = [sys.executable, "-m", "brefine", *map(str, words)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1, ended.stderr
    assert "holes.wav: the audio holds samples that are not finite" in ended.stderr
    told = {one["recording"]: one for one in json.loads(ended.stdout)["recordings"]}
    assert sorted(told) == ["quiet", "talk"]
    assert told["talk"]["refined"]["boundaries"] == 2 * told["talk"]["turns"] > 0
    assert told["talk"]["rttm"] == str(tmp_path / "out" / "talk.rttm")
    assert read_rttm(tmp_path / "out" / "talk.rttm")["talk"].turns
    assert read_rttm(tmp_path / "out" / "quiet.rttm") == {}
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_calibration_reaches_the_refiner(tmp_path: Path, shared_data: Path, brefine_here: Callable[..., int]) -> None:
    """One command with it writes what the diarizer alone and `refine` with it write, and something else than without."""
    samples, rate_hz = soundfile.read(shared_data / "ami" / "audio" / "trn08.flac")
    soundfile.write(tmp_path / "talk.wav", samples[: 10 * rate_hz], rate_hz)
    weights, calibration = tmp_path / "w.safetensors", tmp_path / "mine.json"
    _save_untrained(weights)
    save_calibration(calibration, weights)
    refining = ["--weights", weights, "--calibration", calibration]
    for out, options in (("once", refining), ("uncalibrated", refining[:2]), ("turns", ["--no-refine"])):
        assert brefine_here("diarize", tmp_path / "talk.wav", "-o", tmp_path / f"{out}.rttm", *options) == 0
    assert brefine_here("refine", tmp_path / "talk.wav", tmp_path / "turns.rttm", "-o", tmp_path / "twice.rttm", *refining) == 0
    once, uncalibrated, twice = ((tmp_path / f"{out}.rttm").read_text() for out in ("once", "uncalibrated", "twice"))
    assert once == twice != uncalibrated


def test_a_calibration_goes_with_every_way_to_diarize(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is not there is told before a diarizer has worked for hours; a batch hands it on."""
    (tmp_path / "talk.wav").touch()
    given = ["diarize", str(tmp_path), "-o", str(tmp_path / "out"), "--calibration", str(tmp_path / "mine.json")]
    assert CliRunner().invoke(app, given).exit_code == 2
    save_calibration(tmp_path / "mine.json", shipped_weights())
    batches: list[tuple[object, ...]] = []
    monkeypatch.setattr("brefine.cli.batches.go_through", lambda *words: batches.append(words) or 3)
    assert CliRunner().invoke(app, [*given, "--config", str(_RECIPES / "mlp.toml")]).exit_code == 3
    assert batches[0][4] == ["--diarizer", "builtin", "--calibration", str(tmp_path / "mine.json")]


def test_a_file_that_is_no_fitting_calibration_is_refused_before_the_diarizer_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recipe, a document of another kind, one of other weights, in one piece or as a batch; not where nothing is refined."""
    started: list[str] = []
    monkeypatch.setattr("brefine.cli.diarize.run_worker", lambda module, *_, **__: started.append(module) or 3)
    monkeypatch.setattr("brefine.cli.batches.go_through", lambda *_: started.append("batch") or 3)
    (tmp_path / "talk.wav").touch()
    weights, other = tmp_path / "w.safetensors", tmp_path / "other.json"
    _save_untrained(weights)
    save_calibration(other, shipped_weights())
    given = ["diarize", str(tmp_path / "talk.wav"), "-o", str(tmp_path / "out.rttm"), "--weights", str(weights)]
    batch = ["--config", str(_RECIPES / "mlp.toml")]
    for calibration, message in (
        (_RECIPES / "mlp.toml", "this is not JSON"),
        (weights.with_suffix(".json"), "not a valid Calibration"),
        (other, "the calibration was made with other weights"),
    ):
        for options in ([], batch):
            refused = CliRunner().invoke(app, [*given, "--calibration", str(calibration), *options]).exception
            assert isinstance(refused, FormatError)
            assert message in str(refused)
    assert started == []
    save_calibration(other, weights)
    weights.with_suffix(".json").write_text("of other weights")  # the card inside the weights decides
    for options in ([], batch, ["--no-refine"]):
        assert CliRunner().invoke(app, [*given, "--calibration", str(other), *options]).exit_code == 3
    assert started == ["brefine.diarizers", "batch", "brefine.diarizers"]


def test_weights_that_cannot_be_used_are_refused_before_the_diarizer_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Torn or of somebody else, in one piece or as a batch, and by a batch of `refine`; not where nothing is refined."""
    started: list[str] = []
    monkeypatch.setattr("brefine.cli.diarize.run_worker", lambda module, *_, **__: started.append(module) or 3)
    monkeypatch.setattr("brefine.cli.batches.go_through", lambda *_: started.append("batch") or 3)
    talk, torn = tmp_path / "talk.wav", tmp_path / "torn.safetensors"
    talk.touch()
    torn.write_bytes(shipped_weights().read_bytes()[:1000])
    batch = ["--config", str(_RECIPES / "mlp.toml")]
    diarize, refine = ["diarize", str(talk), "-o", str(tmp_path / "out.rttm")], ["refine", str(talk), str(talk), *batch]
    for weights in (torn, talk):
        for words in (diarize, [*diarize, *batch], refine):
            assert isinstance(CliRunner().invoke(app, [*words, "--weights", str(weights)]).exception, CheckpointError)
    assert started == []
    assert CliRunner().invoke(app, [*diarize, "--no-refine", "--weights", str(torn)]).exit_code == 3


def test_turns_that_were_not_refined_are_kept(
    tmp_path: Path,
    shared_data: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    brefine_here: Callable[..., int],
) -> None:
    """Weights with a spoiled number, found after a diarizer's hours: the command that is told goes on once they are mended."""
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    samples, rate_hz = soundfile.read(shared_data / "ami" / "audio" / "trn08.flac")
    soundfile.write(tmp_path / "my talk.wav", samples[: 10 * rate_hz], rate_hz)
    weights, out = tmp_path / "my w.safetensors", tmp_path / "new.rttm"
    _save_untrained(weights)
    sound = weights.read_bytes()
    weights.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    assert brefine_here("diarize", tmp_path / "my talk.wav", "-o", out, "--weights", weights) == 1
    assert not out.exists()
    words = shlex.split(capsys.readouterr().err.rsplit("to refine them: ", 1)[1])
    assert words[-2:] == ["--weights", str(weights)]  # no others in silence
    weights.write_bytes(sound)
    assert (words[0], brefine_here(*words[1:])) == ("brefine", 0)
    assert [len(one.turns) > 0 for one in read_rttm(out).values()] == [True]


def test_the_command_that_goes_on_takes_names_that_start_with_a_dash(capsys: pytest.CaptureFixture[str]) -> None:
    """It can be typed as it stands."""
    with _kept_if_unrefined(Path("-t.wav"), Path("-x.rttm"), []) as turns:
        (turns / "-t.rttm").touch()
    shutil.rmtree(turns)
    assert capsys.readouterr().err.endswith(f": brefine refine ./-t.wav {turns}/-t.rttm -o ./-x.rttm\n")


def test_missing_audio_ends_with_a_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], brefine_here: Callable[..., int]
) -> None:
    """The worker's words and exit code reach the user; stdout stays empty."""
    assert brefine_here("diarize", tmp_path / "none.wav", "-o", tmp_path / "out.rttm", "--json") == 1
    out, err = capsys.readouterr()
    assert "there is no such audio" in err
    assert out == ""


def test_an_output_that_ends_in_a_slash_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that is not there yet, of `diarize` and of `refine`."""
    asked: list[tuple[object, ...]] = []

    def note(module: str, *arguments: object, **_: object) -> int:
        asked.append(arguments)
        return 3

    (tmp_path / "talk.wav").touch()
    for command in ("diarize", "refine"):
        monkeypatch.setattr(f"brefine.cli.{command}.run_worker", note)
        given = [str(tmp_path / name) for name in ("talk.wav", "talk.rttm")][: 1 if command == "diarize" else 2]
        options = ["--no-refine"] if command == "diarize" else []
        assert CliRunner().invoke(app, [command, *given, "-o", f"{tmp_path}/new/", *options]).exit_code == 3
    outs = [arguments[arguments.index("-o") + 1] for arguments in asked]
    assert outs == [tmp_path / "new" / "talk.rttm"] * 2


def test_audio_is_never_replaced_by_its_turns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], brefine_here: Callable[..., int]
) -> None:
    """Refused before anything is heard, also where the audio is not one: the name alone decides."""
    (tmp_path / "talk.wav").write_text("not even audio")
    assert brefine_here("diarize", tmp_path / "talk.wav", "-o", f"{tmp_path}/./talk.wav") == 1
    assert "the output would replace the input" in capsys.readouterr().err
    assert (tmp_path / "talk.wav").read_text() == "not even audio"


def test_a_folder_of_audio_needs_a_folder_to_write_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of that name, be it an RTTM, is told as it was given, before anything is heard; the diarizer alone says the same."""
    monkeypatch.setattr("brefine.cli.diarize.run_worker", lambda *_, **__: pytest.fail("something was started"))
    talks, out = tmp_path / "talks", tmp_path / "out.rttm"
    talks.mkdir()
    (talks / "a.wav").touch()
    out.write_text("SPEAKER a 1 0 1 <NA> <NA> s <NA> <NA>\n")
    told = f"{out}: a folder to write into is needed here (expected a folder, got a file)\n  → give another -o"
    assert str(CliRunner().invoke(app, ["diarize", str(talks), "-o", str(out)]).exception) == told
    with pytest.raises(BrefineError) as refused:
        plan_jobs(talks, out)
    assert str(refused.value) == told


@pytest.mark.parametrize("audio", ["talk.wav", "."])
def test_notes_are_not_replaced_by_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, audio: str) -> None:
    """What is called *.rttm and is none is refused before a diarizer has worked for hours."""
    monkeypatch.setattr("brefine.cli.diarize.run_worker", lambda *_, **__: pytest.fail("something was started"))
    (tmp_path / "talk.wav").touch()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "talk.rttm").write_text("my notes")
    ended = CliRunner().invoke(app, ["diarize", str(tmp_path / audio), "-o", str(tmp_path / "out")])
    assert isinstance(ended.exception, BrefineError)
    assert "talk.rttm: the output exists and is no RTTM; it is left alone" in str(ended.exception)
    assert (tmp_path / "out" / "talk.rttm").read_text() == "my notes"
