"""Audio of any rate and channel count, and files that are not what they claim."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from brefine.errors import DataError
from brefine.io.audio import audio_blocks, probe_all, probe_audio, read_audio, read_excerpt


def tone(frequency_hz: float, duration_s: float, rate_hz: int) -> NDArray[np.float64]:
    return 0.5 * np.sin(2 * np.pi * frequency_hz * np.arange(round(duration_s * rate_hz)) / rate_hz)


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_samples_come_back_as_they_were_written(tmp_path: Path, suffix: str) -> None:
    """At the file's own rate nothing is changed beyond 16-bit rounding."""
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, tone(440.0, 0.5, 16000), 16000)
    samples = read_audio(path)
    assert samples.dtype == np.float32
    np.testing.assert_allclose(samples, tone(440.0, 0.5, 16000), rtol=0.0, atol=1e-4)


@pytest.mark.parametrize("rate_hz", [8000, 11025, 22050, 44100, 48000])
def test_other_rates_are_resampled(tmp_path: Path, rate_hz: int) -> None:
    """A tone keeps its frequency, level, phase and length; 20 s are several blocks at 48 kHz."""
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(440.0, 20.0, rate_hz), rate_hz, subtype="FLOAT")
    samples = read_audio(path)
    assert len(samples) == pytest.approx(20 * 16000, abs=2)
    middle = slice(1600, 20 * 16000 - 1600)
    np.testing.assert_allclose(samples[middle], tone(440.0, 20.0, 16000)[middle], rtol=0.0, atol=2e-3)


def test_channels_are_averaged(tmp_path: Path) -> None:
    """Two opposite channels cancel, two equal ones stay."""
    left = tone(440.0, 0.1, 16000)
    path = tmp_path / "a.wav"
    soundfile.write(path, np.stack([left, -left], axis=1), 16000)
    assert np.abs(read_audio(path)).max() < 1e-4
    soundfile.write(path, np.stack([left, left], axis=1), 16000)
    np.testing.assert_allclose(read_audio(path), left, rtol=0.0, atol=1e-4)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
def test_a_name_that_is_no_utf8_is_read_like_any_other(tmp_path: Path, suffix: str) -> None:
    """Names are bytes to the system: archives from elsewhere have them in Latin-1."""
    there, elsewhere = tmp_path / f"talk{suffix}", tmp_path / f"Gespr\udce4ch{suffix}"
    soundfile.write(there, np.zeros(1600), 16000)
    there.rename(elsewhere)
    assert probe_audio(elsewhere).n_samples == len(read_audio(elsewhere)) == 1600
    assert not read_excerpt(elsewhere, start_s=0.0, duration_s=0.05).any()


def test_the_header_is_told(tmp_path: Path) -> None:
    """Duration, rate, channels and samples per channel."""
    path = tmp_path / "a.flac"
    soundfile.write(path, np.zeros((4000, 2)), 8000)
    info = probe_audio(path)
    assert (info.duration_s, info.sample_rate_hz, info.n_channels, info.n_samples) == (0.5, 8000, 2, 4000)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1e25])
def test_samples_that_are_no_sound_are_refused(tmp_path: Path, bad: float) -> None:
    """Not finite, or with a power that is not: the message tells where the first one is."""
    samples = tone(440.0, 1.0, 16000)
    samples[8000] = bad
    path = tmp_path / "a.wav"
    soundfile.write(path, samples, 16000, subtype="FLOAT")
    with pytest.raises(DataError, match=r"0\.500 s"):
        read_audio(path)


def test_bytes_that_are_no_floats_are_refused_in_one_message(tmp_path: Path) -> None:
    """Not-a-number that signals, as in integers whose header calls them floats: no warning of arithmetic beside the error."""
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(440.0, 1.0, 16000), 16000, subtype="FLOAT")
    content = bytearray(path.read_bytes())
    start = content.index(b"data") + 8 + 8000 * 4
    content[start : start + 4] = (0x7F800001).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"not finite \(got the first at 0\.500 s\)"):
        read_audio(path)
    assert np.isfinite(read_excerpt(path, start_s=0.0, duration_s=1.0)).all()


