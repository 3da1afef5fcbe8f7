"""Voice banks are found, spoken and divided so that no voice is in two splits."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from brefine.data.espeak import N_VOICES, Synthesiser, builtin_voice, texts_of
from brefine.data.voices import Utterance, builtin_bank, find_utterances, split_by_speaker, spoiled_voices
from brefine.errors import DataError
from brefine.io.interpreter import python_command


def test_both_layouts_of_a_voice_folder_are_read(tmp_path: Path) -> None:
    """The speaker is the first part of a flat name, or the folder."""
    (tmp_path / "ANNA").mkdir()
    (tmp_path / ".BERT.tmp").mkdir()
    for name in ("19-198-0000.flac", "ANNA/one.wav", ".BERT.tmp/00.wav"):
        soundfile.write(tmp_path / name, np.zeros(16), 16000)
    (tmp_path / "readme.txt").write_text("not a voice")
    assert [(one.speaker, one.path.name) for one in find_utterances(tmp_path)] == [
        ("19", "19-198-0000.flac"),
        ("ANNA", "one.wav"),
    ]


def test_a_folder_without_voices_is_refused(tmp_path: Path) -> None:
    """A missing and an empty folder each get their own message."""
    with pytest.raises(DataError, match="no such folder"):
        find_utterances(tmp_path / "nowhere")
    with pytest.raises(DataError, match="no utterances"):
        find_utterances(tmp_path)


@given(n_speakers=st.integers(9, 60), seed=st.integers(0, 2**31))
def test_no_speaker_is_in_two_splits_and_none_is_lost(n_speakers: int, seed: int) -> None:
    """Whatever the bank and the seed, the splits partition the utterances by speaker, each with enough speakers."""
    utterances = [Utterance(f"S{index // 3:02d}", Path(f"{index}.flac")) for index in range(3 * n_speakers)]
    splits = split_by_speaker(utterances, {"train": 3.0, "validation": 1.0, "gate": 1.0}, least=3, seed=seed)
    speakers = [{one.speaker for one in own} for own in splits.values()]
    assert sum(map(len, speakers)) == len(set().union(*speakers)) == n_speakers
    assert min(map(len, speakers)) >= 3
    assert sorted(one for own in splits.values() for one in own) == sorted(utterances)


def test_too_few_speakers_for_the_splits_are_refused() -> None:
    """Eight speakers cannot give three splits of three."""
    utterances = [Utterance(f"S{index}", Path(f"{index}.flac")) for index in range(8)]
    with pytest.raises(DataError, match="at least 9 speakers"):
        split_by_speaker(utterances, {"train": 1.0, "validation": 1.0, "gate": 1.0}, least=3, seed=0)


def test_the_built_in_voices_are_distinct() -> None:
    """No two share accent and variant, and their texts differ."""
    voices = [builtin_voice(number) for number in range(N_VOICES)]
    assert len({voice.espeak_name for voice in voices}) == N_VOICES
    assert len({tuple(texts_of(voice)) for voice in voices}) == N_VOICES


def test_without_the_optional_package_no_voice_is_spoken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for a bank hears it before a process is started, and so does the process."""
    monkeypatch.setattr("brefine.data.espeak.find_spec", lambda name: None)
    for speak in (lambda: builtin_bank(tmp_path), Synthesiser):
        with pytest.raises(DataError, match="need the optional package espeakng-loader"):
            speak()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.end_to_end
def test_the_built_in_voices_are_spoken_once_and_alike(tmp_path: Path) -> None:
    """Two banks hold the same samples; a killed process's half-made voice is made again."""
    pytest.importorskip("espeakng_loader", reason="the optional extra `voices` is not installed")
    first = builtin_bank(tmp_path / "first", n_voices=3)
    broken = tmp_path / "second" / first.name / ".V001.tmp"
    broken.mkdir(parents=True)
    (broken / "00.flac").write_bytes(b"torn")
    second = builtin_bank(tmp_path / "second", n_voices=3)
    ours, theirs = find_utterances(first), find_utterances(second)
    assert [one.path.relative_to(first) for one in ours] == [one.path.relative_to(second) for one in theirs]
    assert all(one.path.read_bytes() == other.path.read_bytes() for one, other in zip(ours, theirs, strict=True))
    assert {one.speaker for one in ours} == {"V000", "V001", "V002"}
    before = [one.path.stat().st_mtime_ns for one in ours]
    assert builtin_bank(tmp_path / "first", n_voices=3) == first
    assert [one.path.stat().st_mtime_ns for one in ours] == before


def _cut(voice: Path) -> None:
    path = voice / "03.flac"
    path.write_bytes(path.read_bytes()[:5000])


def _alter(voice: Path) -> None:
    path = voice / "13.flac"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def _put_in_its_place(voice: Path, put: Callable[[Path], None]) -> None:
    shutil.rmtree(voice)
    put(voice)


_DAMAGES: dict[str, Callable[[Path], None]] = {
    "a sentence cut short": _cut,
    "a sentence altered": _alter,
    "a sentence deleted": lambda voice: (voice / "00.flac").unlink(),
    "a sentence too many": lambda voice: (voice / "14.flac").write_bytes((voice / "00.flac").read_bytes()),
    "a file in its place": lambda voice: _put_in_its_place(voice, Path.touch),
    "a link in its place": lambda voice: _put_in_its_place(voice, lambda path: path.symlink_to(path.parent / "V000")),
}


@pytest.mark.end_to_end
def test_voices_that_are_spoiled_are_found_and_spoken_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever has happened to a voice it is named, and in the end it is what it was; the other one is left alone."""
    pytest.importorskip("espeakng_loader", reason="the optional extra `voices` is not installed")
    bank = builtin_bank(tmp_path, n_voices=2)
    voice, kept = bank / "V001", tmp_path / "kept"
    shutil.copytree(voice, kept)
    left_alone = (bank / "V000" / "00.flac").stat().st_mtime_ns
    assert spoiled_voices(bank, 2) == []
    for name, damage in _DAMAGES.items():
        damage(voice)
        assert spoiled_voices(bank, 2) == [voice], name
        if name != list(_DAMAGES)[-1]:
            voice.unlink() if voice.is_file() else shutil.rmtree(voice)
            shutil.copytree(kept, voice)
    assert builtin_bank(tmp_path, n_voices=2) == bank
    assert not voice.is_symlink()
    assert [path.read_bytes() for path in sorted(voice.iterdir())] == [path.read_bytes() for path in sorted(kept.iterdir())]
    assert (bank / "V000" / "00.flac").stat().st_mtime_ns == left_alone
    told = capsys.readouterr().err
    assert ("V001" in told, "V000" in told) == (True, False)


@pytest.mark.end_to_end
def test_two_that_want_the_built_in_voices_at_once_both_get_whole_ones(tmp_path: Path) -> None:
    """Preparations of two recipes under one root: neither takes away what the other has half made, nor fails by it."""
    pytest.importorskip("espeakng_loader", reason="the optional extra `voices` is not installed")
    program = (
        "import sys, pathlib; from brefine.data.voices import builtin_bank; builtin_bank(pathlib.Path(sys.argv[1]), n_voices=2)"
    )
    command = python_command("-c", program, tmp_path)
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate()[1] for process in both] == ["", ""]
    spoken = Counter(one.speaker for one in find_utterances(tmp_path / "builtin-1-2"))
    assert spoken == {f"V00{number}": len(texts_of(builtin_voice(number))) for number in range(2)}
