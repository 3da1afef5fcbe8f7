"""Folders of recordings through an executor: interrupted anywhere, nothing is done twice and nothing is lost."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType, SimpleNamespace

import numpy as np
import psutil
import pytest
import soundfile

from brefine.cli.batches import go_through
from brefine.config import parse_config
from brefine.errors import ConfigError, DataError, ProcessError
from brefine.io.atomic import write_json_atomic
from brefine.io.lock import held
from brefine.io.rttm import read_rttm, write_rttm
from brefine.run import batch as batches
from brefine.run.batch import (
    Batch,
    Item,
    Stamp,
    at_work,
    batch_folder,
    plan_items,
    run_batch,
    share_lock,
    share_taken,
    write_batch,
)
from brefine.run.share import main as do_share
from brefine.run.supervision import Ended
from tests.evaluate.conftest import save_untrained
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


def make_recordings(folder: Path, n: int, *, first: int = 0) -> None:
    """Audio and hypotheses of `n` recordings."""
    (folder / "audio").mkdir(exist_ok=True)
    for number in range(first, first + n):
        rng = np.random.default_rng(number)
        reference = draw_reference(f"talk{number}", rng)
        soundfile.write(folder / "audio" / f"talk{number}.flac", render(reference, rng), 16000, subtype="PCM_16")
        write_rttm(folder / "turns" / f"talk{number}.rttm", disturbed(reference, rng))


def refine(folder: Path, *, wait: bool = True) -> subprocess.Popen[str]:
    """`brefine refine` over the folder with a small refiner, in a process group of its own."""
    weights = folder / "small.safetensors"
    if not weights.exists():
        save_untrained(weights, "mlp")
    words = ("refine", "audio", "turns", "-o", "refined", "--config", "site.toml", "--device", "cpu", "--weights", weights.name)
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


def test_what_is_refined_together_depends_on_the_list_alone(tmp_path: Path) -> None:
    """Not on the number of shares; and what comes to the list later is added to nothing that may be done already."""
    items = [Item(audio=f"{n}.wav", rttm=f"{n}.rttm", out=str(tmp_path / f"out/{n}.rttm")) for n in range(80)]
    for n_shares in (1, 3, 16):
        out = tmp_path / f"out{n_shares}"
        first = write_batch(out, "refine", items[:70], [], n_shares=n_shares)
        assert [item.handful for item in first.items] == [0] * 32 + [1] * 32 + [2] * 6
        batch = write_batch(out, "refine", items, [], n_shares=n_shares)
        assert batch.items[:70] == first.items
        assert [item.handful for item in batch.items[70:]] == [3] * 10
        handfuls = [handful for index in range(n_shares) for handful in batch.handfuls(index)]
        assert sorted(len(handful) for handful in handfuls) == [6, 10, 32, 32]


def test_one_folder_never_holds_the_output_of_two_settings(tmp_path: Path) -> None:
    """Other options, or RTTMs that no batch has written, are refused before anything runs."""
    items = [Item(audio="a.wav", rttm=None, out=str(tmp_path / "out/a.rttm"))]
    write_batch(tmp_path / "out", "diarize", items, ["--diarizer", "builtin"], n_shares=2)
    with pytest.raises(ConfigError, match="other settings"):
        write_batch(tmp_path / "out", "diarize", items, ["--diarizer", "pyannote"], n_shares=2)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.rttm").write_text("")
    with pytest.raises(DataError, match="exist already"):
        write_batch(tmp_path / "mine", "diarize", [Item(audio="a", rttm=None, out=str(tmp_path / "mine/a.rttm"))], [], n_shares=1)


def test_what_is_there_already_is_counted(tmp_path: Path) -> None:
    """The first are named, the others told by their number."""
    items = [Item(audio=f"{n}.wav", rttm=None, out=str(tmp_path / f"{n}.rttm")) for n in range(1500)]
    for item in items:
        Path(item.out).touch()
    with pytest.raises(DataError) as refused:
        write_batch(tmp_path, "diarize", items, [], n_shares=1)
    assert refused.value.problems == (*(item.out for item in items[:20]), "and 1,480 more")


def test_a_batch_is_looked_at_less_often_than_its_end_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten times a second on this machine, of thousands of recordings: and what is done is never looked for again."""
    items = [Item(audio=f"{n}.wav", rttm=None, out=str(tmp_path / f"{n}.rttm")) for n in range(5)]
    standing = batches._Standing(Batch(command="diarize", options=[], n_shares=1, key="k", items=items), tmp_path)
    clock, told, looked_for, exists = Clock(), list[str](), list[str](), Path.exists
    monkeypatch.setattr(batches, "time", clock)
    monkeypatch.setattr(Path, "exists", lambda path: (looked_for.append(path.name), exists(path))[1])

    def ended() -> Ended | None:
        if clock.now_s >= 1.0:
            (tmp_path / "0.rttm").touch()
        return Ended(0) if clock.now_s >= 5.0 else None

    batches._wait(SimpleNamespace(ended=ended), standing, told.append, every_s=0.1)
    assert told == ["0 of 5 recordings are done", "1 of 5 recordings are done"]
    assert [looked_for.count(f"{n}.rttm") for n in range(5)] == [2, 4, 4, 4, 4]  # at 0, 2, 4 and 5 s


