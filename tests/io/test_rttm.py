"""RTTM files as people really have them, and as nobody should."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brefine.core.turns import Diarization, Turn
from brefine.errors import BrefineError, FormatError
from brefine.io.filenames import file_stem
from brefine.io.rttm import format_rttm, parse_rttm, read_diarizations, read_recording, read_rttm, recordings_marked, write_rttm

LINE = "SPEAKER a 1 0.5 1.25 <NA> <NA> spk00 <NA> <NA>\n"
SPOKEN = {"a": Diarization("a", (Turn(0.5, 1.75, "spk00"),))}


@pytest.mark.parametrize(
    "text",
    [
        LINE,
        "\ufeff" + LINE,
        LINE.replace("\n", "\r\n"),
        LINE.replace(" ", "\t"),
        ";; a comment\n\n   \n" + LINE,
        "SPKR-INFO a 1 <NA> <NA> <NA> unknown spk00 <NA> <NA>\n" + LINE,
        LINE.removesuffix(" <NA> <NA>\n"),
        "  " + LINE,
    ],
    ids=["plain", "byte-order mark", "Windows", "tabs", "comments", "other types", "eight fields", "indented"],
)
def test_variants_of_the_format_are_read(text: str, tmp_path: Path) -> None:
    """What other tools write is understood."""
    path = tmp_path / "a.rttm"
    path.write_bytes(text.encode("utf-8"))
    assert read_rttm(path) == SPOKEN


def test_paths_may_be_text(tmp_path: Path) -> None:
    """What is typed in Python need not be wrapped for any of the three."""
    path = str(tmp_path / "a.rttm")
    write_rttm(path, SPOKEN.values())
    assert read_rttm(path) == read_diarizations(path) == read_diarizations(str(tmp_path)) == SPOKEN
    with pytest.raises(FormatError, match="no such file"):
        read_rttm(str(tmp_path / "b.rttm"))


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("SPEAKER a 1 0.5 -1 <NA> <NA> s <NA> <NA>", "the duration '-1' is negative"),
        ("SPEAKER a 1 0.5 nan <NA> <NA> s <NA> <NA>", "not a number"),
        ("SPEAKER a 1 inf 1 <NA> <NA> s <NA> <NA>", "not a number"),
        ("SPEAKER a 1 1_0 1 <NA> <NA> s <NA> <NA>", "not a number"),
        ("SPEAKER a 1 -0.5 1 <NA> <NA> s <NA> <NA>", "negative"),
        ("SPEAKER a 1 1e300 1 <NA> <NA> s <NA> <NA>", "more than a year"),
        ("SPEAKER a 1 0.5", "4 fields"),
        ("SPEAKER a 1 0.5 1 <NA> <NA> Anna Maria <NA> <NA>", "11 fields instead of 10 (a blank in a name?)"),
        ("SPEAKER my talk 1 0.5 1 <NA> <NA> s <NA> <NA>", "11 fields instead of 10 (a blank in a name?)"),
        ("SPEAKER a 1 0.5 1 <NA> <NA> s <NA> <NA>\rSPEAKER a 1 2 1 <NA> <NA> s <NA> <NA>", "19 fields instead of 10"),
        ("SPEAKER \x1b[2J 1 0.5 1 <NA> <NA> s <NA> <NA>", "cannot be printed"),
        ("SPEAKER a 1 0.5 1 <NA> <NA> s\x07 <NA> <NA>", "cannot be printed"),
        ("SPEAKR a 1 0.5 1 <NA> <NA> s <NA> <NA>", "starts with"),
        ("\x1b[31mSPEAKER a 1 0.5 1 <NA> <NA> s <NA> <NA>", "starts with"),
    ],
)
def test_a_broken_line_is_told_with_its_number(line: str, fault: str) -> None:
    """The message says which line, what is wrong, and holds no control characters."""
    with pytest.raises(FormatError) as caught:
        parse_rttm(LINE + line + "\n", where="x.rttm")
    assert "x.rttm" in str(caught.value)
    assert "line 2: " in str(caught.value)
    assert fault in str(caught.value)
    assert str(caught.value).replace("\n", "").isprintable()


def test_turns_of_no_length_are_passed_over_and_counted() -> None:
    """pyannote.core writes what rounding has left of a turn; a recording of nothing else is one without speech."""
    told: list[str] = []
    empty = "SPEAKER {} 1 5.000 {} <NA> <NA> s <NA> <NA>\n"
    text = LINE + "".join(empty.format(*words) for words in (("a", "0.000"), ("a", "1e-12"), ("b", "-0")))
    assert parse_rttm(text, where="x.rttm", tell=told.append) == SPOKEN | {"b": Diarization("b")}
    assert told == ["x.rttm: 3 turns have no length and are ignored"]
    assert parse_rttm(LINE, tell=told.append) == SPOKEN
    assert len(told) == 1


def test_all_broken_lines_are_listed_at_once() -> None:
    """Nobody has to mend a file one error at a time."""
    broken = LINE.replace("1.25", "zero")
    with pytest.raises(FormatError, match="3 broken lines") as caught:
        parse_rttm(broken + LINE + broken + broken)
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["line 1", "line 3", "line 4"]


def test_millions_of_broken_lines_make_a_message_of_bounded_size() -> None:
    """A foreign file of any length is reported by its first thousand faults and their number."""
    with pytest.raises(FormatError, match="5000 broken lines") as caught:
        parse_rttm("SPEAKER a\n" * 5000)
    assert len(caught.value.problems) == 1001
    assert caught.value.problems[-1] == "… and 4000 more"


def test_bytes_that_are_not_utf8_are_told_by_line(tmp_path: Path) -> None:
    """A Latin-1 speaker name is a fault of its line, with the way out, not a traceback."""
    path = tmp_path / "a.rttm"
    path.write_bytes(LINE.encode() + LINE.replace("spk00", "Zo\xeb").encode("latin-1"))
    with pytest.raises(FormatError, match=r"line 2: the speaker .* has bytes that are not UTF-8 \(convert the file: iconv"):
        read_rttm(path)


@pytest.mark.parametrize("first", ["", ";; a comment\n", "SPKR-INFO a 1 <NA> <NA> <NA> unknown spk00 <NA> <NA>\n"])
def test_line_ends_of_an_old_mac_are_refused(first: str, tmp_path: Path) -> None:
    """To everybody else such a file is one line: nothing of it may be lost without a word, and the message says what it is."""
    path = tmp_path / "a.rttm"
    path.write_bytes((first + 3 * LINE).replace("\n", "\r").encode())
    with pytest.raises(FormatError, match=r"a carriage return alone(.|\n)*tr '\\r' '\\n'"):
        read_rttm(path)


def test_a_gzipped_file_is_told_from_others(tmp_path: Path) -> None:
    """By its content: it may be called whatever it likes."""
    path = tmp_path / "a.rttm"
    path.write_bytes(gzip.compress(LINE.encode()))
    with pytest.raises(FormatError, match="gunzip it first"):
        read_rttm(path)


@pytest.mark.parametrize("content", [b"\xff\xfeS\0P\0", b"SPEAKER\0a"], ids=["UTF-16", "zero bytes"])
def test_binary_files_are_refused(content: bytes, tmp_path: Path) -> None:
    """One sentence instead of a thousand broken lines."""
    path = tmp_path / "a.rttm"
    path.write_bytes(content)
    with pytest.raises(FormatError, match="not a text file"):
        read_rttm(path)


def test_a_file_that_is_too_large_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    """Ten million lines cost neither memory nor minutes."""
    path = tmp_path / "a.rttm"
    with path.open("wb") as file:
        file.truncate(10_000_000 * len(LINE))
    with pytest.raises(FormatError, match="too large"):
        read_rttm(path)


def test_missing_files_and_folders_are_told(tmp_path: Path) -> None:
    """No path, a folder instead of a file, a folder without RTTMs."""
    with pytest.raises(FormatError, match="no such file"):
        read_rttm(tmp_path / "none.rttm")
    with pytest.raises(FormatError, match="cannot be read"):
        read_rttm(tmp_path)
    with pytest.raises(FormatError, match="no RTTM file"):
        read_diarizations(tmp_path)


def test_a_folder_is_read_as_one_corpus(tmp_path: Path) -> None:
    """An empty file is a recording without speech, named by its stem."""
    (tmp_path / "a.rttm").write_text(LINE)
    (tmp_path / "silent.rttm").write_text("")
    assert read_diarizations(tmp_path) == SPOKEN | {"silent": Diarization("silent")}


def test_a_name_that_tells_nothing_gives_way_to_the_files(tmp_path: Path) -> None:
    """pyannote.audio calls all audio in memory `waveform`; a name that one file alone holds is kept, whatever the file's."""
    for name, recording in (("My talk", "waveform"), ("t2", "waveform"), ("t3", "a")):
        (tmp_path / f"{name}.rttm").write_text(LINE.replace(" a ", f" {recording} "))
    (tmp_path / "No talk.rttm").write_text("")
    found = read_diarizations(tmp_path)
    assert sorted(found) == ["My_talk", "No_talk", "a", "t2"]
    assert found["t2"] == Diarization("t2", SPOKEN["a"].turns)


