"""DiariZen through its subprocess: a package that behaves like it stands in its place, found the way the real one is."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from brefine.config import ExampleConfig, FeatureConfig
from brefine.core.turns import Turn
from brefine.diarizers.diarizen import DiarizenDiarizer
from brefine.diarizers.diarizen_environment import inspect_environment, judge_environment
from brefine.errors import DataError, ProcessError
from brefine.models import build_model
from brefine.models.weights import save_weights

_FAKE = Path(__file__).parent / "fake_diarizen"
_WHOLE = {
    "python": "3.10.14",
    "versions": {
        "torch": "2.5.1+cu124", "torchaudio": "2.5.1+cu124", "numpy": "1.26.4", "setuptools": "75.0",
        "pyannote.audio": "3.1.1", "diarizen": "0.0.1",
    },
    "fork": True,
    "error": None,
}  # fmt: skip


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> str:
    """The interpreter of an environment in which DiariZen is installed."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(_FAKE), *sys.path[:1]]))
    return sys.executable


@pytest.fixture
def hub(tmp_path: Path) -> str:
    """A local hub folder."""
    for name in ("config.toml", "pytorch_model.bin", "pyannote-embedding/pytorch_model.bin"):
        path = tmp_path / "hub" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return str(tmp_path / "hub")


def _audio(folder: Path, name: str = "talk.wav", duration_s: float = 2.0) -> Path:
    path = folder / name
    soundfile.write(path, np.zeros(round(16000 * duration_s), np.float32), 16000)
    return path


def test_its_turns_come_back_valid_and_within_the_audio(installed: str, hub: str, tmp_path: Path) -> None:
    """Labels become speakers, nested turns of one speaker one turn, what runs past the end is cut; the path may be text."""
    with DiarizenDiarizer.find(installed, hub) as diarizer:
        found = diarizer.diarize(str(_audio(tmp_path)))
    assert found.recording == "talk"
    assert found.turns == (Turn(0.0, 1.0, "speaker00"), Turn(0.9, 2.0, "speaker01"))


def test_its_votes_are_confidence(installed: str, hub: str, tmp_path: Path) -> None:
    """A turn is as certain as the share of chunks that hear its speaker during it, an end as what of it changes there."""
    with DiarizenDiarizer.find(installed, hub) as diarizer:
        voted = diarizer.diarize_voted(_audio(tmp_path))
    assert voted.confidence is not None
    first, second = voted.confidence
    assert (first.turn, first.onset, first.offset) == pytest.approx((1.0, 1.0, 1.0), abs=0.03)
    assert second.turn == pytest.approx(1.0 / 1.1, abs=0.03)  # its votes begin 0.1 s after it
    assert (second.onset, second.offset) == pytest.approx((0.0, 1.0), abs=0.03)


def test_its_confidence_stays_with_the_turns(
    installed: str, hub: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], brefine_here: Callable[..., int]
) -> None:
    """`brefine diarize` writes it as the ninth field and tells it, with that of the ends, in its JSON; refining keeps it."""
    features, examples = FeatureConfig(n_mels=20), ExampleConfig(context_s=0.64)
    save_weights(tmp_path / "w.safetensors", "mlp", build_model("mlp", features, examples).state_dict(), features, examples)
    chosen = ["--diarizer", "diarizen", "--diarizer-python", installed, "--diarizer-model", hub]
    refining = ["--weights", tmp_path / "w.safetensors"]
    assert brefine_here("diarize", _audio(tmp_path), "-o", tmp_path / "talk.rttm", *chosen, *refining, "--json") == 0
    (told,) = json.loads(capsys.readouterr().out)["recordings"]
    lines = [line.split() for line in (tmp_path / "talk.rttm").read_text().splitlines()]
    assert [(line[7], float(line[8])) for line in lines] == [(one["speaker"], one["turn"]) for one in told["confidence"]]
    assert told["confidence"][0]["turn"] > 0.97
    assert told["confidence"][1].keys() == {"onset_s", "offset_s", "speaker", "turn", "onset", "offset"}


def test_its_steps_are_told(installed: str, hub: str, tmp_path: Path) -> None:
    """Loading is progress too: it takes longest."""
    steps: list[str] = []
    with DiarizenDiarizer.find(installed, hub) as diarizer:
        diarizer.diarize(_audio(tmp_path), report=lambda step, done, total: steps.append(step))
    assert steps  # what is told between two looks may be missed
    assert set(steps) <= {
        "loading DiariZen", "finding who speaks in each chunk", "reading the voices", "telling the voices apart",
    }  # fmt: skip