class Clock:
    """Time that passes where somebody sleeps."""

    now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


def test_files_of_another_content_are_other_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights or a calibration under the same name, those that ship with brefine too, and another brefine."""
    items = [Item(audio="a.wav", rttm="a.rttm", out=str(tmp_path / "out/a.rttm"))]
    for name in ("mine.safetensors", "mine.json", "shipped.safetensors"):
        (tmp_path / name).write_text("as it was")
    monkeypatch.setattr("brefine.run.batch.shipped_weights", lambda: tmp_path / "shipped.safetensors")
    for name, *options in (
        ("mine.safetensors", "--weights", str(tmp_path / "mine.safetensors")),
        ("mine.json", "--calibration", str(tmp_path / "mine.json")),
        ("shipped.safetensors", "--device", "cpu"),
    ):
        out = tmp_path / f"out-{name}"
        for _ in range(2):
            write_batch(out, "refine", items, options, n_shares=1)
        (tmp_path / name).write_text("trained on")
        with pytest.raises(ConfigError, match=r"other settings(?s:.*)(weights|calibration) \w+(?s:.*)(weights|calibration) \w+"):
            write_batch(out, "refine", items, options, n_shares=1)
        (tmp_path / name).write_text("as it was")
        write_batch(out, "refine", items, options, n_shares=1)
    with pytest.raises(DataError, match="no such file"):
        write_batch(tmp_path / "out", "refine", items, ["--weights", str(tmp_path / "none.safetensors")], n_shares=1)
    monkeypatch.setattr("brefine.run.batch.metadata.version", lambda _: "9.9")
    with pytest.raises(ConfigError, match=r"brefine 9\.9"):
        write_batch(out, "refine", items, options, n_shares=1)


def test_a_diarizers_local_weights_count_and_the_refiners_only_where_it_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of weights is read, the name of a hub's is taken as it is; without a refiner its weights decide nothing."""
    items = [Item(audio="a.wav", rttm=None, out=str(tmp_path / "out/a.rttm"))]
    (tmp_path / "model" / "part").mkdir(parents=True)
    (tmp_path / "model" / "part" / "weights.bin").write_text("as they were")
    (tmp_path / "shipped.safetensors").write_text("as they were")
    monkeypatch.setattr("brefine.run.batch.shipped_weights", lambda: tmp_path / "shipped.safetensors")
    local, hub = (["--no-refine", "--diarizer-model", name] for name in (str(tmp_path / "model"), "somebody/diarizer"))
    write_batch(tmp_path / "local", "diarize", items, local, n_shares=1)
    write_batch(tmp_path / "hub", "diarize", items, hub, n_shares=1)
    (tmp_path / "shipped.safetensors").write_text("others")
    write_batch(tmp_path / "local", "diarize", items, local, n_shares=1)
    write_batch(tmp_path / "hub", "diarize", items, hub, n_shares=1)
    (tmp_path / "model" / "part" / "weights.bin").write_text("others")
    with pytest.raises(ConfigError, match="diarizer-model"):
        write_batch(tmp_path / "local", "diarize", items, local, n_shares=1)


def test_a_share_stops_where_the_weights_are_exchanged(tmp_path: Path) -> None:
    """Between two tasks, too: one that is started anew would go on with others."""
    (tmp_path / "mine.safetensors").write_text("as they were")
    items = [Item(audio="a.wav", rttm="a.rttm", out=str(tmp_path / "out/a.rttm"))]
    write_batch(tmp_path / "out", "refine", items, ["--weights", str(tmp_path / "mine.safetensors")], n_shares=1)
    (tmp_path / "mine.safetensors").write_text("others")
    with pytest.raises(ConfigError, match="other settings"):
        do_share([str(batch_folder(tmp_path / "out"))])
    assert not (batch_folder(tmp_path / "out") / "failed").exists()


