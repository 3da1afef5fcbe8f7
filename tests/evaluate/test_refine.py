"""`brefine refine`: files and folders in, better turns and a report out."""

from __future__ import annotations

import csv
import errno
import itertools
import json
import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from brefine.config import RefineConfig
from brefine.errors import BrefineError, DataError, FormatError, run_main
from brefine.evaluate import __main__ as processes
from brefine.evaluate.moves import Reason
from brefine.evaluate.refine import Refined, format_report, load_weights, refine_tasks
from brefine.evaluate.tasks import REPORT_COLUMNS, plan_refinement, require_usable
from brefine.io.rttm import read_rttm, write_rttm
from brefine.io.shipped import shipped_weights
from brefine.models.error_prior import ErrorPrior
from brefine.phasedir import GateRecord, PhaseDir
from tests.evaluate.conftest import RATE_HZ, bursts, save_untrained
from tests.refusals import refusals


@pytest.fixture
def talks(tmp_path: Path) -> Path:
    """A folder with audio/, rttm/ and untrained weights."""
    for seed in (0, 1):
        samples, _, hypothesis = bursts(seed)
        (tmp_path / "audio").mkdir(exist_ok=True)
        soundfile.write(tmp_path / "audio" / f"rec{seed}.wav", samples, RATE_HZ)
        write_rttm(tmp_path / "rttm" / f"rec{seed}.rttm", hypothesis)
    save_untrained(tmp_path / "mlp.safetensors", "mlp")
    return tmp_path


def refine(talks: Path, audio: Path, rttm: Path, out: Path, **options: float) -> list[Refined]:
    refiner, tasks = load_weights(talks / "mlp.safetensors", "cpu"), plan_refinement(audio, rttm, out)
    require_usable(path for task in tasks for path in task.audio.values())
    return [one for own in refine_tasks(refiner, tasks, RefineConfig(**options)) for one in own]


def test_the_docs_explain_every_column_and_every_reason_of_the_report() -> None:
    """As they stand in the file, in its order, each once and none that is no more."""
    text = (Path(__file__).parents[2] / "docs" / "refining.md").read_text(encoding="utf-8")
    columns, reasons = (text.split(f"\n| {head} | means |\n")[1].split("\n\n")[0] for head in ("column", "reason"))
    assert tuple(re.findall(r"`(\w+)`", "\n".join(re.findall(r"^\|([^|]+)\|", columns, flags=re.M)))) == REPORT_COLUMNS
    assert re.findall(r"^\| `(.+?)` \|", reasons, flags=re.M) == [reason.value for reason in Reason]


def test_a_file_is_refined(talks: Path) -> None:
    """Turns keep their number and speakers; the report has a row a boundary that says where it is in the file."""
    (one,) = refine(talks, talks / "audio" / "rec0.wav", talks / "rttm" / "rec0.rttm", talks / "out.rttm")
    before, after = read_rttm(talks / "rttm" / "rec0.rttm")["rec0"], read_rttm(talks / "out.rttm")["rec0"]
    assert len(after.turns) == len(before.turns)
    assert after.speakers == before.speakers
    rows = list(csv.DictReader(format_report([one]).splitlines()))
    assert tuple(rows[0]) == REPORT_COLUMNS
    assert len(rows) == 2 * len(before.turns)
    written = sorted([turn.onset_s for turn in after.turns] + [turn.offset_s for turn in after.turns])
    assert sorted(float(row["refined_s"]) for row in rows) == pytest.approx(written, abs=2e-6)
    assert sum(row["moved"] == "yes" for row in rows) == one.summary()["moved"]


