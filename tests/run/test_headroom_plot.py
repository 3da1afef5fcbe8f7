"""The headroom as a page: its charts, its words, and nothing that is loaded."""

from __future__ import annotations

from brefine.core.gate import Thresholds
from brefine.core.headroom import Headroom, measure_headroom
from brefine.core.turns import Diarization, Turn
from brefine.run.headroom_plot import headroom_page


def test_the_page_has_both_charts_and_the_screen() -> None:
    """A line for each collar through all reductions, the target across them, the parts as bars; no script, no address."""
    spoken, heard = Diarization("talk", (Turn(1.0, 5.0, "A"),)), Diarization("talk", (Turn(1.0, 5.4, "x"),))
    thresholds = Thresholds()
    page = headroom_page(Headroom((measure_headroom(spoken, heard),)).figures(thresholds), thresholds)
    assert page.count('<svg class="chart"') == 2
    assert page.count('class="line s0"') == page.count('class="line s1"') >= 2
    assert "<title>10.00 %</title>" in page
    assert "der-target: 3 %" in page
    assert "DER 10.00 % at collar 0" in page
    assert "<script" not in page and "http://" not in page and "https://" not in page
