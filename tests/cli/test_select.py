"""`brefine select` at a terminal: what is asked, and what is not."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from brefine.cli.integrate import integrate
from brefine.cli.select import select
from brefine.core.selection import Ranking
from brefine.errors import FormatError, ProcessError
from brefine.identity import own_identity
from brefine.phasedir import PhaseDir, RunState, SelectionRecord
from brefine.run import decide
from brefine.tui.actions import PhaseActions
from tests.run.records import evaluation, status
from tests.run.whole_phase import make_phase


@contextlib.contextmanager
def _at_a_terminal(phase: PhaseDir, *words: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The command at a terminal of its own, and what the person's side of that terminal reads."""
    person, terminal = pty.openpty()
    command = [sys.executable, "-m", "brefine", "select", "--phase", str(phase.path), *words]
    with subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=subprocess.PIPE) as process:
        os.close(terminal)
        try:
            yield process, person
        finally:
            process.kill()
    os.close(person)


def _wait_for_the_answer(process: subprocess.Popen[bytes]) -> None:
    """Until the command sleeps: Ctrl-C between the question and the reading of its answer would only be seen after an answer."""
    deadline_s = time.monotonic() + 60.0
    while psutil.Process(process.pid).status() != psutil.STATUS_SLEEPING:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def _read(person: int, until: bytes | None = None) -> bytes:
    shown = b""
    with contextlib.suppress(OSError):  # the terminal's other end is closed
        while until is None or until not in shown:
            shown += os.read(person, 4096)
    return shown


def test_an_interrupted_question_is_an_interruption(tmp_path: Path) -> None:
    """Ctrl-C where a model is asked for exits with 130 and chooses nothing."""
    phase = make_phase(tmp_path)
    before = phase.selection.read_bytes()
    with _at_a_terminal(phase) as (process, person):
        _read(person, until=b"goes on?")
        _wait_for_the_answer(process)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    assert phase.selection.read_bytes() == before


def test_what_is_asked_for_is_ranked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason that is shown is the one on record: a ranking costs thousands of resamples."""
    rankings: list[Ranking] = []
    rank = decide.select
    monkeypatch.setattr(decide, "select", lambda candidates: rankings.append(rank(candidates)) or rankings[-1])
    monkeypatch.setattr("brefine.cli.select.on_terminal", lambda: True)
    monkeypatch.setattr("typer.prompt", lambda question, default=None: default)
    phase = make_phase(tmp_path)
    phase.selection.unlink()
    select(str(phase.path))
    assert [one.reason for one in rankings] == [SelectionRecord.read(phase.selection).reason]


def test_a_document_is_asked_no_question(tmp_path: Path) -> None:
    """With --json the terminal shows one document and nothing else; the rule chooses."""
    phase = make_phase(tmp_path)
    phase.selection.unlink()
    with _at_a_terminal(phase, "--json") as (process, person):
        shown = _read(person, until=b"goes on?")
        assert process.wait(60) == 0
    assert json.loads(shown)["chosen_by"] == "rule"
    assert SelectionRecord.read(phase.selection).chosen_by == "rule"


def test_the_rules_reason_is_not_told_for_another_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It speaks for the one that was recommended; the person's speaks for the one that was taken."""
    _two_models(tmp_path)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("contrastive goes on (chosen by the person); recommended was mlp: mlp ")
    assert line.endswith("; chosen instead: contrastive, because: phones")


def _two_models(folder: Path) -> PhaseDir:
    """A phase of two models, of which the person took the one that was not recommended."""
    phase = make_phase(folder)
    phase.config.write_text(phase.config.read_text() + "[models.contrastive]\n")
    evaluation("contrastive", 120.0).write(phase.evaluation("contrastive", "validation"))
    select(str(phase.path), "contrastive", "phones")
    return phase


