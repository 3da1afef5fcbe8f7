"""VoxConverse is laid out from a server that misbehaves, or from a folder; what is missing is listed, recording by recording."""

from __future__ import annotations

import io
import shutil
import threading
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from brefine.data.voxconverse import Sources, lay_out_voxconverse
from brefine.errors import DataError
from brefine.io.atomic import write_bytes_atomic
from tests.data.scripted_server import ScriptedServer

_AUDIO = {name: name.encode() * 20_000 for name in ("abcde", "fghij", "tttaa")}
_DEV, _TEST = ("abcde", "fghij"), ("tttaa",)


def _zip(members: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return buffer.getvalue()


def _rttm(name: str) -> bytes:
    return f"SPEAKER {name} 1 0.0 1.0 <NA> <NA> spk00 <NA> <NA>\n".encode()


def _files() -> dict[str, bytes]:
    labels = {f"voxconverse-master/dev/{name}.rttm": _rttm(name) for name in _DEV}
    labels |= {f"voxconverse-master/test/{name}.rttm": _rttm(name) for name in _TEST}
    return {
        "/labels.zip": _zip(labels),
        "/dev.zip": _zip({f"audio/{name}.wav": _AUDIO[name] for name in _DEV} | {"audio/._abcde.wav": b"rubbish"}),
        "/test.zip": _zip({f"voxconverse_test_wav/{name}.wav": _AUDIO[name] for name in _TEST}),
    }


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(_files()) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.released.set()
        running.shutdown()
        thread.join()


def _lay_out(server: ScriptedServer, root: Path, **options: object) -> tuple[Path, Path]:
    audio = {split: server.url(f"/{split}.zip") for split in ("dev", "test")}
    sources = Sources(server.url("/labels.zip"), audio, timeout_s=0.3, pause_s=0.0)
    return lay_out_voxconverse(root, sources=sources, **options)  # type: ignore[arg-type]


def _audio(folder: Path) -> dict[str, bytes]:
    return {path.stem: path.read_bytes() for path in (folder / "audio").iterdir()}


@pytest.mark.parametrize(
    "script",
    [[], ["drop", "503", "drop", "stall"], ["nothing", "500", "drop", "no-ranges"]],
    ids=lambda script: "-".join(script) or "whole",
)
def test_both_splits_are_laid_out_whatever_happens_on_the_way(server: ScriptedServer, tmp_path: Path, script: list[str]) -> None:
    """Dev and test get their labels and their audio to the byte; archives and half-made files are gone."""
    server.script = list(script)
    steps: list[str] = []
    dev, test = _lay_out(server, tmp_path, on_progress=lambda step, done, total: steps.append(step))
    assert _audio(dev) == {name: _AUDIO[name] for name in _DEV}
    assert _audio(test) == {name: _AUDIO[name] for name in _TEST}
    assert (dev / "reference" / "abcde.rttm").read_bytes() == _rttm("abcde")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "dev", "test"]
    assert any("dev (MB)" in step for step in steps)


def test_what_is_there_is_not_fetched_again(server: ScriptedServer, tmp_path: Path) -> None:
    """A second call asks the server for nothing."""
    _lay_out(server, tmp_path)
    n_requests = len(server.ranges)
    _lay_out(server, tmp_path)
    assert len(server.ranges) == n_requests


def test_a_broken_archive_is_deleted_and_fetched_anew(server: ScriptedServer, tmp_path: Path) -> None:
    """An archive whose content fails its checksum is named; the next call starts that one from the beginning."""
    good = server.files["/dev.zip"]
    place = good.index(_AUDIO["fghij"])
    server.files["/dev.zip"] = good[:place] + b"x" + good[place + 1 :]
    with pytest.raises(DataError, match="archive is broken"):
        _lay_out(server, tmp_path)
    server.files["/dev.zip"] = good
    assert _audio(_lay_out(server, tmp_path)[0])["fghij"] == _AUDIO["fghij"]


@pytest.mark.parametrize(
    ("field", "damage"),
    [(30, b"\xff" * 8), (8, b"\x63\x00"), (6, b"\x01\x00"), (4, b"\xff\xff")],
    ids=["data", "method", "encrypted", "version"],
)
def test_a_damaged_archive_is_deleted_wherever_the_damage_lies(
    server: ScriptedServer, tmp_path: Path, field: int, damage: bytes
) -> None:
    """Compressed data, the method, a flag, a version that no reader has: each is told, and fetched anew by the next call."""
    good = _zip({f"{name}.wav": _AUDIO[name] for name in _DEV}, zipfile.ZIP_DEFLATED)
    place = field if field < 30 else 30 + len("abcde.wav")  # of a member's own header, or of what follows it
    torn = bytearray(good)
    torn[place : place + len(damage)] = damage
    central = torn.index(b"PK\x01\x02") + 2  # the directory at the end tells most of it once more
    if field < 30:
        torn[central + field : central + field + len(damage)] = damage
    server.files["/dev.zip"] = bytes(torn)
    with pytest.raises(DataError, match="archive is broken"):
        _lay_out(server, tmp_path)
    server.files["/dev.zip"] = good
    assert _audio(_lay_out(server, tmp_path)[0]) == {name: _AUDIO[name] for name in _DEV}


