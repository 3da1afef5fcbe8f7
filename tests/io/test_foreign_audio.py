"""Audio that libsndfile does not know goes through torchcodec's process, here with a stand-in and, where it is, the real one."""

from __future__ import annotations

import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import soundfile

from brefine.errors import DataError
from brefine.io import foreign_audio
from brefine.io.audio import probe_audio, read_audio, read_excerpt

_STAND_IN = '''
"""Plays a stereo tone of 1 s for `*.m4a`, and fails on `torn.m4a`, as torchcodec does: with a RuntimeError."""
print("a library that greets")
from types import SimpleNamespace
import json
import numpy as np
import os
import sys

class AudioDecoder:
    def __init__(self, path, *, sample_rate=None, num_channels=None):
        if "torn" in path:
            raise RuntimeError("Could not open input file")
        if "wordless" in path:
            raise RuntimeError
        os.system("echo a library that chats")
        told = float(os.environ.get("STAND_IN_SECONDS", "1.0"))
        told = {"duration_seconds": told if told >= 0 else None, "sample_rate": 44100, "num_channels": 2}
        self.metadata = SimpleNamespace(**told | json.loads(os.environ.get("STAND_IN_TOLD", "{}")))
        self._rate, self._n_channels = sample_rate, num_channels
        sys.stderr.write("a packet is out of order\\n" * int(os.environ.get("STAND_IN_WARNINGS", "0")))

    def get_all_samples(self):
        tone = np.sin(2 * np.pi * 440 * np.arange(self._rate) / self._rate).astype(np.float32)
        if os.environ.get("STAND_IN_NAN"):
            tone[self._rate // 2] = np.nan
        return SimpleNamespace(data=np.stack([tone] * self._n_channels))
'''