def put_files(folder: Path, names: Sequence[str], *, content: str = "as it was") -> None:
    """Files that stand for audio and turns of these recordings."""
    for kind, suffix in (("audio", "flac"), ("turns", "rttm")):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for name in names:
            (folder / kind / f"{name}.{suffix}").write_text(content)


def list_folder(folder: Path, out: Path) -> Batch:
    """The batch of `refine` over the files of `put_files`."""
    return write_batch(out, "refine", plan_items(folder / "audio", folder / "turns", out), [], n_shares=1)


def test_results_are_never_taken_for_those_of_other_input(tmp_path: Path) -> None:
    """Recordings of equal names in other folders, or turns that were written anew in place, are refused and lose nothing."""
    out = tmp_path / "out"
    for name in ("one", "two"):
        put_files(tmp_path / name, ["a", "b"])
    begun = list_folder(tmp_path / "one", out)
    (out / "a.rttm").write_text("done")
    assert list_folder(tmp_path / "one", out) == begun
    with pytest.raises(DataError, match=r"other input\n.*a\.rttm: made from .*one/audio/a.flac, not from .*two/audio/a.flac"):
        list_folder(tmp_path / "two", out)
    (tmp_path / "one" / "turns" / "a.rttm").write_text("corrected")
    with pytest.raises(DataError, match=r"made before .*one/turns/a\.rttm was changed(?s:.*)another -o, or remove these results"):
        list_folder(tmp_path / "one", out)
    assert Batch.read(batch_folder(out) / "batch.json") == begun
    (out / "a.rttm").unlink()
    again = list_folder(tmp_path / "one", out)
    assert [was.difference(now) is None for was, now in zip(begun.items, again.items, strict=True)] == [False, True]


def test_a_folder_that_is_spelled_otherwise_is_the_same(tmp_path: Path) -> None:
    """From another folder, or through a link, the same files are the same input and results; changed ones are refused."""
    out, other = tmp_path / "out", tmp_path / "one" / ".." / "out"
    put_files(tmp_path / "one", ["a", "b"])
    (tmp_path / "link").symlink_to(tmp_path / "one")
    begun = list_folder(tmp_path / "one", out)
    (out / "a.rttm").write_text("done")
    assert list_folder(tmp_path / "link", out) == begun
    assert [Path(one.out).name for one in list_folder(tmp_path / "one", other).items] == ["a.rttm", "b.rttm"]
    (tmp_path / "one" / "turns" / "a.rttm").write_text("corrected")
    with pytest.raises(DataError, match=r"made before .*one/turns/a\.rttm was changed"):
        list_folder(tmp_path / "one", other)


def test_what_is_not_done_takes_the_input_that_is_given_now(tmp_path: Path) -> None:
    """A sound copy from another folder repairs what failed, in the same handful; what is done is left as it is."""
    out = tmp_path / "out"
    put_files(tmp_path / "all", ["a", "b"])
    put_files(tmp_path / "sound", ["b"])
    begun = list_folder(tmp_path / "all", out)
    (out / "a.rttm").write_text("done")
    a, b = list_folder(tmp_path / "sound", out).items
    assert a == begun.items[0]
    assert (b.audio, b.rttm) == (str(tmp_path / "sound/audio/b.flac"), str(tmp_path / "sound/turns/b.rttm"))
    assert (b.out, b.handful) == (begun.items[1].out, a.handful)


def test_the_input_of_what_is_worked_on_is_not_exchanged(tmp_path: Path) -> None:
    """The share would write what it has read of the old one, and nobody could tell."""
    out = tmp_path / "out"
    for name in ("one", "two"):
        put_files(tmp_path / name, ["a"])
    begun = list_folder(tmp_path / "one", out)
    with held(share_lock(batch_folder(out), 0)):
        assert list_folder(tmp_path / "one", out) == begun
        with pytest.raises(ProcessError, match="is working on recordings"):
            list_folder(tmp_path / "two", out)
    assert Batch.read(batch_folder(out) / "batch.json") == begun


