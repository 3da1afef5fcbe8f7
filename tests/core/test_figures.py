"""Figures in words: their units, and a dash where there is none."""

from __future__ import annotations

from brefine.core.figures import milliseconds, percent, some_of


def test_figures_carry_their_unit() -> None:
    """Rates are shares of one, signs are kept, and what was not measured is not 0."""
    assert [milliseconds(value_ms) for value_ms in (131.6, -4.0, None)] == ["132 ms", "-4 ms", "–"]
    assert [percent(rate) for rate in (0.0686, 1.0, None)] == ["6.9 %", "100.0 %", "–"]
    assert [percent(0.0686, digits) for digits in (0, 2)] == ["7 %", "6.86 %"]


def test_of_many_names_the_first_are_told_and_how_many_more() -> None:
    """Exactly as many as are told have no others."""
    assert some_of(["a", "b"], 2) == "a, b"
    assert some_of(["a", "b", "c", "d"], 2) == "a, b and 2 more"