def test_the_report_tells_how_vague_each_place_is(talks: Path) -> None:
    """In its last column, in milliseconds; nothing where the refiner was not asked."""
    (talks / "rttm" / "rec0.rttm").write_text(
        "".join(f"SPEAKER rec0 1 {onset_s} {length_s} <NA> <NA> A <NA> <NA>\n" for onset_s, length_s in ((1.0, 1.0), (2.0, 1.0)))
    )
    (one,) = refine(talks, talks / "audio" / "rec0.wav", talks / "rttm" / "rec0.rttm", talks / "out.rttm")
    rows = list(csv.DictReader(format_report([one]).splitlines()))
    assert REPORT_COLUMNS[-1] == "spread_ms"
    assert [row["spread_ms"] != "" for row in rows] == [True, False, False, True]  # his own speech goes on at 2 s
    assert all(1.0 < float(row["spread_ms"]) < 640.0 for row in (rows[0], rows[3]))


def test_folders_go_by_equal_stems(talks: Path) -> None:
    """Each RTTM of a folder gets the audio of its name and lands under its own name."""
    done = refine(talks, talks / "audio", talks / "rttm", talks / "new" / "out")
    assert [one.refinement.hypothesis.recording for one in done] == ["rec0", "rec1"]
    assert sorted(path.name for path in (talks / "new" / "out").iterdir()) == ["rec0.rttm", "rec1.rttm"]


def test_folders_may_come_from_other_systems(talks: Path) -> None:
    """Hidden files that macOS leaves are passed over, and suffixes have any case; each output is called like its input."""
    (talks / "rttm" / "rec0.rttm").rename(talks / "rttm" / "rec0.RTTM")
    (talks / "audio" / "rec0.wav").rename(talks / "audio" / "rec0.Wav")
    for name in ("rttm/._rec0.rttm", "audio/._rec0.wav"):
        (talks / name).write_bytes(b"\0\5\x16\7")
    refine(talks, talks / "audio", talks / "rttm", talks / "out")
    assert sorted(path.name for path in (talks / "out").iterdir()) == ["rec0.RTTM", "rec1.rttm"]


def test_recordings_that_are_all_called_the_same_are_told_apart(talks: Path) -> None:
    """pyannote.audio writes `waveform` of audio in memory: reports say which file it was, the RTTM stays as it is."""
    for seed in (0, 1):
        path = talks / "rttm" / f"rec{seed}.rttm"
        path.write_text(path.read_text().replace(f"rec{seed}", "waveform"))
    done = refine(talks, talks / "audio", talks / "rttm", talks / "out")
    assert [one.summary()["recording"] for one in done] == ["rec0", "rec1"]
    assert {row["recording"] for row in csv.DictReader(format_report(done).splitlines())} == {"rec0", "rec1"}
    assert list(read_rttm(talks / "out" / "rec1.rttm")) == ["waveform"]


def test_one_rttm_of_several_recordings_goes_with_a_folder_of_audio(talks: Path) -> None:
    """All recordings of the file are refined and stay in one file."""
    both = "".join((talks / "rttm" / f"rec{seed}.rttm").read_text() for seed in (0, 1))
    (talks / "both.rttm").write_text(both)
    refine(talks, talks / "audio", talks / "both.rttm", talks / "out.rttm")
    assert sorted(read_rttm(talks / "out.rttm")) == ["rec0", "rec1"]


def test_with_full_confidence_asked_for_nothing_moves(talks: Path) -> None:
    """A gate that nothing passes leaves the file as it was, to the letter."""
    (one,) = refine(talks, talks / "audio" / "rec0.wav", talks / "rttm" / "rec0.rttm", talks / "out.rttm", min_confidence=1.0)
    assert one.summary()["moved"] == 0
    assert (talks / "out.rttm").read_text() == (talks / "rttm" / "rec0.rttm").read_text()


def test_moves_stay_within_the_limit(talks: Path) -> None:
    """No boundary moves further than --max-shift-s."""
    tasks = plan_refinement(talks / "audio" / "rec0.wav", talks / "rttm" / "rec0.rttm", talks / "out.rttm")
    late = ErrorPrior(habit_s=(0.2, 0.2), doubt=1.0)
    ((one,),) = refine_tasks(load_weights(talks / "mlp.safetensors", "cpu"), tasks, RefineConfig(max_shift_s=0.03), prior=late)
    assert 0 < max(abs(move.shift_s) for move in one.refinement.moves) <= 0.03 + 1e-9


