"""A phase directory that somebody else has written: nothing in it runs, leads out of it, or gives orders to a terminal."""

from __future__ import annotations

import ast
import json
import os
import stat
import sys
import time
from pathlib import Path

import pytest

import brefine
from brefine.errors import BrefineError, FormatError
from brefine.io.atomic import append_line
from brefine.phasedir import Alert, BoundaryRow, CorpusManifest, PhaseDir, Progress, RunState, Stage
from brefine.run.alerts import AlertLog
from brefine.run.boundary_book import read_rows
from brefine.run.budget import Ledger
from brefine.run.children import Child
from brefine.run.control import pending_requests
from brefine.run.gpu import NoGpu
from brefine.run.oom import OomKills
from brefine.run.plain import PlainLines, overview
from brefine.run.report import report_page, write_report
from brefine.run.snapshot import PhaseSnapshot
from brefine.run.store import PhaseStore
from tests.run.records import status
from tests.run.tail.event_writing import scalar, version, write_events
from tests.run.whole_phase import lines, make_phase
from tests.tui.conftest import OpenDesk, open_desk

__all__ = ["open_desk"]  # a fixture

_ORDERS = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202e<script>alert(1)</script>"
_SECRET = "the secret of another file"


@pytest.fixture
def phase(tmp_path: Path) -> PhaseDir:
    return make_phase(tmp_path)


def snapshot_of(phase: PhaseDir) -> PhaseSnapshot:
    return PhaseStore(phase.path, gpus=NoGpu("none")).snapshot(drain=True)


# --- no code from data -------------------------------------------------------------------------------------------------


