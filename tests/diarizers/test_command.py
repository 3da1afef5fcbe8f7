"""`python -m brefine.diarizers`: which file becomes which RTTM, and what is told."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from brefine.core.turns import Diarization, Turn
from brefine.diarizers import __main__ as command
from brefine.diarizers.diarizer import Diarizer, ReportProgress
from brefine.errors import BrefineError, DataError, ProcessError
from brefine.io.rttm import read_rttm


class _HalfTalk:
    """A diarizer that hears one speaker in the first second of everything."""

    name = "builtin"

    def diarize(self, audio: Path, *, report: ReportProgress | None = None) -> Diarization:
        return Diarization(audio.stem, (Turn(0.0, 1.0, "A"),))


@pytest.fixture
def talks(tmp_path: Path) -> Path:
    folder = tmp_path / "talks"
    folder.mkdir()
    for name in ("a.wav", "My talk.FLAC"):
        soundfile.write(folder / name, np.zeros(32000), 16000, format=name.split(".")[1].upper())
    return folder


class _Hurt(_HalfTalk):
    """One that cannot do recordings of some names."""

    def __init__(self, faults: dict[str, BrefineError]) -> None:
        self._faults = faults

    def diarize(self, audio: Path, *, report: ReportProgress | None = None) -> Diarization:
        if audio.stem in self._faults:
            raise self._faults[audio.stem]
        return super().diarize(audio, report=report)


def _run(monkeypatch: pytest.MonkeyPatch, *arguments: object, diarizer: Diarizer | None = None) -> None:
    monkeypatch.setattr(command, "build_diarizer", lambda _: diarizer or _HalfTalk())
    monkeypatch.setattr(sys, "argv", ["diarizers", *map(str, arguments)])
    command.main()


def test_a_folder_becomes_a_folder_of_rttms(
    talks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each file gets an RTTM of its stem, whose recording has a name that RTTM can hold; stdout is one JSON document."""
    _run(monkeypatch, talks, "-o", tmp_path / "out", "--json")
    assert list(read_rttm(tmp_path / "out" / "My talk.rttm")) == ["My_talk"]
    assert list(read_rttm(tmp_path / "out" / "a.rttm")) == ["a"]
    told = capsys.readouterr()
    recordings = json.loads(told.out)["recordings"]
    assert [one["recording"] for one in recordings] == ["My_talk", "a"]
    assert [one["confidence"] for one in recordings] == [None, None]  # it has no votes
    assert "a: 1 turns of 1 speakers in 2.0 s" in told.err


def test_files_of_any_name_are_told_in_one_line_that_orders_nothing(
    talks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Escape codes and line breaks in names are shown as text: of what may not be whole, and of what is replaced."""
    audio, out = talks.rename(tmp_path / "two\nlines") / "red\x1b[31m.wav", tmp_path / "red\x1b[31m.rttm"
    soundfile.write(audio, np.zeros(160000), 16000)
    audio.write_bytes(audio.read_bytes()[:-3200])
    for _ in range(2):
        _run(monkeypatch, audio, "-o", out)
    first, replaced, second = capsys.readouterr().err.splitlines()[2:]
    assert (
        first == f"{tmp_path}/two\\nlines/red\\x1b[31m.wav: it ends 0.10 s before the end that its header states: is it complete?"
    )
    assert replaced == f"replaced {tmp_path}/red\\x1b[31m.rttm"
    assert second.startswith("red_[31m: 1 turns of 1 speakers")


def test_a_recording_that_cannot_be_done_costs_the_others_nothing(
    talks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever comes after it is done as well, and told; the failures come last, all in one message."""
    for name in ("b", "c"):
        soundfile.write(talks / f"{name}.wav", np.zeros(16000), 16000)
    hurt = _Hurt({"My talk": DataError("holes", where="My talk.FLAC"), "b": ProcessError("it fell over", where="b.wav")})
    with pytest.raises(ProcessError, match="recordings could not be done") as caught:
        _run(monkeypatch, talks, "-o", tmp_path / "out", "--json", diarizer=hurt)
    assert caught.value.problems == ("My talk.FLAC: holes", "b.wav: it fell over")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.rttm", "c.rttm"]
    assert [one["recording"] for one in json.loads(capsys.readouterr().out)["recordings"]] == ["a", "c"]


def test_a_diarizer_that_does_not_work_at_all_is_asked_once(
    talks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What fails in itself before it has done anything would fail at thousands of others, too; stdout stays empty."""
    hurt = _Hurt({"My talk": ProcessError("no such model"), "a": ProcessError("still no such model")})
    with pytest.raises(ProcessError, match=r"^no such model"):
        _run(monkeypatch, talks, "-o", tmp_path / "out", "--json", diarizer=hurt)
    assert capsys.readouterr().out == ""


def test_all_unusable_audio_is_named_before_anything_is_diarized(
    talks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken headers are found at once: nobody waits hours for them."""
    for name in ("a.wav", "z.wav"):
        (talks / name).write_text("no audio")
    with pytest.raises(DataError, match=r"(?s)a\.wav.*z\.wav"):
        _run(monkeypatch, talks, "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_list_of_jobs_says_what_goes_where(talks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --jobs every audio file is written to the RTTM beside it in the list."""
    jobs = tmp_path / "jobs.json"
    jobs.write_text(json.dumps([[str(talks / "a.wav"), str(tmp_path / "there.rttm")]]))
    _run(monkeypatch, "--jobs", jobs)
    assert (tmp_path / "there.rttm").is_file()


def test_what_cannot_be_written_is_told_before_anything_is_diarized(talks: Path, tmp_path: Path) -> None:
    """Two files of one stem, a folder or notes where an RTTM would go: refused, and what is there is left alone."""
    out = tmp_path / "out"
    out.mkdir()
    notes = out / "a.rttm"
    notes.write_text("my notes")
    for audio, to in ((talks, out), (talks / "a.wav", out), (talks / "a.wav", notes)):
        with pytest.raises(BrefineError, match="exists and is no RTTM; it is left alone"):
            command.plan_jobs(audio, to)
    assert notes.read_text() == "my notes"
    (out / "My talk.rttm").mkdir()
    with pytest.raises(BrefineError, match="is a folder"):
        command.plan_jobs(talks, out)
    with pytest.raises(BrefineError, match="would replace the input"):
        command.plan_jobs(talks / "a.wav", talks / "a.wav")
    with pytest.raises(BrefineError, match="a folder to write into is needed here"):
        command.plan_jobs(talks, notes)
    soundfile.write(talks / "a.flac", np.zeros(16000), 16000)
    with pytest.raises(DataError, match=r"a\.flac and a\.wav are both called a"):
        command.plan_jobs(talks, out)


def test_an_rttm_that_is_made_anew_is_named(
    talks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody loses an earlier one without a word."""
    out = tmp_path / "a.rttm"
    for n_told in (0, 1):
        _run(monkeypatch, talks / "a.wav", "-o", out)
        assert capsys.readouterr().err.count(f"replaced {out}") == n_told


@pytest.mark.parametrize("missing", ["nowhere", "talks/nothing"])
def test_audio_that_is_not_there_is_a_fault(talks: Path, tmp_path: Path, missing: str) -> None:
    """Neither a missing path nor a folder without audio is an empty success."""
    (talks / "nothing").mkdir()
    with pytest.raises(DataError, match="there is no"):
        command.plan_jobs(tmp_path / missing, tmp_path / "out")