@pytest.mark.parametrize("options", [{"json": True}, {"no_input": True}, {"no_input": True, "why": "it is faster"}])
def test_a_choice_that_stands_is_told_and_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: dict[str, bool | str]
) -> None:
    """Where nobody is asked, the rule takes nothing back that a person chose; what was decided on it stays decided."""
    phase = _two_models(tmp_path)
    files = (phase.selection, phase.decisions)
    before = [file.read_bytes() for file in files]
    capsys.readouterr()
    select(str(phase.path), **options)
    told = capsys.readouterr()
    assert '"model": "contrastive"' in told.out or told.out.startswith("contrastive goes on")
    assert "contrastive was chosen by the person before, and stays" in told.err
    assert [file.read_bytes() for file in files] == before


@pytest.mark.parametrize("change", ["evaluated anew", "evaluated anew, the clock set back", "another phase's", "damaged"])
def test_a_choice_that_no_longer_counts_is_made_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str], change: str) -> None:
    """One that the gate would not go by: of earlier figures, of another phase, or not to be read; what fell and why is told."""
    phase = _two_models(tmp_path)
    if change.startswith("evaluated anew"):
        unix_s = 1.0 if "set back" in change else 9e9
        evaluation("mlp", 100.0).model_copy(update={"unix_s": unix_s}).write(phase.evaluation("mlp", "validation"))
    elif change == "damaged":
        phase.selection.write_text("{")
    else:
        SelectionRecord.read(phase.selection).model_copy(update={"phase": "another"}).write(phase.selection)
    capsys.readouterr()
    select(str(phase.path), no_input=True)
    record = SelectionRecord.read(phase.selection)
    assert (record.model, record.chosen_by) == ("mlp", "rule")
    told = capsys.readouterr().err
    if change == "damaged":
        assert "selection.json: this is not JSON: " in told
        assert "; the choice in it counts no longer\n" in told
        return
    why = "it was made in another phase (another)" if change == "another phase's" else "evaluated since: mlp"
    assert f"contrastive was chosen by the person before (phones), which counts no longer: {why}" in told


def test_figures_that_come_while_a_person_chooses_are_not_chosen_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The question may wait for an hour; a record that named the newer evaluations would stand beside figures nobody saw."""
    phase = _two_models(tmp_path)
    before = phase.selection.read_bytes()

    def evaluated_meanwhile(question: str, default: str | None = None) -> str:
        evaluation("mlp", 150.0).write(phase.evaluation("mlp", "validation"))
        return "mlp"

    monkeypatch.setattr("brefine.cli.select.on_terminal", lambda: True)
    monkeypatch.setattr("typer.prompt", evaluated_meanwhile)
    with pytest.raises(ProcessError, match="evaluated again while you were choosing"):
        select(str(phase.path))
    assert phase.selection.read_bytes() == before


def test_figures_that_come_while_the_dashboard_asks_are_not_chosen_by(tmp_path: Path) -> None:
    """It asks why the person takes another model than the one that it has recommended: by figures that may be gone by then."""
    phase = _two_models(tmp_path)
    before = phase.selection.read_bytes()
    actions = PhaseActions(phase)
    shown = actions.recommend()
    evaluation("mlp", 150.0).write(phase.evaluation("mlp", "validation"))
    with pytest.raises(ProcessError, match="evaluated again while you were choosing"):
        actions.select("contrastive", "phones", shown)
    assert phase.selection.read_bytes() == before
    actions.select("contrastive", None, actions.recommend())
    assert decide.standing_choice(phase) is not None


def test_a_choice_of_an_earlier_version_is_judged_by_its_time(tmp_path: Path) -> None:
    """Its record names no evaluations; made before the newest of them, it counts no longer."""
    phase = _two_models(tmp_path)
    record = SelectionRecord.read(phase.selection)
    for unix_s, stands in ((2000.0, True), (500.0, False)):
        record.model_copy(update={"evaluations": None, "unix_s": unix_s}).write(phase.selection)
        assert (decide.standing_choice(phase) is not None) == stands


def test_enter_leaves_the_choice_that_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer that is offered is the model on record; the recommended one takes its place where it is named."""
    monkeypatch.setattr("brefine.cli.select.on_terminal", lambda: True)
    monkeypatch.setattr("typer.prompt", lambda question, default=None: default)
    phase = _two_models(tmp_path)
    before = phase.selection.read_bytes()
    select(str(phase.path))
    assert phase.selection.read_bytes() == before
    monkeypatch.setattr("typer.prompt", lambda question, default=None: "mlp")
    select(str(phase.path))
    assert SelectionRecord.read(phase.selection).model == "mlp"


