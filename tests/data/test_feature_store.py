"""The feature store: made once, whole or not at all, and mapped."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from brefine.config import FeatureConfig
from brefine.data import features
from brefine.data.feature_store import build_store, is_built, open_store
from brefine.data.features import analyse
from brefine.errors import DataError, ProcessError
from brefine.io.atomic import read_json, write_json_atomic
from tests.data.killed_pool import KilledPool, OneThread, failing_slowly

FEATURES = FeatureConfig()


@pytest.fixture
def audio(tmp_path: Path) -> dict[str, Path]:
    rng = np.random.default_rng(4)
    paths = {}
    for name, seconds, rate_hz in (("one", 1.0, 16000), ("two", 1.5, 8000)):
        paths[name] = tmp_path / f"{name}.wav"
        soundfile.write(paths[name], rng.normal(0.0, 0.1, round(seconds * rate_hz)), rate_hz)
    return paths


def test_a_store_gives_each_recording_its_own_frames(tmp_path: Path, audio: dict[str, Path]) -> None:
    """What is read back is what was computed, to float16's precision, whatever the sample rate."""
    build_store(tmp_path / "store", audio, FEATURES)
    store = open_store(tmp_path / "store", FEATURES)
    samples, _ = soundfile.read(audio["one"], dtype="float32")
    np.testing.assert_allclose(store["one"], analyse(samples, FEATURES), atol=0.01)
    assert store["two"].shape == (150, 80)


def test_several_processes_write_the_same_store(tmp_path: Path, audio: dict[str, Path]) -> None:
    """The number of workers changes nothing but the time."""
    build_store(tmp_path / "alone", audio, FEATURES)
    seen: list[tuple[int, int]] = []
    build_store(tmp_path / "shared", audio, FEATURES, n_processes=2, on_progress=lambda done, total: seen.append((done, total)))
    alone, shared = open_store(tmp_path / "alone", FEATURES), open_store(tmp_path / "shared", FEATURES)
    assert alone.frames_NF.tobytes() == shared.frames_NF.tobytes()
    assert seen == [(1, 2), (2, 2)]


def test_a_store_is_made_anew_only_when_content_or_parameters_change(tmp_path: Path, audio: dict[str, Path]) -> None:
    """The same audio under another time stamp is the same store; other samples are another one, and the old one goes."""
    build_store(tmp_path / "store", audio, FEATURES)
    before = read_json(tmp_path / "store" / "log_mel.json")["key"]
    data = next((tmp_path / "store").glob("*.f16"))
    written_ns = data.stat().st_mtime_ns
    audio["one"].touch()
    build_store(tmp_path / "store", audio, FEATURES)
    assert data.stat().st_mtime_ns == written_ns
    soundfile.write(audio["one"], np.zeros(16000), 16000)
    build_store(tmp_path / "store", audio, FEATURES)
    assert read_json(tmp_path / "store" / "log_mel.json")["key"] != before
    assert not data.exists()


@pytest.mark.parametrize(("config", "differs"), [(FEATURES, False), (FeatureConfig(speech=True), True)])
def test_a_store_of_an_earlier_analysis_is_made_anew(
    tmp_path: Path, audio: dict[str, Path], monkeypatch: pytest.MonkeyPatch, config: FeatureConfig, differs: bool
) -> None:
    """That of the code or, where it is asked, of the speech detector; until then it can be opened."""
    build_store(tmp_path / "store", audio, config)
    keys = [read_json(tmp_path / "store" / "log_mel.json")["key"]]
    for name, value in (("version", lambda package: "99.0"), ("ANALYSIS_VERSION", features.ANALYSIS_VERSION + 1)):
        monkeypatch.setattr(features, name, value)
        assert open_store(tmp_path / "store", config).spans
        build_store(tmp_path / "store", audio, config)
        keys.append(read_json(tmp_path / "store" / "log_mel.json")["key"])
    assert (keys[0] != keys[1]) == differs
    assert keys[1] != keys[2]