def test_recordings_that_the_archive_lacks_are_listed_one_by_one(server: ScriptedServer, tmp_path: Path) -> None:
    """Labels without audio are named with their split."""
    server.files["/dev.zip"] = _zip({"audio/abcde.wav": _AUDIO["abcde"]})
    with pytest.raises(DataError) as refused:
        _lay_out(server, tmp_path)
    assert refused.value.problems == ("fghij: no audio (dev)",)


def test_the_disk_is_looked_at_before_audio_is_fetched(
    server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too small a disk is told with both figures before a byte of audio arrives."""
    (tmp_path / "from").mkdir()
    _lay_out(server, tmp_path / "elsewhere")
    for split in ("dev", "test"):
        shutil.copytree(tmp_path / "elsewhere" / split / "reference", tmp_path / "root" / split / "reference")
    n_requests = len(server.ranges)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("brefine.data.download.shutil.disk_usage", lambda _: usage._replace(free=(256 << 20) + 1000))
    with pytest.raises(DataError, match="too little space"):
        _lay_out(server, tmp_path / "root")
    assert len(server.ranges) == n_requests


def test_audio_from_a_folder_is_linked_and_nothing_is_downloaded(server: ScriptedServer, tmp_path: Path) -> None:
    """With audio and labels at hand, in folders of any depth, no server is needed; what is missing is listed."""
    there = tmp_path / "there"
    for split, names in (("dev", _DEV), ("test", _TEST)):
        for name in names:
            (there / "labels" / split).mkdir(parents=True, exist_ok=True)
            (there / "labels" / split / f"{name}.rttm").write_bytes(_rttm(name))
            (there / "wav" / split).mkdir(parents=True, exist_ok=True)
            (there / "wav" / split / f"{name}.wav").write_bytes(_AUDIO[name])
    dev, test = _lay_out(server, tmp_path / "root", audio_from=there)
    assert server.ranges == []
    assert _audio(dev) | _audio(test) == _AUDIO
    assert (dev / "audio" / "abcde.wav").is_symlink()
    for name in ("fghij", "tttaa"):
        next(there.rglob(f"{name}.wav")).unlink()
    with pytest.raises(DataError) as refused:
        _lay_out(server, tmp_path / "other", audio_from=there)
    assert refused.value.problems == ("fghij: no audio (dev)", "tttaa: no audio (test)")


@pytest.mark.parametrize("source", ["archive", "folder"])
def test_labels_that_were_taken_in_part_are_completed(
    server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    """Killed between two labels of the last split, the next call takes the other ones, and does not do with what is there."""
    there = tmp_path / "there"
    for content in _files().values():
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            file.extractall(there)
    (there / "voxconverse-master" / "test" / "zzzzz.rttm").write_bytes(_rttm("zzzzz"))
    (there / "zzzzz.wav").write_bytes(b"z")
    names = [f"{split}/{name}" for split, own in (("dev", _DEV), ("test", (*_TEST, "zzzzz"))) for name in own]
    server.files["/labels.zip"] = _zip({f"voxconverse-master/{name}.rttm": _rttm(name[-5:]) for name in names})
    server.files["/test.zip"] = _zip({f"{name}.wav": b"z" for name in (*_TEST, "zzzzz")})
    options = {} if source == "archive" else {"audio_from": there}

    def killed(path: Path, content: bytes) -> None:
        if path.name == "zzzzz.rttm":
            raise KeyboardInterrupt
        write_bytes_atomic(path, content)

    monkeypatch.setattr("brefine.data.voxconverse.write_bytes_atomic", killed)
    with pytest.raises(KeyboardInterrupt):
        _lay_out(server, tmp_path / "root", **options)
    monkeypatch.undo()
    _, test = _lay_out(server, tmp_path / "root", **options)
    assert sorted(path.name for path in (test / "reference").iterdir()) == ["tttaa.rttm", "zzzzz.rttm"]
    assert sorted(path.stem for path in (test / "audio").iterdir()) == ["tttaa", "zzzzz"]


def test_two_calls_at_once_fetch_everything_once(server: ScriptedServer, tmp_path: Path) -> None:
    """The second one, of another recipe, waits for the first and finds all of it there."""
    both = [threading.Thread(target=_lay_out, args=(server, tmp_path)) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert len(server.ranges) == 3
    assert _audio(tmp_path / "dev") == {name: _AUDIO[name] for name in _DEV}


def test_a_folder_of_audio_that_is_not_there_is_told_before_anything_is_fetched(server: ScriptedServer, tmp_path: Path) -> None:
    """A slip of the pen costs no download."""
    with pytest.raises(DataError, match="no such folder of audio"):
        _lay_out(server, tmp_path / "root", audio_from=tmp_path / "nowhere")
    assert server.ranges == []


def test_labels_that_cannot_be_fetched_are_asked_for_beside_the_audio(server: ScriptedServer, tmp_path: Path) -> None:
    """Whoever has named the audio is not told to name it, but where labels would be found."""
    del server.files["/labels.zip"]
    (tmp_path / "there").mkdir()
    with pytest.raises(DataError, match=r"dev/\*\.rttm and test/\*\.rttm") as refused:
        _lay_out(server, tmp_path / "root", audio_from=tmp_path / "there")
    assert "--audio-from" not in str(refused.value)


def test_a_server_without_the_archive_is_told_with_the_way_out(server: ScriptedServer, tmp_path: Path) -> None:
    """404 is final and points to --audio-from."""
    del server.files["/dev.zip"]
    with pytest.raises(DataError, match="--audio-from"):
        _lay_out(server, tmp_path)
