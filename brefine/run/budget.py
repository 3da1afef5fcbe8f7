"""The budget ledger: what machines have cost, over all phases, in an append-only file that survives crashes.

A rented machine is billed by wall time, once, however many trainings share it. So the ledger holds *sessions*, one per
supervisor: an opening line with machine, phase and price, and a line a minute that says "still running". The cost of a machine
follows from the union of its sessions' times; a crash loses at most the last minute. Work that goes on after its supervisor was
killed is billed, too: the next supervisor extends the session to the work's last sign of life, and until then readers do.
Corrections are lines, too: nothing is ever rewritten.

A phase is identified by its manifest, so it keeps its spending if it is renamed; a copy counts as the same phase.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from brefine.config import BudgetConfig
from brefine.errors import ConfigError, FormatError
from brefine.identity import boot_id
from brefine.io.appended import AppendedLines
from brefine.io.atomic import append_line
from brefine.io.folders import real_path, state_folder
from brefine.io.jsontext import parse_json
from brefine.phasedir import Manifest, PhaseDir
from brefine.run.documents import WatchedDocument
from brefine.run.snapshot import BudgetView

TICK_S: Final = 60.0
"""Seconds between two lines of a running session."""

_LARGEST: Final = 1e12
"""The largest time or amount that is believed."""

TIERS: Final = (0.5, 0.75, 0.9, 1.0)
"""Shares of the cap, or, without one, of the money that was left, at which the person is alerted."""


@dataclass(frozen=True, slots=True)
class Session:
    """One supervisor's time on one machine."""

    id: str
    machine: str
    phase: str
    price_usd_per_hour: float
    from_unix_s: float
    until_unix_s: float
    phase_id: str | None = None
    """The phase that was at that path; None in older ledgers."""


@dataclass(frozen=True, slots=True)
class Correction:
    """Money that no session covers: positive = spent, negative = given back."""

    amount_usd: float
    note: str
    unix_s: float


@dataclass(frozen=True, slots=True)
class Account:
    """The ledger as it was read.

    Attributes:
        n_torn: number of lines that cannot be read (after a crash while writing); their content is lost.
    """

    sessions: tuple[Session, ...] = ()
    corrections: tuple[Correction, ...] = ()
    n_torn: int = 0

    def spent_usd(self) -> float:
        """By all phases, each machine counted once, with corrections."""
        corrected_usd = sum((item.amount_usd for item in self.corrections), 0.0)
        return sum(_machine_costs(self.sessions).values(), corrected_usd)

    def spent_by_phase_usd(self) -> tuple[tuple[str, float], ...]:
        """Each phase's last path, and what the machines have cost while it was on them; in order of the first sessions."""
        by_phase: dict[str, list[Session]] = {}
        for session in self.sessions:
            by_phase.setdefault(session.phase_id or session.phase, []).append(session)
        return tuple((own[-1].phase, _costs(own)) for own in by_phase.values())

    def spent_on_usd(self, phase: Path) -> float:
        """What the machines have cost while this phase was on them, whatever its path was then."""
        return _costs(self.sessions_of(phase))

    def sessions_of(self, phase: Path) -> tuple[Session, ...]:
        """The sessions of a phase; sessions without a phase's id are found by the path."""
        path, phase_id = str(phase.resolve()), _id_of(phase)

        def is_its(session: Session) -> bool:
            told = phase_id is not None and session.phase_id is not None
            return session.phase_id == phase_id if told else session.phase == path

        return tuple(filter(is_its, self.sessions))

    def extended(self, session_id: str, until_unix_s: float) -> Account:
        """The same with one session extended to this time: a supervisor's debt since its last line."""
        sessions = tuple(
            replace(item, until_unix_s=max(item.until_unix_s, until_unix_s)) if item.id == session_id else item
            for item in self.sessions
        )
        return replace(self, sessions=sessions)