def test_all_broken_rttms_of_a_folder_are_named_at_once(talks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One message lists the faults of every file, also where a calibration is asked for; a single file speaks for itself."""
    (talks / "rttm" / "rec0.rttm").write_text("GARBAGE\n")
    (talks / "rttm" / "rec1.rttm").write_bytes(b"\x1f\x8b")
    given = [*(str(talks / name) for name in ("audio", "rttm")), "-o", str(talks / "out")]
    for command in (["refine", *given], ["calibrate", *given, str(talks / "audio")]):
        monkeypatch.setattr("sys.argv", ["evaluate", *command])
        with pytest.raises(FormatError, match=r"(?s)rec0\.rttm: 1 broken line.*line 1: .*rec1\.rttm: the file is gzipped"):
            processes.main()
    with pytest.raises(FormatError, match=r"^\S*rec0\.rttm: 1 broken line "):
        plan_refinement(talks / "audio", talks / "rttm" / "rec0.rttm")


def test_all_missing_audio_is_named_before_anything_is_written(talks: Path) -> None:
    """One message lists every recording without audio."""
    (talks / "audio" / "rec0.wav").rename(talks / "audio" / "other0.wav")
    (talks / "audio" / "rec1.wav").rename(talks / "audio" / "other1.wav")
    with pytest.raises(DataError) as caught:
        refine(talks, talks / "audio", talks / "rttm", talks / "out")
    assert "no audio for rec0" in str(caught.value)
    assert "no audio for rec1" in str(caught.value)
    assert not (talks / "out").exists()


def test_all_unusable_audio_is_named_before_anything_is_heard(talks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder's broken headers are found at once; nothing is written, and no recording is heard for nothing."""
    monkeypatch.setattr("brefine.evaluate.refine.frames_of", lambda *given: pytest.fail("something was heard"))
    ask_for_all(talks, monkeypatch)
    (talks / "audio" / "rec1.wav").write_text("no audio")
    with pytest.raises(DataError, match=r"rec1\.wav"):
        processes.main()
    (talks / "audio" / "rec0.wav").write_bytes(b"")
    with pytest.raises(DataError, match=r"(?s)rec0\.wav.*\n.*rec1\.wav"):
        processes.main()
    assert not (talks / "out").exists()


def test_what_cannot_be_done_is_refused_before_torch_is_loaded(talks: Path) -> None:
    """That takes seconds: a wrong path, files that are not what they should be or would be replaced, labels of nobody there."""
    (talks / "no.wav").write_text("no audio")
    (talks / "notes.csv").write_text("mine")
    write_rttm(talks / "another.rttm", read_rttm(talks / "rttm" / "rec0.rttm")["rec0"])
    write_rttm(talks / "few.rttm", read_rttm(talks / "rttm" / "rec0.rttm")["rec0"].clipped(0.0, 2.0))
    (talks / "phase").mkdir()
    (talks / "untrained").mkdir()
    shutil.copy(Path(__file__).parents[2] / "configs" / "mlp.toml", talks / "untrained" / "phase.toml")
    torn = shipped_weights().read_bytes()
    (talks / "torn").write_bytes(torn[: len(torn) // 2])
    asked = [
        *(f"refine audio/rec0.wav rttm/rec0.rttm -o out.rttm --weights {name}" for name in ("nowhere", "no.wav", "torn")),
        *(f"refine audio/rec0.wav rttm/rec0.rttm -o out.rttm --calibration {name}" for name in ("nowhere", "no.wav")),
        "calibrate audio/rec0.wav rttm/rec0.rttm rttm/rec0.rttm -o mine.json --weights nowhere",
        "refine nowhere.wav rttm/rec0.rttm -o out.rttm",
        "refine audio/rec0.wav nowhere.rttm -o out.rttm",
        "refine no.wav rttm/rec0.rttm -o out.rttm",
        "refine audio/rec0.wav rttm/rec0.rttm -o out.rttm --report notes.csv",
        "calibrate audio/rec0.wav rttm/rec0.rttm nowhere.rttm -o mine.json",
        "calibrate no.wav rttm/rec0.rttm another.rttm -o mine.json",
        "calibrate audio/rec0.wav rttm/rec0.rttm few.rttm -o mine.json",
        "evaluate phase",
        *(f"evaluate untrained{given}" for given in ("", " --checkpoint nowhere", " --checkpoint torn")),
        *(f"integrate untrained --model mlp{given}" for given in ("", " --checkpoint torn")),
    ]
    assert refusals("brefine.evaluate.__main__", asked, folder=talks) == [
        "there are no such weights: False",
        "the weights are torn, or not a safetensors file: False",
        "the weights are torn, or not a safetensors file: False",
        "there is no such calibration: False",
        "this is not JSON: Expecting value: line 1 column 1 (char 0): False",
        "there are no such weights: False",
        "there is no such audio: False",
        "there is no such RTTM: False",
        "this audio cannot be read: format not recognised: False",
        "the output exists and is no report; it is left alone: False",
        "there is no such reference: False",
        "this audio cannot be read: format not recognised: False",
        "too few boundaries have a partner in the reference to calibrate with: False",
        "the phase has lost its recipe: False",
        "there are no such weights: False",
        "there are no such weights: False",
        "the weights are torn, or not a safetensors file: False",
        "there are no such weights: False",
        "the weights are torn, or not a safetensors file: False",
    ]


def test_audio_whose_body_is_at_fault_costs_the_others_nothing(
    talks: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Found only when it is heard: the others are refined as if it weren't there, told, and it is named in the end."""
    refine(talks, talks / "audio" / "rec1.wav", talks / "rttm" / "rec1.rttm", talks / "alone.rttm")
    samples = bursts(0)[0]
    samples[5000] = np.nan
    soundfile.write(talks / "audio" / "rec0.wav", samples, RATE_HZ, subtype="FLOAT")
    ask_for_all(talks, monkeypatch)
    with pytest.raises(DataError, match=r"rec0\.wav: the audio holds samples that are not finite"):
        processes.main()
    assert [path.name for path in (talks / "out").iterdir()] == ["rec1.rttm"]
    assert (talks / "out" / "rec1.rttm").read_text() == (talks / "alone.rttm").read_text()
    out, err = capsys.readouterr()
    assert [one["recording"] for one in json.loads(out)["recordings"]] == ["rec1"]
    assert "1 of 2 RTTMs are written" in err
    assert reported(talks) == {"rec1"}


def test_a_disk_that_fills_costs_nothing_that_is_written(
    talks: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Report and document tell of what is written and of nothing else; where there is room for none of it, nothing is told."""
    fill_disk_at(monkeypatch, "rec1.rttm")
    ask_for_all(talks, monkeypatch)
    with pytest.raises(OSError, match="No space left"):
        processes.main()
    out, err = capsys.readouterr()
    assert [one["recording"] for one in json.loads(out)["recordings"]] == ["rec0"]
    assert "1 of 2 RTTMs are written" in err and "rec0: " in err and "rec1: " not in err
    assert reported(talks) == {"rec0"}
    fill_disk_at(monkeypatch, "rec0.rttm")
    with pytest.raises(OSError, match="No space left"):
        processes.main()
    out, err = capsys.readouterr()
    assert out == "" and "moved" not in err


@pytest.mark.parametrize(
    ("number", "n_written"), [(signal.SIGTERM, 0), (signal.SIGTERM, 1), (signal.SIGINT, 0), (signal.SIGINT, 1)]
)
def test_who_stops_a_refinement_is_told_what_is_written(
    talks: Path, number: signal.Signals, n_written: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Hours of hearing may be gone: nobody has to look whether they are. The report holds what is written."""

    def until_stopped(*given: object, **named: object) -> Iterator[list[Refined]]:
        yield from itertools.islice(refine_tasks(*given, **named), n_written)
        signal.raise_signal(number)

    monkeypatch.setattr("brefine.evaluate.refine.refine_tasks", until_stopped)
    ask_for_all(talks, monkeypatch)
    with pytest.raises(SystemExit, match=str(128 + number)):
        run_main(processes.main)
    out, err = capsys.readouterr()
    assert ("1 of 2 RTTMs are written" if n_written else "stopped before the first RTTM was written") in err
    assert [one["recording"] for one in json.loads(out or '{"recordings": []}')["recordings"]] == ["rec0"][:n_written]
    assert (talks / "r.csv").exists() == (n_written > 0)


def test_many_recordings_in_one_piece_are_a_risk_that_is_told(
    talks: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before any is heard; shares keep what they have done. A few are not worth a word."""
    monkeypatch.setattr("brefine.evaluate.refine.refine_tasks", lambda *given, **named: iter(()))
    ask_for_all(talks, monkeypatch)
    processes.main()
    assert "--config" not in capsys.readouterr().err
    monkeypatch.setattr(processes, "_MANY", 1)
    processes.main()
    told = "nothing is written until the recordings of all 2 RTTMs have been heard; with --config RECIPE they are done in shares"
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("full", [("r.csv",), ("rec1.rttm", "r.csv")])
def test_a_report_that_finds_no_room_costs_the_document_nothing(
    talks: Path, full: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It lies on the same disk; the first thing that found no room is the error, and the report's absence is told."""
    fill_disk_at(monkeypatch, *full)
    ask_for_all(talks, monkeypatch)
    with pytest.raises(OSError, match="No space left") as raised:
        processes.main()
    assert Path(str(raised.value.filename)).name == full[0]
    out, err = capsys.readouterr()
    assert [one["recording"] for one in json.loads(out)["recordings"]] == ["rec0", "rec1"][: 3 - len(full)]
    assert ("no report: " in err) == (len(full) > 1)


def ask_for_all(talks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The arguments of a process that refines the folder, with a report and a document."""
    given = [*(str(talks / name) for name in ("audio", "rttm")), "-o", str(talks / "out"), "--report", str(talks / "r.csv")]
    weights = ["--weights", str(talks / "mlp.safetensors"), "--device", "cpu"]
    monkeypatch.setattr("sys.argv", ["evaluate", "refine", *given, *weights, "--json"])


def reported(talks: Path) -> set[str]:
    """The recordings in the report."""
    return {row["recording"] for row in csv.DictReader((talks / "r.csv").read_text().splitlines())}


def fill_disk_at(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """No file of these names can be written any more."""

    def replace(path: Path, content: bytes) -> None:
        if path.name in names:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        path.write_bytes(content)

    monkeypatch.setattr("brefine.io.atomic._replace", replace)


def test_what_has_no_partner_is_named(talks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Recordings of a file of which no audio is given stay as they are, audio without turns is left out: not in silence."""
    both = "".join((talks / "rttm" / f"rec{seed}.rttm").read_text() for seed in (0, 1))
    (talks / "both.rttm").write_text(both)
    plan_refinement(talks / "audio" / "rec0.wav", talks / "both.rttm", talks / "out.rttm")
    assert capsys.readouterr().err == "ignored, since no audio is given: rec1\n"
    for number in range(2, 24):
        (talks / "audio" / f"rec{number}.wav").touch()
    (talks / "rttm" / "rec23.rttm").touch()
    plan_refinement(talks / "audio", talks / "rttm", talks / "out")
    told = capsys.readouterr().err
    assert told.startswith("no turns for: rec10, rec11, ")
    assert told.endswith(" … and 1 more\n") and told.count("rec") == 20 and "rec23" not in told
    plan_refinement(talks / "audio" / "rec0.wav", talks / "rttm" / "rec0.rttm", talks / "out.rttm")
    assert capsys.readouterr().err == ""


def test_audio_that_shares_a_name_is_refused(talks: Path) -> None:
    """Nobody could say which of the two was refined; a copy in another format is shifted at times."""
    (talks / "audio" / "rec0.flac").write_bytes((talks / "audio" / "rec1.wav").read_bytes())
    with pytest.raises(DataError, match=r"rec0\.flac and rec0\.wav are both called rec0"):
        plan_refinement(talks / "audio", talks / "rttm", talks / "out")


def test_a_recordings_name_leads_out_of_no_folder(talks: Path) -> None:
    """An RTTM that somebody else wrote chooses no audio outside of the folder that was given."""
    (talks / "both.rttm").write_text("SPEAKER ../audio/rec0 1 0 1 <NA> <NA> s <NA> <NA>\n" * 2)
    with pytest.raises(DataError, match=r"no audio for \.\./audio/rec0"):
        plan_refinement(talks / "audio", talks / "both.rttm", talks / "out.rttm")


def test_turns_after_the_end_of_the_audio_are_counted(talks: Path) -> None:
    """They cannot be refined and are left out: the user is told, since the audio may be the one that is not whole."""
    with (talks / "rttm" / "rec0.rttm").open("a") as file:
        file.write("SPEAKER rec0 1 5000 1 <NA> <NA> s <NA> <NA>\n")
    (one,) = refine(talks, talks / "audio" / "rec0.wav", talks / "rttm" / "rec0.rttm", talks / "out.rttm")
    assert one.summary()["left_out"] == 1


def test_turns_that_are_cut_at_the_end_of_the_audio_are_counted(talks: Path) -> None:
    """The report says where the file had their ends; what a frame or two exceed is cut without a question."""
    with (talks / "rttm" / "rec0.rttm").open("a") as file:
        for onset_s, duration_s, speaker in ((11.4, 4.5, "s"), (11.4, 0.65, "z"), (11.4, 9.0, "a")):
            file.write(f"SPEAKER rec0 1 {onset_s} {duration_s} <NA> <NA> {speaker} <NA> <NA>\n")
    (one,) = refine(talks, talks / "audio" / "rec0.wav", talks / "rttm" / "rec0.rttm", talks / "out.rttm")
    assert (one.summary()["left_out"], one.summary()["cut"]) == (0, 2)
    assert "12.0 s, and 2 turns were cut there: is the file complete?" in processes._told(one)
    rows = [row for row in csv.DictReader(format_report([one]).splitlines()) if float(row["hypothesis_s"]) > 12.0]
    told = {row["speaker"]: (row["hypothesis_s"], row["refined_s"], row["shift_ms"], row["moved"]) for row in rows}
    assert told == {
        "a": ("20.400000", "12.000000", "-8400.000", "no"),
        "s": ("15.900000", "12.000000", "-3900.000", "no"),
        "z": ("12.050000", "12.000000", "-50.000", "no"),
    }
    assert {row["reason"] for row in rows} == {"behind the end of the audio"}


def test_turns_of_no_length_stay_as_they_are(talks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rounding leaves some in a diarizer's RTTM: they are told, and kept to the letter, wherever they lie."""
    path, empty = talks / "rttm" / "rec0.rttm", "SPEAKER rec0 1  {}\t0.000 <NA> <NA> s 0.5\n"
    path.write_text(empty.format(3) + path.read_text() + empty.format(5000))
    (one,) = refine(talks, talks / "audio" / "rec0.wav", path, talks / "out.rttm")
    assert one.summary()["left_out"] == 0
    lines = (talks / "out.rttm").read_text().splitlines(keepends=True)
    assert (lines[0], lines[-1]) == (empty.format(3), empty.format(5000))
    assert f"{path}: 2 turns have no length and are ignored" in capsys.readouterr().err


def test_hearing_that_takes_long_says_what_it_is_at(
    talks: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing moves before everything is heard, which of a folder takes hours; what is done at once says nothing."""
    refine(talks, talks / "audio", talks / "rttm", talks / "out")
    assert "hearing" not in capsys.readouterr().err
    monkeypatch.setattr("brefine.evaluate.refine._QUIET_S", 0.0)
    refine(talks, talks / "audio", talks / "rttm", talks / "new")
    assert [line for line in capsys.readouterr().err.splitlines() if "hearing" in line] == [
        "hearing 1 of 2: rec0 (12 s heard)",
        "hearing 2 of 2: rec1 (12 s heard)",
    ]


@pytest.mark.parametrize("loudness", [0.0, 1.0, 1e-4])
def test_audio_without_a_sound_is_named(talks: Path, capsys: pytest.CaptureFixture[str], loudness: float) -> None:
    """Digital silence, and two channels of which one is the other's negative; whoever whispers makes a sound."""
    audio, samples = talks / "audio" / "rec0.wav", bursts(0)[0]
    soundfile.write(audio, samples[:, None] * loudness * [1.0, 0.0 if loudness == 1e-4 else -1.0], RATE_HZ, subtype="FLOAT")
    refine(talks, audio, talks / "rttm" / "rec0.rttm", talks / "out.rttm")
    assert (f"{audio}: it holds no sound" in capsys.readouterr().err) == (loudness != 1e-4)


def test_a_file_that_may_lack_its_end_is_named(talks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A copy that stopped a little early is refined, and its user asked."""
    audio = talks / "audio" / "rec0.wav"
    audio.write_bytes(audio.read_bytes()[:-3200])
    refine(talks, audio, talks / "rttm" / "rec0.rttm", talks / "out.rttm")
    assert f"{audio}: it ends 0.10 s before the end that its header states: is it complete?" in capsys.readouterr().err


def test_files_of_any_name_are_told_in_one_line_that_orders_nothing(
    talks: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Escape codes and line breaks in names are shown as text: of what is heard, doubted, silent, replaced, or has no partner."""
    monkeypatch.setattr("brefine.evaluate.refine._QUIET_S", 0.0)
    folder, name = talks / "two\nlines", "red\x1b[31m"
    folder.mkdir()
    audio, out = folder / f"{name}.wav", folder / f"{name}.out.rttm"
    soundfile.write(audio, 0.0 * bursts(0)[0], RATE_HZ)
    audio.write_bytes(audio.read_bytes()[:-3200])
    rttm = folder / f"{name}.rttm"
    rttm.write_text((talks / "rttm" / "rec0.rttm").read_text() + "SPEAKER rec0 1 3 0.000 <NA> <NA> s 0.5\n")
    refine(talks, audio, rttm, out)
    refine(talks, audio, rttm, out)
    (talks / "audio" / "x\ny.wav").write_bytes(audio.read_bytes())
    plan_refinement(talks / "audio", talks / "rttm" / "rec0.rttm")
    told, shown = capsys.readouterr().err, f"{talks}/two\\nlines/red\\x1b[31m"
    assert "\x1b" not in told
    assert [line.split(" s heard")[0] for line in told.splitlines()[4:]] == [
        f"{shown}.rttm: 1 turn has no length and is ignored",
        f"{shown}.wav: it ends 0.10 s before the end that its header states: is it complete?",
        "hearing 1 of 1: red\\x1b[31m (12",
        f"{shown}.wav: it holds no sound (do its channels cancel each other out?), so nothing can be heard",
        f"replaced {shown}.out.rttm",
        "no turns for: rec1, x\\ny",
    ]


def test_an_rttm_without_the_audios_recording_is_refused(talks: Path) -> None:
    """Of a file of several recordings, only the one named like the audio can be meant."""
    both = "".join((talks / "rttm" / f"rec{seed}.rttm").read_text() for seed in (0, 1))
    (talks / "both.rttm").write_text(both)
    (talks / "audio" / "rec0.wav").rename(talks / "talk.wav")
    with pytest.raises(DataError, match="none of them named talk"):
        plan_refinement(talks / "talk.wav", talks / "both.rttm", talks / "out.rttm")


@pytest.mark.parametrize("out", ["rttm/rec0.rttm", "audio/rec0.wav", "notes.txt"])
def test_nothing_but_an_rttm_is_replaced(talks: Path, out: str) -> None:
    """Inputs and files of other kinds are left alone."""
    (talks / "notes.txt").write_text("do not lose me")
    before = (talks / out).read_bytes()
    with pytest.raises(BrefineError, match="-o"):
        plan_refinement(talks / "audio" / "rec0.wav", talks / "rttm" / "rec0.rttm", talks / out)
    assert (talks / out).read_bytes() == before


def test_an_rttm_without_turns_stays_one(talks: Path) -> None:
    """A recording in which nobody speaks is refined to the same."""
    (talks / "rttm" / "rec0.rttm").write_text("")
    assert refine(talks, talks / "audio" / "rec0.wav", talks / "rttm" / "rec0.rttm", talks / "out.rttm") == []
    assert (talks / "out.rttm").read_text() == ""


def test_an_rttm_without_turns_is_made_anew(talks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Comments and lines of other types are kept, the file knows itself again, and the user is told that there are no turns."""
    text = ";; nobody spoke\nSPKR-INFO rec0 1 <NA> <NA> <NA> unknown spk00 <NA> <NA>\n"
    (talks / "rttm" / "rec0.rttm").write_text(text)
    for _ in range(2):
        refine(talks, talks / "audio" / "rec0.wav", talks / "rttm" / "rec0.rttm", talks / "out.rttm")
    assert (talks / "out.rttm").read_text() == text
    assert capsys.readouterr().err.count("rec0: no turns") == 2


def test_an_untrained_model_moves_nothing(talks: Path) -> None:
    """Random weights know nothing, and the hypotheses show it: every boundary stays within a frame."""
    (one,) = refine(talks, talks / "audio" / "rec0.wav", talks / "rttm" / "rec0.rttm", talks / "out.rttm")
    assert max(abs(move.shift_s) for move in one.refinement.moves) < 0.02


def test_json_stands_alone_on_stdout(talks: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """One document on stdout, messages on stderr, the report where it was asked for."""
    monkeypatch.chdir(talks)
    given = [
        "audio/rec0.wav",
        "rttm/rec0.rttm",
        "-o",
        "out.rttm",
        "--weights",
        "mlp.safetensors",
        "--report",
        "report.csv",
        "--json",
    ]
    monkeypatch.setattr("sys.argv", ["evaluate", "refine", *given])
    processes.main()
    out, err = capfd.readouterr()
    (entry,) = json.loads(out)["recordings"]
    assert set(entry) >= {"recording", "boundaries", "moved", "mean_abs_shift_ms", "audio_s", "seconds"}
    assert (talks / "report.csv").read_text().startswith("recording,speaker,side")
    assert "boundaries moved" in err


def test_weights_of_a_phase_that_failed_say_so(
    talks: Path, phase: PhaseDir, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line on stderr, and JSON alone on stdout; a phase that did not fail, and weights outside of it, say nothing."""

    def told(weights: Path) -> list[str]:
        given = [*(str(talks / name) for name in ("audio", "rttm")), "-o", str(talks / "out")]
        monkeypatch.setattr("sys.argv", ["evaluate", "refine", *given, "--weights", str(weights), "--device", "cpu", "--json"])
        processes.main()
        out, err = capsys.readouterr()
        assert len(json.loads(out)["recordings"]) == 2
        return [line for line in err.splitlines() if "gate 4" in line]

    weights = phase.run("mlp").weights("best")
    record = GateRecord(
        verdict="fail", evidence="real", winner="mlp", criteria=[], recommendation="iterate on\nthe guard", unix_s=1.0
    )
    assert told(weights) == []
    record.write(phase.gate)
    assert told(weights) == ["these weights' phase failed gate 4: iterate on\\nthe guard"]
    assert told(talks / "mlp.safetensors") == []
    record.model_copy(update={"verdict": "open"}).write(phase.gate)
    assert told(weights) == []
    phase.gate.write_text("damaged")
    assert told(weights) == []


def test_a_wrong_option_is_told_without_a_traceback(
    talks: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A confidence above 1 is a usage error with exit code 2."""
    given = [*(str(talks / name) for name in ("audio", "rttm")), "-o", str(talks / "out"), "--min-confidence", "3"]
    monkeypatch.setattr("sys.argv", ["evaluate", "refine", *given])
    with pytest.raises(SystemExit) as ended:
        run_main(processes.main)
    err = capsys.readouterr().err
    assert ended.value.code == 2
    assert "--min-confidence" in err
    assert "Traceback" not in err