def test_nothing_in_the_package_makes_code_of_data() -> None:
    """No pickle, no eval, no shell; torch loads weights only and numpy no objects."""
    found = []
    for path in Path(brefine.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            found += [f"{path.name}:{node.lineno}: {fault}" for fault in _dangers(node)]  # type: ignore[attr-defined]
    assert found == []


def _dangers(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        names = [alias.name for alias in node.names] + ([node.module or ""] if isinstance(node, ast.ImportFrom) else [])
        return [
            name for name in names if name.partition(".")[0] in ("pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib")
        ]
    if not isinstance(node, ast.Call):
        return []
    called, given = ast.unparse(node.func), {item.arg: ast.unparse(item.value) for item in node.keywords}
    return [
        called
        for danger in (
            called in ("eval", "exec", "os.system", "os.popen", "yaml.load", "torch.jit.load"),
            called == "torch.load" and given.get("weights_only") != "True",
            called in ("np.load", "numpy.load") and given.get("allow_pickle") != "False",
            given.get("shell") == "True",
        )
        if danger
    ]


# --- links, pipes and devices --------------------------------------------------------------------------------------------


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    file = tmp_path / "outside"
    file.write_text(f'{{"schema": 1, "x": "{_SECRET}"}}\n{_SECRET}\n')
    return file


@pytest.mark.parametrize(
    "name",
    [
        "mlp/status.json", "mlp/train.log", "mlp/events.out.tfevents.1", "supervisor.json", "selection.json", "integration.json",
        "gate4.json", "alerts.jsonl", "decisions.jsonl", "looks.jsonl", "verdicts.jsonl",
        "evaluation/mlp/validation.json", "evaluation/mlp/validation.boundaries.csv", "progress/prepare.json",
    ],
)  # fmt: skip
def test_a_link_in_a_phase_shows_no_other_file(phase: PhaseDir, outside: Path, name: str) -> None:
    """Whatever name the link has, screens and reports know nothing of the file that it leads to."""
    (phase.path / name).unlink(missing_ok=True)
    (phase.path / name).symlink_to(outside)
    snapshot = snapshot_of(phase)
    assert _SECRET not in "\n".join([*overview(snapshot), *snapshot.problems, *[str(run) for run in snapshot.runs]])
    assert _SECRET not in report_page(snapshot, None, phase)


def test_a_pipe_or_a_device_in_the_place_of_a_file_stops_nobody(phase: PhaseDir) -> None:
    """A status that is a pipe without a writer, a log that never ends: refused, not waited for."""
    phase.run("mlp").status.unlink()
    os.mkfifo(phase.run("mlp").status)
    phase.selection.unlink()
    phase.selection.symlink_to("/dev/zero")
    (phase.run("mlp").log).mkdir()
    os.mkfifo(phase.run("mlp").path / "events.out.tfevents.2")
    assert any("not a regular file" in problem for problem in snapshot_of(phase).problems)


def test_nothing_is_written_through_a_link(phase: PhaseDir, outside: Path) -> None:
    """Logs and lines end at the link; documents take its place."""
    before = outside.read_bytes()
    for path in (phase.run("mlp").log, phase.alerts, phase.gate, phase.report):
        path.unlink(missing_ok=True)
        path.symlink_to(outside)
    with pytest.raises(OSError, match="symbolic links"):
        Child([sys.executable, "-c", "print(1)"], log=phase.run("mlp").log, environment={}, oom_kills=OomKills())
    with pytest.raises(OSError, match="symbolic links"):
        append_line(phase.alerts, "x")
    status("mlp").write(phase.gate)
    write_report(phase)
    assert outside.read_bytes() == before
    assert not phase.gate.is_symlink() and not phase.report.is_symlink()


@pytest.mark.parametrize("name", ["../../etc/x", "a/b", "a\\b", "..", ".hidden", "c:x", "", "a b", "\x1b[2J", "x" * 300])
def test_a_recording_whose_name_leads_elsewhere_is_refused(phase: PhaseDir, tmp_path: Path, name: str) -> None:
    """Files are named after recordings: a corpus with such a name is not even opened."""
    listed = {"name": name, "audio": "a", "reference": "r", "hypothesis": "h", "duration_s": 1.0, "regions_s": [], "speakers": []}
    tree = {"schema": 1, "title": "t", "evidence": "real", "hypothesis_source": "s", "splits": {"gate": [listed]}}
    (tmp_path / "corpus.json").write_text(json.dumps(tree))
    with pytest.raises(FormatError, match="no file can be named after this recording"):
        CorpusManifest.read(tmp_path / "corpus.json")


# --- half-written files -----------------------------------------------------------------------------------------------------


def test_temporary_files_of_killed_writers_are_taken_for_nothing(phase: PhaseDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever was being written beside every file of a phase: screens show what they showed before."""
    now_unix_s = time.time()
    monkeypatch.setattr(time, "time", lambda: now_unix_s)  # words tell for how long nobody has given a sign of life

    def shown() -> list[str]:
        return [line for line in overview(snapshot_of(phase)) if "CPU" not in line]  # how busy this machine is changes

    before = shown()
    phase.control.mkdir(exist_ok=True)
    for path in [*phase.path.rglob("*"), phase.control / "1-stop.json", phase.run("transformer").status]:
        if not path.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_name(f".{path.name}.abcdefgh.tmp").write_bytes(b'{"schema": 1, "state": "finished"}' * 9)
    assert shown() == before
    assert list(pending_requests(phase)) == []


# --- escape sequences -----------------------------------------------------------------------------------------------------


@pytest.fixture
def ordering(phase: PhaseDir) -> PhaseDir:
    """A phase in which every word that a file may hold gives orders to a terminal and to a browser."""
    word = status("mlp", RunState.FAILED)
    bad = word.model_copy(update={"message": _ORDERS, "error": _ORDERS, "device": _ORDERS, "nonfinite_batch": [_ORDERS]})
    bad.write(phase.run("mlp").status)
    phase.run("mlp").log.write_bytes(f"{_ORDERS}\n\x1bPq\x1b\\\x1b]52;c;cm0gLXJm\x07\n".encode())
    write_events(
        phase.run("mlp").path / "events.out.tfevents.1", [version(), *(scalar(step, float("nan"), _ORDERS) for step in (1, 2))]
    )
    phase.alerts.write_bytes(lines(Alert(id="a", level="error", kind="crashed", model="mlp", text=_ORDERS, unix_s=1e9)))
    Progress(
        stage=Stage.EVALUATE, state="failed", step=_ORDERS, done=0, total=1, started_unix_s=1e9, unix_s=1e9, process=word.process,
        error=_ORDERS,
    ).write(phase.progress(Stage.EVALUATE))  # fmt: skip
    rows = phase.boundaries("mlp", "validation")
    rows.write_text(rows.read_text().replace("r,s,", f"{_ORDERS},{_ORDERS},"))
    phase.decisions.write_text(phase.decisions.read_text().replace('"n"', json.dumps(_ORDERS)))
    return phase


def obeyed(text: str) -> set[str]:
    """The characters of a text that a terminal would obey."""
    return {one for one in text if not one.isprintable() and one not in "\n\t"}


def test_plain_lines_give_no_orders(ordering: PhaseDir) -> None:
    """Neither at once nor line by line."""
    snapshot = snapshot_of(ordering)
    said = "\n".join([*overview(snapshot), *PlainLines().of(snapshot)])
    assert "owned" in said  # it is shown, as words
    assert obeyed(said) == set()


def test_the_report_gives_no_orders(ordering: PhaseDir) -> None:
    """To no terminal that it is printed on, and to no browser: no script, and a policy against any."""
    page = report_page(snapshot_of(ordering), None, ordering)
    assert obeyed(page) == set()
    assert "<script" not in page and "owned" in page


async def test_the_dashboard_gives_no_orders(ordering: PhaseDir, open_desk: OpenDesk) -> None:
    """On any of its places."""
    async with open_desk(snapshot_of(ordering), (120, 40)) as desk:
        seen = desk.text
        for key in ("l", "escape", "a", "escape", "2", "3", "4", "5", "1"):
            await desk.press(key)
            seen += desk.text
        assert "owned" in seen
        assert obeyed(seen) == set()


def test_rows_and_errors_give_no_orders(ordering: PhaseDir, tmp_path: Path) -> None:
    """What the boundary viewer shows, and what an error quotes."""
    row: BoundaryRow = read_rows(ordering.boundaries("mlp", "validation"))[0]
    assert obeyed(row.recording + row.speaker) == set()
    assert obeyed(str(BrefineError(_ORDERS, where=_ORDERS, problems=[_ORDERS], hint=_ORDERS))) == set()


# --- privileges ------------------------------------------------------------------------------------------------------------


def test_the_ledger_is_its_owner_s_alone(tmp_path: Path) -> None:
    """What machines cost and which phases ran is nobody else's business; a link to it keeps its place."""
    path = tmp_path / "state" / "ledger.jsonl"
    Ledger(path).correct(1.0, "a note", 1e9)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    link = tmp_path / "link.jsonl"
    link.symlink_to(path)
    Ledger(link).correct(1.0, "another", 1e9)
    assert link.is_symlink() and Ledger(path).read().spent_usd() == pytest.approx(2.0)


def test_alerts_are_told_once_even_beside_foreign_lines(phase: PhaseDir) -> None:
    """Lines of another version, of nothing, or with orders for terminals lose nobody an alert."""
    with phase.alerts.open("ab") as file:
        file.write(b'{"schema": 99}\n[]\n\xff\n{"schema": 1, "id": "b"')
    alert = Alert(id="c", level="info", kind="slow", text="t", unix_s=1.0)
    assert AlertLog(phase.alerts).tell(alert)
    assert not AlertLog(phase.alerts).tell(alert)
    assert [one.id for one in AlertLog(phase.alerts).read()] == ["a", "c"]