def test_one_process_serves_many_recordings(installed: str, hub: str, tmp_path: Path) -> None:
    """A recording that fails fails alone, in DiariZen's words; the next one is diarized by the same process."""
    with DiarizenDiarizer.find(installed, hub) as diarizer:
        with pytest.raises(ProcessError, match="the fake cannot read this"):
            diarizer.diarize(_audio(tmp_path, "broken.wav"))
        assert len(diarizer.diarize(_audio(tmp_path)).turns) == 2


def test_a_dead_process_is_an_error_and_not_a_wait(installed: str, hub: str, tmp_path: Path) -> None:
    """Its exit code and last words are passed on, and the next recording starts a new process."""
    with DiarizenDiarizer.find(installed, hub) as diarizer:
        with pytest.raises(ProcessError, match=r"exit code 3") as failure:
            diarizer.diarize(_audio(tmp_path, "crash.wav"))
        assert "Loaded configuration" in str(failure.value)
        assert len(diarizer.diarize(_audio(tmp_path)).turns) == 2


def test_a_model_that_cannot_be_loaded_says_why(installed: str, hub: str, tmp_path: Path) -> None:
    """The error of the load reaches the user."""
    diarizer = DiarizenDiarizer.find(installed, hub)
    (Path(hub) / "config.toml").unlink()
    with pytest.raises(ProcessError, match="AssertionError"):
        diarizer.diarize(_audio(tmp_path))


def test_audio_that_cannot_be_read_starts_nothing(installed: str, hub: str, tmp_path: Path) -> None:
    """The same error as everywhere else in brefine."""
    with DiarizenDiarizer.find(installed, hub) as diarizer, pytest.raises(DataError, match="no such audio file"):
        diarizer.diarize(tmp_path / "nothing.wav")


def test_an_environment_without_it_lists_what_is_missing() -> None:
    """brefine's own environment cannot run DiariZen: each fault is named with the line that mends it."""
    found = inspect_environment(sys.executable)
    assert not found.usable
    assert any("DiariZen is missing" in problem for problem in found.problems)
    assert any("DiariZen/pyannote-audio" in line for line in found.install)
    with pytest.raises(ProcessError, match="DiariZen cannot run"):
        DiarizenDiarizer.find(sys.executable, None)


@pytest.mark.parametrize("python", [None, "/nowhere/bin/python", "~nobody-of-this-name/bin/python"])
def test_without_an_interpreter_the_way_to_one_is_shown(python: str | None) -> None:
    """From nothing to an environment, line by line."""
    found = inspect_environment(python)
    assert not found.usable
    assert found.install[0] == "python3.11 -m venv diarizen-env"
    with pytest.raises(ProcessError, match=f"^{re.escape(python or 'diarizer.python')}: DiariZen cannot run[\\s\\S]*venv"):
        DiarizenDiarizer.find(python, None)


def test_a_whole_environment_has_no_faults(hub: str) -> None:
    """Local builds of torch count by their version."""
    assert judge_environment("python", _WHOLE).usable
    assert judge_environment("python", _WHOLE, hub).usable
    assert judge_environment("python", _WHOLE, "BUT-FIT/diarizen-wavlm-large-s80-md").usable


@pytest.mark.parametrize(
    ("package", "version", "problem", "line"),
    [
        ("torch", "2.6.0", "torch is 2.6.0", "torch==2.5.1"),
        ("torch", None, "torch is missing", "torch==2.5.1"),
        ("torchaudio", "2.4.0", "torchaudio is 2.4.0, 2.5.1 is needed", "torchaudio==2.5.1"),
        ("torchaudio", None, "torchaudio is missing, 2.5.1 is needed", "torchaudio==2.5.1"),
        ("numpy", "2.1.0", "numpy is 2.1.0", "numpy==1.26.4"),
        ("numpy", None, "numpy is missing", "numpy==1.26.4"),
        ("setuptools", "82.0.1", "setuptools is 82.0.1", '"setuptools<82"'),
        ("setuptools", None, "setuptools is missing", '"setuptools<82"'),
        ("pyannote.audio", None, "pyannote.audio is missing, DiariZen's own fork", "./DiariZen/pyannote-audio"),
        ("diarizen", None, "DiariZen is missing", "-e ./DiariZen"),
    ],
)
def test_each_fault_has_its_own_line(package: str, version: str | None, problem: str, line: str) -> None:
    """Only what is wrong is to be installed."""
    found = judge_environment("python", {**_WHOLE, "versions": {**_WHOLE["versions"], package: version}})  # type: ignore[dict-item]
    assert not found.usable
    assert len(found.problems) == 1
    assert problem in found.problems[0]
    assert line in found.install[-1]
    clone = ["git clone https://github.com/BUTSpeechFIT/DiariZen"]
    assert list(found.install[:-1]) == (clone if "./DiariZen" in line else [])


