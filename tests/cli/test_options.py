"""Options whose values no command can use: told as usage errors, before anything is done."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from brefine.cli import app
from brefine.cli.options import option_words
from brefine.errors import ConfigError
from brefine.phasedir import PhaseDir
from tests.run.whole_phase import make_phase


@pytest.mark.parametrize("value", ["nan", "inf"])
@pytest.mark.parametrize(
    "words",
    [
        "score --reference a.rttm --hypothesis a.rttm --collar-s",
        "score --reference a.rttm --hypothesis a.rttm --window-s",
        "headroom --reference a.rttm --hypothesis a.rttm --window-s",
        "budget --note x --correct",
        "refine a.wav a.rttm --min-confidence",
        "refine a.wav a.rttm --max-shift-s",
    ],
)
def test_a_number_that_is_not_finite_is_a_usage_error(words: str, value: str) -> None:
    """No range refuses not-a-number, and an open one no infinity: the option does, by its name."""
    ended = CliRunner().invoke(app, [*words.split(), value])
    assert ended.exit_code == 2
    assert words.rsplit(maxsplit=1)[-1] in ended.stderr


@pytest.mark.parametrize("value", ["0", "-1"])
def test_a_largest_move_is_above_0(value: str) -> None:
    """As its help says: a limit at which nothing moves is refused at once."""
    ended = CliRunner().invoke(app, ["refine", "a.wav", "a.rttm", "--max-shift-s", value])
    assert ended.exit_code == 2
    assert "--max-shift-s" in ended.stderr
    assert "is not above 0" in ended.stderr


@pytest.mark.parametrize(
    "words",
    [
        "refine a.wav a.rttm -o -",
        "refine a.wav a.rttm --report -",
        "refine talks turns -o -",
        "diarize a.wav -o -",
        "calibrate a.wav a.rttm b.rttm -o -",
    ],
)
def test_a_dash_is_no_file(words: str) -> None:
    """Who writes it means stdout, and would find a file of that name."""
    ended = CliRunner().invoke(app, words.split())
    assert ended.exit_code == 2
    assert "results are written to files" in " ".join(ended.stderr.split())


@pytest.mark.parametrize(
    "words", ["refine a.wav -", "refine - a.rttm", "calibrate a.wav a.rttm - -o c.json", "diarize - -o a.rttm"]
)
def test_a_dash_is_no_input(words: str) -> None:
    """Who writes it means stdin; the sentence says so, not that a file of this name is missing."""
    ended = CliRunner().invoke(app, words.split())
    assert ended.exit_code == 2
    assert "give a path instead of -" in " ".join(ended.stderr.split())


def test_turns_from_a_pipe_need_a_place_to_go() -> None:
    """Beside them is /dev, where root may write: the file would be lost with the machine."""
    ended = CliRunner().invoke(app, ["refine", "a.wav", "/dev/stdin"])
    assert ended.exit_code == 2
    assert "Invalid value for -o" in ended.stderr


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands of workers that were to be started; the current folder is an empty one."""
    commands: list[list[str]] = []

    def refuse(command: list[str], **_: object) -> None:
        commands.append(command)
        raise OSError

    monkeypatch.setattr("brefine.run.foreground.subprocess.Popen", refuse)
    monkeypatch.chdir(tmp_path)
    return commands


@pytest.mark.parametrize(
    ("words", "target"),
    [
        ("/dev/shm/t.rttm", "/dev/shm/t.refined.rttm"),
        ("/dev/fd/63 -o new/", "new/a.rttm"),
        ("/dev/stdin -o .", "a.rttm"),
        ("/proc/self/fd/63 -o b.rttm", "b.rttm"),
        ("t.rttm -o new/", "new/t.rttm"),
    ],
)
def test_turns_from_a_pipe_are_named_after_their_audio(started: list[list[str]], words: str, target: str) -> None:
    """`63` would be no RTTM's name. Memory that is mounted in /dev is no pipe: turns there have a folder."""
    CliRunner().invoke(app, ["refine", "a.wav", *words.split()])
    assert started[0][started[0].index("-o") + 1] == target