def test_a_bad_sample_far_on_is_told_by_its_time_in_the_file(tmp_path: Path) -> None:
    """Not in the block that it is in; an excerpt, which is for eyes and ears, is silent there."""
    samples = np.zeros((1 << 18) + 16000)
    samples[(1 << 18) + 8000] = np.nan
    soundfile.write(tmp_path / "a.wav", samples, 16000, subtype="FLOAT")
    with pytest.raises(DataError, match=r"16\.884 s"):
        read_audio(tmp_path / "a.wav")
    assert not read_excerpt(tmp_path / "a.wav", start_s=16.5, duration_s=0.5).any()


@pytest.mark.parametrize("n_bits", [16, 24, 32])
@pytest.mark.parametrize("suffix", ["wav", "aiff"])
def test_integers_written_as_floats_sound_as_loud_as_the_integers(tmp_path: Path, suffix: str, n_bits: int) -> None:
    """From the first block on, though it is silent; filters may have left samples beyond full scale."""
    full_scale, samples = 2.0 ** (n_bits - 1), np.append(np.zeros(1 << 18), tone(440.0, 1.0, 16000) * 2.5)
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, np.round(samples * full_scale), 16000, subtype="FLOAT")
    np.testing.assert_allclose(read_audio(path), samples, rtol=0.0, atol=1e-4)
    excerpt = read_excerpt(path, start_s=(1 << 18) / 16000, duration_s=0.01)
    np.testing.assert_allclose(excerpt, samples[1 << 18 :][:160], rtol=0.0, atol=1e-4)


@pytest.mark.parametrize("peak", [1.0, 3.0, 8.0])
def test_floats_beyond_full_scale_stay_what_they_are(tmp_path: Path, peak: float) -> None:
    """A mix that would clip is no mix of integers."""
    samples = np.float32(2.0 * peak) * tone(440.0, 1.0, 16000).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", samples, 16000, subtype="FLOAT")
    np.testing.assert_array_equal(read_audio(tmp_path / "a.wav"), samples)


def test_a_header_that_claims_a_year_is_refused(tmp_path: Path) -> None:
    """A FLAC header may name any number of samples; nothing is allocated for it."""
    path = tmp_path / "a.flac"
    soundfile.write(path, tone(440.0, 1.0, 16000), 16000)
    content = bytearray(path.read_bytes())
    # STREAMINFO: rate (20 bits), channels (3), bits (5), samples (36) from byte 18 on.
    (packed,) = struct.unpack(">Q", content[18:26])
    content[18:26] = struct.pack(">Q", (packed & ~((1 << 36) - 1)) | min(365 * 86400 * 16000, (1 << 36) - 1))
    path.write_bytes(content)
    for read in (probe_audio, read_audio):
        with pytest.raises(DataError, match="impossible length"):
            read(path)


@pytest.mark.parametrize("kind", ["WAV", "WAVEX", "RF64"])
def test_a_wav_that_is_cut_off_is_refused(tmp_path: Path, kind: str) -> None:
    """Half a download is not taken for a shorter recording, though libsndfile would: its turns would be lost."""
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(440.0, 2.0, 16000), 16000, format=kind)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    for read in (probe_audio, read_audio):
        with pytest.raises(DataError, match="cut off"):
            read(path)