@pytest.mark.parametrize(("python", "usable"), [("3.9.18", False), ("3.10.0", True), ("3.11.9", True), ("3.12.0", False)])
def test_another_python_needs_an_environment_of_its_own(python: str, usable: bool) -> None:
    """DiariZen runs under two versions; whichever other it is, is told with the line that makes one of them."""
    found = judge_environment("python", {**_WHOLE, "python": python})
    assert found.usable == usable
    assert found.problems == (() if usable else (f"Python is {python}, 3.10 or 3.11 is needed",))
    assert found.install == (() if usable else ("python3.11 -m venv diarizen-env",))


def test_what_its_import_misses_is_to_be_installed() -> None:
    """DiariZen's package declares none of what it imports: the import itself is the check, and its pins stay in place."""
    found = judge_environment("python", {**_WHOLE, "error": "ModuleNotFoundError: No module named 'accelerate'"})
    assert "accelerate" in found.problems[0]
    assert found.install[-1].endswith("torchaudio==2.5.1 accelerate")


def test_an_import_that_fails_for_what_is_told_already_is_not_told_beside_it() -> None:
    """A torch that is too new breaks it: that is the fault. Of an import that fails for itself, a look is advised."""
    newer, broken = {**_WHOLE["versions"], "torch": "2.6.0", "torchaudio": "2.6.0"}, "OSError: libcudart"  # type: ignore[dict-item]
    found = judge_environment("python", {**_WHOLE, "versions": newer, "error": broken})
    assert found.problems == ("torch is 2.6.0, < 2.6 is needed",)
    alone = judge_environment("python", {**_WHOLE, "error": broken})
    assert alone.problems == ("its import fails: OSError: libcudart",)
    assert alone.install == ("python -c 'import diarizen.pipelines.inference' shows where",)


@pytest.mark.parametrize(("says", "words"), [("exit 1", "no word"), ("echo first >&2; echo last >&2", "last")])
def test_what_is_no_interpreter_is_told_in_its_last_words(tmp_path: Path, says: str, words: str) -> None:
    """It was started, and has not answered."""
    script = tmp_path / "python"
    script.write_text(f"#!/bin/sh\n{says}\n")
    script.chmod(0o755)
    found = inspect_environment(str(script))
    assert not found.usable
    assert found.problems == (f"the interpreter cannot be asked: {words}",)


def test_the_index_s_pyannote_is_not_its_fork() -> None:
    """The same name and version, but another constructor."""
    found = judge_environment("python", {**_WHOLE, "fork": False})
    assert "own fork" in found.problems[0]


def test_a_folder_that_is_no_hub_folder_is_refused(tmp_path: Path) -> None:
    """What it lacks is named."""
    found = judge_environment("python", _WHOLE, str(tmp_path))
    assert found.problems == (f"{tmp_path} lacks config.toml and pytorch_model.bin",)
    (tmp_path / "config.toml").write_text("")
    assert judge_environment("python", _WHOLE, str(tmp_path)).problems == (f"{tmp_path} lacks pytorch_model.bin",)


@pytest.mark.parametrize("model", ["./hub", "/hub", "~nobody-of-this-name/hub", "hub", "a/b/c"])
def test_a_model_that_is_nowhere_is_told_before_it_is_loaded(model: str) -> None:
    """A path where nothing is, or a name without an owner: no hub can have it."""
    found = judge_environment("python", _WHOLE, model)
    assert found.problems == (f"{model} is neither a folder nor a hub id (owner/name)",)
