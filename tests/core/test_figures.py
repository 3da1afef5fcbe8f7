"""Figures in words: their units, and a dash where there is none."""

from __future__ import annotations

from brefine.core.figures import milliseconds, percent


def test_figures_carry_their_unit() -> None:
    """Rates are shares of one, signs are kept, and what was not measured is not 0."""
    assert [milliseconds(value_ms) for value_ms in (131.6, -4.0, None)] == ["132 ms", "-4 ms", "–"]
    assert [percent(rate) for rate in (0.0686, 1.0, None)] == ["6.9 %", "100.0 %", "–"]
    assert [percent(0.0686, digits) for digits in (0, 2)] == ["7 %", "6.86 %"]