@pytest.mark.parametrize(("kind", "claimed", "there"), [("WAV", "64,000 bytes", "31,"), ("RF64", "32,000 samples", "15,")])
def test_files_that_are_cut_off_are_listed_with_what_to_do_once(tmp_path: Path, kind: str, claimed: str, there: str) -> None:
    """Each with what its header says and what is there, in their unit; the way out, which they share, is told behind them."""
    paths = [tmp_path / "a.wav", tmp_path / "b.wav"]
    for path in paths:
        soundfile.write(path, tone(440.0, 2.0, 16000), 16000, format=kind)
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError) as refused:
        probe_all(paths)
    for path, problem in zip(paths, refused.value.problems, strict=True):
        assert problem.startswith(f"{path}: the audio is cut off (expected {claimed}, as its header says, got {there}")
        assert problem.endswith(f" {claimed.split()[1]})")
    assert str(refused.value).count("→ the audio is cut off: copy it again; ") == 1


def test_a_wav_that_claims_a_year_is_refused(tmp_path: Path) -> None:
    """An RF64 of a tenth of a second whose header claims 365 days."""
    n_bytes = 365 * 86400 * 32000
    sizes = struct.pack("<4sIQQQI", b"ds64", 28, n_bytes + 72, n_bytes, n_bytes // 2, 0)
    layout = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 16000, 32000, 2, 16)
    unknown = struct.pack("<I", 0xFFFFFFFF)
    path = tmp_path / "a.wav"
    path.write_bytes(b"RF64" + unknown + b"WAVE" + sizes + layout + b"data" + unknown + bytes(3200))
    with pytest.raises(DataError, match="cut off"):
        probe_audio(path)


@pytest.mark.parametrize("claimed", [0x7FFFF000, 0xFFFFFFFF])
def test_a_wav_that_came_through_a_pipe_is_read(tmp_path: Path, claimed: int) -> None:
    """Its writer did not know the length, and claimed two or four gigabytes as sox and ffmpeg do."""
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(440.0, 0.5, 16000), 16000)
    content = bytearray(path.read_bytes())
    content[4:8] = content[40:44] = struct.pack("<I", claimed)
    path.write_bytes(content)
    assert len(read_audio(path)) == 8000


def test_a_sampling_rate_of_one_hertz_is_refused(tmp_path: Path) -> None:
    """A few kilobytes would become hours of samples at 16 kHz."""
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(440.0, 0.5, 16000), 1)
    with pytest.raises(DataError, match="at least 1000 Hz, got 1 Hz"):
        probe_audio(path)


def test_audio_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    """Half a download is not taken for a shorter recording."""
    path = tmp_path / "a.flac"
    soundfile.write(path, np.random.default_rng(0).normal(0.0, 0.1, 160_000), 16000)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"cut off|cannot be read"):
        read_audio(path)


@pytest.mark.parametrize("kind", ["wav", "aiff", "rf64"])
def test_audio_that_may_lack_its_end_is_told(tmp_path: Path, kind: str) -> None:
    """These headers are exact: a hundredth less is read, and named; what counts its header in is whole."""
    path = tmp_path / ("a.wav" if kind == "rf64" else f"a.{kind}")
    soundfile.write(path, np.random.default_rng(0).normal(0.0, 0.1, 160_000), 16000, format=kind.upper())
    content = path.read_bytes()
    path.write_bytes(content[:-100])
    assert probe_all([path]) == []
    path.write_bytes(content[:-2000])
    assert probe_all([path, path]) == [f"{path}: it ends 0.06 s before the end that its header states: is it complete?"]
    path.write_bytes(content[:-32000])
    with pytest.raises(DataError, match="cut off"):
        probe_all([path])