@pytest.mark.parametrize(
    ("words", "paths"),
    [
        ("refine ./-t.wav ./-t.rttm", "./-t.wav ./-t.rttm ./-t.refined.rttm"),
        ("refine -o ./-x.rttm --report ./-r.csv -- -t.wav -t.rttm", "./-t.wav ./-t.rttm ./-x.rttm ./-r.csv"),
        ("calibrate ./-t.wav ./-t.rttm ./-l.rttm -o ./-c.json --uem ./-u", "./-t.wav ./-t.rttm ./-l.rttm ./-c.json ./-u"),
        ("diarize ./-t.wav --no-refine -o ./-x.rttm", "./-t.wav ./-x.rttm"),
        ("overfit --config ./-c.toml", "./-c.toml"),
    ],
)
def test_a_file_whose_name_starts_with_a_dash_is_no_option(started: list[list[str]], words: str, paths: str) -> None:
    """Names made of YouTube's ids may: a worker gets them with ./ in front, whether they were given so or behind --."""
    CliRunner().invoke(app, words.split())
    assert [word for word in started[0] if word.startswith(("-", "./-")) and "." in word] == paths.split()


@pytest.fixture
def phase(tmp_path: Path) -> PhaseDir:
    return make_phase(tmp_path)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--note", "only a note"], "a note needs an answer that it belongs to"),
        (["--answer", "go-on=yes", "--answer", "go-on=no"], "answered twice"),
    ],
)
def test_nothing_that_a_person_says_at_the_gate_is_dropped(phase: PhaseDir, words: list[str], told: str) -> None:
    """What cannot be put on record is refused, and nothing is written."""
    before = {path: path.read_bytes() for path in phase.path.rglob("*") if path.is_file()}
    ended = CliRunner().invoke(app, ["gate4", str(phase.path), *words])
    assert isinstance(ended.exception, ConfigError)
    assert told in str(ended.exception)
    assert {path: path.read_bytes() for path in phase.path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("log", ["phase.toml/x", "mlp", "link", "/dev/full", "/proc/x"])
def test_a_log_that_cannot_be_written_is_refused_before_the_verdict_is_recorded(phase: PhaseDir, log: str) -> None:
    """An answer that is on record stands; told again for the log's sake, it would stand there twice."""
    (phase.path / "link").symlink_to(phase.path / "elsewhere")
    before = {path: path.read_bytes() for path in phase.path.rglob("*") if path.is_file()}
    words = ["--answer", "go-on=yes", "--json", "--log", str(phase.path / log)]
    ended = CliRunner().invoke(app, ["gate4", str(phase.path), *words])
    assert isinstance(ended.exception, ConfigError)
    assert "--log" in str(ended.exception)
    assert ended.stdout == ""
    assert {path: path.read_bytes() for path in phase.path.rglob("*") if path.is_file()} == before


def test_the_verdict_is_appended_to_a_log(phase: PhaseDir) -> None:
    """To one that is there, and to one whose folder is not there yet."""
    for log in (phase.path / "LOG.md", phase.path / "LOG.md", phase.path / "new" / "LOG.md"):
        CliRunner().invoke(app, ["gate4", str(phase.path), "--json", "--log", str(log)])
    assert (phase.path / "LOG.md").read_text().count("gate 4 **") == 2
    assert (phase.path / "new" / "LOG.md").read_text().count("gate 4 **") == 1


def test_what_was_given_is_handed_on_and_nothing_else() -> None:
    """A flag that is set stands alone, and 0 is a value: only None and an unset flag were not given."""
    given = {"--weights": None, "--min-confidence": 0.0, "--no-refine": True, "--json": False, "--device": "cpu"}
    assert option_words(given) == ["--min-confidence", "0.0", "--no-refine", "--device", "cpu"]