def test_faults_of_a_folder_are_listed_together(tmp_path: Path) -> None:
    """Two broken files and a recording that is there twice make one message."""
    (tmp_path / "a.rttm").write_text(LINE)
    (tmp_path / "b.rttm").write_text(LINE)
    (tmp_path / "c.rttm").write_text("SPEAKER\n")
    (tmp_path / "d.rttm").write_text("SPEAKER d 1 x 1 <NA> <NA> s <NA> <NA>\n")
    with pytest.raises(FormatError) as caught:
        read_diarizations(tmp_path)
    for part in ("'a' is also in a.rttm", "c.rttm", "1 fields", "d.rttm", "line 1: the onset 'x'"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    "recording", ["../../x", "a/b", "a\\b", ".hidden", "", "a\x1b[2J", "C:evil", "x" * 300, "two words", "\u202egnp.exe"]
)
def test_ids_that_would_leave_their_folder_name_no_file(recording: str) -> None:
    """A recording's id becomes a file name only if it is one."""
    with pytest.raises(FormatError, match="no file can be named"):
        file_stem(recording)


def test_plain_ids_name_files() -> None:
    """Letters of any script, digits, dots and dashes are fine."""
    assert [file_stem(name) for name in ("abjxc", "EN2001a.Mix-Headset", "día_1")] == ["abjxc", "EN2001a.Mix-Headset", "día_1"]