def test_a_list_without_stamps_goes_on(tmp_path: Path) -> None:
    """Of a brefine that kept none: then the paths alone tell, and a file that cannot be asked is for its share to refuse."""
    out = tmp_path / "out"
    put_files(tmp_path / "one", ["a"])
    begun = list_folder(tmp_path / "one", out)
    old = begun.model_copy(update={"items": [Item(audio=one.audio, rttm=one.rttm, out=one.out) for one in begun.items]})
    tree = old.to_json()
    for item in tree["items"]:
        del item["audio_stamp"], item["rttm_stamp"]
    write_json_atomic(batch_folder(out) / "batch.json", tree)
    (out / "a.rttm").write_text("done")
    assert list_folder(tmp_path / "one", out) == old
    assert Stamp.of(tmp_path / "nowhere.flac") is None


def test_a_reason_names_the_recordings_own_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command has seen links, which are gone when somebody reads why; a name that another begins with is no part of it."""
    put_files(tmp_path, ["a", "b", "b.flac"])
    out = tmp_path / "out"
    list_folder(tmp_path, out)

    def cannot_do_b(audio: Path, turns: Path, made: Path) -> str:
        (made / "b.flac.rttm").touch()
        (made / "a.rttm").touch()
        told = f"{audio}/b.flac.flac: quiet\n"
        return told + f"brefine: {turns}/b.rttm: not {audio}/b.flac of {audio} ({made}/b.rttm)\n"

    monkeypatch.setattr("brefine.run.share.subprocess", fake_command(cannot_do_b))
    do_share([str(batch_folder(out))])
    audio, turns = tmp_path / "audio", tmp_path / "turns"
    words = f"{audio}/b.flac.flac: quiet\nbrefine: {turns}/b.rttm: not {audio}/b.flac of {audio} ({out}/b.rttm)\n"
    assert (batch_folder(out) / "failed" / "b.txt").read_text() == words
    assert words in capsys.readouterr().err


def test_a_share_clears_away_what_a_killed_one_has_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its scratch folder lies in the batch's, where whoever takes its lock finds it; another share's is left alone."""
    put_files(tmp_path, ["a"])
    out, left = tmp_path / "out", list[Path]()
    write_batch(out, "refine", plan_items(tmp_path / "audio", tmp_path / "turns", out), [], n_shares=2)
    scratch = batch_folder(out) / "scratch"
    for index in ("0", "1"):
        (scratch / index / "left" / "audio").mkdir(parents=True)
        (scratch / index / "left" / "audio" / "a.flac").symlink_to(tmp_path / "audio" / "a.flac")

    def look(audio: Path, turns: Path, made: Path) -> str:
        left.extend((scratch / "0").glob("left"))
        assert audio.is_relative_to(scratch / "0")
        (made / "a.rttm").touch()
        return ""

    monkeypatch.setattr("brefine.run.share.subprocess", fake_command(look))
    do_share([str(batch_folder(out)), "--part", "0/2"])
    assert left == []
    assert (out / "a.rttm").exists()
    assert [path.name for path in scratch.iterdir()] == ["1"]
    assert (scratch / "1" / "left" / "audio" / "a.flac").read_text() == "as it was"


