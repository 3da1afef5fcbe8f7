"""One pass over a corpus tells all that is wrong with it, and leaves what is merely worth knowing as notes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from brefine.core.turns import Diarization, Turn
from brefine.data.audit import audit_corpus
from brefine.errors import hint_of
from brefine.io.rttm import Tell, read_rttm, write_rttm

RATE_HZ = 16000
Add = Callable[..., None]


def _noise(seconds: float, rate_hz: int = RATE_HZ) -> np.ndarray:
    return np.random.default_rng(0).normal(0.0, 0.1, round(seconds * rate_hz)).astype(np.float32)


@pytest.fixture
def add(tmp_path: Path) -> Add:
    """Adds one recording to the corpus folder; by default a sound one of four seconds."""

    def add_recording(
        name: str,
        *,
        samples: np.ndarray | None = None,
        rate_hz: int = RATE_HZ,
        turns: tuple[Turn, ...] = (Turn(0.5, 1.5, "ann"), Turn(2.0, 3.5, "bob")),
        hypothesis: tuple[Turn, ...] | None = (Turn(0.4, 1.6, "1"),),
        reference: bool = True,
    ) -> None:
        for part in ("audio", "reference", "hypothesis"):
            (tmp_path / part).mkdir(exist_ok=True)
        audio = _noise(4.0, rate_hz) if samples is None else samples
        soundfile.write(tmp_path / "audio" / f"{name}.wav", audio, rate_hz, subtype="FLOAT")
        if reference:
            write_rttm(tmp_path / "reference" / f"{name}.rttm", Diarization(name, turns))
        if hypothesis is not None:
            write_rttm(tmp_path / "hypothesis" / f"{name}.rttm", Diarization(name, hypothesis))

    return add_recording


def test_a_sound_corpus_has_no_problems(tmp_path: Path, add: Add) -> None:
    """Turns a little past the end are clipped, in reference and hypothesis, without a word."""
    add("talk", turns=(Turn(0.5, 4.2, "ann"),), hypothesis=(Turn(0.5, 4.3, "1"),))
    audit = audit_corpus(tmp_path, needs_hypothesis=True)
    assert (audit.problems, audit.notes) == ((), ())
    (one,) = audit.recordings
    assert one.duration_s == one.reference.end_s == 4.0
    assert one.hypothesis is not None
    assert one.hypothesis.end_s == 4.0


def test_all_problems_of_a_corpus_are_told_in_one_pass(tmp_path: Path, add: Add) -> None:
    """Eight faults in eight recordings, partnerless and broken labels among them: eight lines, and no recording is kept."""
    broken = _noise(4.0)
    broken[32000] = np.nan
    half_silent = _noise(4.0)
    half_silent[:28000] = 0.0
    add("nan", samples=broken)
    add("silent", samples=np.zeros(4 * RATE_HZ, np.float32))
    add("past", turns=(Turn(0.5, 4.6, "ann"),))
    add("mute", samples=half_silent)
    add("empty", turns=())
    add("alone", reference=False)
    add("unheard", hypothesis=None)
    add("labels")
    (tmp_path / "reference" / "labels.rttm").write_text("SPEAKER labels 1 x 1.0 <NA> <NA> ann <NA> <NA>\n")
    (tmp_path / "audio" / "text.wav").write_text("no audio")
    audit = audit_corpus(tmp_path, needs_hypothesis=True)
    told = "\n".join(audit.problems)
    for expected in (
        "nan.wav: the audio holds samples that are not finite (got the first at 2.000 s)",
        "silent: the audio is silent",
        "past: the reference ends at 4.60 s, the audio at 4.00 s",
        "mute: speaker ann is silent",
        "empty: the reference has no speech",
        "alone: no reference",
        "unheard: no hypothesis",
        "the onset 'x' is not a number of seconds",
        "text.wav: this audio cannot be read",
    ):
        assert expected in told, told
    assert audit.recordings == ()
    assert len(set(audit.problems)) == len(audit.problems)


def test_audio_that_is_cut_off_is_listed_with_what_to_do(tmp_path: Path, add: Add) -> None:
    """A bare number tells nobody what it counts, nor how many there should be."""
    paths = [tmp_path / "audio" / f"{name}.wav" for name in ("one", "two")]
    for path in paths:
        add(path.stem)
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
    audit = audit_corpus(tmp_path, needs_hypothesis=True)
    for path, problem in zip(paths, audit.problems, strict=True):
        assert problem.startswith(f"{path}: the audio is cut off (expected 256,000 bytes, as its header says, got 12")
    hint = hint_of(audit.unusable, "and so on")
    assert hint is not None
    assert hint.startswith("the audio is cut off: copy it again; ") and hint.count("copy it again") == 1
    assert hint.endswith("\n  → and so on")


def test_a_file_of_many_recordings_is_read_once(tmp_path: Path, add: Add, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each recording has its own turns of it; read anew for each, a corpus of long recordings would take minutes."""
    diarizations = []
    for place in range(4):
        add(f"talk{place}", reference=False)
        diarizations.append(Diarization(f"talk{place}", (Turn(0.5, 1.0 + 0.5 * place, "ann"),)))
    write_rttm(tmp_path / "reference" / "all.rttm", diarizations)
    read: list[str] = []

    def reading(path: Path, *, tell: Tell) -> dict[str, Diarization]:
        read.append(path.name)
        return read_rttm(path, tell=tell)

    monkeypatch.setattr("brefine.data.audit.read_rttm", reading)
    audit = audit_corpus(tmp_path, needs_hypothesis=True)
    assert [one.reference for one in audit.recordings] == diarizations
    assert sorted(read) == ["all.rttm", *(f"talk{place}.rttm" for place in range(4))]