def test_names_with_blanks_cannot_be_written() -> None:
    """They would shift the fields of the line."""
    with pytest.raises(FormatError, match="white space"):
        format_rttm(Diarization("a", (Turn(0.0, 1.0, "two words"),)))


@given(
    st.lists(
        st.builds(
            lambda onset_s, length_s, speaker: Turn(onset_s, onset_s + length_s, speaker),
            st.floats(0.0, 1e5),
            st.floats(1e-5, 1e4),
            st.sampled_from("AB"),
        )
    )
)
def test_what_is_written_is_read_back_to_the_microsecond(turns: list[Turn]) -> None:
    """Writing and reading keep every end within half a microsecond each way."""
    written = Diarization("a", tuple(turns))
    read = parse_rttm(format_rttm(written)).get("a", Diarization("a"))
    assert len(read.turns) == len(turns)
    for speaker in written.speakers:
        for ours, theirs in zip(
            sorted(t.onset_s for t in written.of(speaker)), sorted(t.onset_s for t in read.of(speaker)), strict=True
        ):
            assert ours == pytest.approx(theirs, abs=1e-6)


def test_confidence_is_the_ninth_field_and_is_read_over() -> None:
    """One figure a turn, in their order; a wrong number of them is a caller's fault."""
    spoken = Diarization("a", (Turn(0.0, 1.0, "A"), Turn(1.0, 2.0, "B")))
    text = format_rttm(spoken, confidence=[0.25, 1.0])
    assert [line.split()[8] for line in text.splitlines()] == ["0.250", "1.000"]
    assert parse_rttm(text)["a"] == spoken
    with pytest.raises(ValueError, match="shorter"):
        format_rttm(spoken, confidence=[0.25])