def test_a_disk_without_links_is_given_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results may lie on a stick; whatever else keeps a link from being made is told."""
    put_files(tmp_path, ["a"])
    out, number = tmp_path / "out", errno.EPERM

    def refuse(link: Path, source: Path) -> None:
        raise OSError(number, os.strerror(number), str(link))

    def read(audio: Path, turns: Path, made: Path) -> str:
        (made / "a.rttm").write_text((audio / "a.flac").read_text() + (turns / "a.rttm").read_text())
        return ""

    monkeypatch.setattr(Path, "symlink_to", refuse)
    monkeypatch.setattr("brefine.run.share.subprocess", fake_command(read))
    list_folder(tmp_path, out)
    do_share([str(batch_folder(out))])
    assert (out / "a.rttm").read_text() == "as it wasas it was"
    (out / "a.rttm").unlink()
    number = errno.ENOSPC
    with pytest.raises(OSError, match="No space"):
        do_share([str(batch_folder(out))])


def fake_command(do: Callable[[Path, Path, Path], str]) -> SimpleNamespace:
    """In place of `subprocess`: a command that does this with its folders of audio, turns and results, and says what it tells."""

    def run(command: Sequence[str], **_: object) -> SimpleNamespace:
        audio, turns, _option, made = map(Path, command[command.index("refine") + 1 :][:4])
        words = do(audio, turns, made)
        complete = all((made / path.name).exists() for path in turns.iterdir())
        return SimpleNamespace(returncode=0 if complete else 1, stderr=words)

    return SimpleNamespace(run=run, DEVNULL=subprocess.DEVNULL)


def test_recordings_without_audio_are_all_listed(tmp_path: Path) -> None:
    """Before anything runs, and with the name of each."""
    make_recordings(tmp_path, 3)
    for number in (0, 2):
        (tmp_path / "audio" / f"talk{number}.flac").unlink()
    with pytest.raises(DataError, match=r"talk0\.rttm.*\n.*talk2\.rttm"):
        plan_items(tmp_path / "audio", tmp_path / "turns", tmp_path / "refined")


def test_an_rttm_of_several_recordings_says_that_a_batch_takes_one(tmp_path: Path) -> None:
    """Without a batch the same folders go together; one that cannot be read says no more than that its audio is missing."""
    put_files(tmp_path, ["a", "b"])
    for path in (tmp_path / "turns").iterdir():
        path.unlink()
    line = "SPEAKER {} 1 0.5 1.0 <NA> <NA> anna <NA> <NA>\n"
    (tmp_path / "turns" / "all.rttm").write_text(line.format("a") + line.format("b"))
    (tmp_path / "turns" / "broken.rttm").write_text("nothing of the kind\n")
    with pytest.raises(DataError) as refused:
        plan_items(tmp_path / "audio", tmp_path / "turns", tmp_path / "out")
    together, broken = refused.value.problems
    assert together.endswith(f"no audio of this name in {tmp_path / 'audio'}, and it holds 2 recordings (a, b)")
    assert broken.endswith(f"broken.rttm: no audio of this name in {tmp_path / 'audio'}")
    assert refused.value.hint is not None and "goes without --config" in refused.value.hint


@pytest.mark.end_to_end
def test_an_array_refines_every_recording_once_and_names_those_it_cannot(tmp_path: Path, cluster: Cluster) -> None:
    """A broken file costs nobody else anything; mended, with another come to it, the same command does these alone."""
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
    make_recordings(tmp_path, 1, first=5)
    assert refine(tmp_path).returncode == 0
    assert {name: (tmp_path / "refined" / name).stat().st_mtime_ns for name in refined} == refined
    assert read_rttm(tmp_path / "refined" / "talk3.rttm")
    assert read_rttm(tmp_path / "refined" / "talk5.rttm")


@pytest.mark.end_to_end
def test_an_interrupted_batch_ends_as_if_it_had_not_been(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The errors of a system are estimated from the same recordings, whatever is done already: byte for byte the same RTTMs."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    make_recordings(tmp_path, 3)
    (tmp_path / "turns" / "talk2.rttm").rename(tmp_path / "turns" / "talk2.RTTM")
    (tmp_path / "turns" / "._talk2.RTTM").write_bytes(b"\0\5\x16\7")  # as macOS leaves them
    out = tmp_path / "refined"
    write_batch(out, "refine", plan_items(tmp_path / "audio", tmp_path / "turns", out), ["--device", "cpu"], n_shares=1)
    do_share([str(batch_folder(out))])
    whole = {path.name: path.read_bytes() for path in out.iterdir()}
    assert len(whole) == 3
    for name in ("talk0.rttm", "talk2.RTTM"):
        (out / name).unlink()
    kept = (out / "talk1.rttm").stat()
    do_share([str(batch_folder(out)), "--part", "0/1"])
    assert {path.name: path.read_bytes() for path in out.iterdir()} == whole
    now = (out / "talk1.rttm").stat()
    assert (now.st_ino, now.st_mtime_ns) == (kept.st_ino, kept.st_mtime_ns)


def test_who_is_refused_takes_no_failure_from_the_other(tmp_path: Path) -> None:
    """The reasons of a batch that is at work stay where they are."""
    recipe = parse_config(_SITE.format(kind="local"), where="site")
    write_batch(
        tmp_path / "out", "refine", [Item(audio="a.wav", rttm=None, out=str(tmp_path / "out" / "talk0.rttm"))], [], n_shares=1
    )
    folder = batch_folder(tmp_path / "out")
    reason = folder / "failed" / "talk0.txt"
    reason.parent.mkdir()
    reason.write_text("broken")
    with held(folder / "locks" / "submission", wait=False), pytest.raises(ProcessError, match="another process waits"):
        run_batch(tmp_path / "out", recipe, print)
    assert reason.read_text() == "broken"


def test_a_process_that_works_on_the_batch_is_named_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever started it was killed; this call waits for it, and the person should know for whom."""
    out = tmp_path / "out"
    put_files(tmp_path, ["a"])
    list_folder(tmp_path, out)
    (out / "a.rttm").write_text("done")
    work = SimpleNamespace(ended=lambda: Ended(0))
    executor = SimpleNamespace(poll_s=0.1, find=lambda *_, **__: None, start=lambda _: work)
    monkeypatch.setattr(batches, "executor_of", lambda *_: executor)
    told = list[str]()
    recipe = parse_config(_SITE.format(kind="local"), where="site")
    with share_taken(batch_folder(out), 0):
        assert run_batch(out, recipe, told.append) == 0
        assert told[0].startswith(f"another process is working on this batch: pid {os.getpid()} on ")
        share_lock(batch_folder(out), 0).write_text("")
        assert at_work(out) == "it has not told its pid"
    assert at_work(out) is None
    told.clear()
    assert run_batch(out, recipe, told.append) == 0
    assert told == ["1 of 1 recordings are done"]


