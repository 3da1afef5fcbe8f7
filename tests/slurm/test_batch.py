"""Folders of recordings through an executor: interrupted anywhere, nothing is done twice and nothing is lost."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile

from brefine.errors import ConfigError, DataError
from brefine.io.rttm import read_rttm, write_rttm
from brefine.run.batch import Batch, Item, batch_folder, plan_items, write_batch
from tests.slurm.conftest import Cluster
from tests.tiny_corpus import disturbed, draw_reference, render

_SITE = """schema = 1
[corpus]
kind = "simulated"
[models.mlp]
[executor]
kind = "{kind}"
gpus = 0
cpus = 1
time_minutes = 5
checkpoint_ahead_s = 30
poll_s = 0.5
array_tasks = 2
"""


def make_recordings(folder: Path, n: int) -> None:
    """Audio and hypotheses of `n` recordings."""
    (folder / "audio").mkdir()
    for number in range(n):
        rng = np.random.default_rng(number)
        reference = draw_reference(f"talk{number}", rng)
        soundfile.write(folder / "audio" / f"talk{number}.flac", render(reference, rng), 16000, subtype="PCM_16")
        write_rttm(folder / "turns" / f"talk{number}.rttm", disturbed(reference, rng))


def refine(folder: Path, *, wait: bool = True) -> subprocess.Popen[str]:
    """`brefine refine` over the folder, in a process group of its own."""
    words = ("refine", "audio", "turns", "-o", "refined", "--config", "site.toml", "--device", "cpu")
    process = subprocess.Popen(
        [sys.executable, "-m", "brefine", *words],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    if wait:
        process.communicate(timeout=300)
    return process


def test_shares_have_nothing_in_common_and_leave_nothing_out(tmp_path: Path) -> None:
    """Whatever their number, and also after recordings have come to the list."""
    items = [Item(audio=f"{n}.wav", rttm=None, out=str(tmp_path / f"out/{n}.rttm")) for n in range(23)]
    for n_shares in (1, 4, 40):
        out = tmp_path / f"out{n_shares}"
        first = write_batch(out, "diarize", items[:9], ["--no-refine"], n_shares=n_shares)
        batch = write_batch(out, "diarize", items, ["--no-refine"], n_shares=7)
        shares = [batch.share(index) for index in range(batch.n_shares)]
        assert sorted(item.out for share in shares for item in share) == sorted(item.out for item in items)
        assert all(batch.share(index)[: len(first.share(index))] == first.share(index) for index in range(n_shares))


def test_one_folder_never_holds_the_output_of_two_settings(tmp_path: Path) -> None:
    """Other options, or RTTMs that no batch has written, are refused before anything runs."""
    items = [Item(audio="a.wav", rttm=None, out=str(tmp_path / "out/a.rttm"))]
    write_batch(tmp_path / "out", "diarize", items, ["--diarizer", "builtin"], n_shares=2)
    with pytest.raises(ConfigError, match="other settings"):
        write_batch(tmp_path / "out", "diarize", items, ["--diarizer", "pyannote"], n_shares=2)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.rttm").write_text("")
    with pytest.raises(DataError, match="there already"):
        write_batch(tmp_path / "mine", "diarize", [Item(audio="a", rttm=None, out=str(tmp_path / "mine/a.rttm"))], [], n_shares=1)


def test_recordings_without_audio_are_all_listed(tmp_path: Path) -> None:
    """Before anything runs, and with the name of each."""
    make_recordings(tmp_path, 3)
    for number in (0, 2):
        (tmp_path / "audio" / f"talk{number}.flac").unlink()
    with pytest.raises(DataError, match=r"talk0\.rttm.*\n.*talk2\.rttm"):
        plan_items(tmp_path / "audio", tmp_path / "turns", tmp_path / "refined")


@pytest.mark.end_to_end
def test_an_array_refines_every_recording_once_and_names_those_it_cannot(tmp_path: Path, cluster: Cluster) -> None:
    """A broken file costs nobody else anything; mended, the same command does it alone."""
    make_recordings(tmp_path, 5)
    (tmp_path / "site.toml").write_text(_SITE.format(kind="slurm"))
    good = (tmp_path / "audio" / "talk3.flac").read_bytes()
    (tmp_path / "audio" / "talk3.flac").write_bytes(b"not audio")
    assert refine(tmp_path).returncode == 1
    refined = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "refined").iterdir()}
    assert sorted(refined) == [f"talk{number}.rttm" for number in (0, 1, 2, 4)]
    folder = batch_folder(tmp_path / "refined")
    assert [path.name for path in (folder / "failed").iterdir()] == ["talk3.txt"]
    words = "".join(path.read_text() for path in (folder / "logs").iterdir())
    assert sorted(re.findall(r"^(talk\d): \d+ of \d+ boundaries moved", words, re.MULTILINE)) == [
        "talk0", "talk1", "talk2", "talk4",
    ]  # fmt: skip
    (tmp_path / "audio" / "talk3.flac").write_bytes(good)
    assert refine(tmp_path).returncode == 0
    assert {name: (tmp_path / "refined" / name).stat().st_mtime_ns for name in refined} == refined
    assert read_rttm(tmp_path / "refined" / "talk3.rttm")


@pytest.mark.end_to_end
def test_a_killed_run_goes_on_with_what_is_left(tmp_path: Path) -> None:
    """What lay in the output folder before the kill is whole and is not touched again."""
    make_recordings(tmp_path, 12)
    (tmp_path / "site.toml").write_text(_SITE.format(kind="local"))
    process = refine(tmp_path, wait=False)
    deadline_s = time.monotonic() + 300.0
    while not list(tmp_path.glob("refined/*.rttm")):
        assert time.monotonic() < deadline_s
        time.sleep(0.005)
    own = Batch.read(batch_folder(tmp_path / "refined") / "batch.json")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    for share in psutil.process_iter(["cmdline"]):  # in a session of its own
        if str(tmp_path) in " ".join(share.info["cmdline"] or []):
            with contextlib.suppress(psutil.NoSuchProcess):  # it may end by itself meanwhile
                for child in (*share.children(recursive=True), share):
                    child.kill()
                    child.wait()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("refined/*.rttm")}
    assert all(read_rttm(path) for path in before)
    assert refine(tmp_path).returncode == 0
    assert len(list(tmp_path.glob("refined/*.rttm"))) == len(own.items) == 12
    assert {path: path.stat().st_mtime_ns for path in before} == before