@pytest.mark.parametrize(("suffix", "subtype"), [("mp3", "MPEG_LAYER_III"), ("ogg", "VORBIS"), ("opus", "OPUS")])
def test_streams_one_behind_the_other_are_refused(tmp_path: Path, suffix: str, subtype: str) -> None:
    """The decoder ends with the first and says nothing; a closing tag or padding is no stream."""
    kind, whole = "MP3" if suffix == "mp3" else "OGG", tmp_path / f"a.{suffix}"
    soundfile.write(whole, tone(440.0, 3.0, 16000), 16000, format=kind, subtype=subtype)
    tagged, twice = tmp_path / f"tagged.{suffix}", tmp_path / f"twice.{suffix.upper()}"
    tagged.write_bytes(whole.read_bytes() + b"APETAGEX" + bytes(4096))
    twice.write_bytes(2 * whole.read_bytes())
    for path in (whole, tagged):
        assert len(read_audio(path)) == pytest.approx(3 * 16000, abs=2000)
    with pytest.raises(DataError, match=r"continues past the end[^$]*3\.0[0-9]* s in the first [0-9]+ of [0-9]+ bytes"):
        read_audio(twice)


def test_what_a_file_server_for_macs_leaves_in_the_current_folder_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """libsndfile takes `.AppleDouble` for the other half of any MP3 that is read from there."""
    path = tmp_path / "a.mp3"
    soundfile.write(path, tone(440.0, 3.0, 16000), 16000, format="MP3", subtype="MPEG_LAYER_III")
    (tmp_path / ".AppleDouble").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="go to another folder"):
        read_audio(path)
    monkeypatch.chdir("/")
    assert len(read_audio(path)) == pytest.approx(3 * 16000, abs=2000)


@pytest.mark.parametrize("content", [b"", b"not audio at all", b"RIFF\xff\xff\xff\xffWAVEfmt "], ids=["empty", "text", "torn"])
def test_files_that_are_no_audio_are_refused(tmp_path: Path, content: bytes) -> None:
    """With the path and no traceback."""
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    for read in (probe_audio, read_audio):
        with pytest.raises(DataError, match=r"a\.wav"):
            read(path)


def test_missing_files_and_folders_are_told(tmp_path: Path) -> None:
    """Neither is audio."""
    with pytest.raises(DataError, match="no such audio file"):
        read_audio(tmp_path / "none.wav")
    with pytest.raises(DataError, match="not a file"):
        read_audio(tmp_path)


def test_every_cut_of_a_wav_header_is_a_result_or_a_data_error(tmp_path: Path) -> None:
    """No prefix of a file brings another exception."""
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(440.0, 0.01, 16000), 16000)
    content = path.read_bytes()
    for end in range(len(content)):
        path.write_bytes(content[:end])
        with contextlib.suppress(DataError):
            assert len(read_audio(path)) <= 160


@pytest.mark.parametrize("rate_hz", [16000, 44100])
def test_an_excerpt_equals_that_part_of_the_file(tmp_path: Path, rate_hz: int) -> None:
    """Also at another rate; what lies before the start or behind the end is silence."""
    times_s = np.arange(3 * rate_hz) / rate_hz
    soundfile.write(tmp_path / "a.wav", 0.3 * np.sin(2 * np.pi * 200.0 * times_s), rate_hz, subtype="FLOAT")
    whole = read_audio(tmp_path / "a.wav")
    middle = read_excerpt(tmp_path / "a.wav", start_s=1.0, duration_s=1.0)
    assert np.abs(middle[800:-800] - whole[16800:31200]).max() < 1e-3
    early = read_excerpt(tmp_path / "a.wav", start_s=-0.5, duration_s=1.0)
    assert len(early) == 16000 and not early[:8000].any() and early[8800:15200].any()
    late = read_excerpt(tmp_path / "a.wav", start_s=2.5, duration_s=1.0)
    assert late[800:7200].any() and not late[8000:].any()


def test_a_long_file_is_read_in_blocks_that_stay_small(tmp_path: Path) -> None:
    """The blocks are the file, in order; none holds more than a few seconds of it."""
    path = tmp_path / "long.wav"
    soundfile.write(path, np.random.default_rng(0).normal(0.0, 0.1, (60 * 44100, 2)), 44100)
    blocks = list(audio_blocks(path))
    np.testing.assert_array_equal(np.concatenate(blocks), read_audio(path))
    assert max(map(len, blocks)) < 8 * 16000