def test_turns_of_no_length_are_noted(tmp_path: Path, add: Add) -> None:
    """They make no corpus unusable, and its owner learns of them."""
    add("talk")
    path = tmp_path / "hypothesis" / "talk.rttm"
    path.write_text(path.read_text() + "SPEAKER talk 1 0.500 0.000 <NA> <NA> ann <NA> <NA>\n")
    audit = audit_corpus(tmp_path, needs_hypothesis=True)
    assert audit.problems == ()
    assert f"{path}: 1 turn has no length and is ignored" in audit.notes


def test_regions_end_with_the_audio(tmp_path: Path, add: Add) -> None:
    """Else a turn that the audio's end cuts would have a boundary there; where none is left, that is told.

    Without a UEM everything is scored.
    """
    add("talk")
    (one,) = audit_corpus(tmp_path, needs_hypothesis=True).recordings
    assert one.regions_s == ((0.0, 4.0),)
    (tmp_path / "all.uem").write_text("talk 1 0.5 1.0\ntalk 1 2.0 60.0\ntalk 1 70.0 80.0\n")
    (one,) = audit_corpus(tmp_path, needs_hypothesis=True).recordings
    assert one.regions_s == ((0.5, 1.0), (2.0, 4.0))
    (tmp_path / "all.uem").write_text("talk 1 4.0 60.0\n")
    audit = audit_corpus(tmp_path, needs_hypothesis=True)
    assert audit.problems == ("talk: every region of its UEM lies past the audio's end at 4.00 s",)
    assert audit.recordings == ()


def test_what_can_be_used_with_a_warning_is_a_note(tmp_path: Path, add: Add) -> None:
    """8 kHz audio, a hypothesis without turns and one that ran more than half a second past the audio are told, and used."""
    add("phone", rate_hz=8000)
    add("nobody", hypothesis=())
    add("overrun", hypothesis=(Turn(0.5, 4.6, "1"),))
    audit = audit_corpus(tmp_path, needs_hypothesis=True)
    assert audit.problems == ()
    assert {one.recording.name for one in audit.recordings} == {"phone", "nobody", "overrun"}
    told = "\n".join(audit.notes)
    assert "phone: audio of 8000 Hz has nothing above 4000 Hz" in told
    assert "nobody: the hypothesis has no turn" in told
    assert "overrun: the hypothesis ran 0.60 s past the audio and is clipped" in told


def test_a_recording_that_is_scored_where_nobody_speaks_is_told(tmp_path: Path, add: Add) -> None:
    """Its UEM leaves out all speech: it may be trained on, and is no evidence."""
    add("talk")
    add("hush")
    (tmp_path / "all.uem").write_text("talk 1 0.0 4.0\nhush 1 3.6 4.0\n")
    audit = audit_corpus(tmp_path, needs_hypothesis=True)
    assert audit.problems == ()
    assert audit.notes == ("hush: nobody speaks inside the regions of its UEM, so it is no evidence behind the gate",)


def test_quiet_audio_is_not_silent(tmp_path: Path, add: Add) -> None:
    """Noise at −60 dB of full scale is heard; at −85 dB the audio is silent, and so is a speaker whose turns are no louder."""
    noise = 10.0 * _noise(4.0)  # of one, in the mean square
    half = np.where(np.arange(len(noise)) < 28000, 10 ** (-85 / 20), 1e-3).astype(np.float32)
    add("quiet", samples=1e-3 * noise)
    add("silent", samples=np.float32(10 ** (-85 / 20)) * noise)
    add("mute", samples=half * noise)
    audit = audit_corpus(tmp_path, needs_hypothesis=True)
    assert audit.problems == ("mute: speaker ann is silent", "silent: the audio is silent")
    assert [one.recording.name for one in audit.recordings] == ["quiet"]


def test_a_turn_shorter_than_a_level_is_heard(tmp_path: Path, add: Add) -> None:
    """Levels are of 10 ms each; who says but 4 ms is heard in the one where he begins."""
    add("talk", turns=(Turn(0.5, 1.5, "ann"), Turn(2.0, 2.004, "bob")))
    audit = audit_corpus(tmp_path, needs_hypothesis=True)
    assert audit.problems == ()
    assert [one.reference.speakers for one in audit.recordings] == [("ann", "bob")]


def test_files_that_all_call_their_recording_the_same_are_of_the_audio_of_their_names(tmp_path: Path, add: Add) -> None:
    """As pyannote.audio writes them: references and hypotheses are used, under the recording's own name."""
    for name, offset_s in (("talk", 1.5), ("chat", 2.5)):
        add(name, turns=(Turn(0.5, offset_s, "ann"),), hypothesis=(Turn(0.4, offset_s, "1"),))
        for part in ("reference", "hypothesis"):
            path = tmp_path / part / f"{name}.rttm"
            write_rttm(path, Diarization("waveform", read_rttm(path)[name].turns))
    audit = audit_corpus(tmp_path, needs_hypothesis=True)
    assert (audit.problems, audit.notes) == ((), ())
    assert [(one.reference, one.hypothesis) for one in audit.recordings] == [
        tuple(Diarization(name, (Turn(onset_s, offset_s, who),)) for onset_s, who in ((0.5, "ann"), (0.4, "1")))
        for name, offset_s in (("chat", 2.5), ("talk", 1.5))
    ]
