"""The headroom as a page to mail: the DER over what is left of the boundary errors, its parts, and the text of the screen."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from brefine.core.figures import exact_percent
from brefine.core.gate import Thresholds
from brefine.run.headroom_table import PARTS, headroom_lines
from brefine.run.report_charts import Axis, Rule, Series, bar_chart, line_chart
from brefine.run.report_html import html_figure, html_page, side_by_side


def headroom_page(figures: Mapping[str, Any], thresholds: Thresholds) -> str:
    """One HTML page that loads nothing, from `Headroom.figures`."""
    collars_s = sorted({item["collar_s"] for item in figures["at"]})
    at = {collar_s: [item for item in figures["at"] if item["collar_s"] == collar_s] for collar_s in collars_s}
    lines = [
        Series(
            f"collar ±{collar_s:g} s",
            f"s{place}",
            [100.0 * item["reduction"] for item in items],
            [100.0 * item["der"] for item in items],
            [f"{100.0 * item['der']:.2f} %" for item in items],
        )
        for place, (collar_s, items) in enumerate(at.items())
    ]
    target = Rule(100.0 * thresholds.der_target, f"der-target: {exact_percent(thresholds.der_target)}")
    reduced = line_chart(
        lines, Axis("errors of matched boundaries reduced by, %", low=0.0), Axis("DER, %", low=0.0), rules=[target], points=True
    )
    parts = bar_chart(
        [name for name, _ in PARTS],
        [
            (f"collar ±{item['collar_s']:g} s", f"s{place}", [1e4 * item[key] for _, key in PARTS])
            for place, item in enumerate(figures["parts"])
        ],
        "hundredths of a point of DER",
    )
    pair = side_by_side(
        html_figure(reduced, "The DER if each matched boundary moved so far to its place."),
        html_figure(
            parts,
            "What the DER consists of: moving the matched boundaries takes the first away, moving other ends a part of the rest.",
        ),
    )
    words = escape("\n".join(headroom_lines(figures)))
    return html_page("headroom", f'<h1>Headroom</h1>\n{pair}\n<div class="scroll"><pre>{words}</pre></div>')
