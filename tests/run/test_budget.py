"""The ledger: machines counted once, crashes survived, corrections kept."""

from __future__ import annotations

import errno
import io
import json
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brefine.config import BudgetConfig, parse_config
from brefine.errors import ConfigError
from brefine.phasedir import Manifest
from brefine.run import budget as budget_module
from brefine.run.budget import Account, Ledger, Session, ledger_path, left_before_usd, view_budget
from brefine.run.launch import create_phase
from tests.run.toy_programs import RECIPE

HOUR_S = 3600.0


def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "state" / "ledger.jsonl")


def test_a_session_costs_its_time_up_to_its_last_line(tmp_path: Path) -> None:
    """Price times wall time; what a crash leaves unsaid is at most the time since the last line."""
    book = ledger(tmp_path)
    session = book.open_session(tmp_path / "a", 2.0, 0.0)
    book.tick(session, HOUR_S / 2)
    book.tick(session, HOUR_S)
    assert book.read().spent_usd() == pytest.approx(2.0)


def test_a_ledger_is_for_its_owner_alone(tmp_path: Path) -> None:
    """What is spent is nobody else's business."""
    book = ledger(tmp_path)
    book.open_session(tmp_path / "a", 2.0, 0.0)
    assert stat.S_IMODE(book.path.stat().st_mode) == 0o600


def test_a_machine_is_counted_once_however_many_phases_share_it(tmp_path: Path) -> None:
    """Two phases side by side on one machine: each has cost an hour of it, together they have cost one and a half."""
    book = ledger(tmp_path)
    for name, start_s in (("a", 0.0), ("b", HOUR_S / 2)):
        session = book.open_session(tmp_path / name, 2.0, start_s)
        book.tick(session, start_s + HOUR_S)
    account = book.read()
    assert account.spent_usd() == pytest.approx(3.0)
    assert account.spent_by_phase_usd() == tuple((str((tmp_path / name).resolve()), pytest.approx(2.0)) for name in "ab")


@pytest.mark.parametrize(("first_usd", "second_usd", "spent_usd"), [(2.0, 3.0, 2.5), (3.0, 2.0, 3.0)])
def test_where_phases_on_one_machine_name_two_prices_the_higher_counts(
    first_usd: float, second_usd: float, spent_usd: float
) -> None:
    """Whichever begins first; the second one shares the second half of the hour."""
    sessions = (Session("a", "m", "a", first_usd, 0.0, HOUR_S), Session("b", "m", "b", second_usd, HOUR_S / 2, HOUR_S))
    assert Account(sessions).spent_usd() == pytest.approx(spent_usd)


