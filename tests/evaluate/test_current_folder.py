"""Commands in a folder whose Python files bear the names of modules: one's own notebook's, or a stranger's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from brefine.config import prepared_corpus_path
from brefine.phasedir import PhaseDir

_BAITS = ("brefine", "grp", "queue", "random", "soundfile", "torch")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Each of its modules notes that it was run, and fails."""
    made = tmp_path / "notebooks"
    made.mkdir()
    for name in _BAITS:
        (made / f"{name}.py").write_text(
            f"open({str(tmp_path / 'run')!r}, 'a').write({name!r})\nraise SystemExit('it was run')\n"
        )
    return made


@pytest.mark.end_to_end
@pytest.mark.parametrize("command", ["score", "refine", "watch", "doctor"])
def test_no_file_of_the_current_folder_is_run(phase: PhaseDir, folder: Path, tmp_path: Path, command: str) -> None:
    """The command does its work there as anywhere else; so do the processes that it starts."""
    split = prepared_corpus_path(phase.load_config()) / "validation"
    words = {
        "score": ["--reference", split / "reference", "--hypothesis", split / "hypothesis"],
        "refine": [split / "audio" / "rec2.flac", split / "hypothesis" / "rec2.rttm", "-o", "out.rttm"],
        "watch": [phase.path, "--once"],
        "doctor": ["--json"],
    }[command]
    # As the console script `brefine`: Python searches the script's folder then, not this one.
    started = [sys.executable, "-P", "-m", "brefine", command, *map(str, words)]
    ended = subprocess.run(started, cwd=folder, capture_output=True, text=True, check=False)
    assert not (tmp_path / "run").exists()
    assert ended.returncode == 0 or command == "doctor", ended.stderr
    assert "the process gave no answer" not in ended.stdout
