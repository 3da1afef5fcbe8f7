"""Bad input is told in one message, with the right exit code, without a traceback, and no result is written or replaced."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

_RECIPES = Path(__file__).parents[2] / "configs"

BAD = [
    ("launch-phase3 --config missing.toml", 2, "there is no such recipe"),
    ("launch-phase3 --config torn.toml", 2, "this is not TOML"),
    ("launch-phase3 --config wrong.toml", 2, "train.epochz: there is no such key"),
    ("launch-phase3 --config wrong.toml", 2, "train.lr: input should be greater than 0 (got -1)"),
    ("launch-phase3 --config good.toml --models gru", 2, "these are not models of the recipe"),
    ("launch-phase3 --config good.toml --set train.lr", 2, "an override must read key=value"),
    ("prepare nowhere --gate folder", 2, "there is no such corpus (expected simulated, voxconverse or a folder, got nowhere)"),
    ("prepare folder --gate nowhere", 1, "nowhere"),
    ("prepare folder", 2, "--gate: a folder corpus needs a second folder, for the gate (expected --gate DIR)"),
    ("prepare folder --config good.toml", 2, "--gate: a folder corpus needs a second folder, for the gate"),
    ("prepare simulated --gate folder", 2, "--gate: only a folder corpus takes a second folder for the gate"),
    ("prepare simulated --audio-from folder", 2, "--audio-from: only VoxConverse is downloaded"),
    ("prepare folder --gate folder --audio-from folder", 2, "--audio-from: only VoxConverse is downloaded"),
    ("prepare voxconverse --audio-from nowhere", 1, "nowhere: there is no such folder of audio"),
    ("score --reference broken.rttm --hypothesis broken.rttm", 1, "line 2: the duration 'x' is not a number of seconds"),
    ("score --reference broken.rttm --hypothesis broken.rttm", 1, "line 3: the line starts with"),
    ("headroom --reference nowhere --hypothesis broken.rttm", 1, "nowhere"),
    ("watch folder", 1, "there is nothing to watch"),
    ("watch nowhere", 1, "there is no such phase"),
    ("gate4 folder", 1, "this is not a phase directory"),
    ("gate4 --answer go-on=perhaps", 1, "there is no phase yet"),
    ("resume folder", 1, "this is not a phase directory"),
    ("refine missing.wav broken.rttm -o out.rttm", 1, "there is no such audio"),
    ("refine noise.wav broken.rttm -o out.rttm", 1, "broken lines"),
    ("refine noise.wav good.rttm -o good.rttm", 1, "would replace the input"),
    ("refine noise.wav good.rttm -o good.toml", 1, "it is left alone"),
    ("refine noise.wav good.rttm -o /proc/x.rttm", 1, "/proc/x.rttm: the output cannot be written"),
    ("refine noise.wav good.rttm -o out.rttm --report noise.wav", 1, "would replace the input"),
    ("refine noise.wav good.rttm -o out.rttm --report good.rttm", 1, "would replace the input"),
    ("refine noise.wav good.rttm -o out.rttm --report out.rttm", 1, "two outputs would go to the same file"),
    ("refine noise.wav good.rttm -o out.rttm --report good.toml", 1, "is no report"),
    ("calibrate noise.wav good.rttm good.rttm -o good.rttm", 1, "would replace the input"),
    ("diarize circle.wav -o out.rttm", 1, "circle.wav: there is no such audio"),
    ("train --run-dir circle.wav", 1, "circle.wav: this is not a run directory"),
    ("diarize noise.wav -o /proc/x.rttm", 1, "/proc/x.rttm: the output cannot be written"),
    (
        "headroom --reference broken.rttm --hypothesis good.rttm --plot charts.png",
        2,
        "an HTML page is written: give a name that ends in .html",
    ),
    (
        "headroom --reference good.rttm --hypothesis good.rttm --plot good.rttm",
        2,
        "an HTML page is written: give a name that ends in .html",
    ),
    ("headroom --reference turns.html --hypothesis good.rttm --plot turns.html", 1, "would replace the input"),
    ("headroom --reference good.rttm --hypothesis good.rttm --plot notes.html", 1, "is no page"),
    ("report nowhere -o report.pdf", 2, "an HTML page is written: give a name that ends in .html"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with some good and some bad files."""
    demo = (_RECIPES / "demo.toml").read_text()
    line = "SPEAKER a 1 0.0 1.0 <NA> <NA> s <NA> <NA>\n"
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "silent.rttm").touch()
    (tmp_path / "good.toml").write_text(demo)
    (tmp_path / "torn.toml").write_text(demo[: demo.index("[train]") + 4])
    (tmp_path / "wrong.toml").write_text(demo.replace("epochs = 6", "epochz = 6").replace("lr = 2e-3", "lr = -1"))
    (tmp_path / "good.rttm").write_text(line)
    (tmp_path / "turns.html").write_text(line)
    (tmp_path / "notes.html").write_text("# notes\n")
    (tmp_path / "broken.rttm").write_text(line + line.replace("1.0", "x") + "GARBAGE\n")
    (tmp_path / "circle.wav").symlink_to(tmp_path / "circle.wav")
    (tmp_path / "noise.wav").write_bytes(b"RIFF of nothing")
    return tmp_path


_FIRST = {words.split()[0]: words for words, _, _ in reversed(BAD)}
"""Command → its first words above. These are given to processes, which load torch; all others are tried in this one."""


@pytest.mark.parametrize(("words", "code", "told"), BAD)
def test_bad_input_ends_with_a_message_and_changes_nothing(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    brefine_here: Callable[..., int],
    words: str,
    code: int,
    told: str,
) -> None:
    """One message on stderr, nothing on stdout, every file as it was and none more."""
    before = _content(folder)
    monkeypatch.chdir(folder)
    command = words.split()
    if words == _FIRST[command[0]]:
        ended = subprocess.run([sys.executable, "-m", "brefine", *command], check=False).returncode
    else:
        ended = brefine_here(*command)
    out, err = capfd.readouterr()
    assert (ended, out) == (code, ""), err
    assert told in err
    assert "Traceback" not in err
    assert _content(folder) == before


def _content(folder: Path) -> dict[Path, bytes]:
    """All files but the lock of a corpus that was to be prepared."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}
