"""`brefine gate4`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from brefine.cli.options import RUNS, Json, NoInput, Phase, Plain, Runs
from brefine.cli.output import can_draw, print_json, print_lines
from brefine.core.gate import Answer
from brefine.errors import BrefineError, ConfigError, one_line, tell
from brefine.io.atomic import append_line
from brefine.io.outputs import refuse_unwritable
from brefine.phasedir import find_phase
from brefine.run.gate_page import log_line
from brefine.run.gate_report import judge_phase, write_gate
from brefine.run.tables import gate_table, verdict_text

_EXIT_NOT_PASSED = 3


def gate4(
    phase: Phase = None,
    answer: Annotated[list[str] | None, typer.Option(metavar="ID=yes|no", help="Answer a criterion (repeatable).")] = None,
    note: Annotated[str | None, typer.Option(metavar="TEXT", help="A note beside the answers.")] = None,
    log: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Append the verdict as one line to a log of your own, such as LOG.md.")
    ] = None,
    no_input: NoInput = False,
    plain: Plain = False,
    json: Json = False,
    runs: Runs = RUNS,
) -> None:
    """Example: brefine gate4 --answer go-on=no --note "iterate on overlap first"

    The checklist: question, evidence, threshold, finding, your answer. Without a terminal it judges what can be judged and
    leaves the rest open. In a terminal it shows the dashboard, and judges again when that is closed. Exits with 3 unless the
    gate is passed, with 1 if the verdict cannot be recorded.
    """
    found = find_phase(phase, runs)
    answers = _answers(answer or [], note)
    if log is not None:
        _refuse_unwritable_log(log)
    unrecorded: OSError | None = None
    if not answers and not (no_input or plain or json) and can_draw():
        from brefine.tui.open import open_dashboard

        told, record = open_dashboard(found.path, place="gate"), judge_phase(found)
        if told is None or verdict_text(told) != verdict_text(record):  # told last: the verdict that exit code and log follow
            tell(f"{verdict_text(record)}: judged now, not on file")
    else:
        try:
            record = write_gate(found, answers)
        except OSError as error:
            record, unrecorded = judge_phase(found), error
        print_json(record.to_json()) if json else print_lines(gate_table(record))
        if unrecorded is not None:
            raise BrefineError(
                f"the verdict cannot be recorded: {unrecorded.strerror or unrecorded}",
                where=unrecorded.filename or found.path,
                hint="make room, or the folder writable, and call gate4 again, with its answers",
            ) from None
        if not json:
            print_lines([f"the record: {one_line(found.gate_page)}"])
    if log is not None:
        append_line(log, log_line(found, record))
    if record.verdict != "pass":
        raise typer.Exit(_EXIT_NOT_PASSED)


def _refuse_unwritable_log(log: Path) -> None:
    """Refuses a log that cannot be written, before anything is judged: a recorded verdict could not be taken back for that."""
    try:
        if log.is_symlink() or (log.exists() and not log.is_file()):
            raise BrefineError("the log is not a regular file")
        if log.exists():
            os.close(os.open(log, os.O_RDWR | os.O_APPEND))
        else:
            refuse_unwritable([log], option="--log")
    except (BrefineError, OSError) as error:
        why = error.what if isinstance(error, BrefineError) else f"it cannot be written: {error.strerror}"
        raise ConfigError(why, where=f"--log {log}", expected="a file that a line can be appended to") from None


def _answers(given: list[str], note: str | None) -> dict[str, Answer]:
    answers: dict[str, Answer] = {}
    for text in given:
        name, yes = _parse(text)
        if name in answers:
            raise ConfigError("a criterion is answered twice", where=f"--answer {text}", expected=f"one answer to {name}")
        answers[name] = Answer(yes, note)
    if note is not None and not answers:
        raise ConfigError("a note needs an answer that it belongs to", where="--note", expected="--answer ID=yes|no as well")
    return answers


def _parse(answer: str) -> tuple[str, bool]:
    name, _, word = answer.partition("=")
    if word not in ("yes", "no"):
        raise ConfigError("an answer must be yes or no", where=f"--answer {answer}", expected="ID=yes or ID=no", got=answer)
    return name, word == "yes"
