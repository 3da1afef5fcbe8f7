"""`brefine runs`: the phases there are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from brefine.cli.runs import runs
from tests.run.toy_programs import make_toy_phase


@pytest.mark.parametrize("as_json", [False, True])
def test_a_damaged_phase_hides_none_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    """Its fault is told on stderr, with the file; stdout is the list of those that can be read."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    make_toy_phase(tmp_path / "runs")
    damaged = tmp_path / "runs" / "20260101T000000Z-damaged" / "phase.toml"
    damaged.parent.mkdir()
    damaged.write_text("schema = 1\nnonsense = 3\n")
    runs(json=as_json, runs=tmp_path / "runs")
    told = capsys.readouterr()
    assert str(damaged) in told.err and "nonsense" in told.err
    if as_json:
        assert [one["phase"] for one in json.loads(told.out)] == ["20261122T000000Z-toy"]
    else:
        assert "20261122T000000Z-toy" in told.out and "damaged" not in told.out
