"""Log-mel frames and their store."""

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
from brefine.data.features import (
    analyse,
    analyse_file,
    build_store,
    is_built,
    log_mel,
    log_mel_blocks,
    n_frames_of,
    normalised,
    open_store,
)
from brefine.errors import DataError, ProcessError
from brefine.io import audio as audio_module
from brefine.io.atomic import read_json, write_json_atomic
from tests.data.killed_pool import KilledPool, OneThread, failing_slowly

FEATURES = FeatureConfig()


def test_a_tone_is_loudest_in_the_band_that_holds_it() -> None:
    """Doubling a tone's frequency moves the loudest band up; silence lies far below."""
    time_s = np.arange(16000) / 16000
    bands = [
        int(log_mel(np.sin(2 * np.pi * hz * time_s).astype(np.float32), FEATURES).mean(axis=0).argmax())
        for hz in (500, 1000, 4000)
    ]
    assert bands == sorted(set(bands))
    assert log_mel(np.zeros(16000, np.float32), FEATURES).max() < -15.0


@pytest.mark.parametrize("click_s", [0.105, 0.5, 0.895])
def test_a_click_is_loudest_in_the_frame_whose_middle_it_is(click_s: float) -> None:
    """Frames look equally far to both sides: no time offset creeps in."""
    samples = np.zeros(16000, np.float32)
    samples[round(click_s * 16000)] = 1.0
    loudness = log_mel(samples, FEATURES).mean(axis=1)
    centre = np.average(np.arange(len(loudness)) + 0.5, weights=np.exp(loudness - loudness.max()) > 0.5)
    assert centre == pytest.approx(click_s * 100, abs=0.5)


def test_every_band_hears_something() -> None:
    """No mel filter is empty, also where there are more bands than spectral lines below."""
    noise = np.random.default_rng(0).normal(0.0, 0.1, 16000).astype(np.float32)
    for n_mels in (40, 80, 128):
        assert log_mel(noise, FeatureConfig(n_mels=n_mels)).mean(axis=0).min() > -12.0


def test_frames_are_those_that_weights_were_trained_on() -> None:
    """With another window, scale or filter bank every trained refiner hears nonsense: who changes them raises the version."""
    time_s = np.arange(16000) / 16000
    tones = sum(0.05 * np.sin(2 * np.pi * hz * time_s + place) for place, hz in enumerate((90, 180, 450, 1130, 2750, 6100)))
    frames = log_mel((tones * np.linspace(0.01, 1.0, 16000)).astype(np.float32), FEATURES)
    assert features.ANALYSIS_VERSION == 5
    expected = (0.346, 1.359, 1.481, -8.631, -10.717, -16.844, -18.305, -18.304)
    np.testing.assert_allclose(frames[50, [0, 1, 5, 10, 25, 40, 60, 79]], expected, atol=0.005)


def test_frames_do_not_depend_on_how_the_audio_is_cut_into_blocks() -> None:
    """A recording longer than a block has the frames of its pieces."""
    samples = np.random.default_rng(1).normal(0.0, 0.1, 16000 * 50).astype(np.float32)
    whole, piece = log_mel(samples, FEATURES), log_mel(samples[16000 * 40 :], FEATURES)
    assert len(whole) == n_frames_of(len(samples), FEATURES) == 5000
    np.testing.assert_allclose(whole[4010:], piece[10:], atol=1e-4)


@pytest.mark.parametrize("n_samples", [0, 1, 159, 160, 161, 399, 5000, 700_001])
def test_frames_of_blocks_are_those_of_the_whole(n_samples: int) -> None:
    """A recording that arrives in pieces of uneven length has the same frames, and as many."""
    samples = np.random.default_rng(0).normal(0.0, 0.1, n_samples).astype(np.float32)
    cuts = np.sort(np.random.default_rng(1).integers(0, n_samples + 1, 9))
    pieces = np.concatenate(list(log_mel_blocks(np.split(samples, cuts), FEATURES)))
    assert len(pieces) == n_frames_of(n_samples, FEATURES)
    np.testing.assert_allclose(pieces, log_mel(samples, FEATURES), atol=1e-4)


@pytest.mark.parametrize("n_frames", [1, 99, 100, 101, 130])
def test_as_many_frames_are_made_as_were_reserved(n_frames: int) -> None:
    """Too much audio is left out, too little continues in silence; what both have is the same."""
    samples = np.random.default_rng(0).normal(0.0, 0.1, 16000).astype(np.float32)
    frames = np.concatenate(list(log_mel_blocks([samples], FEATURES, n_frames=n_frames)))
    assert len(frames) == n_frames
    shared = min(n_frames, 99)  # the last window of the audio reaches over its end
    np.testing.assert_allclose(frames[:shared], log_mel(samples, FEATURES)[:shared], atol=1e-4)
    np.testing.assert_allclose(frames[102:], np.log(1e-8), atol=1e-3)


