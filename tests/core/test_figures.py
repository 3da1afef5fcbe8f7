"""Figures in words: their units, and a dash where there is none."""

from __future__ import annotations

import pytest

from brefine.core.figures import (
    counted,
    exact_percent,
    improvement,
    milliseconds,
    percent,
    rounded,
    signed_milliseconds,
    signed_percent,
    some_of,
)


def test_figures_carry_their_unit() -> None:
    """Rates are shares of one, signs are kept, and what was not measured is not 0."""
    assert [milliseconds(value_ms) for value_ms in (131.6, -4.0, None)] == ["132 ms", "-4 ms", "–"]
    assert [percent(rate) for rate in (0.0686, 1.0, None)] == ["6.9 %", "100.0 %", "–"]
    assert [percent(0.0686, digits) for digits in (0, 2)] == ["7 %", "6.86 %"]


def test_a_threshold_is_told_as_it_is() -> None:
    """With every digit that it has, and none that floating point adds."""
    assert [exact_percent(rate) for rate in (0.03, 0.025, 0.0125, 0.07, 1.0)] == ["3 %", "2.5 %", "1.25 %", "7 %", "100 %"]


@pytest.mark.parametrize("nought", [1e-15, -1e-15, 0.0, -0.0])
def test_what_rounds_to_nought_has_no_sign_of_its_own(nought: float) -> None:
    """A minus before a nought tells of a gain that is none."""
    assert f"{rounded(100 * nought, 1):+.1f} {rounded(nought):.0f}" == "+0.0 0"
    assert [milliseconds(nought), signed_milliseconds(nought), percent(nought)] == ["0 ms", "+0.0 ms", "0.0 %"]
    assert [signed_percent(nought), signed_percent(-0.0567), signed_percent(1.5)] == ["+0.0 %", "-5.7 %", "+150.0 %"]


def test_an_improvement_says_what_its_signs_mean() -> None:
    """The interval is one of what the word says: of how much better, or of how much worse."""
    assert improvement(0.1023, (-0.238, 0.444)) == "10.2 % better [-23.8 %, +44.4 %]"
    assert improvement(-0.03, (-0.09, 0.05)) == "3.0 % worse [-5.0 %, +9.0 %]"
    assert [improvement(relative) for relative in (0.1, -0.1, -1e-15)] == ["10.0 % better", "10.0 % worse", "0.0 % better"]


def test_one_thing_is_told_in_the_singular() -> None:
    """And no other number of them."""
    assert [counted(n, "turn is", "turns are") for n in (0, 1, 2, 1234)] == [
        "0 turns are",
        "1 turn is",
        "2 turns are",
        "1,234 turns are",
    ]


def test_of_many_names_the_first_are_told_and_how_many_more() -> None:
    """Exactly as many as are told have no others."""
    assert some_of(["a", "b"], 2) == "a, b"
    assert some_of(["a", "b", "c", "d"], 2) == "a, b and 2 more"
