"""The candidates of place 3, read as text."""

from __future__ import annotations

import pytest

from brefine.run.snapshot import PhaseState
from brefine.tui.screens.select import Choice
from tests.tui.memory_phases import RecordedActions, evaluation, phase, selection


@pytest.mark.parametrize("width", [79, 80, 158])
def test_what_a_model_is_marked_with_is_never_cut_off(width: int) -> None:
    """What was selected comes first; a model that is recommended again has both, below its figures where there is no room."""
    choice = Choice()
    alone = choice.text(phase(PhaseState.TO_SELECT, selection=selection()), width, 22).plain
    choice.ranking = RecordedActions().recommend()
    shown = choice.text(phase(PhaseState.TO_SELECT, selection=selection()), width, 22).plain
    assert "  310  ✓ selected\n" in alone
    assert ("  310  ✓ selected, recommended\n" if width > 80 else "  310\n     ✓ selected, recommended\n") in shown
    assert max(map(len, [*alone.splitlines(), *shown.splitlines()])) <= width


def test_what_is_marked_with_nothing_has_no_line_for_it() -> None:
    """In a narrow terminal an empty row stood below each model that is neither selected nor recommended."""
    rows = Choice().text(phase(PhaseState.TO_INTEGRATE), 68, 22).plain.splitlines()
    mlp = next(index for index, row in enumerate(rows) if "mlp" in row)
    assert "contrastive" in rows[mlp + 1]


@pytest.mark.parametrize("harm_ms", [6.4, 414.7, -1000.0])
def test_a_great_harm_stands_apart_from_the_figure_before_it(harm_ms: float) -> None:
    """`48 %+414.7 ms` is read as one figure."""
    report = evaluation("mlp")
    harmful = report.model_copy(update={"comparison": report.comparison.model_copy(update={"good_harm_ms": harm_ms})})
    shown = Choice().text(phase(PhaseState.TO_SELECT, evaluations={"mlp": harmful}), 80, 22).plain
    assert f"{harm_ms:+.1f}" in shown.split()