@pytest.mark.parametrize("speech", [True, False])
def test_a_file_is_analysed_as_its_samples_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, speech: bool) -> None:
    """Block by block and in float16, whatever its header says of its length; an empty file is refused."""
    monkeypatch.setattr(audio_module, "_BLOCK_FRAMES", 5000)
    config = FeatureConfig(speech=speech)
    samples = np.random.default_rng(6).normal(0.0, 0.1, 70003).astype(np.float32)
    soundfile.write(tmp_path / "talk.wav", samples, 16000, subtype="FLOAT")
    frames, n_samples = analyse_file(tmp_path / "talk.wav", config)
    assert (frames.dtype, n_samples) == (np.float16, 70003)
    np.testing.assert_allclose(frames, analyse(samples, config), atol=0.01)
    soundfile.write(tmp_path / "empty.wav", samples[:0], 16000)
    with pytest.raises(DataError, match="empty"):
        analyse_file(tmp_path / "empty.wav", config)


@pytest.mark.parametrize(("deviation", "constant"), [(0.1, 0.0), (0.001, 0.0), (0.1, 0.05), (0.001, 0.05)])
def test_the_seconds_told_never_go_back(tmp_path: Path, deviation: float, constant: float) -> None:
    """A faint recording, and one with a constant in its samples, is decoded more than once."""
    samples = np.random.default_rng(7).normal(constant, deviation, 16000 * 20).astype(np.float32)
    soundfile.write(tmp_path / "talk.wav", samples, 16000, subtype="FLOAT")
    told_s: list[float] = []
    analyse_file(tmp_path / "talk.wav", FeatureConfig(speech=True), report=told_s.append)
    assert told_s == sorted(told_s)
    assert told_s[-1] == 20.0


def test_normalisation_removes_level_and_channel() -> None:
    """A louder, filtered copy of a recording looks the same."""
    frames = np.random.default_rng(2).normal(-5.0, 2.0, (300, 80)).astype(np.float32)
    coloured = frames + 3.0 + np.linspace(-2.0, 2.0, 80, dtype=np.float32)
    np.testing.assert_allclose(normalised(frames, _spoken(300), 0.01), normalised(coloured, _spoken(300), 0.01), atol=1e-4)


def test_what_lies_far_from_any_turn_does_not_count() -> None:
    """A recorder that ran on for half a day leaves a conversation as it is; so does another one, in another room, behind it."""
    rng = np.random.default_rng(0)
    talk = rng.normal(-5.0, 2.0, (4000, 2)).astype(np.float32)
    alone = normalised(talk, _spoken(4000), 0.01)
    frames = np.full((1 << 21, 2), -18.42, np.float32)
    frames[-4000:] = talk
    active_SN = np.zeros((1, len(frames)), np.bool_)
    active_SN[0, -2800:] = True  # twelve seconds before the first turn, of which three count
    near = talk[900:]
    exact = (near - near.mean(axis=0, dtype=np.float64)) / (near.std(axis=0, dtype=np.float64) + 1e-3)
    np.testing.assert_allclose(normalised(frames, active_SN, 0.01)[-3100:], exact, atol=1e-4)
    elsewhere = rng.normal(3.0, 0.5, (60_000, 2)).astype(np.float32)
    both = np.concatenate([talk, talk, talk, elsewhere])
    np.testing.assert_allclose(normalised(both, _spoken(len(both)), 0.01)[:4000], alone, atol=0.01)


def test_where_nobody_speaks_everything_counts() -> None:
    """There is nothing to go by, and nothing to refine either."""
    frames = np.random.default_rng(3).normal(-5.0, 2.0, (20_000, 3)).astype(np.float32)
    found = normalised(frames, np.zeros((0, 20_000), np.bool_), 0.01)
    np.testing.assert_allclose([found.mean(axis=0), found.std(axis=0)], [[0.0] * 3, [1.0] * 3], atol=0.01)


def _spoken(n_frames: int) -> np.ndarray:
    """One speaker, all the time."""
    return np.ones((1, n_frames), np.bool_)


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
    np.testing.assert_allclose(store["one"], log_mel(samples, FEATURES), atol=0.01)
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
    monkeypatch.setattr(features, "ProcessPoolExecutor", KilledPool)
    with pytest.raises(ProcessError, match=r"(?s)a worker process was killed.*memory.*--processes 1"):
        build_store(tmp_path / "store", audio, FEATURES, n_processes=2)
    assert list((tmp_path / "store").iterdir()) == []


def test_recordings_behind_one_that_cannot_be_read_are_not_analysed_first(
    tmp_path: Path, audio: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They may take hours."""
    monkeypatch.setattr(features, "ProcessPoolExecutor", OneThread)
    taken = failing_slowly(monkeypatch, "brefine.data.features._write_recording")
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
from brefine.data.features import build_store
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