@pytest.mark.parametrize("is_worked_on", [True, False])
def test_who_interrupts_a_batch_is_told_whether_it_has_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], is_worked_on: bool
) -> None:
    """A process that somebody else has started goes on."""
    put_files(tmp_path, ["a"])
    monkeypatch.setattr("brefine.cli.batches.run_batch", lambda *_: signal.raise_signal(signal.SIGINT))
    with share_taken(batch_folder(tmp_path / "out"), 0) if is_worked_on else contextlib.nullcontext():
        assert go_through_files(tmp_path) == 130
    words = capsys.readouterr().err
    assert (f"another process is still working on this batch: pid {os.getpid()} on" in words) == is_worked_on
    assert ("stopped" in words) != is_worked_on


@pytest.mark.parametrize("is_ignored", [False, True])
def test_a_terminal_that_closes_stops_the_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_ignored: bool) -> None:
    """Once, though kernel and shell both tell of it; not under `nohup`."""
    put_files(tmp_path, ["a"])
    stopped = list[str]()

    def run(*_: object) -> int:
        try:
            signal.raise_signal(signal.SIGHUP)
        except KeyboardInterrupt:
            signal.raise_signal(signal.SIGHUP)
            stopped.append("work")
            raise
        return 0

    def handler(number: int, frame: FrameType | None) -> None:
        stopped.append("nothing")

    monkeypatch.setattr("brefine.cli.batches.run_batch", run)
    wanted = signal.SIG_IGN if is_ignored else handler
    earlier = signal.signal(signal.SIGHUP, wanted)
    try:
        assert go_through_files(tmp_path) == (0 if is_ignored else 129)
        assert signal.getsignal(signal.SIGHUP) is wanted
    finally:
        signal.signal(signal.SIGHUP, earlier)
    assert stopped == ([] if is_ignored else ["work"])


def go_through_files(folder: Path) -> int:
    """`refine --config` over the files of `put_files`, on this machine; its exit code."""
    recipe = parse_config(_SITE.format(kind="local"), where="site")
    return go_through("refine", folder / "audio", folder / "turns", folder / "out", [], recipe)


@pytest.mark.end_to_end
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_leaves_nobody_at_work(tmp_path: Path, number: signal.Signals, code: int) -> None:
    """Ctrl-C, or the end of a job, ends the share and what it has started, in a session of their own, and says how to go on."""
    make_recordings(tmp_path, 2)
    (tmp_path / "site.toml").write_text(_SITE.format(kind="local"))
    process = refine(tmp_path, wait=False)
    deadline_s = time.monotonic() + 300.0
    while not _at_work(tmp_path):
        assert time.monotonic() < deadline_s and process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, number)
    _, words = process.communicate(timeout=300)
    assert process.returncode == code
    assert "interrupted and stopped; the same command goes on with what is left" in words
    deadline_s = time.monotonic() + 300.0
    while _at_work(tmp_path):  # a killed process takes its time to give back its memory
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def _at_work(folder: Path) -> list[list[str]]:
    """The shares of a batch that run, and their commands."""
    lines = [one.info["cmdline"] or [] for one in psutil.process_iter(["cmdline"])]
    return [line for line in lines if str(folder) in " ".join(line)]


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
    for path in sorted(tmp_path.glob("refined/*.rttm"))[1::2]:
        path.unlink()  # results of a share are written within milliseconds, too soon for a kill between two of them
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("refined/*.rttm")}
    assert before and all(read_rttm(path) for path in before)
    assert refine(tmp_path).returncode == 0
    assert len(list(tmp_path.glob("refined/*.rttm"))) == len(own.items) == 12
    assert {path: path.stat().st_mtime_ns for path in before} == before