def test_turns_that_touch_still_touch_after_writing(tmp_path: Path) -> None:
    """0.1 + 0.2 is not allowed to open a gap of 1e-17 s."""
    spoken = Diarization("a", (Turn(0.1, 0.3, "A"), Turn(0.3, 47.04, "A"), Turn(47.04, 50.0, "A")))
    write_rttm(tmp_path / "a.rttm", spoken)
    assert read_rttm(tmp_path / "a.rttm")["a"].unioned().turns == (Turn(0.1, 50.0, "A"),)


def test_ends_between_two_microseconds_are_rounded_by_themselves() -> None:
    """Not the duration, which would part turns that touch; and what is shorter than a microsecond is written as one."""
    spoken = Diarization("a", (Turn(0.1000004, 0.2000008, "A"), Turn(0.2000008, 0.3, "A"), Turn(1.0, 1.0000002, "A")))
    assert parse_rttm(format_rttm(spoken))["a"].unioned().turns == (Turn(0.1, 0.3, "A"), Turn(1.0, 1.000001, "A"))


def test_a_file_of_several_recordings_keeps_their_names(tmp_path: Path) -> None:
    """Whatever it is called; none of them may be in another file as well."""
    (tmp_path / "all.rttm").write_text(LINE + LINE.replace(" a ", " b "))
    assert sorted(read_diarizations(tmp_path)) == ["a", "b"]
    (tmp_path / "t.rttm").write_text(LINE)
    with pytest.raises(FormatError, match=r"'a' is also in all\.rttm"):
        read_diarizations(tmp_path)


def test_a_mark_on_any_turn_marks_its_recording(tmp_path: Path) -> None:
    """And no other recording of the file."""
    marked = LINE.replace("<NA> <NA> spk00", "made <NA> spk00")
    (tmp_path / "all.rttm").write_text(marked + LINE + LINE.replace(" a ", " b "))
    assert recordings_marked([tmp_path / "all.rttm"], "made") == {"a"}


@given(st.text() | st.text(alphabet="SPEAKR a10.5-e\t\n;<>", max_size=200))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    """The outcome is turns or a FormatError, never another exception."""
    try:
        parse_rttm(text)
    except BrefineError as error:
        assert isinstance(error, FormatError)


def test_a_mark_is_found_again_and_changes_nothing(tmp_path: Path) -> None:
    """It stands in the sixth field of each turn, where neither our readers nor pyannote's see it."""
    first, second = (Diarization(name, (Turn(0.5, 1.5, "A"), Turn(2.0, 3.0, "B"))) for name in ("first", "second"))
    write_rttm(tmp_path / "first.rttm", first, mark="made")
    write_rttm(tmp_path / "second.rttm", second)
    both = "".join((tmp_path / f"{name}.rttm").read_text() for name in ("first", "second"))
    (tmp_path / "both.rttm").write_text(f";; words\nLEXEME x\n{both}")
    (tmp_path / "renamed.rttm").write_bytes((tmp_path / "first.rttm").read_bytes())
    assert read_rttm(tmp_path / "both.rttm") == {"first": first, "second": second}
    told = [recordings_marked([tmp_path / f"{name}.rttm"], "made") for name in ("first", "second", "both", "renamed")]
    assert told == [{"first"}, set(), {"first"}, {"first", "renamed"}]
    database = pytest.importorskip("pyannote.database.util")
    spans = database.load_rttm(tmp_path / "first.rttm")["first"].itersegments()
    assert [(span.start, span.end) for span in spans] == [(0.5, 1.5), (2.0, 3.0)]


def test_a_recording_of_which_a_file_has_nothing_is_without_turns(tmp_path: Path) -> None:
    """A diarizer that heard nobody writes an empty file."""
    (tmp_path / "a.rttm").write_text(LINE)
    assert read_recording(tmp_path / "a.rttm", "a") == SPOKEN["a"]
    assert read_recording(tmp_path / "a.rttm", "b") == Diarization("b")