def test_two_machines_are_two_bills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same hour on two machines costs both."""
    book = ledger(tmp_path)
    for machine in ("one", "two"):
        monkeypatch.setattr(budget_module, "boot_id", lambda machine=machine: machine)
        book.tick(book.open_session(tmp_path / "a", 2.0, 0.0), HOUR_S)
    assert book.read().spent_usd() == pytest.approx(4.0)


def test_a_ledger_torn_at_any_byte_keeps_all_that_was_confirmed(tmp_path: Path) -> None:
    """A crash in mid write loses that line alone; the next line is read again."""
    book = ledger(tmp_path)
    session = book.open_session(tmp_path / "a", 2.0, 0.0)
    book.tick(session, HOUR_S)
    whole = book.path.read_bytes()
    book.tick(session, 2 * HOUR_S)
    longer = book.path.read_bytes()
    for cut in range(len(whole), len(longer)):
        book.path.write_bytes(longer[:cut])
        assert Ledger(book.path).read().spent_usd() == pytest.approx(2.0)
        Ledger(book.path).tick(session, 3 * HOUR_S)
        assert Ledger(book.path).read().spent_usd() == pytest.approx(6.0)


def test_reading_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """One reader that reads after every line sees what a new reader sees, also of a torn line, and when the file was replaced."""
    book, reader = ledger(tmp_path), ledger(tmp_path)
    assert reader.read() == Account()
    session = book.open_session(tmp_path / "a", 1.0, 0.0)
    for hours in (1, 2):
        book.tick(session, hours * HOUR_S)
        assert reader.read() == Ledger(book.path).read()
    with book.path.open("a") as file:
        file.write("torn\n")
    assert reader.read().n_torn == 1
    book.path.write_text("")
    assert reader.read() == Account()


def test_a_clock_that_is_set_back_takes_nothing_back(tmp_path: Path) -> None:
    """What was billed up to a later time stays billed."""
    book = ledger(tmp_path)
    session = book.open_session(tmp_path / "a", 2.0, 0.0)
    book.tick(session, HOUR_S)
    book.tick(session, HOUR_S / 2)
    assert book.read().spent_usd() == pytest.approx(2.0)


def test_a_ledger_in_the_place_of_a_shorter_one_is_read_from_its_start(tmp_path: Path) -> None:
    """It is another file, of which nothing has been read yet."""
    book, other = ledger(tmp_path), Ledger(tmp_path / "other.jsonl")
    book.correct(5.0, "here", 0.0)
    assert book.read().spent_usd() == pytest.approx(5.0)
    other.correct(7.0, "a longer note, in another ledger", 0.0)
    other.correct(1.0, "and another line", 0.0)
    other.path.replace(book.path)
    assert book.read() == Ledger(book.path).read()
    assert book.read().spent_usd() == pytest.approx(8.0)


def test_a_ledger_that_vanishes_takes_nothing_back(tmp_path: Path) -> None:
    """A disk that is away for a moment makes nobody spend beyond his cap; the ledger that comes back is read on."""
    book = ledger(tmp_path)
    book.correct(5.0, "here", 0.0)
    whole = book.read()
    away = book.path.rename(tmp_path / "away")
    assert book.read() == whole
    away.rename(book.path)
    Ledger(book.path).correct(1.0, "later", 1.0)
    assert book.read().spent_usd() == pytest.approx(6.0)


def test_a_ledger_that_can_be_opened_and_not_read_takes_nothing_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where another has taken its place: that one counts once it can be read."""

    class Unreadable(io.FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

    def opened(path: Path, mode: str) -> Unreadable:
        return Unreadable(path, mode)

    book, other = ledger(tmp_path), Ledger(tmp_path / "other.jsonl")
    book.correct(5.0, "here", 0.0)
    other.correct(7.0, "there", 0.0)
    assert book.read().spent_usd() == pytest.approx(5.0)
    other.path.replace(book.path)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", opened)
        assert book.read().spent_usd() == pytest.approx(5.0)
    assert book.read().spent_usd() == pytest.approx(7.0)


def test_corrections_add_up(tmp_path: Path) -> None:
    """Spending beside the sessions is added, and can be taken back; nothing is rewritten."""
    book = ledger(tmp_path)
    book.correct(5.0, "the machine ran on over night", 0.0)
    book.correct(-1.5, "refunded", 1.0)
    assert book.read().spent_usd() == pytest.approx(3.5)
    assert len(book.path.read_text().splitlines()) == 2


def test_an_amount_that_would_not_be_believed_is_not_written(tmp_path: Path) -> None:
    """Everything that is written can be read again."""
    book = ledger(tmp_path)
    for amount_usd in (-1e13, float("nan")):
        with pytest.raises(ConfigError, match="taken for a mistake"):
            book.correct(amount_usd, "a slip of the finger", 0.0)
    assert book.read().n_torn == 0
    assert not book.path.exists()


@pytest.mark.parametrize("amount", ['"nan"', '"inf"', "1e13"])
def test_an_amount_that_is_none_leaves_the_sum_alone(tmp_path: Path, amount: str) -> None:
    """Whatever a line says that was written by hand."""
    book = ledger(tmp_path)
    book.correct(5.0, "the machine ran on over night", 0.0)
    with book.path.open("a") as file:
        file.write(f'{{"schema": 1, "kind": "correction", "amount_usd": {amount}, "note": "", "unix_s": 1.0}}\n')
    account = book.read()
    assert (account.spent_usd(), account.n_torn) == (5.0, 1)


def test_many_writers_at_once_lose_no_line(tmp_path: Path) -> None:
    """Supervisors of several phases append to one ledger."""

    def work(name: str) -> None:
        own = ledger(tmp_path)
        session = own.open_session(tmp_path / name, 1.0, 0.0)
        for second in range(20):
            own.tick(session, float(second))

    threads = [threading.Thread(target=work, args=(str(number),)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    account = ledger(tmp_path).read()
    assert (len(account.sessions), account.n_torn) == (4, 0)
    assert {session.until_unix_s for session in account.sessions} == {19.0}


@given(st.lists(st.tuples(st.floats(0, 1e5), st.floats(0, 1e5)), max_size=8))
def test_shared_time_is_never_billed_twice(spans: list[tuple[float, float]]) -> None:
    """All phases on one machine cost at most the sum of the phases, and at least the longest of them."""
    sessions = tuple(
        Session(str(index), "machine", str(index), 3.6, start_s, start_s + length_s)
        for index, (start_s, length_s) in enumerate(spans)
    )
    account = Account(sessions)
    each = [spent_usd for _, spent_usd in account.spent_by_phase_usd()]
    assert max(each, default=0.0) - 1e-6 <= account.spent_usd() <= sum(each) + 1e-6


def test_the_view_projects_to_the_eta(tmp_path: Path) -> None:
    """What is left counts all phases; what is projected is this phase's, at the end of its trainings."""
    book = ledger(tmp_path)
    for name in ("a", "b"):
        book.correct(0.0, "", 0.0)
        start_s = 0.0 if name == "a" else 10 * HOUR_S
        book.tick(book.open_session(tmp_path / name, 2.0, start_s), start_s + HOUR_S)
    config = BudgetConfig(total_usd=100.0, price_usd_per_hour=2.0, cap_usd=10.0)
    view = view_budget(config, book.read(), tmp_path / "b", HOUR_S / 2)
    assert (view.spent_usd, view.remaining_usd, view.projected_usd) == pytest.approx((2.0, 96.0, 3.0))
    assert view_budget(config, book.read(), tmp_path / "b", None).projected_usd is None


def test_a_machine_that_costs_nothing_is_never_idle(tmp_path: Path) -> None:
    """There is no money to be told of."""
    config, book = BudgetConfig(price_usd_per_hour=2.0), ledger(tmp_path)
    free = config.model_copy(update={"price_usd_per_hour": 0.0})
    assert [view_budget(one, book.read(), tmp_path / "b", None, idle_s=60.0).idle_s for one in (config, free)] == [60.0, None]


def test_a_phase_that_was_renamed_keeps_its_spending(tmp_path: Path) -> None:
    """Its manifest says which it is; a ledger of before that was written down still goes by the path."""
    config = BudgetConfig(total_usd=100.0, price_usd_per_hour=2.0, ledger=str(ledger(tmp_path).path))
    book, phase = ledger(tmp_path), create_phase(parse_config(RECIPE, where="toy", overrides=[f"runs={tmp_path}"])).path
    book.tick(book.open_session(tmp_path / "another", 2.0, 0.0), 5 * HOUR_S)
    book.tick(book.open_session(phase, 2.0, 10 * HOUR_S), 11 * HOUR_S)
    renamed = phase.rename(tmp_path / "renamed")
    for folder in (phase, renamed):
        assert book.read().spent_on_usd(folder) == pytest.approx(2.0)
    assert left_before_usd(config, renamed) == pytest.approx(90.0)
    assert view_budget(config, book.read(), renamed, None).spent_usd == pytest.approx(2.0)
    lines = [json.loads(line) for line in book.path.read_text().splitlines()]
    book.path.write_text("".join(json.dumps({**line, "phase_id": None}) + "\n" for line in lines))
    assert [ledger(tmp_path).read().spent_on_usd(folder) for folder in (phase, renamed)] == [pytest.approx(2.0), 0.0]


def test_a_phase_that_was_renamed_is_listed_once(tmp_path: Path) -> None:
    """Where it lay last, with what it has cost in both places; another that has taken its old place is another."""
    book, config = ledger(tmp_path), parse_config(RECIPE, where="toy", overrides=[f"runs={tmp_path}"])
    first, second = create_phase(config).path, create_phase(config).path
    book.tick(book.open_session(first, 2.0, 0.0), HOUR_S)
    renamed = first.rename(tmp_path / "renamed")
    book.tick(book.open_session(renamed, 2.0, 2 * HOUR_S), 3 * HOUR_S)
    book.tick(book.open_session(second.rename(first), 2.0, 4 * HOUR_S), 5 * HOUR_S)
    listed = book.read().spent_by_phase_usd()
    assert listed == ((str(renamed.resolve()), pytest.approx(4.0)), (str(first.resolve()), pytest.approx(2.0)))


def test_a_phase_in_the_place_of_another_has_spent_nothing(tmp_path: Path) -> None:
    """Two phases that had the same path one after the other are two."""
    book, config = ledger(tmp_path), parse_config(RECIPE, where="toy", overrides=[f"runs={tmp_path}"])
    first, second = create_phase(config).path, create_phase(config).path
    book.tick(book.open_session(first, 2.0, 0.0), HOUR_S)
    first.rename(tmp_path / "away")
    assert book.read().spent_on_usd(second.rename(first)) == 0.0


def test_which_phase_it_is_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A supervisor of a cluster asks what was spent four times a second, over a shared disk."""
    account = ledger(tmp_path).read()
    phase = create_phase(parse_config(RECIPE, where="toy", overrides=[f"runs={tmp_path}"])).path
    read, n_read = Manifest.read, []
    monkeypatch.setattr(Manifest, "read", lambda path: n_read.append(path) or read(path))
    for _ in range(3):
        account.spent_on_usd(phase)
    assert len(n_read) == 1


def test_what_was_left_before_a_phase_counts_all_the_others(tmp_path: Path) -> None:
    """Not the phase's own spending, so that its tiers stay where they are while it spends; nothing for a free machine."""
    config = BudgetConfig(total_usd=100.0, price_usd_per_hour=2.0, ledger=str(ledger(tmp_path).path))
    book = ledger(tmp_path)
    for hour, name in enumerate(("a", "b")):
        book.tick(book.open_session(tmp_path / name, 2.0, 10 * hour * HOUR_S), (10 * hour + 1) * HOUR_S)
    book.correct(5.0, "the machine ran on", 0.0)
    assert left_before_usd(config, tmp_path / "b") == pytest.approx(93.0)
    assert left_before_usd(config.model_copy(update={"total_usd": 1.0}), tmp_path / "b") == 0.0
    assert left_before_usd(config.model_copy(update={"price_usd_per_hour": 0.0}), tmp_path / "b") is None


def test_the_ledger_lies_in_the_state_directory_unless_the_recipe_says_otherwise(tmp_path: Path) -> None:
    """XDG_STATE_HOME is honoured, `[budget] ledger` goes before it."""
    assert ledger_path(BudgetConfig()) == tmp_path / "state" / "brefine" / "ledger.jsonl"
    assert ledger_path(BudgetConfig(ledger="/elsewhere/l.jsonl")) == Path("/elsewhere/l.jsonl")


def test_without_a_home_what_to_set_is_said(homeless: None) -> None:
    """A container's user may have neither HOME nor an entry among the users; a ledger that the recipe names needs none."""
    with pytest.raises(ConfigError, match=r"home folder cannot be determined.*\n.*\[budget\] ledger or XDG_STATE_HOME"):
        ledger_path(BudgetConfig())
    assert ledger_path(BudgetConfig(ledger="/elsewhere/l.jsonl")) == Path("/elsewhere/l.jsonl")
