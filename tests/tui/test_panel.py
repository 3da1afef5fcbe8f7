"""Sentences in panels, read as text."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from brefine.run.snapshot import PhaseState
from brefine.tui.screens.select import Choice
from brefine.tui.widgets.alerts import alert_lines
from brefine.tui.widgets.panel import wrapped
from tests.tui.memory_phases import nan_alert, phase, selection

CHINESE = "说话人变化处的误差没有减少，而且重叠处的误差变大了，" * 5
URL = "https://example.org/" + "meetings/2026/" * 12
SENTENCES = [f"note: {CHINESE} (in short: 不好)", f"see {URL} for more", "plain words " * 20]


@pytest.mark.parametrize("text", SENTENCES)
@pytest.mark.parametrize("width", [80, 79, 10])
def test_a_sentence_is_shown_to_its_end(text: str, width: int) -> None:
    """Characters of two cells count as two, and a word that is longer than a line goes on in the next one."""
    lines = [content.plain for content in wrapped(text, width, "", indent="    ")]
    assert max(map(cell_len, lines)) <= width
    assert all(shown.startswith("    ") for shown in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


@pytest.mark.parametrize("text", [CHINESE, URL])
def test_the_reason_of_a_choice_is_shown_to_its_end(text: str) -> None:
    """The one line of why that a person gave, whatever it is written in."""
    shown = Choice().text(phase(PhaseState.TO_INTEGRATE, selection=selection("mlp", why=text)), 80, 22).plain
    assert text in "".join(shown.split())
    assert max(map(cell_len, shown.splitlines())) <= 80


def test_an_alert_has_the_lines_that_its_cells_need() -> None:
    """What has room in one line by its letters alone is wrapped where they take two cells each."""
    alert = nan_alert().model_copy(update={"text": CHINESE[:40]})
    assert max(content.cell_length for content in alert_lines(alert, 80)) <= 80