def test_a_killed_writer_leaves_the_old_store_whole(tmp_path: Path, audio: dict[str, Path]) -> None:
    """Audio that breaks half-way through a rebuild costs nothing that was there."""
    build_store(tmp_path / "store", audio, FEATURES)
    old = open_store(tmp_path / "store", FEATURES)["one"].copy()

    def killed(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_store(tmp_path / "store", audio | {"three": audio["one"]}, FEATURES, on_progress=killed)
    np.testing.assert_array_equal(open_store(tmp_path / "store", FEATURES)["one"], old)


def test_a_disk_without_room_for_the_frames_is_told_before_any_is_computed(
    tmp_path: Path, audio: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page of a mapped file that finds no room would kill the process without a word; nothing of the store is left."""
    done: list[int] = []

    def full(descriptor: int, start: int, n_bytes: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left") as told:
        build_store(tmp_path / "store", audio, FEATURES, on_progress=lambda n, total: done.append(n))
    assert told.value.filename == str(tmp_path / "store")
    assert done == []
    assert list((tmp_path / "store").iterdir()) == []


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EOPNOTSUPP])
def test_a_disk_that_cannot_reserve_room_has_the_same_store(
    tmp_path: Path, audio: dict[str, Path], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Not every file system can."""
    build_store(tmp_path / "reserved", audio, FEATURES)

    def unable(descriptor: int, start: int, n_bytes: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "posix_fallocate", unable)
    build_store(tmp_path / "store", audio, FEATURES)
    frames = [open_store(tmp_path / name, FEATURES).frames_NF.tobytes() for name in ("reserved", "store")]
    assert frames[0] == frames[1]


def test_what_a_killed_writer_has_left_is_gone_before_the_next_one_needs_its_room(
    tmp_path: Path, audio: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the store that was there before is still good, and none is made."""
    store = tmp_path / "store"
    left = store / f".log_mel-0123456789abcdef.f16.{'0' * 32}.tmp"
    reserve = os.posix_fallocate

    def full(descriptor: int, start: int, n_bytes: int) -> None:
        if left.exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        reserve(descriptor, start, n_bytes)

    monkeypatch.setattr(os, "posix_fallocate", full)
    store.mkdir()
    for _ in range(2):
        left.write_bytes(bytes(100))
        build_store(store, audio, FEATURES)
        assert not left.exists()
        assert len(open_store(store, FEATURES).spans) == len(audio)


def test_a_store_whose_worker_is_killed_says_so(tmp_path: Path, audio: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """In words, and nothing of it is left."""
    monkeypatch.setattr("brefine.data.workers._Pool", KilledPool)
    with pytest.raises(ProcessError, match=r"(?s)a worker process was killed.*memory.*--processes 1"):
        build_store(tmp_path / "store", audio, FEATURES, n_processes=2)
    assert list((tmp_path / "store").iterdir()) == []


def test_recordings_behind_one_that_cannot_be_read_are_not_analysed_first(
    tmp_path: Path, audio: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They may take hours."""
    monkeypatch.setattr("brefine.data.workers._Pool", OneThread)
    taken = failing_slowly(monkeypatch, "brefine.data.feature_store._write_recording")
    with pytest.raises(DataError, match="this one cannot"):
        build_store(tmp_path / "store", {str(n): next(iter(audio.values())) for n in range(40)}, FEATURES, n_processes=2)
    assert len(taken) < 20
    assert list((tmp_path / "store").iterdir()) == []


def test_a_store_that_is_missing_torn_or_of_other_parameters_is_refused(tmp_path: Path, audio: dict[str, Path]) -> None:
    """Each refusal says what to do."""
    with pytest.raises(DataError, match="no feature store") as missing:
        open_store(tmp_path / "store", FEATURES)
    assert "brefine prepare" in str(missing.value)
    build_store(tmp_path / "store", audio, FEATURES)
    with pytest.raises(DataError, match="other parameters"):
        open_store(tmp_path / "store", FeatureConfig(n_mels=40))
    data = next((tmp_path / "store").glob("*.f16"))
    data.write_bytes(data.read_bytes()[:-2])
    with pytest.raises(DataError, match="torn"):
        open_store(tmp_path / "store", FEATURES)


@pytest.mark.parametrize("damage", ["cut", "longer", "index"])
def test_a_torn_store_is_made_anew_as_its_refusal_says(tmp_path: Path, audio: dict[str, Path], damage: str) -> None:
    """It is not taken for whole because its file is there and its index names the right audio."""
    folder = tmp_path / "store"
    build_store(folder, audio, FEATURES)
    whole = open_store(folder, FEATURES).frames_NF.tobytes()
    assert is_built(folder, audio, FEATURES, known={})
    data, index = next(folder.glob("*.f16")), read_json(folder / "log_mel.json")
    if damage == "index":
        write_json_atomic(folder / "log_mel.json", index | {"spans": {}})
    else:
        data.write_bytes(whole[:-2] if damage == "cut" else whole + b"..")
    assert not is_built(folder, audio, FEATURES, known={})
    build_store(folder, audio, FEATURES)
    assert open_store(folder, FEATURES).frames_NF.tobytes() == whole
    assert is_built(folder, audio, FEATURES, known={})


@pytest.mark.end_to_end
def test_a_writer_that_is_really_killed_leaves_nothing_that_could_be_read(tmp_path: Path, audio: dict[str, Path]) -> None:
    """SIGKILL in the middle of a first build: there is no store; the next build makes it and sweeps the remains away."""
    program = f"""
import os, signal
from pathlib import Path
from brefine.config import FeatureConfig
from brefine.data.feature_store import build_store
audio = {{name: Path(path) for name, path in { {name: str(path) for name, path in audio.items()}!r}.items()}}
build_store(Path({str(tmp_path / "store")!r}), audio, FeatureConfig(), on_progress=lambda done, total: os.kill(os.getpid(), 9))
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -signal.SIGKILL
    assert list((tmp_path / "store").glob(".log_mel-*.tmp"))
    with pytest.raises(DataError, match="no feature store"):
        open_store(tmp_path / "store", FEATURES)
    build_store(tmp_path / "store", audio, FEATURES)
    assert len(list((tmp_path / "store").iterdir())) == 2
    assert len(open_store(tmp_path / "store", FEATURES).spans) == len(audio)


def test_two_readers_share_one_mapping_of_the_file(tmp_path: Path, audio: dict[str, Path]) -> None:
    """A store's frames, one recording's and a window's are views of one mapped file that nobody can write."""
    build_store(tmp_path / "store", audio, FEATURES)
    first, second = open_store(tmp_path / "store", FEATURES), open_store(tmp_path / "store", FEATURES)
    for store in (first, second):
        assert isinstance(store.frames_NF, np.memmap)
        assert np.shares_memory(store["one"][3:9], store.frames_NF)
        with pytest.raises(ValueError, match="read-only"):
            store["one"][0] = 0.0
    assert first.frames_NF.filename == second.frames_NF.filename