class Ledger:
    """The file. Reading is incremental: only lines that were appended are parsed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._sessions: dict[str, Session] = {}
        self._corrections: list[Correction] = []
        self._n_torn = 0
        # Links are followed: the file is the person's own, who may have put a link there.
        self._lines = AppendedLines(path, opened=lambda path: path.open("rb"))

    def open_session(self, phase: Path, price_usd_per_hour: float, unix_s: float, *, machine: str | None = None) -> str:
        """Begins to bill this machine, or the one that is named; returns the session's id."""
        session_id = uuid.uuid4().hex[:12]
        opening = {"machine": machine or boot_id(), "phase": str(phase.resolve()), "price_usd_per_hour": price_usd_per_hour}
        self._append({"kind": "open", "session": session_id, **opening, "phase_id": _id_of(phase), "unix_s": unix_s})
        return session_id

    def tick(self, session_id: str, unix_s: float) -> None:
        """Bills a session until `unix_s`; the last tick is its end."""
        self._append({"kind": "tick", "session": session_id, "unix_s": unix_s})

    def correct(self, amount_usd: float, note: str, unix_s: float) -> None:
        """Adds spending that no session covers, or takes back (negative) what they have counted too much.

        Raises:
            ConfigError: the amount is too large for `read` to believe.
        """
        if not abs(amount_usd) <= _LARGEST:
            raise ConfigError(
                "a correction this large is taken for a mistake",
                where=self.path,
                expected=f"at most ${_LARGEST:,.0f}",
                got=amount_usd,
            )
        self._append({"kind": "correction", "amount_usd": amount_usd, "note": note, "unix_s": unix_s})

    def read(self) -> Account:
        """Everything in the ledger. A missing file counts as empty; if the file vanishes, what was read before is kept."""
        anew, lines = self._lines.fresh()
        if anew:
            self._sessions.clear()
            self._corrections.clear()
            self._n_torn = 0
        for line in lines:
            self._take(line)
        return Account(tuple(self._sessions.values()), tuple(self._corrections), self._n_torn)

    def cannot_be_written(self, error: OSError) -> str:
        """What a person is told if a session or a tick could not be written."""
        return f"{self.path}: the ledger cannot be written: {error.strerror}"

    def _append(self, entry: dict[str, Any]) -> None:
        # Nobody else needs to read it; a link is followed here as well.
        append_line(real_path(self.path), json.dumps({"schema": 1, **entry}, allow_nan=False), mode=0o600)

    def _take(self, line: bytes) -> None:
        try:
            entry = parse_json(line, where=self.path)
            unix_s = _sane(entry["unix_s"])
            if entry["kind"] == "open":
                price, machine, phase = _sane(entry["price_usd_per_hour"]), str(entry["machine"]), str(entry["phase"])
                phase_id = None if entry.get("phase_id") is None else str(entry["phase_id"])
                self._sessions[entry["session"]] = Session(entry["session"], machine, phase, price, unix_s, unix_s, phase_id)
            elif entry["kind"] == "tick":
                session = self._sessions[entry["session"]]
                until_unix_s = max(session.until_unix_s, unix_s)  # a clock that is set back takes nothing back
                self._sessions[session.id] = replace(session, until_unix_s=until_unix_s)
            elif entry["kind"] == "correction":
                self._corrections.append(Correction(_sane(entry["amount_usd"]), str(entry["note"]), unix_s))
        except (FormatError, ValueError, KeyError, TypeError, OverflowError):
            self._n_torn += 1


def _sane(number: Any) -> float:
    """The time or amount of money as a number that can be summed without overflow.

    Raises:
        ValueError: it is too large, or not a number.
    """
    value = float(number)
    if not abs(value) <= _LARGEST:  # true of not-a-number, too
        raise ValueError(f"{value} is beyond anything that can be paid")
    return value


def ledger_path(config: BudgetConfig) -> Path:
    """The path of the ledger: `[budget] ledger`, or a file in the user's state directory.

    Raises:
        ConfigError: the recipe names no ledger, and there is no such directory.
    """
    if config.ledger is not None:
        return Path(config.ledger).expanduser()
    return state_folder(setting="[budget] ledger or XDG_STATE_HOME") / "ledger.jsonl"


def left_before_usd(config: BudgetConfig, phase: Path) -> float | None:
    """The money that all other phases have left for this one; None if the machine costs nothing."""
    if config.price_usd_per_hour == 0.0:
        return None
    account = Ledger(ledger_path(config)).read()
    return max(0.0, config.total_usd - account.spent_usd() + account.spent_on_usd(phase))


def view_budget(
    config: BudgetConfig, account: Account, phase: Path, eta_s: float | None, *, guarded: bool = True, idle_s: float | None = None
) -> BudgetView:
    """The money of one phase, for screens.

    Args:
        guarded: whether a supervisor ends the phase at its cap.
        idle_s: for how long the machine has had nothing to do. Its cost is shown beside the recorded spending and not added to
            it, since the machine may have been rented on for something else.
    """
    spent_usd = account.spent_on_usd(phase)
    return BudgetView(
        price_usd_per_hour=config.price_usd_per_hour,
        priced_on=None if config.priced_on is None else config.priced_on.isoformat(),
        spent_usd=spent_usd,
        remaining_usd=config.total_usd - account.spent_usd(),
        projected_usd=None if eta_s is None else spent_usd + config.price_usd_per_hour * eta_s / 3600.0,
        cap_usd=config.cap_usd,
        total_usd=config.total_usd,
        guarded=guarded,
        terminate=config.terminate,
        idle_s=idle_s if config.price_usd_per_hour > 0.0 else None,
    )


def _id_of(phase: Path) -> str | None:
    """The phase's id, independent of its path; None without a manifest."""
    manifest = _manifest_at(phase.resolve()).read()
    return None if manifest is None else f"{manifest.phase}@{manifest.created_unix_s}"


@cache
def _manifest_at(phase: Path) -> WatchedDocument[Manifest]:
    """The manifest at this path: read only when it has changed, though a supervisor asks several times a second."""
    return WatchedDocument(PhaseDir(phase).manifest, Manifest)


def _costs(sessions: Iterable[Session]) -> float:
    return sum(_machine_costs(sessions).values(), 0.0)


def _machine_costs(sessions: Iterable[Session]) -> dict[str, float]:
    """What each machine has cost: for the union of its sessions' times, at the higher price where they overlap."""
    by_machine: dict[str, list[Session]] = {}
    for session in sessions:
        by_machine.setdefault(session.machine, []).append(session)
    return {machine: _union_cost(items) for machine, items in by_machine.items()}


def _union_cost(sessions: list[Session]) -> float:
    edges = sorted({edge for session in sessions for edge in (session.from_unix_s, session.until_unix_s)})
    cost_usd = 0.0
    for start, end in pairwise(edges):
        prices = [item.price_usd_per_hour for item in sessions if item.from_unix_s <= start and item.until_unix_s >= end]
        cost_usd += max(prices, default=0.0) * (end - start) / 3600.0
    return cost_usd