def test_a_person_who_confirms_the_rules_choice_has_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table was shown and the answer given: that is on record as any other answer."""
    monkeypatch.setattr("brefine.cli.select.on_terminal", lambda: True)
    monkeypatch.setattr("typer.prompt", lambda question, default=None: default)
    phase = make_phase(tmp_path)
    assert SelectionRecord.read(phase.selection).chosen_by == "rule"
    n_before = len(phase.read_decisions())
    select(str(phase.path))
    assert SelectionRecord.read(phase.selection).chosen_by == "person"
    assert len(phase.read_decisions()) == n_before + 1


def test_a_choice_that_could_not_be_written_down_was_answered_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the two files it stands nowhere, and is made again: no choice stands whose answer is not filed."""
    phase = make_phase(tmp_path)
    phase.selection.unlink()
    n_before = len(phase.read_decisions())

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(SelectionRecord, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            select(str(phase.path), "mlp")
    assert decide.standing_choice(phase) is None
    assert [one.answer for one in phase.read_decisions()[n_before:]] == ["mlp"]
    select(str(phase.path), "mlp")
    assert decide.standing_choice(phase) is not None


def test_a_standing_choice_that_is_named_again_needs_no_reason_again(tmp_path: Path) -> None:
    """It is on record already."""
    phase = _two_models(tmp_path)
    before = phase.selection.read_bytes()
    select(str(phase.path), "contrastive")
    assert phase.selection.read_bytes() == before


@pytest.mark.parametrize("damage", ["cut", "edited"])
def test_a_damaged_evaluation_is_told_with_what_makes_it_anew(tmp_path: Path, damage: str) -> None:
    """A full disk or a person's hand: what is not a report any more says which command writes one."""
    phase = make_phase(tmp_path)
    report = phase.evaluation("mlp", "validation")
    whole = report.read_text()
    report.write_text(whole[: len(whole) // 2] if damage == "cut" else whole.replace('"n_recordings"', '"n"'))
    with pytest.raises(FormatError) as told:
        select(str(phase.path), no_input=True)
    assert told.value.hint == f"evaluate again: brefine evaluate --phase {phase.path}"
    phase.selection.write_text("{")
    with pytest.raises(FormatError) as told:
        integrate(str(phase.path))
    assert told.value.hint == f"select again: brefine select --phase {phase.path}"


def test_a_damaged_card_beside_the_weights_hinders_no_choice(tmp_path: Path) -> None:
    """Nothing but training writes it; whether the weights are still those that were evaluated, the gate asks."""
    phase = make_phase(tmp_path)
    card = phase.run("mlp").card("best")
    card.parent.mkdir(parents=True)
    card.write_text('{"schema": 1')
    select(str(phase.path), no_input=True)
    assert SelectionRecord.read(phase.selection).model == "mlp"


@pytest.mark.parametrize("as_json", [True, False])
def test_trainings_that_still_run_are_told_where_a_model_is_chosen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    """On stderr: the chosen model may become better, or another one may; of those that have ended nothing is said."""
    phase = make_phase(tmp_path)
    for state, n_told in ((RunState.RUNNING, 1), (RunState.STOPPED, 0)):
        process = own_identity() if n_told else own_identity().model_copy(update={"start_ticks": 1})
        status("mlp", state, process=process).write(phase.run("mlp").status)
        select(str(phase.path), None, None, no_input=True, json=as_json, runs=tmp_path)
        told = capsys.readouterr()
        assert told.err.count("still training: mlp") == n_told
        assert "training" not in told.out
