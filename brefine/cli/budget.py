"""`brefine budget`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from brefine.cli.options import Json, finite
from brefine.cli.output import print_json, print_lines
from brefine.config import BudgetConfig, load_config
from brefine.errors import ConfigError, one_line
from brefine.run.billing import billed_until_now
from brefine.run.budget import Account, Ledger, ledger_path
from brefine.run.tables import align


def budget(
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="Recipe whose [budget] counts.")] = None,
    correct: Annotated[
        float | None,
        typer.Option(metavar="USD", callback=finite, help="Add spending that is not on record; negative takes back."),
    ] = None,
    note: Annotated[str | None, typer.Option(metavar="TEXT", help="Why, with --correct.")] = None,
    json: Json = False,
) -> None:
    """Example: brefine budget --correct 1.25 --note "the machine ran on over night"

    What was spent, by which phase, and what is left. A machine is counted once, however many trainings share it, and up to now if
    it is at work.
    """
    section = BudgetConfig() if config is None else load_config(config).budget
    ledger = Ledger(ledger_path(section))
    if correct is not None:
        if not note:
            raise ConfigError("a correction needs a reason", where="--correct", expected='--note "why"')
        ledger.correct(correct, note, time.time())
    account = billed_until_now(ledger.read(), time.time())
    if json:
        print_json(_document(account, section, ledger.path))
    else:
        print_lines(
            _lines(account, section, ledger.path, whose="brefine's own; --config takes a recipe's" if config is None else config)
        )


def _document(account: Account, section: BudgetConfig, path: Path) -> dict[str, Any]:
    return {
        "ledger": str(path),
        "total_usd": section.total_usd,
        "spent_usd": account.spent_usd(),
        "remaining_usd": section.total_usd - account.spent_usd(),
        "phases": [{"phase": phase, "spent_usd": spent_usd} for phase, spent_usd in account.spent_by_phase_usd()],
        "corrections": [
            {"amount_usd": item.amount_usd, "note": item.note, "unix_s": item.unix_s} for item in account.corrections
        ],
        "unreadable_lines": account.n_torn,
    }


def _lines(account: Account, section: BudgetConfig, path: Path, *, whose: object) -> Iterator[str]:
    rows = [("phase", "spent")]
    rows += [(Path(phase).name, f"${spent_usd:.2f}") for phase, spent_usd in account.spent_by_phase_usd()]
    rows += [(f"correction: {item.note}", f"${item.amount_usd:.2f}") for item in account.corrections]
    rows += [("all", f"${account.spent_usd():.2f}"), ("left", f"${section.total_usd - account.spent_usd():.2f}")]
    yield from align(rows)
    yield f"the total: ${section.total_usd:.2f} ({whose})"
    if account.n_torn:
        yield f"{account.n_torn} lines cannot be read; what they said is not counted"
    yield f"the ledger: {one_line(path)}"