@pytest.fixture
def m4a(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of a foreign kind, and a torchcodec for the decoding process to find."""
    package = tmp_path / "packages" / "torchcodec"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "decoders.py").write_text(_STAND_IN)
    monkeypatch.setenv("PYTHONPATH", str(package.parent), prepend=":")
    monkeypatch.syspath_prepend(package.parent)
    path = tmp_path / "talk.m4a"
    path.write_bytes(b"ftypM4A")
    return path


def test_a_foreign_file_is_probed_and_read_at_the_wanted_rate(m4a: Path) -> None:
    """Header and samples come from the decoder, mono, at the rate asked for."""
    info = probe_audio(m4a)
    assert (info.duration_s, info.sample_rate_hz, info.n_channels, info.n_samples) == (1.0, 44100, 2, 44100)
    samples = read_audio(m4a, sample_rate_hz=16000)
    assert samples.shape == (16000,)
    assert np.abs(np.fft.rfft(samples)).argmax() == 440


@pytest.mark.parametrize(
    ("told_s", "match"),
    [("0.0", "the audio is empty"), ("90000.0", "an impossible length"), ("-1", "does not say how long it is")],
)
def test_a_length_that_cannot_be_is_refused(m4a: Path, monkeypatch: pytest.MonkeyPatch, told_s: str, match: str) -> None:
    """No audio, more than a day of it, and a container that does not tell."""
    monkeypatch.setenv("STAND_IN_SECONDS", told_s)
    with pytest.raises(DataError, match=match):
        probe_audio(m4a)


@pytest.mark.parametrize(
    ("told", "match"),
    [
        ('{"sample_rate": null}', r"does not say what it holds \(expected sample_rate_hz\)"),
        ('{"sample_rate": null, "num_channels": null}', "expected sample_rate_hz and n_channels"),
        ('{"duration_seconds": NaN}', "does not say how long it is"),
        ('{"duration_seconds": Infinity}', "does not say how long it is"),
    ],
)
def test_a_container_that_does_not_tell_enough_is_refused(
    m4a: Path, monkeypatch: pytest.MonkeyPatch, told: str, match: str
) -> None:
    """Nothing can be said of audio without a rate, as of a video without sound, or of one whose length is no number."""
    monkeypatch.setenv("STAND_IN_TOLD", told)
    with pytest.raises(DataError, match=match) as refused:
        probe_audio(m4a)
    assert "ffmpeg -i" in str(refused.value)


def test_a_decoder_that_warns_of_much_is_not_held_up(m4a: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its warnings are read while its samples are: more of them than a pipe holds would else be waited on for ever."""
    monkeypatch.setenv("STAND_IN_WARNINGS", "20000")
    assert probe_audio(m4a).n_samples == 44100
    assert len(read_audio(m4a, sample_rate_hz=16000)) == 16000
    assert len(read_excerpt(m4a, start_s=0.0, duration_s=0.1)) == 1600


def test_an_excerpt_of_a_foreign_file_is_that_part_of_it(m4a: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the decoder's blocks; silence before the start, behind the end, and where samples are no numbers."""
    monkeypatch.setattr(foreign_audio, "_BLOCK_BYTES", 4 * 3000)
    whole = read_audio(m4a)
    np.testing.assert_array_equal(read_excerpt(m4a, start_s=0.25, duration_s=0.5), whole[4000:12000])
    early = read_excerpt(m4a, start_s=-0.5, duration_s=1.0)
    np.testing.assert_array_equal(early, np.concatenate([np.zeros(8000, np.float32), whole[:8000]]))
    late = read_excerpt(m4a, start_s=0.75, duration_s=0.5)
    np.testing.assert_array_equal(late, np.concatenate([whole[12000:], np.zeros(4000, np.float32)]))
    assert not read_excerpt(m4a, start_s=5.0, duration_s=0.5).any()
    monkeypatch.setenv("STAND_IN_NAN", "1")
    broken = read_excerpt(m4a, start_s=0.25, duration_s=0.5)
    assert np.isfinite(broken).all() and broken[4000] == 0.0
    with pytest.raises(DataError, match="Could not open input file"):
        read_excerpt(m4a.rename(m4a.with_name("torn.m4a")), start_s=0.0, duration_s=1.0)


def test_what_the_decoder_says_reaches_the_user(m4a: Path) -> None:
    """A file that cannot be decoded is named with the decoder's reason and a way out."""
    torn = m4a.rename(m4a.with_name("torn.m4a"))
    for read in (probe_audio, read_audio):
        with pytest.raises(DataError, match="Could not open input file") as refused:
            read(torn)
        assert "ffmpeg -i" in str(refused.value)


def test_a_decoder_that_fails_without_a_word_is_told_by_its_error(m4a: Path) -> None:
    """An exception without a message is named by its kind."""
    wordless = m4a.rename(m4a.with_name("wordless.m4a"))
    for read in (probe_audio, read_audio):
        with pytest.raises(DataError, match=r"cannot be decoded \(got .*wordless\.m4a: RuntimeError\)"):
            read(wordless)


def test_what_python_prints_when_it_starts_is_not_taken_for_the_answer(m4a: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sitecustomize.py that greets is told with what to do, instead of a traceback."""
    (m4a.parent / "packages" / "sitecustomize.py").write_text("print('welcome to this cluster')")
    with pytest.raises(DataError, match="expected one JSON document, got 'welcome to this cluster'"):
        probe_audio(m4a)


def test_samples_that_are_not_finite_are_refused_here_too(m4a: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The place of the first one is told."""
    monkeypatch.setenv("STAND_IN_NAN", "1")
    with pytest.raises(DataError, match=r"not finite.*0\.500 s"):
        read_audio(m4a, sample_rate_hz=16000)


def test_without_torchcodec_the_way_out_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No process is started where there is nothing to decode with; a missing file is still a missing file."""
    monkeypatch.setattr(foreign_audio, "find_spec", lambda name: None)
    path = tmp_path / "talk.m4a"
    with pytest.raises(DataError, match="no such audio file"):
        probe_audio(path)
    path.touch()
    with pytest.raises(DataError, match="needs torchcodec and ffmpeg"):
        read_audio(path)


@pytest.mark.end_to_end
@pytest.mark.skipif(find_spec("torchcodec") is None, reason="torchcodec is not installed")
@pytest.mark.skipif(
    shutil.which("ffmpeg") is None, reason="ffmpeg is not installed: nothing can be encoded, and torchcodec finds no decoder"
)
@pytest.mark.parametrize(("name", "options"), [("talk.m4a", []), ("talk.webm", ["-c:a", "libopus"])])
def test_a_real_file_keeps_its_times(tmp_path: Path, name: str, options: list[str]) -> None:
    """What an encoder runs ahead is taken off again: a tone from 1 to 2 s of stereo comes back there, to 2 ms."""
    rate_hz = 44100
    samples = np.zeros((3 * rate_hz, 2))
    samples[rate_hz : 2 * rate_hz] = 0.3 * np.sin(2 * np.pi * 440 * np.arange(rate_hz) / rate_hz)[:, None]
    soundfile.write(tmp_path / "talk.wav", samples, rate_hz)
    command = ["ffmpeg", "-v", "error", "-i", tmp_path / "talk.wav", *options, tmp_path / name]
    subprocess.run([str(part) for part in command], check=True)
    info, heard = probe_audio(tmp_path / name), read_audio(tmp_path / name)
    assert (info.n_channels, info.duration_s) == (2, pytest.approx(3.0, abs=0.05))
    assert len(heard) / 16000 == pytest.approx(3.0, abs=0.05)
    loud_s = np.flatnonzero(np.abs(heard) > 0.1) / 16000
    assert (loud_s[0], loud_s[-1]) == (pytest.approx(1.0, abs=0.002), pytest.approx(2.0, abs=0.002))
